/* dataset.c: labelled inputs for a fit. See dataset.h. */
#include "fit/dataset.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rung_status find_label(const rung_cascade *cascade, const rung_line *line, uint32_t *label, rung_error *error)
{
    if (!line->has_label) {
        return rung_fail(error, RUNG_INVALID, "field label is missing: a fit needs the true label of every row");
    }
    return rung_cascade_find_label(cascade, line->label, line->label_index, label, error);
}

/* Room for one more row. */
static rung_status grow_rows(rung_dataset *dataset, rung_error *error)
{
    size_t needed = dataset->count + 1;
    size_t capacity = dataset->capacity;
    void *lines = dataset->lines;
    rung_status status = rung_grow(&lines, &capacity, needed, sizeof *dataset->lines, "rows", error);
    dataset->lines = lines;
    void *numbers = dataset->numbers;
    if (status == RUNG_OK) {
        capacity = dataset->capacity;
        status = rung_grow(&numbers, &capacity, needed, sizeof *dataset->numbers, "rows", error);
        dataset->numbers = numbers;
    }
    void *labels = dataset->labels;
    if (status == RUNG_OK) {
        capacity = dataset->capacity;
        status = rung_grow(&labels, &capacity, needed, sizeof *dataset->labels, "rows", error);
        dataset->labels = labels;
    }
    if (status == RUNG_OK) {
        dataset->capacity = capacity;
    }
    return status;
}

static rung_status append_line(const rung_cascade *cascade, const char *text, size_t bytes, uint64_t number,
                               rung_dataset *dataset, rung_error *error)
{
    if (dataset->count == RUNG_DATASET_MAX_ROWS) {
        return rung_fail(error, RUNG_LIMIT, "more rows than the limit of %d", RUNG_DATASET_MAX_ROWS);
    }
    rung_status status = grow_rows(dataset, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_line line = {0};
    uint32_t label = 0;
    status = rung_line_parse(text, bytes, dataset->count, &line, error);
    if (status == RUNG_OK && cascade != NULL) {
        status = find_label(cascade, &line, &label, error);
    }
    if (status != RUNG_OK) {
        rung_line_deinit(&line);
        return status;
    }
    dataset->lines[dataset->count] = line;
    dataset->numbers[dataset->count] = number;
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
            status = append_line(cascade, text, bytes, rung_line_reader_number(reader), dataset, error);
        }
        if (status != RUNG_OK) {
            return rung_fail_in(error, "%s:%" PRIu64, rung_line_reader_name(reader), rung_line_reader_number(reader));
        }
    }
    rung_sha256_hex(&hash, dataset->sha256);
    const char *name = rung_line_reader_name(reader);
    dataset->name = rung_copy_text(name, strlen(name), "file name", error);
    if (dataset->name == NULL) {
        return RUNG_NO_MEMORY;
    }
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

/* Puts file and line of row `row` before a message. */
static rung_status fail_at(const rung_dataset *dataset, size_t row, rung_error *error)
{
    return rung_fail_in(error, "%s:%" PRIu64, dataset->name, dataset->numbers[row]);
}

rung_status rung_dataset_match(const rung_cascade *cascade, rung_dataset *dataset, rung_error *error)
{
    for (size_t i = 0; i < dataset->count; i++) {
        if (find_label(cascade, &dataset->lines[i], &dataset->labels[i], error) != RUNG_OK) {
            return fail_at(dataset, i, error);
        }
    }
    return RUNG_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Decimal numbers without leading zeros: by value. */
static int compare_numbers(const void *a, const void *b)
{
    size_t bytes_a = strlen(*(char *const *)a);
    size_t bytes_b = strlen(*(char *const *)b);
    return bytes_a != bytes_b ? (bytes_a < bytes_b ? -1 : 1) : compare_names(a, b);
}

/* The name that row `row` gives its label. */
static rung_status name_label(const rung_dataset *dataset, const rung_cascade_config *config, size_t row, char **name,
                              rung_error *error)
{
    const rung_line *line = &dataset->lines[row];
    char number[24];
    const char *text = line->label;
    if (!line->has_label) {
        rung_fail(error, RUNG_INVALID, "field label is missing: a new task needs the true label of every row");
        return fail_at(dataset, row, error);
    }
    if (text == NULL) {
        snprintf(number, sizeof number, "%" PRIu64, line->label_index);
        text = number;
    } else if (config != NULL) {
        text = rung_cascade_config_rename(config, text);
    }
    *name = rung_copy_text(text, strlen(text), "label", error);
    return *name != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

void rung_label_names_free(char **names, size_t num_names)
{
    for (size_t i = 0; names != NULL && i < num_names; i++) {
        free(names[i]);
    }
    free(names);
}

/* Keeps the first of equal neighbours; returns how many are left. */
static size_t drop_repeats(char **names, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0) {
            free(names[i]);
        } else {
            names[kept++] = names[i];
        }
        if (i >= kept) {
            names[i] = NULL;
        }
    }
    return kept;
}

rung_status rung_dataset_label_names(const rung_dataset *dataset, const rung_cascade_config *config, char ***out,
                                     size_t *num_names, rung_error *error)
{
    char **names = rung_alloc(dataset->count, sizeof *names, "labels", error);
    rung_status status = names != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    bool numbers = true;
    for (size_t i = 0; status == RUNG_OK && i < dataset->count; i++) {
        status = name_label(dataset, config, i, &names[i], error);
        numbers = numbers && dataset->lines[i].label == NULL;
    }
    if (status != RUNG_OK) {
        rung_label_names_free(names, dataset->count);
        return status;
    }
    qsort(names, dataset->count, sizeof *names, numbers ? compare_numbers : compare_names);
    size_t count = drop_repeats(names, dataset->count);
    if (count < 2) {
        status =
            rung_fail(error, RUNG_INVALID, "%s: all %zu rows have label \"%.100s\"; a task needs at least 2 labels",
                      dataset->name, dataset->count, names[0]);
    } else if (count > RUNG_MAX_LABELS) {
        status =
            rung_fail(error, RUNG_LIMIT, "%s: has %zu labels; the limit is %d", dataset->name, count, RUNG_MAX_LABELS);
    }
    if (status != RUNG_OK) {
        rung_label_names_free(names, count);
        return status;
    }
    *out = names;
    *num_names = count;
    return RUNG_OK;
}

rung_status rung_dataset_take(const rung_dataset *whole, const size_t *rows, size_t count, rung_dataset *part,
                              rung_error *error)
{
    rung_dataset made = {.count = count, .capacity = count};
    made.inputs = rung_alloc(count, sizeof *made.inputs, "inputs", error);
    made.labels = rung_alloc(count, sizeof *made.labels, "labels", error);
    if (made.inputs == NULL || made.labels == NULL) {
        rung_dataset_deinit(&made);
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        made.inputs[i] = whole->inputs[rows[i]];
        made.labels[i] = whole->labels[rows[i]];
    }
    memcpy(made.sha256, whole->sha256, sizeof made.sha256);
    *part = made;
    return RUNG_OK;
}

void rung_dataset_deinit(rung_dataset *dataset)
{
    for (size_t i = 0; dataset->lines != NULL && i < dataset->count; i++) {
        rung_line_deinit(&dataset->lines[i]);
    }
    free(dataset->name);
    free(dataset->lines);
    free(dataset->numbers);
    free(dataset->inputs);
    free(dataset->labels);
    *dataset = (rung_dataset){0};
}
