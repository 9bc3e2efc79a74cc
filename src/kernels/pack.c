/* pack.c: weights between their row-major form and the panels that every table multiplies with. Called when a model is
 * loaded, quantised or written; never in the layer loop. Must not know which table will read the panels. */
#include "base/checked.h"
#include "kernels/kernels.h"

#include <string.h>

/* Four k of a panel, as they lie. */
#define STEP_BYTES ((size_t)RUNG_PANEL * 4)

/* So many int8 values fit into a sum of 16 bits, of which a vector holds twice as many as of 32: 255 * 128 < 2^15. */
#define MAX_LANE_STEPS ((size_t)255)

size_t rung_linear_s8_panel_bytes(size_t in_features, size_t out_features)
{
    return rung_round_up(out_features, RUNG_PANEL) * rung_round_up(in_features, 4);
}

/* Where W[row][k] lies. */
static size_t s8_offset(size_t in_features, size_t row, size_t k)
{
    size_t panel_bytes = RUNG_PANEL * rung_round_up(in_features, 4);
    return row / RUNG_PANEL * panel_bytes + (k / 4 * RUNG_PANEL + row % RUNG_PANEL) * 4 + k % 4;
}

/* Adds `steps` steps of a panel, at most MAX_LANE_STEPS of them, to its sums. */
static void add_steps(const int8_t *panel, size_t steps, int32_t sums[RUNG_PANEL])
{
    int16_t lanes[STEP_BYTES] = {0};
    for (size_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < STEP_BYTES; i++) {
            lanes[i] = (int16_t)(lanes[i] + panel[step * STEP_BYTES + i]);
        }
    }
    for (size_t i = 0; i < STEP_BYTES; i++) {
        sums[i / 4] += lanes[i];
    }
}

void rung_column_sums_s8(const int8_t *panels, size_t in_features, size_t out_features, int32_t *column_sums)
{
    size_t steps = rung_round_up(in_features, 4) / 4;
    size_t columns = rung_round_up(out_features, RUNG_PANEL);
    memset(column_sums, 0, columns * sizeof *column_sums);
    for (size_t column = 0; column < columns; column += RUNG_PANEL) {
        for (size_t left = steps; left > 0;) {
            size_t some = left < MAX_LANE_STEPS ? left : MAX_LANE_STEPS;
            add_steps(panels, some, column_sums + column);
            panels += some * STEP_BYTES;
            left -= some;
        }
    }
}

void rung_pack_s8(const int8_t *w, size_t in_features, size_t out_features, int8_t *panels, int32_t *column_sums)
{
    memset(panels, 0, rung_linear_s8_panel_bytes(in_features, out_features));
    for (size_t row = 0; row < out_features; row++) {
        for (size_t k = 0; k < in_features; k++) {
            panels[s8_offset(in_features, row, k)] = w[row * in_features + k];
        }
    }
    rung_column_sums_s8(panels, in_features, out_features, column_sums);
}

void rung_unpack_s8(const rung_linear_s8 *w, int8_t *out)
{
    for (size_t row = 0; row < w->out_features; row++) {
        for (size_t k = 0; k < w->in_features; k++) {
            out[row * w->in_features + k] = w->panels[s8_offset(w->in_features, row, k)];
        }
    }
}

size_t rung_linear_f32_panel_floats(size_t in_features, size_t out_features)
{
    return rung_round_up(out_features, RUNG_PANEL) * in_features;
}

void rung_pack_f32(const float *w, size_t in_features, size_t out_features, float *panels)
{
    memset(panels, 0, rung_linear_f32_panel_floats(in_features, out_features) * sizeof *panels);
    for (size_t row = 0; row < out_features; row++) {
        float *column = panels + row / RUNG_PANEL * RUNG_PANEL * in_features + row % RUNG_PANEL;
        for (size_t k = 0; k < in_features; k++) {
            column[k * RUNG_PANEL] = w[row * in_features + k];
        }
    }
}
