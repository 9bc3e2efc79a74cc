/* methods.c: what each method may tune. See methods.h. */
#include "eval/methods.h"

#include <string.h>

static const double thresholds[] = {0,    0.52,  0.55, 0.6,  0.65, 0.7,   0.74,  0.78,  0.82,  0.85,  0.875, 0.9,
                                    0.92, 0.935, 0.95, 0.96, 0.97, 0.977, 0.983, 0.988, 0.992, 0.995, 0.998, 1};
static const double curves[] = {0, 4, 6, 10, 20, 40};
static const double alphas[] = {-1, 0.5, 0.75};
static const double weights[] = {RUNG_WEIGHTS_ACCURACY, RUNG_WEIGHTS_LAST, RUNG_WEIGHTS_FITTED};
static const double yes_no[] = {0, 1};
static const double no[] = {0};
static const double tau_paper[] = {0, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03};
static const double tau_js[] = {0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3};
static const double patiences[] = {1, 2, 3, 4};
static const double first_layers[] = {1, 2};
static const double sureness[] = {0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99};
/* Entropy in nats: of two classes at .99, .98 … .55. */
static const double entropies[] = {0,    0.02, 0.04,  0.056, 0.075, 0.098, 0.12, 0.15, 0.18, 0.2,
                                   0.23, 0.27, 0.325, 0.38,  0.44,  0.5,   0.56, 0.61, 0.65};
static const double little[] = {0, 0.52, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.86, 0.92};
static const double shares[] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
static const double speedups[] = {1.5, 2};
static const double retentions[] = {0.5, 0.7};

#define COUNT(values) (sizeof(values) / sizeof(values)[0])
#define ADD(method, knob_name, setter, at_level, list, usual_index)                                                    \
    add(method, (rung_knob){knob_name, setter, at_level, list, COUNT(list), usual_index})

static void add(rung_method *method, rung_knob knob)
{
    method->knobs[method->num_knobs++] = knob;
}

static void set_threshold(rung_policy *policy, uint32_t level, double value)
{
    policy->offload.threshold[level - 1] = value;
}

static void set_curve(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->offload.hard = value == 0;
    policy->offload.k = value == 0 ? policy->offload.k : value;
}

static void set_alpha(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->prune.enabled = value >= 0;
    policy->prune.alpha = value >= 0 ? value : policy->prune.alpha;
}

static void set_weights(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->weights = (rung_weights)value;
}

static void set_calibrated(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->raw_ensemble = value == 0;
}

static void set_pooled(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->pooled_decision = value != 0;
}

static void set_tau(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->exit.tau = value;
}

static void set_patience(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->exit.patience = (uint32_t)value;
}

static void set_first_layer(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->exit.first_layer = (uint32_t)value;
}

static void set_sureness(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->exit.confidence = value;
}

static void set_rule(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->exit.rule = (rung_exit_rule)value;
}

/* Of the exit `level`; the last one that is set stands for all after it. */
static void set_entropy(rung_policy *policy, uint32_t level, double value)
{
    for (uint32_t e = level - 1; e < RUNG_EXIT_THRESHOLDS; e++) {
        policy->exit.entropy[e] = value;
    }
}

static void set_early(rung_policy *policy, uint32_t level, double value)
{
    policy->offload.early[level - 1] = value;
}

static void set_speculate(rung_policy *policy, uint32_t level, double value)
{
    policy->offload.speculate[level - 1] = value;
}

static void set_skip(rung_policy *policy, uint32_t level, double value)
{
    policy->offload.skip[level - 1] = value;
}

static void set_members(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->members = (uint32_t)value;
}

static void set_share(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->offload.share = value;
}

static void set_amount(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->variant.amount = value;
}

static void set_learned(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->defer = value != 0 ? RUNG_DEFER_LEARNED : RUNG_DEFER_CONFIDENCE;
}

static void set_first_compute_level(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->first_compute_level = (uint32_t)value;
    policy->members = 1u << ((uint32_t)value - 1);
}

static void add_thresholds(const rung_cascade *cascade, rung_method *method)
{
    static const char *const names[] = {"t1", "t2", "t3", "t4", "t5", "t6"};
    for (uint32_t l = 1; l < cascade->num_levels; l++) {
        ADD(method, names[l - 1], set_threshold, l, thresholds, 9);
    }
}

/* Which levels compute: sets with the top one. Placement is every method's own. */
static void add_members(const rung_cascade *cascade, rung_method *method)
{
    static const double of_two[] = {0, 2};
    static const double of_three[] = {0, 4, 5, 6};
    if (cascade->num_levels == 2) {
        ADD(method, "levels", set_members, 0, of_two, 0);
    } else if (cascade->num_levels == 3) {
        ADD(method, "levels", set_members, 0, of_three, 0);
    }
}

static bool has_deferral(const rung_cascade *cascade)
{
    bool all = true;
    for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
        all = all && cascade->calibration.level[l].deferral != NULL;
    }
    return all;
}

static void add_exits(rung_method *method)
{
    static const double rules[] = {RUNG_EXIT_OFF, RUNG_EXIT_AGREE, RUNG_EXIT_ENTROPY};
    ADD(method, "exit rule", set_rule, 0, rules, 2);
    ADD(method, "exit confidence", set_sureness, 0, sureness, 5);
    ADD(method, "first layer", set_first_layer, 0, first_layers, 0);
    ADD(method, "entropy 1", set_entropy, 1, entropies, 8);
    ADD(method, "entropy 2", set_entropy, 2, entropies, 8);
    ADD(method, "entropy 3", set_entropy, 3, entropies, 8);
}

void rung_method_rung(const rung_cascade *cascade, unsigned without, rung_method *method)
{
    *method = (rung_method){.name = "rung", .policy = "rung"};
    add_thresholds(cascade, method);
    if (without & RUNG_PART_PRUNING) {
        static const double off[] = {-1};
        ADD(method, "alpha", set_alpha, 0, off, 0);
    } else {
        ADD(method, "alpha", set_alpha, 0, alphas, 0);
    }
    if (without & RUNG_PART_ENSEMBLE) {
        static const double last[] = {RUNG_WEIGHTS_LAST};
        ADD(method, "weights", set_weights, 0, last, 0);
    } else {
        ADD(method, "weights", set_weights, 0, weights, 1);
    }
    if (without & (RUNG_PART_POOLED | RUNG_PART_ENSEMBLE)) {
        ADD(method, "pooled", set_pooled, 0, no, 0);
    } else {
        ADD(method, "pooled", set_pooled, 0, yes_no, 1);
    }
    if (without & RUNG_PART_EARLY_EXIT) {
        static const double off[] = {RUNG_EXIT_OFF};
        ADD(method, "exit rule", set_rule, 0, off, 0);
        ADD(method, "first layer", set_first_layer, 0, first_layers, 0);
    } else {
        add_exits(method);
    }
    if (!(without & RUNG_PART_EARLY_OFFLOAD)) {
        ADD(method, "early 1", set_early, 1, little, 0);
    }
    if (!(without & RUNG_PART_SPECULATION)) {
        ADD(method, "speculate 1", set_speculate, 1, little, 0);
    }
    if (!(without & RUNG_PART_SKIPPING)) {
        add_members(cascade, method);
        if (cascade->num_levels > 2) {
            ADD(method, "skip 1", set_skip, 1, little, 0);
        }
    }
    if (!(without & RUNG_PART_LEARNED) && has_deferral(cascade)) {
        ADD(method, "learned", set_learned, 0, yes_no, 0);
    }
}

static void add_tabi(const rung_cascade *cascade, rung_method *method)
{
    add_thresholds(cascade, method);
    ADD(method, "k", set_curve, 0, curves, 0);
    ADD(method, "alpha", set_alpha, 0, alphas, 0);
    ADD(method, "weights", set_weights, 0, weights, 2);
    ADD(method, "calibrated", set_calibrated, 0, yes_no, 1);
    add_members(cascade, method);
}

static void add_plain(const rung_cascade *cascade, rung_method *method)
{
    add_thresholds(cascade, method);
    add_members(cascade, method);
}

static void add_paper(const rung_cascade *cascade, rung_method *method)
{
    add_tabi(cascade, method);
    ADD(method, "tau", set_tau, 0, tau_paper, 2);
    ADD(method, "p", set_patience, 0, patiences, 0);
}

static void add_pabee(const rung_cascade *cascade, rung_method *method)
{
    add_plain(cascade, method);
    ADD(method, "p", set_patience, 0, patiences, 0);
}

static void add_f_pabee(const rung_cascade *cascade, rung_method *method)
{
    add_pabee(cascade, method);
    ADD(method, "tau", set_tau, 0, tau_js, 4);
}

static void add_deebert(const rung_cascade *cascade, rung_method *method)
{
    add_plain(cascade, method);
    ADD(method, "entropy", set_entropy, 1, entropies, 8);
}

static void add_branchynet(const rung_cascade *cascade, rung_method *method)
{
    static const char *const names[] = {"entropy 1", "entropy 2", "entropy 3", "entropy 4", "entropy 5", "entropy 6"};
    add_plain(cascade, method);
    for (uint32_t e = 1; e <= 6; e++) {
        ADD(method, names[e - 1], set_entropy, e, entropies, 8);
    }
}

static void add_cocktail(const rung_cascade *cascade, rung_method *method)
{
    static const double of_two[] = {0, 1, 2};
    static const double of_three[] = {0, 1, 2, 3, 4, 5, 6};
    if (cascade->num_levels == 2) {
        ADD(method, "members", set_members, 0, of_two, 0);
    } else if (cascade->num_levels == 3) {
        ADD(method, "members", set_members, 0, of_three, 0);
    } else {
        ADD(method, "members", set_members, 0, no, 0);
    }
}

static void add_layer_skip(const rung_cascade *cascade, rung_method *method)
{
    add_plain(cascade, method);
    ADD(method, "speedup", set_amount, 0, speedups, 0);
}

static void add_power_bert(const rung_cascade *cascade, rung_method *method)
{
    add_plain(cascade, method);
    ADD(method, "share", set_amount, 0, retentions, 1);
}

static void add_random(const rung_cascade *cascade, rung_method *method)
{
    ADD(method, "share", set_share, 0, shares, 5);
    add_members(cascade, method);
}

static void add_single(const rung_cascade *cascade, rung_method *method)
{
    static const double levels[] = {1, 2, 3, 4, 5, 6};
    add(method, (rung_knob){"level", set_first_compute_level, 0, levels, cascade->num_levels, 0});
}

rung_status rung_method_baseline(const rung_cascade *cascade, const char *name, rung_method *method, rung_error *error)
{
    static const struct {
        const char *name;
        void (*add)(const rung_cascade *cascade, rung_method *method);
    } baselines[] = {{"tabi", add_tabi},
                     {"tangobert", add_plain},
                     {"paper", add_paper},
                     {"pabee", add_pabee},
                     {"branchynet", add_branchynet},
                     {"deebert", add_deebert},
                     {"f-pabee", add_f_pabee},
                     {"cocktail", add_cocktail},
                     {"layer-skip", add_layer_skip},
                     {"power-bert", add_power_bert},
                     {"random", add_random},
                     {"single", add_single}};
    for (size_t i = 0; i < COUNT(baselines); i++) {
        if (strcmp(baselines[i].name, name) == 0) {
            rung_method made = {.name = baselines[i].name, .policy = baselines[i].name};
            baselines[i].add(cascade, &made);
            *method = made;
            return RUNG_OK;
        }
    }
    return rung_fail(
        error, RUNG_NOT_FOUND,
        "method \"%.64s\" is unknown; use rung, tabi, tangobert, paper, pabee, branchynet, deebert, f-pabee, "
        "cocktail, layer-skip, power-bert, random or single",
        name);
}
