/* dataset.c: labelled inputs for a fit. See dataset.h. */
#include "fit/dataset.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static rung_status find_label(const rung_cascade *cascade, const rung_line *line, uint32_t *label, rung_error *error)
{
    if (!line->has_label) {
        return rung_fail(error, RUNG_INVALID, "field label is missing: a fit needs the true label of every row");
    }
    return rung_cascade_find_label(cascade, line->label, line->label_index, label, error);
}

static rung_status append_line(const rung_cascade *cascade, const char *text, size_t bytes, rung_dataset *dataset,
                               rung_error *error)
{
    void *lines = dataset->lines;
    size_t capacity = dataset->capacity;
    if (dataset->count == RUNG_DATASET_MAX_ROWS) {
        return rung_fail(error, RUNG_LIMIT, "more rows than the limit of %d", RUNG_DATASET_MAX_ROWS);
    }
    rung_status status = rung_grow(&lines, &capacity, dataset->count + 1, sizeof *dataset->lines, "rows", error);
    dataset->lines = lines;
    void *labels = dataset->labels;
    size_t label_capacity = dataset->capacity;
    if (status == RUNG_OK) {
        status = rung_grow(&labels, &label_capacity, dataset->count + 1, sizeof *dataset->labels, "rows", error);
        dataset->labels = labels;
    }
    if (status != RUNG_OK) {
        return status;
    }
    dataset->capacity = capacity;
    rung_line line = {0};
    uint32_t label = 0;
    status = rung_line_parse(text, bytes, dataset->count, &line, error);
    if (status == RUNG_OK) {
        status = find_label(cascade, &line, &label, error);
    }
    if (status != RUNG_OK) {
        rung_line_deinit(&line);
        return status;
    }
    dataset->lines[dataset->count] = line;
    dataset->labels[dataset->count++] = label;
    return RUNG_OK;
}

static rung_status read_lines(const rung_cascade *cascade, rung_line_reader *reader, rung_dataset *dataset,
                              rung_error *error)
{
    rung_sha256 hash;
    rung_sha256_init(&hash);
    for (;;) {
        const char *text = NULL;
        size_t bytes = 0;
        rung_status status = rung_line_reader_next(reader, &text, &bytes, error);
        if (status == RUNG_OK && text == NULL) {
            break;
        }
        if (status == RUNG_OK) {
            rung_sha256_update(&hash, text, bytes);
            rung_sha256_update(&hash, "\n", 1);
            status = append_line(cascade, text, bytes, dataset, error);
        }
        if (status != RUNG_OK) {
            return rung_fail_in(error, "%s:%" PRIu64, rung_line_reader_name(reader), rung_line_reader_number(reader));
        }
    }
    rung_sha256_hex(&hash, dataset->sha256);
    if (dataset->count == 0) {
        return rung_fail(error, RUNG_INVALID, "%s: has no rows", rung_line_reader_name(reader));
    }
    return RUNG_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(const rung_line *const *)a)->id, (*(const rung_line *const *)b)->id);
}

static rung_status check_ids(const char *path, const rung_dataset *dataset, rung_error *error)
{
    const rung_line **sorted = rung_alloc(dataset->count, sizeof *sorted, "ids", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < dataset->count; i++) {
        sorted[i] = &dataset->lines[i];
    }
    qsort(sorted, dataset->count, sizeof *sorted, compare_ids);
    rung_status status = RUNG_OK;
    for (size_t i = 1; status == RUNG_OK && i < dataset->count; i++) {
        if (compare_ids(&sorted[i - 1], &sorted[i]) == 0) {
            status = rung_fail(error, RUNG_INVALID, "%s: id \"%.100s\" occurs more than once", path, sorted[i]->id);
        }
    }
    free(sorted);
    return status;
}

static rung_status make_inputs(rung_dataset *dataset, rung_error *error)
{
    dataset->inputs = rung_alloc(dataset->count, sizeof *dataset->inputs, "inputs", error);
    if (dataset->inputs == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < dataset->count; i++) {
        const rung_line *line = &dataset->lines[i];
        dataset->inputs[i] = (rung_input){.id = line->id,
                                          .text = line->text,
                                          .text_bytes = line->text_bytes,
                                          .text_pair = line->text_pair,
                                          .text_pair_bytes = line->text_pair_bytes};
    }
    return RUNG_OK;
}

rung_status rung_dataset_read(const rung_cascade *cascade, const char *path, size_t max_line_bytes,
                              rung_dataset *dataset, rung_error *error)
{
    rung_dataset made = {0};
    rung_line_reader *reader = NULL;
    rung_status status = rung_line_reader_open(path, max_line_bytes, &reader, error);
    if (status == RUNG_OK) {
        status = read_lines(cascade, reader, &made, error);
        rung_line_reader_close(reader);
    }
    if (status == RUNG_OK) {
        status = check_ids(path, &made, error);
    }
    if (status == RUNG_OK) {
        status = make_inputs(&made, error);
    }
    if (status != RUNG_OK) {
        rung_dataset_deinit(&made);
        return status;
    }
    *dataset = made;
    return RUNG_OK;
}

void rung_dataset_deinit(rung_dataset *dataset)
{
    for (size_t i = 0; i < dataset->count; i++) {
        rung_line_deinit(&dataset->lines[i]);
    }
    free(dataset->lines);
    free(dataset->inputs);
    free(dataset->labels);
    *dataset = (rung_dataset){0};
}
