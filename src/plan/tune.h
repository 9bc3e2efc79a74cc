/* tune.h: searches the settings of a policy on the rows to tune on: a random sample of all settings, then changes of one setting at a time around the best for each
 * of several targets. The same for every method that is compared, with the same number of trials. Called by src/eval. */
#ifndef RUNG_PLAN_TUNE_H
#define RUNG_PLAN_TUNE_H

#include "plan/study.h"

#define RUNG_TUNE_MAX_KNOBS 24

/* One setting of a policy and the values that it may take, so that neighbours in the list are close. */
typedef struct rung_knob {
    const char *name;
    void (*set)(rung_policy *policy, uint32_t level, double value);
    uint32_t level; /* passed to set */
    const double *values;
    size_t num_values;
    size_t
        usual; /* index of the value that half of the random settings have: a search with many settings is not spread thin by those that matter little */
} rung_knob;

typedef struct rung_search {
    rung_policy base;
    const rung_knob *knobs;
    size_t num_knobs; /* at most RUNG_TUNE_MAX_KNOBS */
    size_t trials;    /* policies that are tried */
    uint64_t seed;
    const rung_network *network; /* NULL: as the cascade says */
    const double *targets;       /* [num_targets] agreements that are searched for, beside the frontier of accuracy */
    size_t num_targets;
} rung_search;

typedef struct rung_candidate {
    rung_scheme scheme;
    rung_summary tuned;                  /* on the rows to tune on */
    uint8_t choice[RUNG_TUNE_MAX_KNOBS]; /* by knob: index of its value */
} rung_candidate;

/* Zero-initialise; release with rung_candidates_deinit. */
typedef struct rung_candidates {
    rung_candidate *items; /* [count] in the order of trial */
    size_t count;
} rung_candidates;

rung_status rung_tune(const rung_study *study, const rung_search *search, const rung_progress *progress,
                      rung_candidates *candidates, rung_error *error) RUNG_WARN_UNUSED;
void rung_candidates_deinit(rung_candidates *candidates);

/* The fastest candidate whose agreement (or accuracy) on the rows to tune on is at least `target`; NULL: none. */
const rung_candidate *rung_fastest_agreeing(const rung_candidates *candidates, double target);
const rung_candidate *rung_fastest_accurate(const rung_candidates *candidates, double target);

#endif
