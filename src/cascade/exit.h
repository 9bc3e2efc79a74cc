/* exit.h: early exit (Eq 13-14, and the rule that needs agreement). One state a request and level; the batch calls
 * rung_exit_step after every layer that has a head. Pure. */
#ifndef RUNG_CASCADE_EXIT_H
#define RUNG_CASCADE_EXIT_H

#include "cascade/policy.h"

typedef enum rung_exit_verdict {
    RUNG_EXIT_CONTINUE,
    RUNG_EXIT_STOP,
    RUNG_EXIT_OFFLOAD, /* stop, and go up whatever the result is worth: it would go up anyway (early offload) */
} rung_exit_verdict;

/* What the rules look at in an exit, and in it beside the exit before it. */
typedef struct rung_exit_measures {
    bool usable;        /* its logits; if not, nothing else is said */
    bool same_decision; /* as that of the exit before */
    double confidence;
    double divergence; /* Jensen-Shannon, from the exit before */
    double entropy;
} rung_exit_measures;

typedef struct rung_exit_state {
    const rung_exit_policy *policy;
    const rung_level_calibration *calibration;
    uint32_t num_classes;
    uint32_t count;    /* cnt of Eq 14 */
    uint32_t steps;    /* exits seen in a row with usable logits, while early exit is on */
    uint32_t layer;    /* of the last exit seen, 1-based */
    double confidence; /* of the last exit that was counted */
    double *previous;  /* [num_classes] probabilities of the exit before */
    double *current;   /* [num_classes] */
    double early; /* an exit before the last one whose calibrated confidence is at or below it offloads; 0: none does */
} rung_exit_state;

/* workspace: 2 * num_classes doubles that live as long as the state. No exit offloads early: a caller that has a level above sets state->early. */
void rung_exit_init(rung_exit_state *state, const rung_exit_policy *policy, const rung_level_calibration *calibration,
                    uint32_t num_classes, double *workspace);

/* The exit after layer `layer` (1-based, rising) said `logits` [num_classes]. The last layer always stops. Two exits in a row are
 * compared: with each exit's own temperature (agree), or on the probabilities without temperature (all other rules). Exits before
 * policy->first_layer count towards the patience, but none of them stops. Logits that are not usable reset the count. */
rung_exit_verdict rung_exit_step(rung_exit_state *state, uint32_t layer, const float *logits);

/* True when the rule reads the probabilities with the exit's own temperature. */
bool rung_exit_reads_calibrated(rung_exit_rule rule);

/* Measures an exit with usable logits by its probabilities [num_classes]; previous: those of the exit before, NULL: there is none (same_decision is false,
 * divergence 0). */
rung_exit_measures rung_exit_measure(const double *probabilities, const double *previous, uint32_t num_classes,
                                     bool multi_label);

/* The same as rung_exit_step for who has measured the exits already: `measures` of the probabilities that the rule reads, and the calibrated confidence, which
 * is read where state->early is set. Of the last layer and with the rule off, measures->usable alone is read. */
rung_exit_verdict rung_exit_judge(rung_exit_state *state, uint32_t layer, const rung_exit_measures *measures,
                                  double calibrated_confidence);

#endif
