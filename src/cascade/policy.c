/* policy.c: the named policies and the ranges of their fields. Called by src/config, src/fit and src/run before anything is
 * classified. Must not know where the values were read. Source: the paper, section IV-A4 (paper); Wang et al. 2023 (tabi);
 * Mamou et al. 2022 (tangobert). See policy.h. */
#include "cascade/policy.h"

#include <math.h>
#include <string.h>

/* Until a calibration gives thresholds: a plain threshold that agreed with the top level on 97 % in the pilot. */
#define DEFAULT_THRESHOLD 0.85

static const char *const policy_names[] = {"rung", "paper", "tabi", "tangobert", "single"};

#define NUM_POLICIES (sizeof policy_names / sizeof policy_names[0])

const char *const *rung_policy_names(size_t *count)
{
    *count = NUM_POLICIES;
    return policy_names;
}

static void set_thresholds(rung_offload_policy *offload, double threshold)
{
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        offload->threshold[l] = threshold;
    }
}

/* What the policies share; "rung" as it stands. The rule agree compares two exits, so that none stops before exit 2, and two layers give the
 * importance: more words can be told apart than by the first layer alone (docs/choices.md). */
static void fill_rung(rung_policy *policy)
{
    *policy = (rung_policy){
        .seed = 1,
        .offload = {.hard = true, .k = 10},
        .prune = {.enabled = true, .alpha = 0.5, .unit = RUNG_PRUNE_AUTO},
        .exit = {.rule = RUNG_EXIT_AGREE, .tau = 0.02, .patience = 1, .confidence = 0.9, .first_layer = 2},
        .weights = RUNG_WEIGHTS_FITTED,
        .pooled_decision = true,
        .first_compute_level = 1,
    };
    set_thresholds(&policy->offload, DEFAULT_THRESHOLD);
}

/* The paper to the letter: t and tau are those that its text recommends; k is not stated there. Eq 13 compares for the first time at
 * exit 2, so that no request stops before it and two layers give the importance. */
static void fill_paper(rung_policy *policy)
{
    policy->offload.hard = false;
    set_thresholds(&policy->offload, 0.8);
    policy->exit.rule = RUNG_EXIT_PAPER;
    policy->exit.tau = 1e-5;
    policy->exit.first_layer = 2;
    policy->weights = RUNG_WEIGHTS_ACCURACY;
    policy->pooled_decision = false;
    policy->raw_ensemble = true;
}

static void fill_tabi(rung_policy *policy)
{
    fill_paper(policy);
    policy->exit.rule = RUNG_EXIT_OFF;
    policy->exit.tau = 0;
    policy->all_layer_importance = true;
}

static void fill_tangobert(rung_policy *policy)
{
    policy->prune.enabled = false;
    policy->exit.rule = RUNG_EXIT_OFF;
    policy->weights = RUNG_WEIGHTS_LAST;
    policy->pooled_decision = false;
}

rung_status rung_policy_defaults(const char *name, uint32_t num_levels, rung_policy *policy, rung_error *error)
{
    if (num_levels < 1 || num_levels > RUNG_MAX_LEVELS) {
        return rung_fail(error, RUNG_INVALID, "a cascade of %u levels; it must have 1 to %d", num_levels,
                         RUNG_MAX_LEVELS);
    }
    rung_policy filled;
    fill_rung(&filled);
    if (strcmp(name, "paper") == 0) {
        fill_paper(&filled);
    } else if (strcmp(name, "tabi") == 0) {
        fill_tabi(&filled);
    } else if (strcmp(name, "tangobert") == 0) {
        fill_tangobert(&filled);
    } else if (strcmp(name, "single") == 0) {
        fill_tangobert(&filled);
        filled.first_compute_level = num_levels;
    } else if (strcmp(name, "rung") != 0) {
        return rung_fail(error, RUNG_NOT_FOUND,
                         "policy.name \"%.64s\" is unknown; use rung, paper, tabi, tangobert or single", name);
    }
    memcpy(filled.name, name, strlen(name) + 1); /* one of the above: it fits */
    *policy = filled;
    return RUNG_OK;
}

/* NaN is outside every range. */
static bool is_within(double value, double low, double high)
{
    return value >= low && value <= high;
}

static rung_status check_offload(const rung_offload_policy *offload, uint32_t num_levels, rung_error *error)
{
    for (uint32_t l = 0; l < num_levels; l++) {
        if (!is_within(offload->threshold[l], 0, 1)) {
            return rung_fail(error, RUNG_INVALID, "policy.offload.threshold of level %u is %g; it must be from 0 to 1",
                             l + 1, offload->threshold[l]);
        }
    }
    if (!offload->hard && !(offload->k > 0 && isfinite(offload->k))) {
        return rung_fail(error, RUNG_INVALID, "policy.offload.k is %g; it must be above 0 and finite, or hard",
                         offload->k);
    }
    return RUNG_OK;
}

static rung_status check_prune(const rung_prune_policy *prune, rung_error *error)
{
    if (!(prune->alpha >= 0 && isfinite(prune->alpha))) {
        return rung_fail(error, RUNG_INVALID, "policy.prune.alpha is %g; it must be 0 or above, and finite",
                         prune->alpha);
    }
    if (prune->unit != RUNG_PRUNE_AUTO && prune->unit != RUNG_PRUNE_TOKEN && prune->unit != RUNG_PRUNE_WORD) {
        return rung_fail(error, RUNG_INVALID, "policy.prune.unit is %d; it must be auto, token or word",
                         (int)prune->unit);
    }
    return RUNG_OK;
}

static rung_status check_exit(const rung_exit_policy *exit, rung_error *error)
{
    if (exit->rule != RUNG_EXIT_OFF && exit->rule != RUNG_EXIT_PAPER && exit->rule != RUNG_EXIT_AGREE) {
        return rung_fail(error, RUNG_INVALID, "policy.exit.rule is %d; it must be off, paper or agree",
                         (int)exit->rule);
    }
    if (!(exit->tau >= 0 && isfinite(exit->tau))) {
        return rung_fail(error, RUNG_INVALID, "policy.exit.tau is %g; it must be 0 or above, and finite", exit->tau);
    }
    if (exit->patience < 1) {
        return rung_fail(error, RUNG_INVALID, "policy.exit.patience is 0; it must be 1 or above");
    }
    if (!is_within(exit->confidence, 0, 1)) {
        return rung_fail(error, RUNG_INVALID, "policy.exit.confidence is %g; it must be from 0 to 1", exit->confidence);
    }
    if (exit->first_layer < 1) {
        return rung_fail(error, RUNG_INVALID, "policy.exit.first_layer is 0; layers count from 1");
    }
    return RUNG_OK;
}

static rung_status check_level(const rung_level_calibration *level, uint32_t number, rung_error *error)
{
    if (level->num_exits < 1 || level->temperature == NULL) {
        return rung_fail(error, RUNG_INVALID, "calibration of level %u has no exits; run rung fit", number);
    }
    for (uint32_t e = 0; e < level->num_exits; e++) {
        if (!(level->temperature[e] > 0 && isfinite(level->temperature[e]))) {
            return rung_fail(error, RUNG_INVALID,
                             "calibration of level %u: the temperature of exit %u is %g; it must be above 0 and finite",
                             number, e + 1, level->temperature[e]);
        }
    }
    for (uint32_t e = 0; level->shape != NULL && e < level->num_exits; e++) {
        if (!(level->shape[e] > 0 && isfinite(level->shape[e]))) {
            return rung_fail(error, RUNG_INVALID,
                             "calibration of level %u: the shape of exit %u is %g; it must be above 0 and finite",
                             number, e + 1, level->shape[e]);
        }
    }
    if (!is_within(level->accuracy, 0, 1)) {
        return rung_fail(error, RUNG_INVALID, "calibration of level %u: the accuracy is %g; it must be from 0 to 1",
                         number, level->accuracy);
    }
    return RUNG_OK;
}

/* The fitted weights of a set add up to 1 over its levels, or are all 0. */
static rung_status check_pool(const rung_pool *pool, size_t set, uint32_t num_levels, rung_error *error)
{
    const double temperatures[] = {pool->accuracy_temperature, pool->fitted_temperature};
    for (size_t i = 0; i < 2; i++) {
        if (!(temperatures[i] > 0 && isfinite(temperatures[i]))) {
            return rung_fail(error, RUNG_INVALID,
                             "calibration of pool %zu: the temperature is %g; it must be above 0 and finite", set,
                             temperatures[i]);
        }
    }
    double sum = 0;
    for (uint32_t l = 0; l < num_levels; l++) {
        double weight = pool->fitted_weight[l];
        if (!is_within(weight, 0, (set >> l & 1) != 0 ? 1 : 0)) {
            return rung_fail(error, RUNG_INVALID,
                             "calibration of pool %zu: the weight of level %u is %g; it must be %s", set, l + 1, weight,
                             (set >> l & 1) != 0 ? "from 0 to 1" : "0: it is not in this set");
        }
        sum += weight;
    }
    if (sum != 0 && fabs(sum - 1) > 1e-6) {
        return rung_fail(error, RUNG_INVALID, "calibration of pool %zu: the weights add up to %g; they must to 1", set,
                         sum);
    }
    return RUNG_OK;
}

/* A policy that defers as it learned has something to go by at every level that decides. */
static rung_status check_deferral(const rung_policy *policy, const rung_calibration *calibration, rung_error *error)
{
    uint32_t first = policy->first_compute_level > 1 ? policy->first_compute_level : 1;
    for (uint32_t l = first; policy->defer == RUNG_DEFER_LEARNED && l < calibration->num_levels; l++) {
        if (calibration->level[l - 1].deferral == NULL) {
            return rung_fail(error, RUNG_INVALID,
                             "policy.defer is learned, but the calibration has no learned deferral for level %u; run "
                             "rung fit, or use confidence",
                             l);
        }
    }
    return RUNG_OK;
}

static rung_status check_calibration(const rung_calibration *calibration, rung_error *error)
{
    if (calibration->num_levels < 1 || calibration->num_levels > RUNG_MAX_LEVELS) {
        return rung_fail(error, RUNG_INVALID, "the calibration has %u levels; it must have 1 to %d",
                         calibration->num_levels, RUNG_MAX_LEVELS);
    }
    if (calibration->num_classes < 1) {
        return rung_fail(error, RUNG_INVALID, "the calibration has no classes");
    }
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        rung_status status = check_level(&calibration->level[l], l + 1, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    for (size_t set = 1; calibration->pools != NULL && set >> calibration->num_levels == 0; set++) {
        rung_status status = check_pool(&calibration->pools[set], set, calibration->num_levels, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status check_rest(const rung_policy *policy, uint32_t num_levels, rung_error *error)
{
    if (policy->weights != RUNG_WEIGHTS_ACCURACY && policy->weights != RUNG_WEIGHTS_LAST &&
        policy->weights != RUNG_WEIGHTS_FITTED) {
        return rung_fail(error, RUNG_INVALID, "policy.ensemble.weights is %d; it must be accuracy, last or fitted",
                         (int)policy->weights);
    }
    if (policy->defer != RUNG_DEFER_CONFIDENCE && policy->defer != RUNG_DEFER_LEARNED) {
        return rung_fail(error, RUNG_INVALID, "policy.defer is %d; it must be confidence or learned",
                         (int)policy->defer);
    }
    if (policy->first_compute_level < 1 || policy->first_compute_level > num_levels) {
        return rung_fail(error, RUNG_INVALID, "policy.first_compute_level is %u; it must be from 1 to %u",
                         policy->first_compute_level, num_levels);
    }
    if (policy->all_layer_importance && policy->exit.rule != RUNG_EXIT_OFF && policy->exit.tau > 0) {
        return rung_fail(error, RUNG_INVALID,
                         "importance over all layers needs every layer to run; set policy.exit.rule to off");
    }
    return RUNG_OK;
}

rung_status rung_policy_check(const rung_policy *policy, const rung_calibration *calibration, rung_error *error)
{
    rung_status status = calibration == NULL ? RUNG_OK : check_calibration(calibration, error);
    uint32_t num_levels = calibration == NULL ? RUNG_MAX_LEVELS : calibration->num_levels;
    if (status == RUNG_OK) {
        status = check_offload(&policy->offload, num_levels, error);
    }
    if (status == RUNG_OK) {
        status = check_prune(&policy->prune, error);
    }
    if (status == RUNG_OK) {
        status = check_exit(&policy->exit, error);
    }
    if (status == RUNG_OK) {
        status = check_rest(policy, num_levels, error);
    }
    return status == RUNG_OK && calibration != NULL ? check_deferral(policy, calibration, error) : status;
}

uint32_t rung_policy_importance_layers(const rung_policy *policy, uint32_t num_layers)
{
    if (policy->all_layer_importance || policy->exit.rule == RUNG_EXIT_OFF) {
        return num_layers;
    }
    return policy->exit.first_layer < num_layers ? policy->exit.first_layer : num_layers;
}
