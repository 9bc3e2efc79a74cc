/* fit_deferral.h: learned deferral of one level (cascade/deferral.h): for every exit a logistic regression on the [CLS] state and the scores where the
 * requests stopped. Called by fit_cascade.c. */
#ifndef RUNG_FIT_FIT_DEFERRAL_H
#define RUNG_FIT_FIT_DEFERRAL_H

#include "config/calibration_file.h"
#include "fit/reach.h"

/* An exit with fewer inputs of either kind has a constant q: their share. */
#define RUNG_DEFERRAL_MIN_OF_KIND 8

/* Fills the deferral of every exit of file->levels[level - 1] from the inputs of reach that are going, after reach ran this level: mends[i] says
 * whether the upper levels would mend the answer to input i. confidence[i] is 1 - q of an input by what was learned from the others (three-fold), since
 * thresholds chosen on inputs that were learned from would be too low. */
rung_status rung_fit_deferral(const rung_reach *reach, uint32_t level, const bool *mends /* [count] */,
                              rung_calibration_file *file, double *confidence /* [count] */,
                              rung_error *error) RUNG_WARN_UNUSED;

#endif
