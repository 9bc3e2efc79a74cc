/* policy_options.c: options into the fields of a policy, and back. See policy_options.h. */
#include "config/policy_options.h"

#include "config/number.h"
#include "config/option_value.h"
#include "config/variant_text.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static rung_status take_first_level(const rung_option_value *value, uint32_t num_levels, rung_policy *policy,
                                    rung_error *error)
{
    uint32_t level = (uint32_t)value->integer;
    if (level > num_levels) {
        return rung_fail(error, RUNG_INVALID, "%s: policy.first_compute_level is %u; the cascade has %u level%s only",
                         value->origin, level, num_levels, plural(num_levels));
    }
    policy->first_compute_level = level;
    return RUNG_OK;
}

static rung_status take_members(const rung_option_value *value, uint32_t num_levels, rung_policy *policy,
                                rung_error *error)
{
    uint32_t members = 0;
    for (uint32_t i = 0; !value->is_word && i < value->num_numbers; i++) {
        uint32_t level = (uint32_t)value->numbers[i];
        if (level > num_levels) {
            return rung_fail(error, RUNG_INVALID, "%s: policy.members has level %u; the cascade has %u level%s only",
                             value->origin, level, num_levels, plural(num_levels));
        }
        members |= 1u << (level - 1);
    }
    policy->members = members;
    return RUNG_OK;
}

/* The top level has none above it, so that a list may leave its number out. */
static rung_status take_by_level(rung_option_id id, const rung_option_value *value, uint32_t num_levels,
                                 double field[RUNG_MAX_LEVELS], rung_error *error)
{
    uint32_t count = value->num_numbers;
    if (count != 1 && count != num_levels && count + 1 != num_levels) {
        return rung_fail(error, RUNG_INVALID,
                         "%s: %s has %u numbers; give one, or one for each of the %u levels (the top one's may be left "
                         "out)",
                         value->origin, rung_option_spec_of(id)->key, count, num_levels);
    }
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        field[l] = value->numbers[l < count ? l : count - 1];
    }
    return RUNG_OK;
}

static void take_entropy(const rung_option_value *value, double field[RUNG_EXIT_THRESHOLDS])
{
    for (uint32_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
        field[e] = value->numbers[e < value->num_numbers ? e : value->num_numbers - 1];
    }
}

static rung_status take_variant(const rung_option_value *value, rung_variant *variant, rung_error *error)
{
    return rung_variant_parse(value->text, variant, error) == RUNG_OK ? RUNG_OK
                                                                      : rung_fail_in(error, "%s", value->origin);
}

static void take_k(const rung_option_value *value, rung_offload_policy *offload)
{
    offload->hard = value->is_word;
    offload->k = value->is_word ? offload->k : value->number;
}

static void take_random(const rung_option_value *value, rung_offload_policy *offload)
{
    offload->at_random = !value->is_word;
    offload->share = value->is_word ? offload->share : value->number;
}

/* policy.offload. */
static rung_status take_offload(rung_option_id id, const rung_option_value *value, uint32_t num_levels,
                                rung_offload_policy *offload, rung_error *error)
{
    switch (id) {
    case RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD:
        return take_by_level(id, value, num_levels, offload->threshold, error);
    case RUNG_OPTION_POLICY_OFFLOAD_SKIP:
        return take_by_level(id, value, num_levels, offload->skip, error);
    case RUNG_OPTION_POLICY_OFFLOAD_EARLY:
        return take_by_level(id, value, num_levels, offload->early, error);
    case RUNG_OPTION_POLICY_OFFLOAD_SPECULATE:
        return take_by_level(id, value, num_levels, offload->speculate, error);
    case RUNG_OPTION_POLICY_OFFLOAD_K:
        take_k(value, offload);
        return RUNG_OK;
    default:
        assert(id == RUNG_OPTION_POLICY_OFFLOAD_RANDOM);
        take_random(value, offload);
        return RUNG_OK;
    }
}

/* policy.exit. */
static void take_exit(rung_option_id id, const rung_option_value *value, rung_exit_policy *exit)
{
    switch (id) {
    case RUNG_OPTION_POLICY_EXIT_RULE:
        exit->rule = (rung_exit_rule)value->choice;
        break;
    case RUNG_OPTION_POLICY_EXIT_TAU:
        exit->tau = value->number;
        break;
    case RUNG_OPTION_POLICY_EXIT_PATIENCE:
        exit->patience = (uint32_t)value->integer;
        break;
    case RUNG_OPTION_POLICY_EXIT_CONFIDENCE:
        exit->confidence = value->number;
        break;
    case RUNG_OPTION_POLICY_EXIT_ENTROPY:
        take_entropy(value, exit->entropy);
        break;
    default:
        assert(id == RUNG_OPTION_POLICY_EXIT_FIRST_LAYER);
        exit->first_layer = (uint32_t)value->integer;
    }
}

/* What is one choice or truth value; its index is the value of the field's enum. */
static void take_plain(rung_option_id id, const rung_option_value *value, rung_policy *policy)
{
    switch (id) {
    case RUNG_OPTION_POLICY_PARALLEL:
        policy->parallel = value->boolean;
        break;
    case RUNG_OPTION_POLICY_DEFER:
        policy->defer = (rung_defer)value->choice;
        break;
    case RUNG_OPTION_POLICY_PRUNE_ENABLED:
        policy->prune.enabled = value->boolean;
        break;
    case RUNG_OPTION_POLICY_PRUNE_ALPHA:
        policy->prune.alpha = value->number;
        break;
    case RUNG_OPTION_POLICY_PRUNE_UNIT:
        policy->prune.unit = (rung_prune_unit)value->choice;
        break;
    case RUNG_OPTION_POLICY_PRUNE_LAYERS:
        policy->all_layer_importance = value->choice == 1;
        break;
    case RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS:
        policy->weights = (rung_weights)value->choice;
        break;
    case RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON:
        policy->pooled_decision = value->choice == 1;
        break;
    default:
        assert(id == RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX);
        policy->raw_ensemble = value->choice == 1;
    }
}

rung_status rung_policy_option_take(rung_option_id id, const rung_option_value *value, uint32_t num_levels,
                                    rung_policy *policy, rung_error *error)
{
    assert(id >= RUNG_FIRST_POLICY_OPTION && id <= RUNG_LAST_POLICY_OPTION);
    if (id == RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL) {
        return take_first_level(value, num_levels, policy, error);
    }
    if (id == RUNG_OPTION_POLICY_MEMBERS) {
        return take_members(value, num_levels, policy, error);
    }
    if (id == RUNG_OPTION_POLICY_VARIANT) {
        return take_variant(value, &policy->variant, error);
    }
    if (id >= RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD && id <= RUNG_OPTION_POLICY_OFFLOAD_SPECULATE) {
        return take_offload(id, value, num_levels, &policy->offload, error);
    }
    if (id >= RUNG_OPTION_POLICY_EXIT_RULE && id <= RUNG_OPTION_POLICY_EXIT_FIRST_LAYER) {
        take_exit(id, value, &policy->exit);
    } else {
        take_plain(id, value, policy);
    }
    return RUNG_OK;
}

static void print_number(rung_buffer *out, double value)
{
    char digits[RUNG_NUMBER_BYTES];
    rung_buffer_text(out, rung_print_number(value, digits));
}

static void print_numbers(rung_buffer *out, const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rung_buffer_text(out, i > 0 ? ", " : "");
        print_number(out, values[i]);
    }
}

/* By bits: 0 and -0 are told apart, as their texts are. */
static bool same(const double *a, const double *b)
{
    return *a == *b && signbit(*a) == signbit(*b);
}

static void print_by_level(rung_buffer *out, const double *values, uint32_t num_levels)
{
    bool equal = true;
    for (uint32_t l = 1; l < num_levels; l++) {
        equal = equal && same(&values[l], &values[0]);
    }
    print_numbers(out, values, equal ? 1 : num_levels);
}

/* Without the numbers at the end for which the last one stands. */
static void print_entropy(rung_buffer *out, const double values[RUNG_EXIT_THRESHOLDS])
{
    uint32_t count = RUNG_EXIT_THRESHOLDS;
    while (count > 1 && same(&values[count - 1], &values[count - 2])) {
        count--;
    }
    print_numbers(out, values, count);
}

static void print_members(rung_buffer *out, uint32_t members)
{
    const char *separator = "";
    rung_buffer_text(out, members == 0 ? "all" : "");
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        if ((members >> l & 1) != 0) {
            rung_buffer_format(out, "%s%u", separator, l + 1);
            separator = ", ";
        }
    }
}

static void print_choice(rung_buffer *out, rung_option_id id, uint32_t index)
{
    const char *at = rung_option_spec_of(id)->choices;
    for (uint32_t i = 0; i < index; i++) {
        at += strcspn(at, "|") + 1;
    }
    rung_buffer_append(out, at, strcspn(at, "|"));
}

static void print_bool(rung_buffer *out, bool value)
{
    rung_buffer_text(out, value ? "true" : "false");
}

/* A number, or the option's word. */
static void print_or_word(rung_buffer *out, rung_option_id id, bool is_word, double value)
{
    if (is_word) {
        rung_buffer_text(out, rung_option_spec_of(id)->choices);
    } else {
        print_number(out, value);
    }
}

static void print_offload(rung_buffer *out, rung_option_id id, const rung_offload_policy *offload, uint32_t num_levels)
{
    switch (id) {
    case RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD:
        print_by_level(out, offload->threshold, num_levels);
        break;
    case RUNG_OPTION_POLICY_OFFLOAD_SKIP:
        print_by_level(out, offload->skip, num_levels);
        break;
    case RUNG_OPTION_POLICY_OFFLOAD_EARLY:
        print_by_level(out, offload->early, num_levels);
        break;
    case RUNG_OPTION_POLICY_OFFLOAD_SPECULATE:
        print_by_level(out, offload->speculate, num_levels);
        break;
    case RUNG_OPTION_POLICY_OFFLOAD_K:
        print_or_word(out, id, offload->hard, offload->k);
        break;
    default:
        assert(id == RUNG_OPTION_POLICY_OFFLOAD_RANDOM);
        print_or_word(out, id, !offload->at_random, offload->share);
    }
}

static void print_exit(rung_buffer *out, rung_option_id id, const rung_exit_policy *exit)
{
    switch (id) {
    case RUNG_OPTION_POLICY_EXIT_RULE:
        print_choice(out, id, (uint32_t)exit->rule);
        break;
    case RUNG_OPTION_POLICY_EXIT_TAU:
        print_number(out, exit->tau);
        break;
    case RUNG_OPTION_POLICY_EXIT_PATIENCE:
        rung_buffer_format(out, "%u", exit->patience);
        break;
    case RUNG_OPTION_POLICY_EXIT_CONFIDENCE:
        print_number(out, exit->confidence);
        break;
    case RUNG_OPTION_POLICY_EXIT_ENTROPY:
        print_entropy(out, exit->entropy);
        break;
    default:
        assert(id == RUNG_OPTION_POLICY_EXIT_FIRST_LAYER);
        rung_buffer_format(out, "%u", exit->first_layer);
    }
}

static void print_plain(rung_buffer *out, rung_option_id id, const rung_policy *policy)
{
    char variant[RUNG_VARIANT_BYTES];
    switch (id) {
    case RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL:
        rung_buffer_format(out, "%u", policy->first_compute_level);
        break;
    case RUNG_OPTION_POLICY_MEMBERS:
        print_members(out, policy->members);
        break;
    case RUNG_OPTION_POLICY_PARALLEL:
        print_bool(out, policy->parallel);
        break;
    case RUNG_OPTION_POLICY_VARIANT:
        rung_buffer_text(out, rung_variant_format(&policy->variant, variant));
        break;
    case RUNG_OPTION_POLICY_DEFER:
        print_choice(out, id, (uint32_t)policy->defer);
        break;
    case RUNG_OPTION_POLICY_PRUNE_ENABLED:
        print_bool(out, policy->prune.enabled);
        break;
    case RUNG_OPTION_POLICY_PRUNE_ALPHA:
        print_number(out, policy->prune.alpha);
        break;
    case RUNG_OPTION_POLICY_PRUNE_UNIT:
        print_choice(out, id, (uint32_t)policy->prune.unit);
        break;
    case RUNG_OPTION_POLICY_PRUNE_LAYERS:
        print_choice(out, id, policy->all_layer_importance ? 1 : 0);
        break;
    case RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS:
        print_choice(out, id, (uint32_t)policy->weights);
        break;
    case RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON:
        print_choice(out, id, policy->pooled_decision ? 1 : 0);
        break;
    default:
        assert(id == RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX);
        print_choice(out, id, policy->raw_ensemble ? 1 : 0);
    }
}

void rung_policy_option_print(rung_option_id id, const rung_policy *policy, uint32_t num_levels, rung_buffer *out)
{
    assert(id >= RUNG_FIRST_POLICY_OPTION && id <= RUNG_LAST_POLICY_OPTION);
    if (id >= RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD && id <= RUNG_OPTION_POLICY_OFFLOAD_SPECULATE) {
        print_offload(out, id, &policy->offload, num_levels);
    } else if (id >= RUNG_OPTION_POLICY_EXIT_RULE && id <= RUNG_OPTION_POLICY_EXIT_FIRST_LAYER) {
        print_exit(out, id, &policy->exit);
    } else {
        print_plain(out, id, policy);
    }
}
