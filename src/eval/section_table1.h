/* section_table1.h: Table I of the paper on this cascade, what the paper does not state swept, and ours beside. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_TABLE1_H
#define RUNG_EVAL_SECTION_TABLE1_H

#include "eval/section_contestants.h"

enum { RUNG_TABLE1_TAUS = 4, RUNG_TABLE1_THRESHOLDS = 3 };

/* One policy on the report rows. */
typedef struct rung_table1_cell {
    rung_interval mean_ms;   /* bootstrap */
    rung_interval accuracy;  /* Wilson */
    rung_interval agreement; /* Wilson */
    rung_summary summary;
} rung_table1_cell;

/* The paper's order: tau 0, .01, 1e-4, 1e-5; in each t .9, .8, .7. */
typedef struct rung_table1 {
    rung_table1_cell cell[RUNG_TABLE1_TAUS][RUNG_TABLE1_THRESHOLDS];
} rung_table1;

extern const double rung_table1_tau[RUNG_TABLE1_TAUS];
extern const double rung_table1_threshold[RUNG_TABLE1_THRESHOLDS];
/* What the paper's Table I says, in ms and as a share. */
extern const double rung_table1_paper_ms[RUNG_TABLE1_TAUS][RUNG_TABLE1_THRESHOLDS];
extern const double rung_table1_paper_accuracy[RUNG_TABLE1_TAUS][RUNG_TABLE1_THRESHOLDS];

/* Writes table1.csv, table1_sweeps.csv and table1_ours.csv; *table1 is what the figures 8 and 9 show. */
rung_status rung_section_table1(const rung_evaluation *evaluation, rung_report *report,
                                const rung_contestants *contestants, rung_table1 *table1,
                                rung_error *error) RUNG_WARN_UNUSED;

#endif
