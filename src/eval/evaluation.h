/* evaluation.h: everything that `rung eval` works on, opened: a cascade, its data, the record of what its models say, the profile of their times, and the
 * study that policies are compared on. Called by src/cli/eval.c and by the parts of the report. */
#ifndef RUNG_EVAL_EVALUATION_H
#define RUNG_EVAL_EVALUATION_H

#include "fit/dataset.h"
#include "plan/study.h"

typedef struct rung_evaluation_options {
    const char *data;      /* path of the labelled texts: they calibrate, certify and report */
    const char *tune_data; /* path of those that policies are searched on; NULL: a part of data */
    size_t max_line_bytes;
    size_t most_rows;      /* of data, drawn by the seed; 0: all */
    size_t most_tune_rows; /* the first ones; 0: all */
    const char *directory; /* of the record, the profile and the report: made when it is not there */
    const rung_progress *progress;
} rung_evaluation_options;

/* Zero-initialise; release with rung_evaluation_close. */
typedef struct rung_evaluation {
    const rung_cascade *cascade;
    const char *directory;
    uint64_t seed;
    rung_dataset data, tune_data;
    rung_input *inputs; /* [count] those to tune on first */
    uint32_t *labels;   /* [count] */
    size_t count;
    size_t *rows; /* of the four parts */
    rung_store *store;
    size_t recorded_before; /* texts in the record when it was opened */
    double record_s;        /* wall time that recording the whole texts took */
    rung_timing timing;
    rung_replay *replay;
    rung_study study;
} rung_evaluation;

/* Reads the data, opens or makes the record and the profile in the directory, records the whole texts at every level and calibrates. Errors as the parts'
 * own: a record of other models is RUNG_MISMATCH, rows without labels RUNG_INVALID, a full disk RUNG_IO with what was recorded kept. */
rung_status rung_evaluation_open(const rung_cascade *cascade, const rung_evaluation_options *options,
                                 rung_evaluation *evaluation, rung_error *error) RUNG_WARN_UNUSED;
void rung_evaluation_close(rung_evaluation *evaluation);

#endif
