/* methods.h: the methods that are compared: a policy by name, and what each of them may tune. Called by study runs of `rung eval`. */
#ifndef RUNG_EVAL_METHODS_H
#define RUNG_EVAL_METHODS_H

#include "plan/tune.h"

typedef struct rung_method {
    const char *name;   /* in tables */
    const char *policy; /* whose defaults it starts from */
    rung_knob knobs[RUNG_TUNE_MAX_KNOBS];
    size_t num_knobs;
} rung_method;

/* Parts of "rung" that an ablation takes away. */
typedef enum rung_part {
    RUNG_PART_NONE = 0,
    RUNG_PART_PRUNING = 1,
    RUNG_PART_ENSEMBLE = 2, /* the last level answers alone */
    RUNG_PART_EARLY_EXIT = 4,
    RUNG_PART_POOLED = 8, /* the level's own confidence decides */
    RUNG_PART_EARLY_OFFLOAD = 16,
    RUNG_PART_SPECULATION = 32,
    RUNG_PART_SKIPPING = 64, /* of levels, for a request or for all */
    RUNG_PART_LEARNED = 128, /* learned deferral */
} rung_part;

/* "rung" with all that it may do but for `without` (rung_part bits). Learned deferral is offered where the cascade's calibration has it for every level below the
 * top. */
void rung_method_rung(const rung_cascade *cascade, unsigned without, rung_method *method);

/* A baseline by its policy's name: "tabi", "tangobert", "pabee", "branchynet", "deebert", "f-pabee", "cocktail", "layer-skip", "power-bert", "random", "single", "paper". */
rung_status rung_method_baseline(const rung_cascade *cascade, const char *name, rung_method *method,
                                 rung_error *error) RUNG_WARN_UNUSED;

#endif
