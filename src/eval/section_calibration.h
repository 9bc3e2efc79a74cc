/* section_calibration.h: how far the confidence of each level's decision can be believed. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_CALIBRATION_H
#define RUNG_EVAL_SECTION_CALIBRATION_H

#include "eval/contest.h"
#include "eval/report.h"

/* The goal for the equal-mass calibration error of a level's decisions. */
#define RUNG_CALIBRATION_GOAL 0.02

/* Of the requests that reach each level's decision, for what rung would deploy (pick) and for policy rung by default. Writes calibration.csv and one
 * reliability diagram a level and scheme. */
rung_status rung_section_calibration(const rung_evaluation *evaluation, rung_report *report, const rung_pick *pick,
                                     rung_error *error) RUNG_WARN_UNUSED;

#endif
