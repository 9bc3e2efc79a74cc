/* bert_normalizer.c: see bert_normalizer.h. One pass: each source character goes through clean-up, ideographs,
 * decomposition, mark removal and lower case before the next is read; only runs of combining marks wait, since they
 * must be put in canonical order (Unicode 15, section 3.11). */
#include "model/bert_normalizer.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "model/unicode.h"

#include <stdlib.h>

#define INSERTED (1U << 23)
#define CODE_POINT_MASK 0x1FFFFFU
#define CLASS_SHIFT 24
#define INSERTION_SORT_LIMIT 24

typedef struct span {
    uint32_t begin;
    uint32_t end;
} span;

typedef struct normalize_pass {
    const rung_bert_normalizer *normalizer;
    rung_mark_run *run;
    rung_char_sink sink;
    void *context;
    span previous; /* source span that the reference's cursor passed last */
} normalize_pass;

void rung_mark_run_deinit(rung_mark_run *run)
{
    free(run->items);
    free(run->sorted);
    free(run->begins);
    free(run->ends);
    *run = (rung_mark_run){0};
}

static void put_lower(normalize_pass *pass, uint32_t code_point, uint8_t flags, span at)
{
    if (!pass->normalizer->lowercase || !(flags & RUNG_UNICODE_HAS_LOWER)) {
        pass->sink(pass->context, code_point, at.begin, at.end);
        return;
    }
    uint32_t lower[RUNG_UNICODE_MAX_LOWER];
    size_t count = rung_unicode_lower(code_point, lower);
    for (size_t i = 0; i < count; i++) {
        pass->sink(pass->context, lower[i], at.begin, at.end);
    }
}

/* Stable, by combining class. Counting keeps long runs linear. */
static rung_status sort_run(rung_mark_run *run, rung_error *error)
{
    uint32_t *items = run->items;
    if (run->item_count <= INSERTION_SORT_LIMIT) {
        for (size_t i = 1; i < run->item_count; i++) {
            uint32_t item = items[i];
            size_t at = i;
            for (; at > 0 && items[at - 1] >> CLASS_SHIFT > item >> CLASS_SHIFT; at--) {
                items[at] = items[at - 1];
            }
            items[at] = item;
        }
        return RUNG_OK;
    }
    rung_status status = rung_grow((void **)&run->sorted, &run->sorted_capacity, run->item_capacity,
                                   sizeof *run->sorted, "combining marks", error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t start[257] = {0};
    for (size_t i = 0; i < run->item_count; i++) {
        start[(items[i] >> CLASS_SHIFT) + 1]++;
    }
    for (size_t class = 0; class < 256; class ++) {
        start[class + 1] += start[class];
    }
    for (size_t i = 0; i < run->item_count; i++) {
        run->sorted[start[items[i] >> CLASS_SHIFT]++] = items[i];
    }
    run->items = run->sorted;
    run->sorted = items;
    size_t capacity = run->item_capacity;
    run->item_capacity = run->sorted_capacity;
    run->sorted_capacity = capacity;
    return RUNG_OK;
}

/* Emits the waiting marks in canonical order. The reference walks its source with a cursor that each item which is not
 * inserted moves by one, so spans are handed out in text order whatever the marks' new order is. */
static rung_status flush_run(normalize_pass *pass, rung_error *error)
{
    rung_mark_run *run = pass->run;
    if (run->item_count == 0) {
        return RUNG_OK;
    }
    if (run->keeps_any) {
        rung_status status = sort_run(run, error);
        if (status != RUNG_OK) {
            return status;
        }
        size_t cursor = 0;
        for (size_t i = 0; i < run->item_count; i++) {
            uint32_t code_point = run->items[i] & CODE_POINT_MASK;
            if (!(run->items[i] & INSERTED)) {
                pass->previous = (span){run->begins[cursor], run->ends[cursor]};
                cursor++;
            }
            uint8_t flags = rung_unicode_get(code_point).flags;
            if (!(flags & RUNG_UNICODE_MARK)) {
                put_lower(pass, code_point, flags, pass->previous);
            }
        }
    } else if (run->span_count > 0) {
        pass->previous = (span){run->begins[run->span_count - 1], run->ends[run->span_count - 1]};
    }
    run->item_count = 0;
    run->span_count = 0;
    run->keeps_any = false;
    return RUNG_OK;
}

static rung_status add_to_run(normalize_pass *pass, uint32_t code_point, rung_unicode_record record, bool inserted,
                              span at, rung_error *error)
{
    rung_mark_run *run = pass->run;
    rung_status status = rung_grow((void **)&run->items, &run->item_capacity, run->item_count + 1, sizeof *run->items,
                                   "combining marks", error);
    if (status != RUNG_OK) {
        return status;
    }
    if (!inserted) {
        status = rung_grow((void **)&run->begins, &run->begin_capacity, run->span_count + 1, sizeof *run->begins,
                           "combining marks", error);
        if (status == RUNG_OK) {
            status = rung_grow((void **)&run->ends, &run->end_capacity, run->span_count + 1, sizeof *run->ends,
                               "combining marks", error);
        }
        if (status != RUNG_OK) {
            return status;
        }
        run->begins[run->span_count] = at.begin;
        run->ends[run->span_count] = at.end;
        run->span_count++;
    }
    run->items[run->item_count] =
        (uint32_t)record.combining_class << CLASS_SHIFT | (inserted ? INSERTED : 0) | code_point;
    run->item_count++;
    run->keeps_any = run->keeps_any || !(record.flags & RUNG_UNICODE_MARK);
    return RUNG_OK;
}

/* Decomposition and everything behind it, for one character of the cleaned text. */
static rung_status put_decomposed(normalize_pass *pass, uint32_t code_point, span at, rung_error *error)
{
    uint32_t parts[RUNG_UNICODE_MAX_NFD];
    size_t count = rung_unicode_decompose(code_point, parts);
    for (size_t i = 0; i < count; i++) {
        rung_unicode_record record = rung_unicode_get(parts[i]);
        rung_status status;
        if (record.combining_class != 0) {
            status = add_to_run(pass, parts[i], record, i > 0, at, error);
        } else {
            status = flush_run(pass, error);
            if (i == 0) {
                pass->previous = at;
            }
            if (status == RUNG_OK && !(record.flags & RUNG_UNICODE_MARK)) {
                put_lower(pass, parts[i], record.flags, pass->previous);
            }
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status put_separated(normalize_pass *pass, uint32_t code_point, uint8_t flags, span at, rung_error *error)
{
    if (!pass->normalizer->strip_accents) {
        put_lower(pass, code_point, flags, at);
        return RUNG_OK;
    }
    return put_decomposed(pass, code_point, at, error);
}

static rung_status put_source(normalize_pass *pass, uint32_t code_point, span at, rung_error *error)
{
    uint8_t flags = rung_unicode_get(code_point).flags;
    if (pass->normalizer->clean_text) {
        if (flags & RUNG_UNICODE_CONTROL) {
            return RUNG_OK;
        }
        if (flags & RUNG_UNICODE_SPACE) {
            code_point = ' ';
            flags = RUNG_UNICODE_SPACE;
        }
    }
    if (!pass->normalizer->handle_chinese_chars || !(flags & RUNG_UNICODE_CJK)) {
        return put_separated(pass, code_point, flags, at, error);
    }
    rung_status status = put_separated(pass, ' ', RUNG_UNICODE_SPACE, at, error);
    if (status == RUNG_OK) {
        status = put_separated(pass, code_point, flags, at, error);
    }
    if (status == RUNG_OK) {
        status = put_separated(pass, ' ', RUNG_UNICODE_SPACE, at, error);
    }
    return status;
}

rung_status rung_bert_normalize(const rung_bert_normalizer *normalizer, const char *text, size_t begin, size_t end,
                                rung_mark_run *run, rung_char_sink sink, void *context, rung_error *error)
{
    normalize_pass pass = {normalizer, run, sink, context, {(uint32_t)begin, (uint32_t)begin}};
    run->item_count = 0;
    run->span_count = 0;
    run->keeps_any = false;
    for (size_t at = begin; at < end;) {
        uint32_t first = (uint32_t)at;
        uint32_t code_point = rung_utf8_next(text, end, &at);
        rung_status status = put_source(&pass, code_point, (span){first, (uint32_t)at}, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return flush_run(&pass, error);
}
