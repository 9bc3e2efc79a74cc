/* contest.h: methods against each other on one study: each tuned with the same number of trials, then picked for a target, certified, and measured on the
 * report rows, request by request, so that differences are paired. Called by the sections of the report. */
#ifndef RUNG_EVAL_CONTEST_H
#define RUNG_EVAL_CONTEST_H

#include "eval/evaluation.h"
#include "eval/interval.h"
#include "eval/methods.h"

/* Most policies of a method that are certified and compared. */
#define RUNG_CONTEST_MOST_FRONT 100

/* A tuned method. Zero-initialise; release with rung_entrant_deinit. */
typedef struct rung_entrant {
    rung_method method;
    rung_candidates candidates;
    size_t front
        [RUNG_CONTEST_MOST_FRONT]; /* candidates that are worth having on the rows to tune on: by agreement and by accuracy, fastest first */
    size_t num_front;
    double top_ms; /* mean time of the top level alone on the rows to tune on */
} rung_entrant;

/* Tunes the method for a network (NULL: as the cascade says). The same trials and seed for every method. */
rung_status rung_entrant_tune(const rung_evaluation *evaluation, const rung_method *method, const rung_network *network,
                              size_t trials, const rung_progress *progress, rung_entrant *entrant,
                              rung_error *error) RUNG_WARN_UNUSED;
void rung_entrant_deinit(rung_entrant *entrant);

/* The policy that a method would deploy. */
typedef struct rung_pick {
    rung_scheme scheme;
    bool certified;  /* false: none of the method's policies was, and the scheme is the top level alone */
    bool is_top;     /* the scheme is the top level alone, as none was certified or none of those that were is faster */
    size_t num_held; /* policies that hold together */
    size_t num_tested; /* of the front */
} rung_pick;

/* The top level alone, which the others are compared with. */
rung_status rung_pick_top(const rung_evaluation *evaluation, rung_pick *pick, rung_error *error) RUNG_WARN_UNUSED;

/* A policy by its name as it is by default, with the threshold at every level. */
rung_status rung_pick_named(const rung_evaluation *evaluation, const char *policy, double threshold, rung_pick *pick,
                            rung_error *error) RUNG_WARN_UNUSED;

/* For tables: "yes", or why it is the top level alone. */
const char *rung_pick_certified_word(const rung_pick *pick);

/* Certifies the front for "agreement with the top level at least `agreement`" at `delta` on the certify rows, safest first by the rows to tune on, and picks the
 * fastest that holds. The top level alone agrees by definition: it is taken where none holds, and where it is faster on the rows to tune on. */
rung_status rung_pick_agreeing(const rung_evaluation *evaluation, const rung_entrant *entrant, double agreement,
                               double delta, rung_pick *pick, rung_error *error) RUNG_WARN_UNUSED;

/* The fastest of the front whose accuracy on the rows to tune on is at least `accuracy`; when there is none, the most accurate. Not certified. */
void rung_pick_accurate(const rung_entrant *entrant, double accuracy, rung_pick *pick);

/* The same by agreement on the rows to tune on. */
void rung_pick_agreeing_uncertified(const rung_entrant *entrant, double agreement, rung_pick *pick);

/* What a scheme does on the report rows, request by request; arrays [n]. Zero-initialise; release with rung_measured_deinit. */
typedef struct rung_measured {
    size_t n;
    double *latency_ms;
    double *right;          /* 0 or 1 */
    double *agrees;         /* 0 or 1 */
    double *bytes;          /* bodies, up and down, all links */
    rung_outcome *outcomes; /* with decisions */
    rung_summary summary;
} rung_measured;

rung_status rung_measure(const rung_evaluation *evaluation, const rung_scheme *scheme, const rung_network *network,
                         rung_measured *measured, rung_error *error) RUNG_WARN_UNUSED;
void rung_measured_deinit(rung_measured *measured);

/* Knowing the truth of each request: the least mean latency (ms) on the report rows that reaches an accuracy (or an agreement), with every exit of every level to choose
 * from for each request and nothing computed in vain. Zero-initialise; release with rung_oracle_deinit. */
typedef struct rung_oracle {
    size_t n;
    double *cheapest_ms;     /* [n] of any exit */
    double *extra_right;     /* [n] rising: what it costs more to be right, infinite when no exit is */
    double *extra_agrees;    /* [n] rising: to say what the top level says */
    uint32_t *right_request; /* [n] whose extra_right it is, as an index of the report rows */
    uint32_t *agrees_request;
    double mean_cheapest_ms;
} rung_oracle;

rung_status rung_oracle_make(const rung_evaluation *evaluation, const rung_network *network, rung_oracle *oracle,
                             rung_error *error) RUNG_WARN_UNUSED;
void rung_oracle_deinit(rung_oracle *oracle);

/* Infinite when it cannot be reached. */
double rung_oracle_accurate_ms(const rung_oracle *oracle, double accuracy);
double rung_oracle_agreeing_ms(const rung_oracle *oracle, double agreement);

/* The same over a resample of the report rows in which request i stands times[i] times, n in all. */
double rung_oracle_resampled_ms(const rung_oracle *oracle, bool by_agreement, double share, const uint32_t *times);

/* (baseline - ours) / (baseline - oracle): 1 is as good as knowing the truth. */
double rung_gap_closed(double baseline_ms, double ours_ms, double oracle_ms);

#endif
