/* study.h: what policies are compared on: a replay of labelled texts, split into rows to tune on, to calibrate on, to certify on and to report on, and what
 * was fitted on the calibration rows. Made by src/eval; later by the planner. */
#ifndef RUNG_PLAN_STUDY_H
#define RUNG_PLAN_STUDY_H

#include "replay/replay.h"

typedef struct rung_rows {
    size_t *rows; /* [count] of the inputs */
    size_t count;
} rung_rows;

/* Filled by the caller but for the parts below; arrays outlive it. */
typedef struct rung_study {
    const rung_cascade *cascade;
    rung_replay *replay;
    const uint32_t *labels; /* [count] the truth */
    size_t count;
    rung_rows tune;      /* policies are searched on them */
    rung_rows calibrate; /* temperatures, weights of levels */
    rung_rows certify;
    rung_rows report;
    /* Made by rung_study_begin. */
    uint32_t *top_labels; /* [count] what the top level says of the whole text, of rows in a part */
    rung_calibration
        calibration;      /* temperature and shape of every exit, accuracies; pools NULL; deferral as the cascade's */
    double *temperatures; /* what calibration lends */
    double *class_accuracy;
    double *fitted_probabilities; /* [count, num_levels, num_classes] scratch of rung_scheme_fit */
    rung_outcome *outcomes;       /* [count] scratch of rung_scheme_fit */
    double *latencies;            /* [count] scratch of rung_summarize */
} rung_study;

/* Records the whole texts of all four parts at every level and fits what the calibration rows tell. RUNG_INVALID: too few rows, or one label. */
rung_status rung_study_begin(rung_study *study, const rung_progress *progress, rung_error *error) RUNG_WARN_UNUSED;
void rung_study_end(rung_study *study);

/* A policy and the pools that were fitted for it (Eq 11-12). */
typedef struct rung_scheme {
    rung_policy policy;
    rung_pool pools[1u << RUNG_TAPE_LIMIT_LEVELS]; /* [1 << num_levels] */
} rung_scheme;

/* Where a scheme runs; NULL members: as the cascade says. */
typedef struct rung_network {
    const char *name;
    const rung_link *links; /* [num_levels] */
    const double *speeds;   /* [num_levels] */
} rung_network;

/* Fits the pools of scheme->policy on the calibration rows that reach each set of levels under it. */
rung_status rung_scheme_fit(const rung_study *study, rung_scheme *scheme, rung_error *error) RUNG_WARN_UNUSED;

/* outcomes [rows->count]. network NULL: the cascade's links and speeds. */
rung_status rung_scheme_replay(const rung_study *study, const rung_scheme *scheme, const rung_network *network,
                               const rung_rows *rows, bool notes_decisions, rung_outcome *outcomes,
                               rung_error *error) RUNG_WARN_UNUSED;

typedef struct rung_summary {
    size_t n;
    double mean_ms;
    double p50_ms;
    double p95_ms;
    double accuracy;
    double agreement;                       /* with what the top level says of the whole text */
    double visited[RUNG_TAPE_LIMIT_LEVELS]; /* share of the requests that the level computed */
    double compute_ms;                      /* mean, of the level where the request was asked */
    double bytes_up;                        /* mean, bodies over all links */
    double bytes_down;
} rung_summary;

/* rows->count >= 1. */
rung_summary rung_summarize(const rung_study *study, const rung_rows *rows, const rung_outcome *outcomes);

#endif
