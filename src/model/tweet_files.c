/* tweet_files.c: a tokenizer from BERTweet's vocab.txt ("token count" on each line) and bpe.codes ("left right count"), as
 * transformers' BertweetTokenizer reads them. Called by tokenizer_files.c. The texts are untrusted. */
#include "base/memory.h"
#include "base/utf8.h"
#include "model/json_field.h"
#include "model/tokenizer_build.h"
#include "model/tokenizer_template.h"

#include <stdlib.h>
#include <string.h>

static const char *const FIRST_TOKENS[] = {"<s>", "<pad>", "</s>", "<unk>"};
enum { NUM_FIRST = sizeof FIRST_TOKENS / sizeof FIRST_TOKENS[0], CLS_ID = 0, SEP_ID = 2, UNKNOWN_ID = 3 };

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static rung_text strip(rung_text line)
{
    while (line.bytes > 0 && is_blank(line.data[0])) {
        line.data++;
        line.bytes--;
    }
    while (line.bytes > 0 && is_blank(line.data[line.bytes - 1])) {
        line.bytes--;
    }
    return line;
}

static rung_status add_token(rung_tokenizer *tokenizer, rung_text token, const char *name, size_t line,
                             rung_error *error)
{
    rung_error cause;
    rung_status status = rung_vocabulary_set_text(&tokenizer->vocabulary, (int64_t)tokenizer->vocabulary.id_limit,
                                                  token.data, token.bytes, &cause);
    return status == RUNG_OK ? status : rung_fail(error, status, "%s: line %zu: %s", name, line, cause.message);
}

static rung_status read_vocab(rung_tokenizer *tokenizer, const rung_named_text *file, rung_error *error)
{
    rung_status status = rung_require_utf8(file, error);
    for (size_t i = 0; status == RUNG_OK && i < NUM_FIRST; i++) {
        status = add_token(tokenizer, (rung_text){FIRST_TOKENS[i], strlen(FIRST_TOKENS[i])}, file->name, 0, error);
    }
    rung_text line;
    size_t number = 1;
    for (size_t at = 0; status == RUNG_OK && rung_next_line(file, &at, &line); number++) {
        line = strip(line);
        const char *blank = memrchr(line.data, ' ', line.bytes);
        if (blank == NULL) {
            return rung_fail(error, RUNG_FORMAT, "%s: line %zu must be a token, a blank and a count", file->name,
                             number);
        }
        status = add_token(tokenizer, (rung_text){line.data, (size_t)(blank - line.data)}, file->name, number, error);
    }
    rung_error cause;
    if (status == RUNG_OK) {
        status = rung_vocabulary_index(&tokenizer->vocabulary, &cause);
        status = status == RUNG_OK ? status : rung_fail(error, status, "%s: %s", file->name, cause.message);
    }
    return status;
}

/* The tokens that are cut out of texts. <mask> comes after the vocabulary when it is not in it. */
static rung_status add_special(rung_tokenizer *tokenizer, const char *name, rung_error *error)
{
    static const char MASK[] = "<mask>";
    rung_status status = RUNG_OK;
    for (int32_t id = 0; status == RUNG_OK && id < NUM_FIRST; id++) {
        status = rung_added_set_add(&tokenizer->added, FIRST_TOKENS[id], strlen(FIRST_TOKENS[id]),
                                    (rung_added_token){.id = id}, error);
    }
    int32_t mask = rung_vocabulary_find(&tokenizer->vocabulary, MASK, sizeof MASK - 1);
    if (status == RUNG_OK && mask < 0) {
        mask = (int32_t)tokenizer->vocabulary.id_limit;
        status = add_token(tokenizer, (rung_text){MASK, sizeof MASK - 1}, name, 0, error);
    }
    return status == RUNG_OK
               ? rung_added_set_add(&tokenizer->added, MASK, sizeof MASK - 1, (rung_added_token){.id = mask}, error)
               : status;
}

/* The number of a symbol, which gets the next one when it is new. */
static rung_status number_symbol(rung_tweet_model *model, int32_t *next, const char *text, size_t bytes,
                                 int32_t *number, rung_error *error)
{
    int32_t previous;
    rung_status status = rung_trie_add(&model->symbols, text, bytes, *next, &previous, error);
    if (status == RUNG_OK) {
        *number = previous >= 0 ? previous : *next;
        *next += previous < 0;
    }
    return status;
}

/* The first two of a line's three fields; false when it has another number of them. */
static bool split_code(rung_text line, rung_text fields[2])
{
    size_t count = 0;
    for (size_t at = 0; at < line.bytes;) {
        size_t first = at;
        while (at < line.bytes && !is_blank(line.data[at])) {
            at++;
        }
        if (at > first) {
            if (count < 2) {
                fields[count] = (rung_text){line.data + first, at - first};
            }
            count++;
        } else {
            at++;
        }
    }
    return count == 3;
}

typedef struct code_reader {
    rung_tweet_model *model;
    const char *name;
    int32_t next; /* symbol number */
    char *joined;
    size_t capacity;
} code_reader;

static rung_status add_code(code_reader *reader, rung_text line, size_t index, rung_error *error)
{
    rung_text fields[2];
    if (!split_code(line, fields)) {
        return rung_fail(error, RUNG_FORMAT, "%s: line %zu must be two symbols and a count", reader->name, index + 1);
    }
    size_t bytes = fields[0].bytes + fields[1].bytes;
    rung_status status = rung_grow((void **)&reader->joined, &reader->capacity, bytes, 1, "merged symbol", error);
    if (status != RUNG_OK) {
        return status;
    }
    memcpy(reader->joined, fields[0].data, fields[0].bytes);
    memcpy(reader->joined + fields[0].bytes, fields[1].data, fields[1].bytes);
    const rung_text texts[3] = {fields[0], fields[1], {reader->joined, bytes}};
    int32_t numbers[3] = {0};
    for (size_t i = 0; i < 3 && status == RUNG_OK; i++) {
        status = number_symbol(reader->model, &reader->next, texts[i].data, texts[i].bytes, &numbers[i], error);
    }
    if (status == RUNG_OK) {
        rung_bpe_add(&reader->model->bpe, numbers[0], numbers[1], (uint32_t)index, numbers[2]);
    }
    return status;
}

/* What follows the last line break is no line in the reference. */
static rung_status read_codes(rung_tweet_model *model, const rung_named_text *file, rung_error *error)
{
    rung_status status = rung_require_utf8(file, error);
    const char *last = status == RUNG_OK ? memrchr(file->text, '\n', file->bytes) : NULL;
    const rung_named_text whole = {file->name, file->text, last == NULL ? 0 : (size_t)(last - file->text) + 1};
    size_t count = 0;
    rung_text line;
    for (size_t at = 0; rung_next_line(&whole, &at, &line);) {
        count++;
    }
    if (status == RUNG_OK) {
        status = rung_bpe_reserve(&model->bpe, count, error);
    }
    model->bpe.order = RUNG_BPE_ALL;
    code_reader reader = {.model = model, .name = file->name};
    size_t index = 0;
    for (size_t at = 0; status == RUNG_OK && rung_next_line(&whole, &at, &line); index++) {
        status = add_code(&reader, line, index, error);
    }
    free(reader.joined);
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, file->text, file->bytes);
    rung_sha256_hex(&hash, model->codes_sha256);
    return status;
}

rung_status rung_tokenizer_from_tweet_files(const rung_named_text *vocab, const rung_named_text *codes, bool normalizes,
                                            rung_tokenizer **tokenizer, rung_error *error)
{
    static const int64_t CLS_SEP[2] = {CLS_ID, SEP_ID};
    rung_tokenizer *made = rung_alloc(1, sizeof *made, vocab->name, error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->splitter = &rung_tweet_splitter;
    made->tweet.normalizes = normalizes;
    made->tweet.unknown_id = UNKNOWN_ID;
    rung_status status = read_vocab(made, vocab, error);
    if (status == RUNG_OK) {
        status = add_special(made, vocab->name, error);
    }
    if (status == RUNG_OK) {
        status = read_codes(&made->tweet, codes, error);
    }
    if (status == RUNG_OK) {
        status = rung_fill_fixed_templates(made, true, CLS_SEP, vocab->name, error);
    }
    if (status != RUNG_OK) {
        rung_tokenizer_free(made);
        return status;
    }
    rung_tokenizer_seal(made);
    *tokenizer = made;
    return RUNG_OK;
}
