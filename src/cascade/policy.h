/* policy.h: what decides: thresholds, rules and what was learned for them. Plain data, filled by src/config and src/fit, read by the
 * other files of src/cascade. No I/O, clock, allocation or model here. Numbers of equations are the paper's. */
#ifndef RUNG_CASCADE_POLICY_H
#define RUNG_CASCADE_POLICY_H

#include "base/status.h"

#define RUNG_MAX_LEVELS 8

typedef enum rung_exit_rule {
    RUNG_EXIT_OFF,   /* all layers run (tabi, tangobert) */
    RUNG_EXIT_PAPER, /* Eq 13-14 on the softmax without temperature */
    RUNG_EXIT_AGREE, /* same argmax, Jensen-Shannon divergence < tau, calibrated confidence >= confidence, patience times */
    RUNG_EXIT_PABEE,   /* same argmax patience times (Zhou et al. 2020) */
    RUNG_EXIT_ENTROPY, /* entropy of the softmax without temperature < the exit's threshold (BranchyNet, DeeBERT) */
    RUNG_EXIT_DIVERGENCE, /* Jensen-Shannon divergence of the softmax without temperature < tau, patience times (F-PABEE) */
} rung_exit_rule;

#define RUNG_EXIT_THRESHOLDS 32

typedef struct rung_exit_policy {
    rung_exit_rule rule;
    double tau;           /* >= 0; 0 never exits early */
    uint32_t patience;    /* p of Eq 14, >= 1 */
    double confidence;    /* c_e, for RUNG_EXIT_AGREE, in [0, 1] */
    uint32_t first_layer; /* first exit at which the request may stop, 1-based */
    /* For RUNG_EXIT_ENTROPY, in nats, >= 0, by exit (index exit - 1); the last one stands for all further exits. */
    double entropy[RUNG_EXIT_THRESHOLDS];
} rung_exit_policy;

typedef struct rung_offload_policy {
    double threshold[RUNG_MAX_LEVELS]; /* t by level (index level - 1) in [0, 1]; 1 always offloads */
    bool hard;                         /* p = 0 above t */
    double k;                          /* Eq 7, when not hard; > 0 */
    bool at_random;                    /* p = share, whatever the confidence (policy random) */
    double share;                      /* in [0, 1] */
    /* By level (index level - 1), in [0, 1], compared with a calibrated confidence, which is above 0: 0 never does it. */
    double skip[RUNG_MAX_LEVELS];  /* what goes up at or below it passes the next level by, when there is one beyond */
    double early[RUNG_MAX_LEVELS]; /* an exit from exit.first_layer on at or below it: stop there and go up */
    double speculate[RUNG_MAX_LEVELS]; /* exit.first_layer at or below it: ask the next level, and compute on meanwhile.
                                          Where it is above 0 all that goes up is what was known at that exit. */
} rung_offload_policy;

typedef enum rung_prune_unit {
    RUNG_PRUNE_AUTO, /* token where this and all further tokenizers match, else word */
    RUNG_PRUNE_TOKEN,
    RUNG_PRUNE_WORD,
} rung_prune_unit;

typedef struct rung_prune_policy {
    bool enabled;
    double alpha; /* Eq 10, >= 0 */
    rung_prune_unit unit;
} rung_prune_policy;

typedef enum rung_weights {
    RUNG_WEIGHTS_ACCURACY, /* proportional to each level's accuracy, Eq 11-12 */
    RUNG_WEIGHTS_LAST,     /* the last level visited answers alone (tangobert, single) */
    RUNG_WEIGHTS_FITTED,   /* of least negative log likelihood on the inputs that reach the set of levels visited */
    RUNG_WEIGHTS_VOTE, /* each level votes for its most probable class with the share of that class it got right (cocktail) */
} rung_weights;

/* A cheaper way to run a model, which needs no training (src/cascade/variant.h). */
typedef enum rung_variant_kind {
    RUNG_VARIANT_NONE,
    RUNG_VARIANT_LAYER_SKIP, /* amount: L layers become int(L / amount), > 1 */
    RUNG_VARIANT_POWER_BERT, /* amount: share of the tokens that is left after the last layer, in (0, 1] */
} rung_variant_kind;

typedef struct rung_variant {
    rung_variant_kind kind;
    double amount;
} rung_variant;

typedef enum rung_defer {
    RUNG_DEFER_CONFIDENCE,
    RUNG_DEFER_LEARNED, /* 1 - q(x), q: what the next level would add (deferral.h) */
} rung_defer;

typedef struct rung_policy {
    char name[32];
    uint64_t seed;
    rung_offload_policy offload;
    rung_prune_policy prune;
    rung_exit_policy exit;
    rung_weights weights;
    rung_defer defer;             /* what the threshold is compared with */
    bool pooled_decision;         /* the pooled confidence decides, else the level's own */
    bool raw_ensemble;            /* Eq 11 on the softmax without temperature (paper, tabi) */
    uint32_t first_compute_level; /* levels below it only pass the full text on; 1: all compute */
    uint32_t members;     /* bit l: level l + 1 computes, others pass on; the highest one is the top. 0: all levels */
    bool parallel;        /* every member gets the full text at once and all are pooled (cocktail) */
    rung_variant variant; /* of every model */
    bool all_layer_importance; /* Eq 9 over all layers (tabi) instead of the first exit.first_layer ones */
} rung_policy;

/* What was learned for one level. Arrays are lent and outlive every request. */
typedef struct rung_level_calibration {
    uint32_t num_exits;                   /* = layers of the model; exit e is the one after layer e, e = 1..num_exits */
    const double *temperature;            /* [num_exits], T of Eq 6 */
    const double *shape;                  /* [num_exits] of the logits (rung_shape_logits); NULL: 1 everywhere */
    double accuracy;                      /* of the last exit on calibration data, in [0, 1] */
    const struct rung_deferral *deferral; /* [num_exits] learned deferral by exit; NULL: none was fitted */
    const double
        *class_accuracy; /* [num_classes] share of each class that the last exit gets right; NULL: accuracy for all */
    bool multi_label;    /* every label is decided by itself: probabilities are sigmoids; the same at all levels */
} rung_level_calibration;

/* What was learned for one set of levels: how to add up their results (Eq 11-12), and the temperature of the sum, since a pool of calibrated
 * models is not calibrated. Sets that were not fitted have the temperatures 1 and weights of 0. */
typedef struct rung_pool {
    double accuracy_temperature;           /* of the pool with weights by accuracy */
    double fitted_temperature;             /* of the pool with the weights below */
    double fitted_weight[RUNG_MAX_LEVELS]; /* by level - 1, adding up to 1 over the set; all 0: not fitted */
} rung_pool;

typedef struct rung_calibration {
    uint32_t num_levels;
    uint32_t num_classes;
    rung_level_calibration level[RUNG_MAX_LEVELS];
    const rung_pool *pools; /* [1 << num_levels] by set of levels: bit l is level l + 1; NULL: none was fitted */
} rung_calibration;

/* Fills *policy with the defaults of a named policy: rung_policy_names lists them. Some take a number in parentheses: "single(2)" is level 2 alone ("single":
 * the top), "random(0.3)" sends 30 % up, "layer-skip(2)" and "power-bert(0.5)" as rung_variant says. RUNG_NOT_FOUND lists the names;
 * RUNG_INVALID says what is wrong with the number. */
rung_status rung_policy_defaults(const char *name, uint32_t num_levels, rung_policy *policy,
                                 rung_error *error) RUNG_WARN_UNUSED;

/* The names, in the order of documentation; static storage. */
const char *const *rung_policy_names(size_t *count);

/* Every field inside its range, and the calibration's too, else RUNG_INVALID names field, value and limit. Without a
 * calibration (NULL) only what does not depend on it is checked, for RUNG_MAX_LEVELS levels. */
rung_status rung_policy_check(const rung_policy *policy, const rung_calibration *calibration,
                              rung_error *error) RUNG_WARN_UNUSED;

/* The highest level that computes: num_levels, or the highest member. */
uint32_t rung_policy_top_level(const rung_policy *policy, uint32_t num_levels);

/* True when a request may leave a model before its last layer: early exit, early offload or speculation. */
bool rung_policy_leaves_early(const rung_policy *policy);

/* Eq 9's layers: how many of the first layers of a model with num_layers give the importance: all of them with
 * all_layer_importance or early exit off, else the first exit.first_layer ones. */
uint32_t rung_policy_importance_layers(const rung_policy *policy, uint32_t num_layers);

#endif
