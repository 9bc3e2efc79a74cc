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

/* Eq 13: the difference of the two confidences, whatever their classes. */
static bool stable_paper(const rung_exit_state *state)
{
    uint32_t n = state->num_classes;
    bool multi_label = state->calibration->multi_label;
    double now = rung_confidence(state->current, n, multi_label);
    double before = rung_confidence(state->previous, n, multi_label);
    return fabs(now - before) < state->policy->tau;
}

static bool stable_agree(const rung_exit_state *state)
{
    uint32_t n = state->num_classes;
    bool multi_label = state->calibration->multi_label;
    return rung_same_decision(state->previous, state->current, n, multi_label) &&
           rung_confidence(state->current, n, multi_label) >= state->policy->confidence &&
           rung_divergence(state->previous, state->current, n, multi_label) < state->policy->tau;
}

/* Patience-based early exit: the decision alone. */
static bool stable_pabee(const rung_exit_state *state)
{
    return rung_same_decision(state->previous, state->current, state->num_classes, state->calibration->multi_label);
}

/* F-PABEE for one label: the divergence alone. */
static bool stable_divergence(const rung_exit_state *state)
{
    return rung_divergence(state->previous, state->current, state->num_classes, state->calibration->multi_label) <
           state->policy->tau;
}

/* BranchyNet with a threshold for each exit; DeeBERT with one for all. It looks at one exit alone. */
static bool is_certain(const rung_exit_state *state, uint32_t layer)
{
    uint32_t index = layer < RUNG_EXIT_THRESHOLDS ? layer - 1 : RUNG_EXIT_THRESHOLDS - 1;
    return rung_entropy(state->current, state->num_classes, state->calibration->multi_label) <
           state->policy->entropy[index];
}

static bool is_stable(const rung_exit_state *state, uint32_t layer)
{
    if (state->policy->rule == RUNG_EXIT_ENTROPY) {
        return is_certain(state, layer);
    }
    if (state->steps < 2) {
        return false;
    }
    switch (state->policy->rule) {
    case RUNG_EXIT_PAPER:
        return stable_paper(state);
    case RUNG_EXIT_AGREE:
        return stable_agree(state);
    case RUNG_EXIT_PABEE:
        return stable_pabee(state);
    case RUNG_EXIT_DIVERGENCE:
        return stable_divergence(state);
    case RUNG_EXIT_OFF:
    case RUNG_EXIT_ENTROPY:
        break;
    }
    return false;
}

/* Takes the exit's probabilities in and counts (Eq 14). Equality with tau resets: the paper leaves it open. */
static void count_exit(rung_exit_state *state, uint32_t layer, const float *logits)
{
    if (!rung_logits_usable(logits, state->num_classes)) {
        state->steps = 0; /* nothing to compare the next exit with */
        state->count = 0;
        return;
    }
    double *oldest = state->previous;
    state->previous = state->current;
    state->current = oldest;
    if (state->policy->rule == RUNG_EXIT_AGREE) {
        rung_calibrated_probabilities(state->calibration, layer, logits, state->num_classes, state->current);
    } else {
        rung_raw_probabilities(state->calibration, logits, state->num_classes, state->current);
    }
    state->steps++;
    state->count = is_stable(state, layer) ? state->count + 1 : 0;
}

/* How often in a row an exit must be found stable. */
static uint32_t needed_count(const rung_exit_policy *policy)
{
    return policy->rule == RUNG_EXIT_ENTROPY ? 1 : policy->patience;
}

/* True when the request would go up anyway. Overwrites the older of the two exits, which no later exit reads. */
static bool offloads_early(rung_exit_state *state, uint32_t layer, const float *logits)
{
    uint32_t n = state->num_classes;
    if (!(state->early > 0) || !rung_logits_usable(logits, n)) {
        return false;
    }
    rung_calibrated_probabilities(state->calibration, layer, logits, n, state->previous);
    return (float)rung_confidence(state->previous, n, state->calibration->multi_label) <= state->early;
}

rung_exit_verdict rung_exit_step(rung_exit_state *state, uint32_t layer, const float *logits)
{
    const rung_exit_policy *policy = state->policy;
    assert(layer > state->layer && layer <= state->calibration->num_exits);
    state->layer = layer;
    if (layer == state->calibration->num_exits) {
        return RUNG_EXIT_STOP;
    }
    if (policy->rule != RUNG_EXIT_OFF) {
        count_exit(state, layer, logits);
    }
    if (layer < policy->first_layer) {
        return RUNG_EXIT_CONTINUE;
    }
    if (policy->rule != RUNG_EXIT_OFF && state->count >= needed_count(policy)) {
        return RUNG_EXIT_STOP;
    }
    return offloads_early(state, layer, logits) ? RUNG_EXIT_OFFLOAD : RUNG_EXIT_CONTINUE;
}
