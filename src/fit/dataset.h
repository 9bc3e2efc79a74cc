/* dataset.h: labelled inputs for a fit, read whole into memory. Called by rung fit, rung demo and the tests. */
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
    char *name;                         /* of the file, as messages call it; NULL in a part */
    rung_line *lines;                   /* NULL in a part */
    uint64_t *numbers;                  /* of the lines, from 1; NULL in a part */
    rung_input *inputs;                 /* lend from lines */
    uint32_t *labels;                   /* class of the cascade */
    char sha256[RUNG_SHA256_HEX_BYTES]; /* of the lines, each with its newline */
} rung_dataset;

/* Reads JSON lines from `path` (also .zst, "-"). Every line must be good and carry a label that the cascade knows: errors name file and
 * line. Without a cascade (NULL) labels are left to rung_dataset_match. An empty file and duplicate ids are RUNG_INVALID. */
rung_status rung_dataset_read(const rung_cascade *cascade, const char *path, size_t max_line_bytes,
                              rung_dataset *dataset, rung_error *error) RUNG_WARN_UNUSED;

/* Fills in the labels of a dataset that was read before its cascade was open. */
rung_status rung_dataset_match(const rung_cascade *cascade, rung_dataset *dataset, rung_error *error) RUNG_WARN_UNUSED;

/* The names of the labels that occur, after the renaming of `config` (NULL: none), each once: sorted by name, numbers by value. A row without a
 * label, one label only and more than RUNG_MAX_LABELS are RUNG_INVALID. Release with rung_label_names_free. */
rung_status rung_dataset_label_names(const rung_dataset *dataset, const rung_cascade_config *config, char ***names,
                                     size_t *num_names, rung_error *error) RUNG_WARN_UNUSED;
void rung_label_names_free(char **names, size_t num_names);

/* The rows `rows` [count] as a dataset that lends its texts from `whole` and has its hash. */
rung_status rung_dataset_take(const rung_dataset *whole, const size_t *rows, size_t count, rung_dataset *part,
                              rung_error *error) RUNG_WARN_UNUSED;
void rung_dataset_deinit(rung_dataset *dataset);

#endif
