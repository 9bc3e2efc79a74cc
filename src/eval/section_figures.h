/* section_figures.h: the paper's figures 4, 6, 8 and 9 of this cascade, and what is beyond them: frontiers, latencies, exits. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_FIGURES_H
#define RUNG_EVAL_SECTION_FIGURES_H

#include "eval/section_table1.h"

/* Writes figures (SVG with data and script) and frontier.csv. pick: what rung would deploy. */
rung_status rung_section_figures(const rung_evaluation *evaluation, rung_report *report,
                                 const rung_contestants *contestants, const rung_table1 *table1, const rung_pick *pick,
                                 rung_error *error) RUNG_WARN_UNUSED;

#endif
