/* tape.c: readings and the numbers of cells. See tape.h. */
#include "replay/tape.h"

#include "cascade/variant.h"

rung_reading rung_reading_of(const rung_policy *policy)
{
    rung_reading reading = {.variant = policy->variant};
    if (policy->prune.enabled) {
        reading.prune = policy->prune;
        /* UINT32_MAX: as many as the model has. */
        uint32_t layers = rung_policy_importance_layers(policy, UINT32_MAX);
        reading.importance_layers = layers == UINT32_MAX ? 0 : layers;
    }
    return reading;
}

bool rung_reading_equal(const rung_reading *a, const rung_reading *b)
{
    return a->prune.enabled == b->prune.enabled && a->prune.alpha == b->prune.alpha && a->prune.unit == b->prune.unit &&
           a->importance_layers == b->importance_layers && rung_variant_equal(&a->variant, &b->variant);
}

uint32_t rung_cell_level(uint32_t cell)
{
    uint32_t level = 0;
    for (; cell != 0; cell >>= 1) {
        level++;
    }
    return level;
}
