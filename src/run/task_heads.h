/* task_heads.h: the heads and labels that a task brings to the models of a cascade: from the calibration, or empty ones for a fit to fill. Called by
 * cascade.c while it opens a cascade, before labels are matched. */
#ifndef RUNG_RUN_TASK_HEADS_H
#define RUNG_RUN_TASK_HEADS_H

#include "run/cascade.h"

/* Heads of the calibration `file`, which was checked against the models. A level whose last exit has a head there answers with the file's labels; at
 * another level the heads join the classifier, class by class by name. */
rung_status rung_attach_calibration_heads(rung_cascade *cascade, const rung_calibration_file *file,
                                          rung_error *error) RUNG_WARN_UNUSED;

/* A head of zeros after every layer of the levels that `task` is for, until the fit knows better. */
rung_status rung_attach_empty_heads(rung_cascade *cascade, const rung_new_task *task,
                                    rung_error *error) RUNG_WARN_UNUSED;

/* RUNG_UNSUPPORTED when a level has no classifier even so. */
rung_status rung_require_classifiers(const rung_cascade *cascade, rung_error *error) RUNG_WARN_UNUSED;

#endif
