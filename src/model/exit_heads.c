/* exit_heads.c: the classifier after each layer ("process" of Eq 13): a linear head on the [CLS] state; the last layer's head is the model's
 * own classifier, behind its pooler where it has one. Called by src/run after rung_encoder_layer. */
#include "model/encoder.h"

#include <assert.h>
#include <math.h>

#define LANES 16

/* In the lane order of kernels.h: lane j takes elements j, j+16, ...; then lanes are added in halves. */
static float dot(const float *a, const float *b, size_t n)
{
    float lanes[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        lanes[i % LANES] = fmaf(a[i], b[i], lanes[i % LANES]);
    }
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}

void rung_exit_logits(rung_batch *batch, size_t layer, size_t sequence, float *logits)
{
    const rung_model *model = batch->model;
    const rung_exit_head *head = &model->exits[layer];
    size_t hidden = model->config.hidden_size;
    assert(rung_model_has_exit(model, layer) && sequence < batch->num_sequences);
    const float *state = batch->hidden + batch->starts[sequence] * hidden; /* [CLS] is the first token */
    if (layer + 1 == model->config.num_layers && model->pooler.panels != NULL) {
        batch->kernels->linear_f32(&model->pooler, state, hidden, 1, RUNG_EPILOGUE_NONE, NULL, batch->pooled, hidden);
        batch->kernels->tanh(batch->pooled, hidden, batch->pooled);
        state = batch->pooled;
    }
    for (size_t c = 0; c < model->config.num_labels; c++) {
        logits[c] = dot(head->weight + c * hidden, state, hidden) + head->bias[c];
    }
    rung_encoder_part_done(batch, RUNG_PART_EXIT);
}
