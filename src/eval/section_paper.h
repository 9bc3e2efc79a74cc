/* section_paper.h: our accuracy-latency frontier against that of the paper's own policy. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_PAPER_H
#define RUNG_EVAL_SECTION_PAPER_H

#include "eval/section_contestants.h"

/* Writes paper_points.csv (every policy on the report rows) and paper_frontier.csv (times at equal accuracy). */
rung_status rung_section_paper(const rung_evaluation *evaluation, rung_report *report,
                               const rung_contestants *contestants, rung_error *error) RUNG_WARN_UNUSED;

#endif
