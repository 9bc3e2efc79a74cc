/* tokenizer.c: text to token ids with spans; see tokenizer.h. Called by src/run and the tools with a tokenizer that
 * tokenizer_json.c made. One pass over the text: words of plain ASCII are folded and looked up where they stand,
 * everything else goes through bert_normalizer.c character by character. Source: Hugging Face tokenizers 0.23
 * (BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing, AddedVocabulary). */
#include "model/tokenizer.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "model/tokenizer_internal.h"
#include "model/unicode.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 31)
/* Word look-ups read 8 bytes at a time. */
#define WORD_PADDING_BYTES 8

/* Working memory of one call, kept in the encoding. Spans are stored for each byte of the normalised text. */
struct rung_token_scratch {
    char *word; /* normalised bytes of the word that is being collected */
    uint32_t *word_begin, *word_end;
    size_t word_capacity;
    rung_mark_run marks;
    char *normalized; /* a whole stretch, only for tokenizers with added tokens that match after normalisation */
    uint32_t *normalized_begin, *normalized_end;
    size_t normalized_capacity, normalized_begin_capacity, normalized_end_capacity;
};

/* One sequence (text or pair) on its way into the encoding. */
typedef struct token_pass {
    const rung_tokenizer *tokenizer;
    rung_encoding *encoding;
    struct rung_token_scratch *scratch;
    rung_error *error;
    rung_status status; /* first failure; later work does nothing */
    const char *text;
    size_t length; /* tokens in the encoding */
    size_t budget; /* tokens of this sequence that may be stored */
    size_t stored;
    size_t total; /* stored and not stored */
    uint8_t type_id;
    uint8_t sequence;
    size_t word_bytes;
    size_t word_chars;  /* beyond the model's limit only the count goes on */
    bool word_is_plain; /* byte i of the word comes from text byte word_first + i */
    uint32_t word_first, word_last_end;
    size_t normalized_bytes;
} token_pass;

void rung_encoding_deinit(rung_encoding *encoding)
{
    free(encoding->ids);
    free(encoding->begin);
    free(encoding->end);
    free(encoding->type_ids);
    free(encoding->special);
    free(encoding->sequence);
    struct rung_token_scratch *scratch = encoding->scratch;
    if (scratch != NULL) {
        free(scratch->word);
        free(scratch->word_begin);
        free(scratch->word_end);
        rung_mark_run_deinit(&scratch->marks);
        free(scratch->normalized);
        free(scratch->normalized_begin);
        free(scratch->normalized_end);
        free(scratch);
    }
    *encoding = (rung_encoding){0};
}

size_t rung_tokenizer_id_limit(const rung_tokenizer *tokenizer)
{
    return tokenizer->model.id_limit;
}

size_t rung_tokenizer_vocab_size(const rung_tokenizer *tokenizer)
{
    return tokenizer->model.size;
}

const char *rung_tokenizer_token(const rung_tokenizer *tokenizer, int32_t id)
{
    return rung_wordpiece_text(&tokenizer->model, id);
}

const char *rung_tokenizer_hash(const rung_tokenizer *tokenizer)
{
    return tokenizer->hash;
}

void rung_tokenizer_classify_ascii(rung_tokenizer *tokenizer)
{
    memset(tokenizer->ascii_class, RUNG_ASCII_SLOW, sizeof tokenizer->ascii_class);
    for (uint32_t c = 0; c < 128; c++) {
        uint8_t flags = rung_unicode_get(c).flags;
        rung_ascii_class class = RUNG_ASCII_LETTER;
        if (tokenizer->normalizer.clean_text && flags & RUNG_UNICODE_CONTROL) {
            class = RUNG_ASCII_SLOW;
        } else if (flags & RUNG_UNICODE_SPACE) {
            class = RUNG_ASCII_SPACE;
        } else if (flags & RUNG_UNICODE_PUNCTUATION) {
            class = RUNG_ASCII_PUNCTUATION;
        }
        tokenizer->ascii_class[c] = (uint8_t) class;
        bool upper = c >= 'A' && c <= 'Z';
        tokenizer->fold[c] = (char)(tokenizer->normalizer.lowercase && upper ? c + ('a' - 'A') : c);
    }
}

static rung_status grow_encoding(rung_encoding *encoding, size_t needed, rung_error *error)
{
    struct {
        void **items;
        size_t size;
    } arrays[] = {
        {(void **)&encoding->ids, sizeof *encoding->ids},
        {(void **)&encoding->begin, sizeof *encoding->begin},
        {(void **)&encoding->end, sizeof *encoding->end},
        {(void **)&encoding->type_ids, sizeof *encoding->type_ids},
        {(void **)&encoding->special, sizeof *encoding->special},
        {(void **)&encoding->sequence, sizeof *encoding->sequence},
    };
    size_t capacity = encoding->capacity;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        capacity = encoding->capacity;
        rung_status status = rung_grow(arrays[i].items, &capacity, needed, arrays[i].size, "token ids", error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    encoding->capacity = capacity;
    return RUNG_OK;
}

static void append_token(token_pass *pass, int32_t id, uint32_t begin, uint32_t end, bool special)
{
    rung_encoding *encoding = pass->encoding;
    if (pass->length == encoding->capacity && pass->status == RUNG_OK) {
        pass->status = grow_encoding(encoding, pass->length + 1, pass->error);
    }
    if (pass->status != RUNG_OK) {
        return;
    }
    size_t at = pass->length++;
    encoding->ids[at] = id;
    encoding->begin[at] = begin;
    encoding->end[at] = end;
    encoding->type_ids[at] = pass->type_id;
    encoding->special[at] = special;
    encoding->sequence[at] = pass->sequence;
}

static void put_token(token_pass *pass, int32_t id, uint32_t begin, uint32_t end)
{
    pass->total++;
    if (pass->stored < pass->budget) {
        pass->stored++;
        append_token(pass, id, begin, end, false);
    }
}

static uint32_t word_begin_at(const token_pass *pass, size_t byte)
{
    return pass->word_is_plain ? pass->word_first + (uint32_t)byte : pass->scratch->word_begin[byte];
}

static uint32_t word_end_at(const token_pass *pass, size_t byte)
{
    return pass->word_is_plain ? pass->word_first + (uint32_t)byte + 1 : pass->scratch->word_end[byte];
}

/* The pieces of the collected word; when a part of it is in no piece, the whole word is unknown. */
static void put_pieces(token_pass *pass)
{
    const rung_wordpiece *model = &pass->tokenizer->model;
    size_t length = pass->length;
    size_t stored = pass->stored;
    size_t total = pass->total;
    for (size_t start = 0; start < pass->word_bytes;) {
        int32_t id = -1;
        size_t bytes = rung_wordpiece_piece(model, pass->scratch->word, start, pass->word_bytes, &id);
        if (bytes == 0) {
            pass->length = length;
            pass->stored = stored;
            pass->total = total;
            put_token(pass, model->unknown_id, pass->word_first, pass->word_last_end);
            return;
        }
        put_token(pass, id, word_begin_at(pass, start), word_end_at(pass, start + bytes - 1));
        start += bytes;
    }
}

static void finish_word(token_pass *pass)
{
    if (pass->word_chars == 0) {
        return;
    }
    const rung_wordpiece *model = &pass->tokenizer->model;
    if (pass->word_chars > model->max_word_chars) {
        put_token(pass, model->unknown_id, pass->word_first, pass->word_last_end);
    } else {
        int32_t id = rung_wordpiece_find_padded(model, pass->scratch->word, pass->word_bytes);
        if (id >= 0) {
            put_token(pass, id, pass->word_first, pass->word_last_end);
        } else {
            put_pieces(pass);
        }
    }
    pass->word_chars = 0;
    pass->word_bytes = 0;
}

/* Gives a word that was plain so far a span for each byte. */
static void spell_out_spans(token_pass *pass)
{
    for (size_t i = 0; i < pass->word_bytes; i++) {
        pass->scratch->word_begin[i] = pass->word_first + (uint32_t)i;
        pass->scratch->word_end[i] = pass->word_first + (uint32_t)i + 1;
    }
    pass->word_is_plain = false;
}

static void append_char(token_pass *pass, uint32_t code_point, uint32_t begin, uint32_t end)
{
    if (pass->word_chars == 0) {
        pass->word_is_plain = false;
        pass->word_first = begin;
    } else if (pass->word_is_plain) {
        spell_out_spans(pass);
    }
    pass->word_last_end = end;
    pass->word_chars++;
    if (pass->word_chars > pass->tokenizer->model.max_word_chars) {
        return;
    }
    struct rung_token_scratch *scratch = pass->scratch;
    size_t bytes = rung_utf8_put(code_point, scratch->word + pass->word_bytes);
    for (size_t i = 0; i < bytes; i++) {
        scratch->word_begin[pass->word_bytes + i] = begin;
        scratch->word_end[pass->word_bytes + i] = end;
    }
    pass->word_bytes += bytes;
}

/* The pre-tokenizer, for one normalised character. */
static void put_char(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    token_pass *pass = context;
    uint8_t flags = rung_unicode_get(code_point).flags;
    if (flags & RUNG_UNICODE_SPACE) {
        finish_word(pass);
    } else if (flags & RUNG_UNICODE_PUNCTUATION) {
        finish_word(pass);
        append_char(pass, code_point, begin, end);
        finish_word(pass);
    } else {
        append_char(pass, code_point, begin, end);
    }
}

/* Takes the ASCII letters from `at` on into the word; returns where they end. */
static size_t append_ascii(token_pass *pass, size_t at, size_t end)
{
    const rung_tokenizer *tokenizer = pass->tokenizer;
    const uint8_t *text = (const uint8_t *)pass->text;
    if (pass->word_chars == 0) {
        pass->word_is_plain = true;
        pass->word_first = (uint32_t)at;
    } else if (!pass->word_is_plain || at != pass->word_first + pass->word_chars) {
        for (; at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER; at++) {
            append_char(pass, (uint8_t)tokenizer->fold[text[at]], (uint32_t)at, (uint32_t)at + 1);
        }
        return at;
    }
    size_t first = at;
    size_t room =
        tokenizer->model.max_word_chars > pass->word_chars ? tokenizer->model.max_word_chars - pass->word_chars : 0;
    size_t limit = end - at > room ? at + room : end;
    char *word = pass->scratch->word + pass->word_bytes;
    for (; at < limit && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER; at++) {
        *word++ = tokenizer->fold[text[at]];
    }
    pass->word_bytes += at - first;
    while (at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER) {
        at++;
    }
    pass->word_chars += at - first;
    pass->word_last_end = (uint32_t)at;
    return at;
}

static void split_text(token_pass *pass, size_t begin, size_t end)
{
    const rung_tokenizer *tokenizer = pass->tokenizer;
    const uint8_t *text = (const uint8_t *)pass->text;
    for (size_t at = begin; at < end && pass->status == RUNG_OK;) {
        switch ((rung_ascii_class)tokenizer->ascii_class[text[at]]) {
        case RUNG_ASCII_LETTER:
            at = append_ascii(pass, at, end);
            break;
        case RUNG_ASCII_SPACE:
            finish_word(pass);
            at++;
            break;
        case RUNG_ASCII_PUNCTUATION:
            finish_word(pass);
            pass->word_is_plain = true;
            pass->word_first = (uint32_t)at;
            pass->word_last_end = (uint32_t)at + 1;
            /* With a limit of 0 characters the word is unknown and nothing may be stored. */
            if (tokenizer->model.max_word_chars > 0) {
                pass->scratch->word[pass->word_bytes++] = tokenizer->fold[text[at]];
            }
            pass->word_chars = 1;
            finish_word(pass);
            at++;
            break;
        case RUNG_ASCII_SLOW: {
            /* Removed controls do not separate marks from each other, so they belong to the stretch. */
            size_t first = at;
            while (at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_SLOW) {
                at++;
            }
            rung_status status = rung_bert_normalize(&tokenizer->normalizer, pass->text, first, at,
                                                     &pass->scratch->marks, put_char, pass, pass->error);
            pass->status = pass->status == RUNG_OK ? status : pass->status;
            break;
        }
        }
    }
    finish_word(pass);
}

static rung_status reserve_normalized(struct rung_token_scratch *scratch, size_t needed, rung_error *error)
{
    rung_status status =
        rung_grow((void **)&scratch->normalized, &scratch->normalized_capacity, needed, 1, "normalised text", error);
    if (status == RUNG_OK) {
        status = rung_grow((void **)&scratch->normalized_begin, &scratch->normalized_begin_capacity, needed,
                           sizeof *scratch->normalized_begin, "normalised text", error);
    }
    if (status == RUNG_OK) {
        status = rung_grow((void **)&scratch->normalized_end, &scratch->normalized_end_capacity, needed,
                           sizeof *scratch->normalized_end, "normalised text", error);
    }
    return status;
}

static void store_normalized(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    token_pass *pass = context;
    struct rung_token_scratch *scratch = pass->scratch;
    if (pass->status == RUNG_OK) {
        pass->status = reserve_normalized(scratch, pass->normalized_bytes + 4, pass->error);
    }
    if (pass->status != RUNG_OK) {
        return;
    }
    size_t bytes = rung_utf8_put(code_point, scratch->normalized + pass->normalized_bytes);
    for (size_t i = 0; i < bytes; i++) {
        scratch->normalized_begin[pass->normalized_bytes + i] = begin;
        scratch->normalized_end[pass->normalized_bytes + i] = end;
    }
    pass->normalized_bytes += bytes;
}

/* For tokenizers with added tokens that match normalised text: the stretch is normalised as a whole first. */
static void split_normalized(token_pass *pass, size_t begin, size_t end)
{
    struct rung_token_scratch *scratch = pass->scratch;
    pass->normalized_bytes = 0;
    rung_status status = rung_bert_normalize(&pass->tokenizer->normalizer, pass->text, begin, end, &scratch->marks,
                                             store_normalized, pass, pass->error);
    pass->status = pass->status == RUNG_OK ? status : pass->status;
    if (pass->status != RUNG_OK) {
        return;
    }
    rung_added_split split =
        rung_added_split_start(&pass->tokenizer->added_normalized, scratch->normalized, pass->normalized_bytes);
    rung_added_piece piece;
    while (rung_added_split_next(&split, &piece)) {
        if (piece.token_id >= 0) {
            put_token(pass, piece.token_id, scratch->normalized_begin[piece.begin],
                      scratch->normalized_end[piece.end - 1]);
            continue;
        }
        for (size_t at = piece.begin; at < piece.end;) {
            size_t first = at;
            uint32_t code_point = rung_utf8_next(scratch->normalized, piece.end, &at);
            put_char(pass, code_point, scratch->normalized_begin[first], scratch->normalized_end[first]);
        }
        finish_word(pass);
    }
}

static void put_sequence(token_pass *pass, rung_text text)
{
    pass->text = text.data;
    rung_added_split split = rung_added_split_start(&pass->tokenizer->added, text.data, text.bytes);
    rung_added_piece piece;
    while (pass->status == RUNG_OK && rung_added_split_next(&split, &piece)) {
        if (piece.token_id >= 0) {
            put_token(pass, piece.token_id, (uint32_t)piece.begin, (uint32_t)piece.end);
        } else if (pass->tokenizer->added_normalized.count > 0) {
            split_normalized(pass, piece.begin, piece.end);
        } else {
            split_text(pass, piece.begin, piece.end);
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

static void remove_tokens(token_pass *pass, size_t at, size_t count)
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

/* Working memory for the longest word that the model looks at. */
static rung_status reserve_scratch(const rung_tokenizer *tokenizer, rung_encoding *encoding, rung_error *error)
{
    if (encoding->scratch == NULL) {
        encoding->scratch = rung_alloc(1, sizeof *encoding->scratch, "tokenizer scratch", error);
        if (encoding->scratch == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    struct rung_token_scratch *scratch = encoding->scratch;
    size_t needed = 4 * tokenizer->model.max_word_chars + WORD_PADDING_BYTES;
    if (needed <= scratch->word_capacity) {
        return RUNG_OK;
    }
    size_t capacity = 0;
    rung_status status = rung_grow((void **)&scratch->word, &capacity, needed, 1, "longest word", error);
    capacity = 0;
    if (status == RUNG_OK) {
        /* Look-ups load whole 8-byte groups; what lies after the word is masked away but has to be initialised. */
        memset(scratch->word, 0, needed);
        status = rung_grow((void **)&scratch->word_begin, &capacity, needed, sizeof *scratch->word_begin,
                           "longest word", error);
    }
    capacity = 0;
    if (status == RUNG_OK) {
        status =
            rung_grow((void **)&scratch->word_end, &capacity, needed, sizeof *scratch->word_end, "longest word", error);
    }
    if (status == RUNG_OK) {
        scratch->word_capacity = needed;
    }
    return status;
}

/* Writes the template with its sequences into the encoding; each sequence gets at most `budget` tokens. */
static void fill_template(token_pass *pass, const rung_template *template, const rung_text texts[2], size_t start[2],
                          size_t stored[2], size_t total[2])
{
    for (size_t i = 0; i < template->count && pass->status == RUNG_OK; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        pass->type_id = piece->type_id;
        pass->sequence = piece->sequence;
        if (piece->id >= 0) {
            append_token(pass, piece->id, 0, 0, true);
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
static void cut_to_budget(token_pass *pass, const size_t start[2], const size_t stored[2], const size_t keep[2])
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
    status = reserve_scratch(tokenizer, encoding, error);
    if (status != RUNG_OK) {
        return status;
    }
    token_pass pass = {.tokenizer = tokenizer,
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

rung_status rung_encoding_filter(const rung_encoding *from, const bool *keep, rung_encoding *to, rung_error *error)
{
    rung_status status = grow_encoding(to, from->length, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t kept = 0;
    for (size_t i = 0; i < from->length; i++) {
        if (keep == NULL || keep[i]) {
            to->ids[kept] = from->ids[i];
            to->begin[kept] = 0;
            to->end[kept] = 0;
            to->type_ids[kept] = from->type_ids[i];
            to->special[kept] = from->special[i];
            to->sequence[kept] = from->sequence[i];
            kept++;
        }
    }
    to->length = kept;
    to->truncated_tokens = 0;
    return RUNG_OK;
}

/* How many tokens each sequence of the template has when there are `count` in all and B begins at `pair_from`. */
static rung_status place_sequences(const rung_template *template, size_t count, size_t pair_from, size_t length[2],
                                   rung_error *error)
{
    size_t before_pair = 0; /* special tokens before B */
    for (size_t i = 0; i < template->count && template->pieces[i].sequence == 0; i++) {
        before_pair += template->pieces[i].id >= 0;
    }
    if (count < template->special_tokens) {
        return rung_fail(error, RUNG_INVALID, "%zu tokens: the special tokens alone are %zu", count,
                         template->special_tokens);
    }
    size_t words = count - template->special_tokens;
    if (pair_from > 0 && (pair_from < before_pair || pair_from - before_pair > words)) {
        return rung_fail(error, RUNG_INVALID, "pair_from is %zu: of %zu tokens the second text may begin at %zu to %zu",
                         pair_from, count, before_pair, before_pair + words);
    }
    length[0] = pair_from > 0 ? pair_from - before_pair : words;
    length[1] = words - length[0];
    return RUNG_OK;
}

rung_status rung_encoding_from_ids(const rung_tokenizer *tokenizer, const int32_t *ids, size_t count, size_t pair_from,
                                   rung_encoding *encoding, rung_error *error)
{
    const rung_template *template = pair_from == 0 ? &tokenizer->single : &tokenizer->pair;
    size_t length[2];
    rung_status status = place_sequences(template, count, pair_from, length, error);
    size_t at = 0;
    for (size_t i = 0; status == RUNG_OK && i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        if (piece->id >= 0 && ids[at] != piece->id) {
            return rung_fail(error, RUNG_INVALID, "token %zu is %d: the template has %d there", at, ids[at], piece->id);
        }
        at += piece->id >= 0 ? 1 : length[piece->sequence];
    }
    status = status == RUNG_OK ? grow_encoding(encoding, count, error) : status;
    if (status != RUNG_OK) {
        return status;
    }
    at = 0;
    for (size_t i = 0; i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        size_t end = at + (piece->id >= 0 ? 1 : length[piece->sequence]);
        for (; at < end; at++) {
            encoding->ids[at] = ids[at];
            encoding->begin[at] = 0;
            encoding->end[at] = 0;
            encoding->type_ids[at] = piece->type_id;
            encoding->special[at] = piece->id >= 0;
            encoding->sequence[at] = piece->sequence;
        }
    }
    encoding->length = count;
    encoding->truncated_tokens = 0;
    return RUNG_OK;
}
