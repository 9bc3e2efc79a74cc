/* policy_check.c: the ranges of a policy's fields and of a calibration's. Called by src/config, src/fit and src/run before anything is
 * classified. Must not know where the values were read. See policy.h. */
#include "cascade/policy.h"

#include <math.h>

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
    const struct {
        const char *name;
        const double *values;
    } by_level[] = {{"skip", offload->skip}, {"early", offload->early}, {"speculate", offload->speculate}};
    for (size_t i = 0; i < sizeof by_level / sizeof by_level[0]; i++) {
        for (uint32_t l = 0; l < num_levels; l++) {
            if (!is_within(by_level[i].values[l], 0, 1)) {
                return rung_fail(error, RUNG_INVALID, "policy.offload.%s of level %u is %g; it must be from 0 to 1",
                                 by_level[i].name, l + 1, by_level[i].values[l]);
            }
        }
    }
    if (offload->at_random && !is_within(offload->share, 0, 1)) {
        return rung_fail(error, RUNG_INVALID, "policy.offload.random is %g; it must be from 0 to 1", offload->share);
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
    if ((int)exit->rule < RUNG_EXIT_OFF || exit->rule > RUNG_EXIT_DIVERGENCE) {
        return rung_fail(error, RUNG_INVALID,
                         "policy.exit.rule is %d; it must be off, paper, agree, pabee, entropy or divergence",
                         (int)exit->rule);
    }
    for (uint32_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
        if (!(exit->entropy[e] >= 0 && isfinite(exit->entropy[e]))) {
            return rung_fail(error, RUNG_INVALID,
                             "policy.exit.entropy of exit %u is %g; it must be 0 or above, and finite", e + 1,
                             exit->entropy[e]);
        }
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

static rung_status check_level(const rung_level_calibration *level, uint32_t number, uint32_t num_classes,
                               rung_error *error)
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
    for (uint32_t c = 0; level->class_accuracy != NULL && c < num_classes; c++) {
        if (!is_within(level->class_accuracy[c], 0, 1)) {
            return rung_fail(error, RUNG_INVALID,
                             "calibration of level %u: the accuracy of class %u is %g; it must be from 0 to 1", number,
                             c, level->class_accuracy[c]);
        }
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
        rung_status status = check_level(&calibration->level[l], l + 1, calibration->num_classes, error);
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

/* A variant has no exits but its last one, and gives no importance. */
static rung_status check_variant(const rung_policy *policy, rung_error *error)
{
    const rung_variant *variant = &policy->variant;
    if (variant->kind == RUNG_VARIANT_NONE) {
        return RUNG_OK;
    }
    if (variant->kind == RUNG_VARIANT_LAYER_SKIP && !(variant->amount > 1 && isfinite(variant->amount))) {
        return rung_fail(error, RUNG_INVALID, "policy.variant layer-skip is %g; it must be above 1", variant->amount);
    }
    if (variant->kind == RUNG_VARIANT_POWER_BERT && !(variant->amount > 0 && variant->amount <= 1)) {
        return rung_fail(error, RUNG_INVALID, "policy.variant power-bert is %g; it must be above 0, at most 1",
                         variant->amount);
    }
    if (policy->prune.enabled || rung_policy_leaves_early(policy)) {
        return rung_fail(
            error, RUNG_INVALID,
            "policy.variant runs its layers without exits and importance; set policy.prune.enabled to false and "
            "policy.exit.rule to off");
    }
    if (policy->defer == RUNG_DEFER_LEARNED) {
        return rung_fail(error, RUNG_INVALID,
                         "policy.defer is learned, from the states of models that run whole; set it to confidence, or "
                         "policy.variant to none");
    }
    return RUNG_OK;
}

static rung_status check_rest(const rung_policy *policy, uint32_t num_levels, rung_error *error)
{
    if ((int)policy->weights < RUNG_WEIGHTS_ACCURACY || policy->weights > RUNG_WEIGHTS_VOTE) {
        return rung_fail(error, RUNG_INVALID,
                         "policy.ensemble.weights is %d; it must be accuracy, last, fitted or vote",
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
    rung_policy leaving = *policy;
    bool compares = leaving.exit.rule != RUNG_EXIT_PABEE && leaving.exit.rule != RUNG_EXIT_ENTROPY;
    if (compares && leaving.exit.tau == 0) { /* nothing is below it: it never counts */
        leaving.exit.rule = RUNG_EXIT_OFF;
    }
    if (policy->all_layer_importance && rung_policy_leaves_early(&leaving)) {
        return rung_fail(error, RUNG_INVALID,
                         "importance over all layers needs every layer to run; set policy.exit.rule to off, and "
                         "policy.offload.early and policy.offload.speculate to 0");
    }
    if (policy->members >> num_levels != 0) {
        return rung_fail(error, RUNG_INVALID, "policy.members has level %u; the cascade has %u level%s",
                         rung_policy_top_level(policy, RUNG_MAX_LEVELS), num_levels, num_levels == 1 ? "" : "s");
    }
    return check_variant(policy, error);
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
