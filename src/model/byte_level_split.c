/* byte_level_split.c: RoBERTa's splitter: the pieces of a text, each merged by BPE over its bytes. Called by tokenizer.c.
 * Source: Hugging Face tokenizers 0.23 (ByteLevel, BPE, RobertaProcessing). */
#include "base/utf8.h"
#include "model/byte_level.h"
#include "model/tokenizer_pass.h"
#include "model/unicode.h"

#include <string.h>

/* A piece of the text. With a blank that the text does not have before it, its byte i is text byte at + i - 1; the blank counts as
 * part of the character behind it. */
typedef struct piece {
    size_t at;
    const char *bytes; /* [count] */
    size_t count;
    bool has_prefix;
} piece;

static size_t char_begin(const char *text, size_t at)
{
    while (((uint8_t)text[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

static size_t char_end(const char *text, size_t at, size_t end)
{
    do {
        at++;
    } while (at < end && ((uint8_t)text[at] & 0xC0) == 0x80);
    return at;
}

/* Moves the ends of a span inwards over so many characters of the text, but not over each other. */
static void shrink(const rung_token_pass *pass, size_t leading, size_t trailing, size_t *begin, size_t *end)
{
    bool first = pass->total == 0 || *begin == 0;
    if (leading > 0 && first && pass->tokenizer->byte_level.trim_keeps_first) {
        leading--;
    }
    for (; leading > 0 && *begin < *end; leading--) {
        *begin = char_end(pass->text, *begin, *end);
    }
    for (; trailing > 0 && *end > *begin; trailing--) {
        *end = char_begin(pass->text, *end - 1);
    }
}

/* Takes the blanks at both ends of the token's bytes out of its span. The reference moves the ends by characters of the text,
 * whether they are those blanks or stand behind one that was added. */
static void trim(const rung_token_pass *pass, const char *bytes, size_t count, size_t *begin, size_t *end)
{
    size_t leading = 0;
    while (leading < count && bytes[leading] == ' ') {
        leading++;
    }
    size_t trailing = 0;
    while (trailing < count && bytes[count - 1 - trailing] == ' ') {
        trailing++;
    }
    shrink(pass, leading, trailing, begin, end);
}

/* The character that stands for a blank in token texts. */
#define BLANK_STAND_IN 0x120U

static bool is_trimmed(const char *text, size_t begin, size_t end)
{
    uint32_t code_point = rung_utf8_next(text, end, &begin);
    return code_point == BLANK_STAND_IN || rung_unicode_get(code_point).flags & RUNG_UNICODE_SPACE;
}

/* An added token's text is what it matched, white space that its flags took included. */
static void put_added(rung_token_pass *pass, int32_t id, size_t begin, size_t end)
{
    if (pass->tokenizer->byte_level.trim_offsets) {
        size_t leading = 0;
        size_t trailing = 0;
        for (size_t at = begin; at < end && is_trimmed(pass->text, at, end); leading++) {
            at = char_end(pass->text, at, end);
        }
        for (size_t at = end; at > begin && is_trimmed(pass->text, char_begin(pass->text, at - 1), at); trailing++) {
            at = char_begin(pass->text, at - 1);
        }
        shrink(pass, leading, trailing, &begin, &end);
    }
    rung_pass_put(pass, id, (uint32_t)begin, (uint32_t)end);
}

/* Puts the token of the piece's bytes [first, last). */
static void put_part(rung_token_pass *pass, const piece *from, int32_t id, size_t first, size_t last, size_t text_end)
{
    size_t shift = from->has_prefix ? 1 : 0;
    size_t begin = char_begin(pass->text, from->at + (first > shift ? first - shift : 0));
    size_t end = char_end(pass->text, from->at + (last > shift + 1 ? last - shift - 1 : 0), text_end);
    const char *bytes = from->bytes + first;
    if (pass->tokenizer->byte_level.trim_offsets && (bytes[0] == ' ' || from->bytes[last - 1] == ' ')) {
        trim(pass, bytes, last - first, &begin, &end);
    }
    rung_pass_put(pass, id, (uint32_t)begin, (uint32_t)end);
}

static void put_piece(rung_token_pass *pass, const piece *from, size_t padding, size_t text_end)
{
    const rung_byte_level_model *model = &pass->tokenizer->byte_level;
    int32_t id = from->count + padding >= RUNG_WORD_PADDING
                     ? rung_vocabulary_find_padded(&model->words, from->bytes, from->count)
                     : rung_vocabulary_find(&model->words, from->bytes, from->count);
    if (id >= 0) {
        put_part(pass, from, id, 0, from->count, text_end);
        return;
    }
    rung_bpe_word *word = &pass->scratch->symbols;
    pass->status = rung_bpe_word_reserve(word, from->count, pass->error);
    if (pass->status != RUNG_OK) {
        return;
    }
    word->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        rung_bpe_word_append(word, model->byte_ids[(uint8_t)from->bytes[i]]);
    }
    pass->status = rung_bpe_merge_word(&model->bpe, word, pass->error);
    for (size_t i = 0; i < word->count && pass->status == RUNG_OK; i++) {
        size_t last = i + 1 < word->count ? word->symbols[i + 1].first : from->count;
        put_part(pass, from, word->symbols[i].id, word->symbols[i].first, last, text_end);
    }
}

/* The first piece of a stretch that does not begin with a blank, with one put before it; returns where the next begins. */
static size_t put_prefixed(rung_token_pass *pass, size_t begin, size_t end)
{
    rung_aligned_text *copy = &pass->scratch->word;
    size_t piece_end = rung_byte_level_piece_end(pass->text, begin, end);
    /* White space depends on what follows it. */
    size_t seen = piece_end < end ? char_end(pass->text, piece_end, end) : end;
    size_t bytes = seen - begin + 1;
    pass->status = rung_aligned_text_reserve(copy, bytes + RUNG_WORD_PADDING, pass->error);
    if (pass->status != RUNG_OK) {
        return end;
    }
    copy->text[0] = ' ';
    memcpy(copy->text + 1, pass->text + begin, seen - begin);
    memset(copy->text + bytes, 0, RUNG_WORD_PADDING);
    /* A blank joins a word but not a contraction, and not white space that something follows. */
    size_t count = rung_byte_level_piece_end(copy->text, 0, bytes);
    count = count < piece_end - begin + 1 ? count : piece_end - begin + 1;
    piece first = {.at = begin, .bytes = copy->text, .count = count, .has_prefix = true};
    put_piece(pass, &first, RUNG_WORD_PADDING, end);
    return begin + count - 1;
}

/* A stretch without added tokens. */
static void split_stretch(rung_token_pass *pass, size_t begin, size_t end)
{
    size_t at = begin;
    if (pass->tokenizer->byte_level.add_prefix_space && pass->text[begin] != ' ') {
        at = put_prefixed(pass, begin, end);
    }
    while (at < end && pass->status == RUNG_OK) {
        size_t piece_end = rung_byte_level_piece_end(pass->text, at, end);
        piece next = {.at = at, .bytes = pass->text + at, .count = piece_end - at};
        put_piece(pass, &next, end - piece_end, end);
        at = piece_end;
    }
}

static void split(rung_token_pass *pass, size_t begin, size_t end)
{
    rung_added_split split =
        rung_added_split_start(&pass->tokenizer->added_normalized, pass->text + begin, end - begin);
    rung_added_piece found;
    while (pass->status == RUNG_OK && rung_added_split_next(&split, &found)) {
        if (found.token_id >= 0) {
            put_added(pass, found.token_id, begin + found.begin, begin + found.end);
        } else {
            split_stretch(pass, begin + found.begin, begin + found.end);
        }
    }
}

/* Words grow in the scratch as they come. */
static rung_status reserve(const rung_tokenizer *tokenizer, struct rung_token_scratch *scratch, rung_error *error)
{
    (void)tokenizer;
    (void)scratch;
    (void)error;
    return RUNG_OK;
}

static void hash_options(const rung_tokenizer *tokenizer, rung_sha256 *hash)
{
    rung_sha256_update(hash, "rung byte-level BPE 1", 21);
    rung_tokenizer_hash_number(hash, tokenizer->byte_level.add_prefix_space);
    rung_bpe_hash(&tokenizer->byte_level.bpe, hash);
}

const rung_splitter rung_byte_level_splitter = {split, put_added, reserve, hash_options};
