/* section_headline.h: every method as it would be deployed to agree with the top level, certified, beside the top level alone. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_HEADLINE_H
#define RUNG_EVAL_SECTION_HEADLINE_H

#include "eval/section_contestants.h"

#define RUNG_HEADLINE_AGREEMENT 0.98
#define RUNG_HEADLINE_DELTA 0.05

/* Writes headline.csv (certified) and headline_uncertified.csv. pick, when not NULL, takes what rung would deploy. */
rung_status rung_section_headline(const rung_evaluation *evaluation, rung_report *report,
                                  const rung_contestants *contestants, rung_pick *pick,
                                  rung_error *error) RUNG_WARN_UNUSED;

#endif
