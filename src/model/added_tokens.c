/* added_tokens.c: see added_tokens.h. */
#include "model/added_tokens.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "model/unicode.h"

#include <stdlib.h>
#include <string.h>

rung_status rung_added_set_add(rung_added_set *set, const char *pattern, size_t bytes, rung_added_token token,
                               rung_error *error)
{
    if (bytes == 0) {
        return rung_fail(error, RUNG_FORMAT, "added token with id %d matches the empty text", token.id);
    }
    rung_status status =
        rung_grow((void **)&set->tokens, &set->capacity, set->count + 1, sizeof *set->tokens, "added tokens", error);
    if (status != RUNG_OK) {
        return status;
    }
    int32_t previous;
    status = rung_trie_add(&set->patterns, pattern, bytes, (int32_t)set->count, &previous, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (previous >= 0) {
        return rung_fail(error, RUNG_FORMAT, "added tokens with ids %d and %d match the same text",
                         set->tokens[previous].id, token.id);
    }
    uint8_t first = (uint8_t)pattern[0];
    set->only_start = set->count == 0 || set->only_start == first ? first : -1;
    set->starts[first] = true;
    set->tokens[set->count] = token;
    set->count++;
    return RUNG_OK;
}

void rung_added_set_deinit(rung_added_set *set)
{
    rung_trie_deinit(&set->patterns);
    free(set->tokens);
    *set = (rung_added_set){0};
}

static size_t next_candidate(const rung_added_set *set, const char *text, size_t from, size_t bytes)
{
    if (set->only_start >= 0) {
        const char *found = memchr(text + from, set->only_start, bytes - from);
        return found == NULL ? bytes : (size_t)(found - text);
    }
    while (from < bytes && !set->starts[(uint8_t)text[from]]) {
        from++;
    }
    return from;
}

static bool has_flag_before(const char *text, size_t at, uint8_t flag, size_t *start)
{
    if (at == 0) {
        return false;
    }
    size_t begin = at - 1;
    while (((uint8_t)text[begin] & 0xC0) == 0x80) {
        begin--;
    }
    *start = begin;
    return (rung_unicode_get(rung_utf8_next(text, at, &begin)).flags & flag) != 0;
}

static bool has_flag_after(const char *text, size_t at, size_t bytes, uint8_t flag, size_t *end)
{
    if (at == bytes) {
        return false;
    }
    *end = at;
    return (rung_unicode_get(rung_utf8_next(text, bytes, end)).flags & flag) != 0;
}

static size_t skip_space_before(const rung_added_split *split, size_t begin)
{
    size_t start;
    while (begin > split->done && has_flag_before(split->text, begin, RUNG_UNICODE_SPACE, &start)) {
        begin = start;
    }
    return begin > split->done ? begin : split->done;
}

static size_t skip_space_after(rung_added_split *split, size_t end)
{
    /* A pattern that begins with white space may match inside what was skipped: that is not walked again. */
    if (end >= split->space_begin && end <= split->space_end) {
        return split->space_end;
    }
    split->space_begin = end;
    size_t after;
    while (has_flag_after(split->text, end, split->bytes, RUNG_UNICODE_SPACE, &after)) {
        end = after;
    }
    split->space_end = end;
    return end;
}

/* Applies the flags to a match; false when it is discarded. */
static bool accept(rung_added_split *split, const rung_added_token *token, size_t begin, size_t end)
{
    size_t unused;
    if (token->single_word && (has_flag_before(split->text, begin, RUNG_UNICODE_WORD, &unused) ||
                               has_flag_after(split->text, end, split->bytes, RUNG_UNICODE_WORD, &unused))) {
        return false;
    }
    split->token_begin = token->lstrip ? skip_space_before(split, begin) : begin;
    split->token_end = token->rstrip ? skip_space_after(split, end) : end;
    if (split->token_begin >= split->token_end) {
        /* The token before took all of it. */
        return false;
    }
    split->token_id = token->id;
    return true;
}

static bool find_token(rung_added_split *split)
{
    const rung_added_set *set = split->set;
    if (set->count == 0) {
        return false;
    }
    while (split->scanned < split->bytes) {
        size_t at = next_candidate(set, split->text, split->scanned, split->bytes);
        if (at == split->bytes) {
            split->scanned = at;
            break;
        }
        int32_t index = -1;
        size_t length = rung_trie_longest(&set->patterns, RUNG_TRIE_ROOT, split->text + at, split->bytes - at, &index);
        split->scanned = at + (length == 0 ? 1 : length);
        if (length != 0 && accept(split, &set->tokens[index], at, at + length)) {
            return true;
        }
    }
    return false;
}

rung_added_split rung_added_split_start(const rung_added_set *set, const char *text, size_t bytes)
{
    return (rung_added_split){.set = set, .text = text, .bytes = bytes, .space_begin = 1, .token_id = -1};
}

bool rung_added_split_next(rung_added_split *split, rung_added_piece *piece)
{
    if (split->token_id < 0 && !find_token(split)) {
        *piece = (rung_added_piece){-1, split->done, split->bytes};
        split->done = split->bytes;
        return piece->begin < piece->end;
    }
    if (split->done < split->token_begin) {
        *piece = (rung_added_piece){-1, split->done, split->token_begin};
        split->done = split->token_begin;
        return true;
    }
    *piece = (rung_added_piece){split->token_id, split->token_begin, split->token_end};
    split->done = split->token_end;
    split->token_id = -1;
    return true;
}
