/* section_ablations.h: what each part of rung is worth: taken away, and added alone to the plain threshold. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_ABLATIONS_H
#define RUNG_EVAL_SECTION_ABLATIONS_H

#include "eval/contest.h"
#include "eval/report.h"

/* Every variant is tuned anew with a third of report->trials and picked for a certified agreement with the top level. Writes ablations.csv and
 * additions.csv. */
rung_status rung_section_ablations(const rung_evaluation *evaluation, rung_report *report, double agreement,
                                   double delta, rung_error *error) RUNG_WARN_UNUSED;

#endif
