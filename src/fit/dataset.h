/* dataset.h: labelled inputs for a fit, read whole into memory. Called by rung fit and the tests. */
#ifndef RUNG_FIT_DATASET_H
#define RUNG_FIT_DATASET_H

#include "base/hash.h"
#include "config/jsonl.h"
#include "run/cascade.h"

#define RUNG_DATASET_MAX_ROWS 10000000

/* Zero-initialise; release with rung_dataset_deinit. Arrays are [count]. */
typedef struct rung_dataset {
    size_t count;
    size_t capacity;
    rung_line *lines;
    rung_input *inputs;                 /* lend from lines */
    uint32_t *labels;                   /* class of the cascade */
    char sha256[RUNG_SHA256_HEX_BYTES]; /* of the lines, each with its newline */
} rung_dataset;

/* Reads JSON lines from `path` (also .zst, "-"). Every line must be good and carry a label that the cascade knows: errors name file and
 * line. An empty file and duplicate ids are RUNG_INVALID. */
rung_status rung_dataset_read(const rung_cascade *cascade, const char *path, size_t max_line_bytes,
                              rung_dataset *dataset, rung_error *error) RUNG_WARN_UNUSED;
void rung_dataset_deinit(rung_dataset *dataset);

#endif
