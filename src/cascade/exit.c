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
    bool paper = state->policy->rule == RUNG_EXIT_PAPER;
    if (paper) {
        rung_raw_probabilities(state->calibration, logits, state->num_classes, state->current);
    } else {
        rung_calibrated_probabilities(state->calibration, layer, logits, state->num_classes, state->current);
    }
    state->steps++;
    bool stable = state->steps >= 2 && (paper ? stable_paper(state) : stable_agree(state));
    state->count = stable ? state->count + 1 : 0;
}

rung_exit_verdict rung_exit_step(rung_exit_state *state, uint32_t layer, const float *logits)
{
    const rung_exit_policy *policy = state->policy;
    assert(layer > state->layer && layer <= state->calibration->num_exits);
    state->layer = layer;
    if (layer == state->calibration->num_exits) {
        return RUNG_EXIT_STOP;
    }
    if (policy->rule == RUNG_EXIT_OFF) {
        return RUNG_EXIT_CONTINUE;
    }
    count_exit(state, layer, logits);
    return state->count >= policy->patience && layer >= policy->first_layer ? RUNG_EXIT_STOP : RUNG_EXIT_CONTINUE;
}
