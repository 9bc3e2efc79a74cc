/* fit_cascade.h: everything that `rung fit` learns for a cascade, in order: a temperature for every exit (Eq 6), the accuracy of every level (the
 * weights of Eq 11), and a threshold t for every level but the top (Eq 7). Same input, seed and models, same bits. */
#ifndef RUNG_FIT_FIT_CASCADE_H
#define RUNG_FIT_FIT_CASCADE_H

#include "fit/dataset.h"
#include "fit/record.h"

/* `cascade` was opened without a calibration. target_agreement in [0, 1]: share of what a level answers that must agree with the top level on the
 * full text. Temperatures are fitted on full texts; thresholds level by level from the user up, each on the requests that reach it, with
 * their texts pruned and their exits taken as the cascade's policy says. `data_name` is written into the file. */
rung_status rung_fit_cascade(const rung_cascade *cascade, const rung_dataset *data, const char *data_name,
                             double target_agreement, const rung_progress *progress, rung_calibration_file *file,
                             rung_error *error) RUNG_WARN_UNUSED;

#endif
