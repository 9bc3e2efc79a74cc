/* tokenizer.c: text to token ids with spans; see tokenizer.h. Called by src/run and the tools. Puts the template around
 * the texts, cuts added tokens out of them, leaves what lies between to the tokenizer's splitter, and cuts to length.
 * Source: Hugging Face tokenizers 0.23 (TemplateProcessing, AddedVocabulary, truncation). */
#include "base/memory.h"
#include "base/utf8.h"
#include "model/tokenizer_pass.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 31)

size_t rung_tokenizer_id_limit(const rung_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.id_limit;
}

size_t rung_tokenizer_vocab_size(const rung_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

const char *rung_tokenizer_token(const rung_tokenizer *tokenizer, int32_t id)
{
    return rung_vocabulary_text(&tokenizer->vocabulary, id);
}

const char *rung_tokenizer_hash(const rung_tokenizer *tokenizer)
{
    return tokenizer->hash;
}

void rung_tokenizer_free(rung_tokenizer *tokenizer)
{
    if (tokenizer == NULL) {
        return;
    }
    rung_vocabulary_deinit(&tokenizer->vocabulary);
    rung_wordpiece_deinit(&tokenizer->wordpiece);
    rung_bpe_deinit(&tokenizer->byte_level.bpe);
    rung_vocabulary_deinit(&tokenizer->byte_level.words);
    rung_bpe_deinit(&tokenizer->tweet.bpe);
    rung_trie_deinit(&tokenizer->tweet.symbols);
    rung_added_set_deinit(&tokenizer->added);
    rung_added_set_deinit(&tokenizer->added_normalized);
    free(tokenizer->single.pieces);
    free(tokenizer->pair.pieces);
    free(tokenizer);
}

static void put_sequence(rung_token_pass *pass, rung_text text)
{
    pass->text = text.data;
    rung_added_split split = rung_added_split_start(&pass->tokenizer->added, text.data, text.bytes);
    rung_added_piece piece;
    while (pass->status == RUNG_OK && rung_added_split_next(&split, &piece)) {
        if (piece.token_id >= 0) {
            pass->tokenizer->splitter->put_added(pass, piece.token_id, piece.begin, piece.end);
        } else {
            pass->tokenizer->splitter->split(pass, piece.begin, piece.end);
        }
    }
}

/* How many tokens of each sequence stay when both have to fit into budget: longest_first of the reference, which
 * shortens the longer one down to the shorter and then gives each half (the longer one the odd token; the second when
 * equal). */
static void share_budget(const size_t total[2], size_t budget, size_t keep[2])
{
    keep[0] = total[0];
    keep[1] = total[1];
    if (total[0] + total[1] <= budget) {
        return;
    }
    size_t longer = total[0] > total[1] ? 0 : 1;
    size_t least = total[1 - longer];
    if (least <= budget / 2) {
        keep[longer] = budget - least;
        return;
    }
    keep[1 - longer] = budget / 2;
    keep[longer] = budget / 2 + budget % 2;
}

static void remove_tokens(rung_token_pass *pass, size_t at, size_t count)
{
    rung_encoding *encoding = pass->encoding;
    size_t tail = pass->length - at - count;
    memmove(encoding->ids + at, encoding->ids + at + count, tail * sizeof *encoding->ids);
    memmove(encoding->begin + at, encoding->begin + at + count, tail * sizeof *encoding->begin);
    memmove(encoding->end + at, encoding->end + at + count, tail * sizeof *encoding->end);
    memmove(encoding->type_ids + at, encoding->type_ids + at + count, tail);
    memmove(encoding->special + at, encoding->special + at + count, tail);
    memmove(encoding->sequence + at, encoding->sequence + at + count, tail);
    pass->length -= count;
}

static rung_status check_text(rung_text text, const char *which, rung_error *error)
{
    if (text.bytes > MAX_TEXT_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%s: %zu bytes exceed the limit of %zu", which, text.bytes, MAX_TEXT_BYTES);
    }
    size_t bad_offset;
    if (!rung_utf8_valid(text.data, text.bytes, &bad_offset)) {
        return rung_fail(error, RUNG_INVALID, "%s: invalid UTF-8 at byte %zu (0x%02X)", which, bad_offset,
                         (unsigned)(uint8_t)text.data[bad_offset]);
    }
    return RUNG_OK;
}

/* Writes the template with its sequences into the encoding; each sequence gets at most `budget` tokens. */
static void fill_template(rung_token_pass *pass, const rung_template *template, const rung_text texts[2],
                          size_t start[2], size_t stored[2], size_t total[2])
{
    for (size_t i = 0; i < template->count && pass->status == RUNG_OK; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        pass->type_id = piece->type_id;
        pass->sequence = piece->sequence;
        if (piece->id >= 0) {
            rung_pass_append(pass, piece->id, 0, 0, true);
            continue;
        }
        pass->stored = 0;
        pass->total = 0;
        start[piece->sequence] = pass->length;
        put_sequence(pass, texts[piece->sequence]);
        stored[piece->sequence] = pass->stored;
        total[piece->sequence] = pass->total;
    }
}

/* Both sequences were cut to the whole budget; cuts them to their shares, the one further back first. */
static void cut_to_budget(rung_token_pass *pass, const size_t start[2], const size_t stored[2], const size_t keep[2])
{
    size_t back = start[1] > start[0] ? 1 : 0;
    for (size_t i = 0; i < 2; i++) {
        size_t sequence = i == 0 ? back : 1 - back;
        if (stored[sequence] > keep[sequence]) {
            remove_tokens(pass, start[sequence] + keep[sequence], stored[sequence] - keep[sequence]);
        }
    }
}

rung_status rung_tokenize(const rung_tokenizer *tokenizer, rung_text text, const rung_text *pair, size_t max_tokens,
                          rung_encoding *encoding, rung_error *error)
{
    const rung_template *template = pair == NULL ? &tokenizer->single : &tokenizer->pair;
    rung_text texts[2] = {text, {NULL, 0}};
    if (pair != NULL) {
        texts[1] = *pair;
    }
    rung_status status = check_text(text, "text", error);
    if (status == RUNG_OK && pair != NULL) {
        status = check_text(*pair, "text_pair", error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (max_tokens < template->special_tokens) {
        return rung_fail(error, RUNG_LIMIT, "max_tokens is %zu, but the special tokens alone take %zu", max_tokens,
                         template->special_tokens);
    }
    if (encoding->scratch == NULL) {
        encoding->scratch = rung_alloc(1, sizeof *encoding->scratch, "tokenizer scratch", error);
    }
    status =
        encoding->scratch == NULL ? RUNG_NO_MEMORY : tokenizer->splitter->reserve(tokenizer, encoding->scratch, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_token_pass pass = {.tokenizer = tokenizer,
                            .encoding = encoding,
                            .scratch = encoding->scratch,
                            .error = error,
                            .budget = max_tokens - template->special_tokens};
    size_t start[2] = {0}, stored[2] = {0}, total[2] = {0}, keep[2];
    fill_template(&pass, template, texts, start, stored, total);
    if (pass.status != RUNG_OK) {
        encoding->length = 0;
        encoding->truncated_tokens = 0;
        return pass.status;
    }
    share_budget(total, pass.budget, keep);
    cut_to_budget(&pass, start, stored, keep);
    encoding->length = pass.length;
    encoding->truncated_tokens = total[0] + total[1] - keep[0] - keep[1];
    return RUNG_OK;
}
