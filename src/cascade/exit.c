/* exit.c: when a request may stop inside a model (Eq 13-14, and the rule that needs agreement). Called by src/run after every
 * layer that has a head. Must not know about batches or layers. Source: the paper, section III-D. See exit.h. */
#include "cascade/exit.h"

#include "cascade/confidence.h"

#include <assert.h>
#include <math.h>

void rung_exit_init(rung_exit_state *state, const rung_exit_policy *policy, const rung_level_calibration *calibration,
                    uint32_t num_classes, double *workspace)
{
    *state = (rung_exit_state){.policy = policy,
                               .calibration = calibration,
                               .num_classes = num_classes,
                               .previous = workspace,
                               .current = workspace + num_classes};
}

bool rung_exit_reads_calibrated(rung_exit_rule rule)
{
    return rule == RUNG_EXIT_AGREE;
}

rung_exit_measures rung_exit_measure(const double *probabilities, const double *previous, uint32_t num_classes,
                                     bool multi_label)
{
    rung_exit_measures measures = {.usable = true,
                                   .confidence = rung_confidence(probabilities, num_classes, multi_label),
                                   .entropy = rung_entropy(probabilities, num_classes, multi_label)};
    if (previous != NULL) {
        measures.same_decision = rung_same_decision(previous, probabilities, num_classes, multi_label);
        measures.divergence = rung_divergence(previous, probabilities, num_classes, multi_label);
    }
    return measures;
}

/* What each rule finds stable in an exit; all but the entropy's compare it with the one before. */
static bool is_stable(const rung_exit_state *state, uint32_t layer, const rung_exit_measures *measures)
{
    const rung_exit_policy *policy = state->policy;
    bool compares = state->steps >= 2;
    switch (policy->rule) {
    case RUNG_EXIT_PAPER: /* Eq 13: the difference of the two confidences, whatever their classes */
        return compares && fabs(measures->confidence - state->confidence) < policy->tau;
    case RUNG_EXIT_AGREE:
        return compares && measures->same_decision && measures->confidence >= policy->confidence &&
               measures->divergence < policy->tau;
    case RUNG_EXIT_PABEE: /* patience-based early exit: the decision alone */
        return compares && measures->same_decision;
    case RUNG_EXIT_DIVERGENCE: /* F-PABEE for one label: the divergence alone */
        return compares && measures->divergence < policy->tau;
    case RUNG_EXIT_ENTROPY: /* BranchyNet with a threshold for each exit; DeeBERT with one for all. It looks at one exit alone. */
        return measures->entropy < policy->entropy[layer < RUNG_EXIT_THRESHOLDS ? layer - 1 : RUNG_EXIT_THRESHOLDS - 1];
    case RUNG_EXIT_OFF:
        break;
    }
    return false;
}

/* Takes the exit in and counts (Eq 14). Equality with tau resets: the paper leaves it open. */
static void count_exit(rung_exit_state *state, uint32_t layer, const rung_exit_measures *measures)
{
    if (!measures->usable) {
        state->steps = 0; /* nothing to compare the next exit with */
        state->count = 0;
        return;
    }
    state->steps++;
    state->count = is_stable(state, layer, measures) ? state->count + 1 : 0;
    state->confidence = measures->confidence;
}

/* How often in a row an exit must be found stable. */
static uint32_t needed_count(const rung_exit_policy *policy)
{
    return policy->rule == RUNG_EXIT_ENTROPY ? 1 : policy->patience;
}

rung_exit_verdict rung_exit_judge(rung_exit_state *state, uint32_t layer, const rung_exit_measures *measures,
                                  double calibrated_confidence)
{
    const rung_exit_policy *policy = state->policy;
    assert(layer > state->layer && layer <= state->calibration->num_exits);
    state->layer = layer;
    if (layer == state->calibration->num_exits) {
        return RUNG_EXIT_STOP;
    }
    if (policy->rule != RUNG_EXIT_OFF) {
        count_exit(state, layer, measures);
    }
    if (layer < policy->first_layer) {
        return RUNG_EXIT_CONTINUE;
    }
    if (policy->rule != RUNG_EXIT_OFF && state->count >= needed_count(policy)) {
        return RUNG_EXIT_STOP;
    }
    bool offloads = state->early > 0 && measures->usable && (float)calibrated_confidence <= state->early;
    return offloads ? RUNG_EXIT_OFFLOAD : RUNG_EXIT_CONTINUE;
}

/* The probabilities that the rule reads become the current ones. */
static rung_exit_measures measure(rung_exit_state *state, uint32_t layer, const float *logits)
{
    uint32_t n = state->num_classes;
    double *oldest = state->previous;
    state->previous = state->current;
    state->current = oldest;
    if (rung_exit_reads_calibrated(state->policy->rule)) {
        rung_calibrated_probabilities(state->calibration, layer, logits, n, state->current);
    } else {
        rung_raw_probabilities(state->calibration, logits, n, state->current);
    }
    return rung_exit_measure(state->current, state->steps > 0 ? state->previous : NULL, n,
                             state->calibration->multi_label);
}

/* Overwrites the older of the two exits, which no later exit reads. */
static double calibrated_confidence(rung_exit_state *state, uint32_t layer, const float *logits)
{
    uint32_t n = state->num_classes;
    rung_calibrated_probabilities(state->calibration, layer, logits, n, state->previous);
    return rung_confidence(state->previous, n, state->calibration->multi_label);
}

rung_exit_verdict rung_exit_step(rung_exit_state *state, uint32_t layer, const float *logits)
{
    rung_exit_measures measures = {.usable = rung_logits_usable(logits, state->num_classes)};
    bool is_last = layer == state->calibration->num_exits;
    double confidence = 0;
    if (!is_last && measures.usable && state->policy->rule != RUNG_EXIT_OFF) {
        measures = measure(state, layer, logits);
    }
    if (!is_last && measures.usable && state->early > 0) {
        confidence = calibrated_confidence(state, layer, logits);
    }
    return rung_exit_judge(state, layer, &measures, confidence);
}
