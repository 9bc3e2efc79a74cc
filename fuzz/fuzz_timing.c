/* fuzz_timing.c: any bytes as a profile that a replay kept. What is accepted has levels and exits inside the limits, and times that can be counted with; what is
 * refused changes nothing and is named. */
#include "replay/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void use(const rung_timing *timing)
{
    require(timing->num_levels >= 1 && timing->num_levels <= RUNG_MAX_LEVELS);
    for (uint32_t l = 0; l < timing->num_levels; l++) {
        const rung_level_timing *level = &timing->level[l];
        require(level->num_layers >= 1 && level->num_layers <= RUNG_TIMING_MAX_LAYERS);
        require(level->tokenize_ms_per_byte >= 0 && isfinite(level->tokenize_ms_per_byte));
        for (uint32_t e = 0; e < level->num_layers; e++) {
            const rung_latency_curve *curve = &level->exits[e];
            require(curve->a_ms >= 0 && curve->b_ms_per_token >= 0 && curve->c_ms_per_token2 >= 0);
            require(isfinite(curve->a_ms + 0 * curve->b_ms_per_token + 0 * curve->c_ms_per_token2));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_timing timing = {.num_levels = 99};
    rung_error error = {0};
    rung_status status = rung_timing_parse((const char *)data, size, "profile.json", "fuzz", &timing, &error);
    if (status == RUNG_OK) {
        use(&timing);
    } else {
        require(timing.num_levels == 99 && error.code == status && strncmp(error.message, "profile.json: ", 14) == 0);
        require(status == RUNG_INVALID || status == RUNG_MISMATCH);
    }
    return 0;
}
