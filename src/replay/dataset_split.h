/* dataset_split.h: the rows of a dataset drawn into parts that share none: one to fit on, one to certify on, one to
 * report on. Called by what plans and what evaluates. Pure. */
#ifndef RUNG_REPLAY_DATASET_SPLIT_H
#define RUNG_REPLAY_DATASET_SPLIT_H

#include "base/status.h"

#define RUNG_SPLIT_MAX_PARTS 16

typedef struct rung_split_size {
    const char *name;
    size_t rows;
} rung_split_size;

typedef struct rung_split_part {
    const char *name;   /* lent from the sizes */
    const size_t *rows; /* [count] in the order in which they were drawn */
    size_t count;
} rung_split_part;

typedef struct rung_dataset_split {
    rung_split_part parts[RUNG_SPLIT_MAX_PARTS]; /* [num_parts] in the order of the sizes */
    size_t num_parts;
    size_t *rows; /* of all parts */
} rung_dataset_split;

/* How the test rows of a dataset are used: "calibrate" 1,250 for temperatures and weights, "certify" 5,000,
 * "report" 6,250. */
#define RUNG_TEST_SPLIT_PARTS 3
extern const rung_split_size rung_test_split[RUNG_TEST_SPLIT_PARTS];

/* Draws the rows 0 .. num_rows-1 without replacement, in an order that the seed alone decides, and gives part after
 * part its rows. Classes are not balanced. When there are fewer rows than the sizes ask for, all are given out in
 * proportion to the sizes (largest remainder, of equal ones the earlier part): a part may then be empty. When there
 * are more, the rest is in no part. Release with rung_dataset_split_deinit. RUNG_INVALID: no part, or a name twice.
 * RUNG_LIMIT: more than RUNG_SPLIT_MAX_PARTS parts, or than RUNG_DATASET_MAX_ROWS rows. */
rung_status rung_dataset_split_draw(size_t num_rows, uint64_t seed, const rung_split_size *sizes, size_t num_sizes,
                                    rung_dataset_split *split, rung_error *error) RUNG_WARN_UNUSED;

/* The part of that name, or NULL. */
const rung_split_part *rung_dataset_split_find(const rung_dataset_split *split, const char *name);

void rung_dataset_split_deinit(rung_dataset_split *split);

#endif
