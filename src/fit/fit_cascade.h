/* fit_cascade.h: everything that `rung fit` learns for a cascade, in order: a temperature for every exit (Eq 6), the accuracy of every level; then for
 * every level from the user up, on the requests that reach it as they reach it: how to add up its result and those below it (weights and
 * temperature of every pool, Eq 11-12), learned deferral, and a threshold t (Eq 7). Same input, seed and models, same bits. */
#ifndef RUNG_FIT_FIT_CASCADE_H
#define RUNG_FIT_FIT_CASCADE_H

#include "fit/dataset.h"
#include "fit/fit_pools.h"
#include "fit/record.h"

typedef struct rung_fit_options {
    const char *data_name; /* as messages and the file call the data */
    double
        target_agreement; /* in [0, 1]: share of what a level answers that must agree with the top level on the full text */
    rung_labels_from labels_from;  /* RUNG_LABELS_FROM_TOP: data->labels are not read */
    const rung_progress *progress; /* NULL: nobody looks */
} rung_fit_options;

/* `cascade` was opened without a calibration. Temperatures are fitted on full texts; the rest with texts pruned and exits taken as the cascade's
 * policy says. RUNG_INVALID: fewer than RUNG_FIT_MIN_ROWS rows, one label only, logits that are not finite. */
rung_status rung_fit_cascade(const rung_cascade *cascade, const rung_dataset *data, const rung_fit_options *options,
                             rung_calibration_file *file, rung_error *error) RUNG_WARN_UNUSED;

#endif
