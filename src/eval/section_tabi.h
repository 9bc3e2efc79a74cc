/* section_tabi.h: ours against Tabi, as the paper sets it and as it is best. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_TABI_H
#define RUNG_EVAL_SECTION_TABI_H

#include "eval/section_contestants.h"

/* With wifi and with 4g to the top level, each method tuned for it. Writes tabi.csv. */
rung_status rung_section_tabi(const rung_evaluation *evaluation, rung_report *report,
                              const rung_contestants *contestants, rung_error *error) RUNG_WARN_UNUSED;

#endif
