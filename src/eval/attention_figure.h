/* attention_figure.h: Fig. 6 of the paper for a text of the data: its words as a level saw them, by importance (Eq 9), those that were not sent up struck
 * through (Eq 10). Drawn from the record. Called by section_figures.c. */
#ifndef RUNG_EVAL_ATTENTION_FIGURE_H
#define RUNG_EVAL_ATTENTION_FIGURE_H

#include "eval/evaluation.h"
#include "eval/report_plot.h"

/* One figure for each level below the top, fig6_text`number`_level1 .., of the text `row` as policy prunes it on the way up. Records what the
 * record has not. */
rung_status rung_attention_figures(const rung_evaluation *evaluation, rung_report *report, const rung_policy *policy,
                                   size_t row, size_t number, rung_error *error) RUNG_WARN_UNUSED;

#endif
