/* policy.c: the named policies. Called by src/config, src/fit and src/run. Must not know where a name was read. Sources: the paper, section IV-A4 (paper); Wang
 * et al. 2023 (tabi); Mamou et al. 2022 (tangobert); Zhou et al. 2020 (pabee); Teerapittayanon et al. 2016 (branchynet); Xin et al. 2020 (deebert); Gao et
 * al. 2023 (f-pabee); Gunasekaran et al. 2022 (cocktail); Liu et al. 2024 (layer-skip); Goyal et al. 2020 (power-bert). See policy.h. */
#include "cascade/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Until a calibration gives thresholds: a plain threshold that agreed with the top level on 97 % in the pilot. */
#define DEFAULT_THRESHOLD 0.85

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
        .variant = {.amount = 1},
    };
    set_thresholds(&policy->offload, DEFAULT_THRESHOLD);
    for (uint32_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
        policy->exit.entropy[e] = 0.2;
    }
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

/* The early exits of one model, in a cascade with a plain threshold. */
static void fill_pabee(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->exit.rule = RUNG_EXIT_PABEE;
    policy->exit.patience = 2;
}

static void fill_entropy(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->exit.rule = RUNG_EXIT_ENTROPY;
    policy->exit.first_layer = 1;
}

static void fill_f_pabee(rung_policy *policy)
{
    fill_pabee(policy);
    policy->exit.rule = RUNG_EXIT_DIVERGENCE;
}

static void fill_cocktail(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->parallel = true;
    policy->weights = RUNG_WEIGHTS_VOTE;
}

static void fill_random(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->offload.at_random = true;
    policy->offload.share = 0.5;
}

static void fill_layer_skip(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->variant = (rung_variant){RUNG_VARIANT_LAYER_SKIP, 2};
}

static void fill_power_bert(rung_policy *policy)
{
    fill_tangobert(policy);
    policy->variant = (rung_variant){RUNG_VARIANT_POWER_BERT, 0.5};
}

/* Where the number in parentheses goes. */
typedef enum parameter { NO_PARAMETER, LEVEL, SHARE, VARIANT } parameter;

static const struct {
    const char *name;
    void (*fill)(rung_policy *policy); /* over "rung"; NULL: nothing differs */
    parameter parameter;
    const char *example; /* NULL: it takes no number */
} named[] = {
    {"rung", NULL, NO_PARAMETER, NULL},
    {"paper", fill_paper, NO_PARAMETER, NULL},
    {"tabi", fill_tabi, NO_PARAMETER, NULL},
    {"tangobert", fill_tangobert, NO_PARAMETER, NULL},
    {"single", fill_tangobert, LEVEL, "single(2)"},
    {"pabee", fill_pabee, NO_PARAMETER, NULL},
    {"branchynet", fill_entropy, NO_PARAMETER, NULL},
    {"deebert", fill_entropy, NO_PARAMETER, NULL},
    {"f-pabee", fill_f_pabee, NO_PARAMETER, NULL},
    {"cocktail", fill_cocktail, NO_PARAMETER, NULL},
    {"random", fill_random, SHARE, "random(0.3)"},
    {"layer-skip", fill_layer_skip, VARIANT, "layer-skip(2)"},
    {"power-bert", fill_power_bert, VARIANT, "power-bert(0.5)"},
};

#define NUM_POLICIES (sizeof named / sizeof named[0])

const char *const *rung_policy_names(size_t *count)
{
    static const char *const names[] = {"rung",   "paper",      "tabi",      "tangobert", "single",
                                        "pabee",  "branchynet", "deebert",   "f-pabee",   "cocktail",
                                        "random", "layer-skip", "power-bert"};
    _Static_assert(sizeof names / sizeof names[0] == NUM_POLICIES, "a name for each policy");
    *count = NUM_POLICIES;
    return names;
}

static rung_status refuse_name(const char *name, rung_error *error)
{
    return rung_fail(
        error, RUNG_NOT_FOUND,
        "policy.name \"%.64s\" is unknown; use rung, paper, tabi, tangobert, single, single(LEVEL), pabee, branchynet, "
        "deebert, f-pabee, cocktail, random(SHARE), layer-skip(SPEEDUP) or power-bert(SHARE)",
        name);
}

/* A known name with something behind it that it does not take. */
static rung_status refuse_number(const char *name, size_t which, rung_error *error)
{
    if (named[which].example == NULL) {
        return rung_fail(error, RUNG_INVALID, "policy \"%.64s\": %s takes no number", name, named[which].name);
    }
    return rung_fail(error, RUNG_INVALID, "policy \"%.64s\": %s takes a number in parentheses, as %s", name,
                     named[which].name, named[which].example);
}

/* The number of "name(number)"; NaN: there is none. False when what follows the name is something else. */
static bool read_parameter(const char *after, double *value)
{
    *value = NAN;
    if (*after == '\0') {
        return true;
    }
    size_t digits = *after == '(' ? strspn(after + 1, "0123456789.") : 0;
    if (digits == 0 || strcmp(after + 1 + digits, ")") != 0) {
        return false;
    }
    char *end;
    *value = strtod(after + 1, &end);
    return end == after + 1 + digits;
}

static rung_status set_level(double value, uint32_t num_levels, rung_policy *policy, rung_error *error)
{
    if (isnan(value)) {
        policy->first_compute_level = num_levels;
        return RUNG_OK;
    }
    if (!(value >= 1 && value <= num_levels && value == (uint32_t)value)) {
        return rung_fail(error, RUNG_INVALID, "policy.name single(%g): the cascade has the levels 1 to %u", value,
                         num_levels);
    }
    policy->first_compute_level = (uint32_t)value;
    policy->members = 1u << ((uint32_t)value - 1);
    return RUNG_OK;
}

static rung_status set_parameter(parameter which, double value, uint32_t num_levels, rung_policy *policy,
                                 rung_error *error)
{
    if (which == LEVEL) {
        return set_level(value, num_levels, policy, error);
    }
    if (which == SHARE && !isnan(value)) {
        policy->offload.share = value;
    } else if (which == VARIANT && !isnan(value)) {
        policy->variant.amount = value;
    }
    return rung_policy_check(policy, NULL, error);
}

rung_status rung_policy_defaults(const char *name, uint32_t num_levels, rung_policy *policy, rung_error *error)
{
    if (num_levels < 1 || num_levels > RUNG_MAX_LEVELS) {
        return rung_fail(error, RUNG_INVALID, "a cascade of %u levels; it must have 1 to %d", num_levels,
                         RUNG_MAX_LEVELS);
    }
    rung_policy filled;
    size_t base = strcspn(name, "(");
    for (size_t i = 0; i < NUM_POLICIES; i++) {
        double value;
        if (strlen(named[i].name) != base || strncmp(named[i].name, name, base) != 0) {
            continue;
        }
        if (strlen(name) >= sizeof filled.name || !read_parameter(name + base, &value) ||
            (named[i].parameter == NO_PARAMETER && !isnan(value))) {
            return refuse_number(name, i, error);
        }
        fill_rung(&filled);
        if (named[i].fill != NULL) {
            named[i].fill(&filled);
        }
        memcpy(filled.name, name, strlen(name) + 1);
        rung_status status = set_parameter(named[i].parameter, value, num_levels, &filled, error);
        if (status == RUNG_OK) {
            *policy = filled;
        }
        return status;
    }
    return refuse_name(name, error);
}

uint32_t rung_policy_top_level(const rung_policy *policy, uint32_t num_levels)
{
    uint32_t top = num_levels;
    while (policy->members != 0 && top > 1 && (policy->members >> (top - 1) & 1) == 0) {
        top--;
    }
    return top;
}

bool rung_policy_leaves_early(const rung_policy *policy)
{
    bool leaves = policy->exit.rule != RUNG_EXIT_OFF;
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        leaves = leaves || policy->offload.early[l] > 0 || policy->offload.speculate[l] > 0;
    }
    return leaves;
}

uint32_t rung_policy_importance_layers(const rung_policy *policy, uint32_t num_layers)
{
    if (policy->all_layer_importance || !rung_policy_leaves_early(policy)) {
        return num_layers;
    }
    return policy->exit.first_layer < num_layers ? policy->exit.first_layer : num_layers;
}
