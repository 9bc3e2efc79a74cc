/* dataset_split.c: the rows of a dataset drawn into parts. See dataset_split.h. */
#include "replay/dataset_split.h"

#include "base/memory.h"
#include "base/prng.h"
#include "fit/dataset.h"

#include <stdlib.h>
#include <string.h>

const rung_split_size rung_test_split[RUNG_TEST_SPLIT_PARTS] = {
    {"calibrate", 1250}, {"certify", 5000}, {"report", 6250}};

static rung_status check(size_t num_rows, const rung_split_size *sizes, size_t num_sizes, rung_error *error)
{
    if (num_sizes == 0) {
        return rung_fail(error, RUNG_INVALID, "split of a dataset: no part is asked for");
    }
    if (num_sizes > RUNG_SPLIT_MAX_PARTS) {
        return rung_fail(error, RUNG_LIMIT, "split of a dataset: %zu parts are more than %d", num_sizes,
                         RUNG_SPLIT_MAX_PARTS);
    }
    if (num_rows > RUNG_DATASET_MAX_ROWS) {
        return rung_fail(error, RUNG_LIMIT, "split of a dataset: %zu rows are more than %d", num_rows,
                         RUNG_DATASET_MAX_ROWS);
    }
    for (size_t i = 0; i < num_sizes; i++) {
        if (sizes[i].rows > RUNG_DATASET_MAX_ROWS) {
            return rung_fail(error, RUNG_LIMIT, "split of a dataset: part \"%s\" asks for %zu rows, more than %d",
                             sizes[i].name, sizes[i].rows, RUNG_DATASET_MAX_ROWS);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(sizes[i].name, sizes[j].name) == 0) {
                return rung_fail(error, RUNG_INVALID, "split of a dataset: two parts are called \"%s\"", sizes[i].name);
            }
        }
    }
    return RUNG_OK;
}

/* counts: [num_sizes], adding up to num_rows, which is less than `wanted`, the sum of the sizes. */
static void scale_down(size_t num_rows, const rung_split_size *sizes, size_t num_sizes, size_t wanted, size_t *counts)
{
    size_t remainders[RUNG_SPLIT_MAX_PARTS];
    size_t left = num_rows;
    for (size_t i = 0; i < num_sizes; i++) {
        size_t product = sizes[i].rows * num_rows; /* both at most RUNG_DATASET_MAX_ROWS */
        counts[i] = product / wanted;
        remainders[i] = product % wanted;
        left -= counts[i];
    }
    for (; left > 0; left--) { /* fewer than there are remainders above 0 */
        size_t largest = 0;
        for (size_t i = 1; i < num_sizes; i++) {
            if (remainders[i] > remainders[largest]) {
                largest = i;
            }
        }
        counts[largest]++;
        remainders[largest] = 0;
    }
}

/* The first `count` places of a Fisher-Yates shuffle. */
static void shuffle(size_t *rows, size_t num_rows, size_t count, uint64_t seed)
{
    rung_prng prng = {.state = seed};
    for (size_t i = 0; i < num_rows; i++) {
        rows[i] = i;
    }
    for (size_t i = 0; i < count; i++) {
        size_t other = i + (size_t)rung_prng_below(&prng, num_rows - i);
        size_t row = rows[i];
        rows[i] = rows[other];
        rows[other] = row;
    }
}

rung_status rung_dataset_split_draw(size_t num_rows, uint64_t seed, const rung_split_size *sizes, size_t num_sizes,
                                    rung_dataset_split *split, rung_error *error)
{
    rung_status status = check(num_rows, sizes, num_sizes, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t *rows = rung_alloc(num_rows, sizeof *rows, "split of a dataset", error);
    if (rows == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t counts[RUNG_SPLIT_MAX_PARTS];
    size_t wanted = 0;
    for (size_t i = 0; i < num_sizes; i++) {
        counts[i] = sizes[i].rows;
        wanted += sizes[i].rows;
    }
    if (wanted > num_rows) {
        scale_down(num_rows, sizes, num_sizes, wanted, counts);
        wanted = num_rows;
    }
    shuffle(rows, num_rows, wanted, seed);
    *split = (rung_dataset_split){.num_parts = num_sizes, .rows = rows};
    for (size_t i = 0; i < num_sizes; i++) {
        split->parts[i] = (rung_split_part){.name = sizes[i].name, .rows = rows, .count = counts[i]};
        rows += counts[i];
    }
    return RUNG_OK;
}

const rung_split_part *rung_dataset_split_find(const rung_dataset_split *split, const char *name)
{
    for (size_t i = 0; i < split->num_parts; i++) {
        if (strcmp(split->parts[i].name, name) == 0) {
            return &split->parts[i];
        }
    }
    return NULL;
}

void rung_dataset_split_deinit(rung_dataset_split *split)
{
    free(split->rows);
    *split = (rung_dataset_split){0};
}
