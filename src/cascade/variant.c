/* variant.c: which layers and tokens each variant keeps. Called by src/run/batch_run.c. Must not know models and batches. See variant.h. */
#include "cascade/variant.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What rounding may add to a product that is a whole number. */
#define ROUNDING 1e-9

bool rung_variant_equal(const rung_variant *a, const rung_variant *b)
{
    return a->kind == b->kind && (a->kind == RUNG_VARIANT_NONE || a->amount == b->amount);
}

void rung_layer_skip(uint32_t num_layers, double speedup, bool *keep)
{
    assert(num_layers >= 1 && speedup > 1);
    uint32_t wanted = (uint32_t)((double)num_layers / speedup);
    wanted = wanted < 2 ? 2 : wanted;
    uint32_t interval = num_layers / (wanted - 1);
    uint32_t kept = num_layers > 1 ? 2 : 1; /* the first and the last */
    for (uint32_t i = 0; i < num_layers; i++) {
        bool outer = i == 0 || i + 1 == num_layers;
        bool inner = !outer && i % interval == 0 && kept < wanted;
        keep[i] = outer || inner;
        kept += inner;
    }
}

size_t rung_power_keep(size_t num_tokens, uint32_t layer, uint32_t num_layers, double final_share)
{
    assert(num_tokens >= 1 && layer <= num_layers && num_layers >= 1 && final_share > 0 && final_share <= 1);
    double share = 1 - (double)layer * (1 - final_share) / (double)num_layers;
    share = share > final_share ? share : final_share;
    double count = ceil((double)num_tokens * share - ROUNDING);
    return count > 1 ? (size_t)count : 1;
}

void rung_power_mark(const float *sums, size_t num_tokens, size_t count, bool *keep)
{
    assert(count >= 1 && count <= num_tokens);
    memset(keep, true, num_tokens * sizeof *keep);
    /* Few tokens go after one layer. Whatever the sums are, each round takes one, so NaN changes no count. */
    for (size_t left = num_tokens; left > count; left--) {
        size_t least = 0;
        for (size_t i = 1; i < num_tokens; i++) {
            if (keep[i] && (least == 0 || !(sums[i] > sums[least]))) {
                least = i;
            }
        }
        keep[least] = false;
    }
}
