/* profile.c: measures the levels of a cascade. See profile.h. */
#include "fit/profile.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/prng.h"
#include "cascade/confidence.h"
#include "fit/record.h"
#include "model/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LOADS 3
#define WARM_UP_RUNS 2

static const size_t all_lengths[RUNG_PROFILE_MAX_LENGTHS] = {8, 16, 32, 64, 128, 256, 384, 512};

/* Plain English of RUNG_PROFILE_TEXT_BYTES bytes is made of it. */
static const char sentence[] = "The film begins slowly, but its second half is a warm and funny story that stays with "
                               "you; the actors are wonderful, and even the smallest part feels true. ";

/* What one level is measured with. */
typedef struct bench {
    const rung_model *model;
    rung_batch batch;
    int32_t *ids;    /* [longest] any ids: time does not depend on them */
    uint8_t *types;  /* [longest] */
    float *logits;   /* [num_labels] */
    double *samples; /* [repeats, num_lengths, num_exits] seconds */
    double *sorted;  /* [repeats] */
    size_t repeats;
} bench;

void rung_profile_deinit(rung_profile *profile)
{
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        free(profile->levels[l].exits);
    }
    *profile = (rung_profile){0};
}

static void choose_lengths(const rung_model *model, rung_profile_level *out)
{
    size_t limit = model->config.max_tokens;
    out->num_lengths = 0;
    for (size_t i = 0; i < RUNG_PROFILE_MAX_LENGTHS && all_lengths[i] <= limit; i++) {
        out->lengths[out->num_lengths++] = all_lengths[i];
    }
    /* The limit itself when it lies between two of them. */
    size_t last = out->num_lengths == 0 ? 0 : out->lengths[out->num_lengths - 1];
    if (out->num_lengths < RUNG_PROFILE_MAX_LENGTHS && last < limit) {
        out->lengths[out->num_lengths++] = limit;
    }
}

static rung_status find_exits(const rung_model *model, rung_profile_level *out, rung_error *error)
{
    out->exits = rung_alloc(model->config.num_layers, sizeof *out->exits, "exits", error);
    if (out->exits == NULL) {
        return RUNG_NO_MEMORY;
    }
    out->num_exits = 0;
    for (size_t layer = 0; layer < model->config.num_layers; layer++) {
        if (rung_model_has_exit(model, layer)) {
            out->exits[out->num_exits++].layer = (uint32_t)layer + 1;
        }
    }
    return RUNG_OK;
}

static void close_bench(bench *with)
{
    rung_batch_deinit(&with->batch);
    free(with->ids);
    free(with->types);
    free(with->logits);
    free(with->samples);
    free(with->sorted);
}

static rung_status open_bench(const rung_model *model, const rung_kernels *kernels, size_t longest, size_t repeats,
                              size_t num_samples, bench *with, rung_error *error)
{
    rung_prng prng = {1};
    *with = (bench){.model = model, .repeats = repeats};
    with->ids = rung_alloc(longest, sizeof *with->ids, "tokens", error);
    with->types = rung_alloc(longest, sizeof *with->types, "tokens", error);
    with->logits = rung_alloc(model->config.num_labels, sizeof *with->logits, "logits", error);
    with->samples = rung_alloc(num_samples, sizeof *with->samples, "measurements", error);
    with->sorted = rung_alloc(repeats, sizeof *with->sorted, "measurements", error);
    if (with->ids == NULL || with->types == NULL || with->logits == NULL || with->samples == NULL ||
        with->sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < longest; i++) {
        with->ids[i] = (int32_t)rung_prng_below(&prng, model->config.vocab_size);
    }
    return rung_batch_init(&with->batch, model, kernels, longest, 1, error);
}

/* One text through all layers. seconds [num_exits]: embedding and layers up to each exit, and that exit's head. */
static void run_once(bench *with, size_t tokens, double *seconds)
{
    double before = rung_thread_cpu_s();
    double layers = 0;
    size_t exit = 0;
    rung_batch_clear(&with->batch);
    rung_batch_add(&with->batch, with->ids, with->types, tokens);
    for (size_t layer = 0; layer < with->model->config.num_layers; layer++) {
        rung_encoder_layer(&with->batch, layer, false);
        double now = rung_thread_cpu_s();
        layers += now - before;
        before = now;
        if (rung_model_has_exit(with->model, layer)) {
            rung_exit_logits(&with->batch, layer, 0, with->logits);
            before = rung_thread_cpu_s();
            seconds[exit++] = layers + (before - now);
        }
    }
}

/* Lengths take turns, so that a slow second of the machine is not one length's. */
static void measure_lengths(bench *with, const rung_profile_level *level, const rung_progress *progress,
                            const char *name)
{
    size_t stride = level->num_lengths * level->num_exits;
    for (size_t i = 0; i < WARM_UP_RUNS; i++) {
        run_once(with, level->lengths[level->num_lengths - 1], with->samples);
    }
    for (size_t r = 0; r < with->repeats; r++) {
        for (size_t l = 0; l < level->num_lengths; l++) {
            run_once(with, level->lengths[l], with->samples + r * stride + l * level->num_exits);
        }
        rung_progress_report(progress, name, r + 1, with->repeats);
    }
}

static rung_status summarise(bench *with, rung_profile_level *level, rung_error *error)
{
    size_t stride = level->num_lengths * level->num_exits;
    for (size_t e = 0; e < level->num_exits; e++) {
        double tokens[RUNG_PROFILE_MAX_LENGTHS];
        double ms[RUNG_PROFILE_MAX_LENGTHS];
        for (size_t l = 0; l < level->num_lengths; l++) {
            for (size_t r = 0; r < with->repeats; r++) {
                /* A clock that stands still between two readings may not give 0 ms. */
                with->sorted[r] = fmax(with->samples[r * stride + l * level->num_exits + e] * 1e3, 1e-6);
            }
            rung_sort(with->sorted, with->repeats);
            level->exits[e].times[l] = (rung_profile_time){.median_ms = rung_quantile(with->sorted, with->repeats, 0.5),
                                                           .p10_ms = rung_quantile(with->sorted, with->repeats, 0.1),
                                                           .p90_ms = rung_quantile(with->sorted, with->repeats, 0.9)};
            tokens[l] = (double)level->lengths[l];
            ms[l] = level->exits[e].times[l].median_ms;
        }
        rung_status status = rung_latency_fit(tokens, ms, level->num_lengths, &level->exits[e].curve, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status measure_tokenizer(bench *with, rung_profile_level *level, rung_error *error)
{
    char text[RUNG_PROFILE_TEXT_BYTES];
    rung_encoding encoding = {0};
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = sentence[i % (sizeof sentence - 1)];
    }
    for (size_t r = 0; status == RUNG_OK && r < with->repeats + WARM_UP_RUNS; r++) {
        double before = rung_thread_cpu_s();
        status = rung_tokenize(with->model->tokenizer, (rung_text){text, sizeof text}, NULL,
                               with->model->config.max_tokens, &encoding, error);
        with->sorted[r < WARM_UP_RUNS ? 0 : r - WARM_UP_RUNS] = (rung_thread_cpu_s() - before) * 1e3;
    }
    rung_encoding_deinit(&encoding);
    if (status == RUNG_OK) {
        rung_sort(with->sorted, with->repeats);
        level->tokenize_ms = rung_quantile(with->sorted, with->repeats, 0.5);
    }
    return status;
}

/* Loads the model again, alone, a few times: how long that takes, and how much more memory the process has after the longest text. */
static rung_status measure_load(const rung_cascade *cascade, const rung_model *loaded, size_t repeats,
                                rung_profile_level *level, rung_error *error)
{
    double load_ms[MOST_LOADS];
    size_t count = repeats < MOST_LOADS ? repeats : MOST_LOADS;
    size_t longest = level->lengths[level->num_lengths - 1];
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        rung_model *model = NULL;
        bench with = {0};
        size_t before = rung_resident_bytes();
        double started_s = rung_clock_s();
        status = rung_model_open(loaded->path, loaded->precision, &model, error);
        load_ms[i] = (rung_clock_s() - started_s) * 1e3;
        if (status == RUNG_OK && i == 0) {
            status = open_bench(model, cascade->kernels, longest, 1, model->config.num_layers, &with, error);
        }
        if (status == RUNG_OK && i == 0) {
            run_once(&with, longest, with.samples);
            size_t after = rung_resident_bytes();
            level->resident_bytes = after > before ? after - before : 0;
            level->scratch_bytes = with.batch.memory_bytes;
        }
        close_bench(&with);
        rung_model_close(model);
    }
    if (status == RUNG_OK) {
        rung_sort(load_ms, count);
        level->load_ms = rung_quantile(load_ms, count, 0.5);
    }
    return status;
}

static rung_status measure_level(const rung_cascade *cascade, uint32_t index, size_t repeats,
                                 const rung_progress *progress, rung_profile_level *level, rung_error *error)
{
    const rung_model *model = cascade->level[index].model;
    bench with = {0};
    choose_lengths(model, level);
    rung_status status = find_exits(model, level, error);
    size_t longest = level->lengths[level->num_lengths - 1];
    if (status == RUNG_OK) {
        level->weight_bytes = rung_model_memory_bytes(model);
        status = measure_load(cascade, model, repeats, level, error);
    }
    if (status == RUNG_OK) {
        status = open_bench(model, cascade->kernels, longest, repeats, repeats * level->num_lengths * level->num_exits,
                            &with, error);
    }
    if (status == RUNG_OK) {
        measure_lengths(&with, level, progress, cascade->level[index].name);
        status = summarise(&with, level, error);
    }
    if (status == RUNG_OK) {
        status = measure_tokenizer(&with, level, error);
    }
    close_bench(&with);
    return status;
}

/* Probabilities [count, num_classes] of one exit of a record: as calibrated, or (NULL) the plain softmax. */
static void probabilities_of(const rung_cascade *cascade, const float *logits, size_t count, size_t layers,
                             uint32_t layer, const rung_level_calibration *calibration, double *out)
{
    size_t classes = cascade->num_classes;
    for (size_t i = 0; i < count; i++) {
        const float *row = logits + (i * layers + layer - 1) * classes;
        if (calibration == NULL) {
            rung_softmax(row, classes, 1, out + i * classes);
        } else {
            rung_calibrated_probabilities(calibration, layer, row, classes, out + i * classes);
        }
    }
}

static rung_status score_level(const rung_cascade *cascade, uint32_t index, const rung_dataset *data,
                               const rung_progress *progress, rung_profile_level *level, rung_error *error)
{
    size_t layers = cascade->level[index].model->config.num_layers;
    size_t classes = cascade->num_classes;
    const rung_level_calibration *calibration = &cascade->calibration.level[index];
    float *logits = rung_alloc(data->count, layers * classes * sizeof *logits, "logits", error);
    double *p = rung_alloc(data->count, classes * sizeof *p, "probabilities", error);
    rung_status status = logits == NULL || p == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = rung_fit_record(cascade, index + 1, data->inputs, data->count, progress, logits, error);
    }
    for (size_t e = 0; status == RUNG_OK && e < level->num_exits; e++) {
        rung_profile_exit *exit = &level->exits[e];
        exit->temperature = calibration->temperature[exit->layer - 1];
        probabilities_of(cascade, logits, data->count, layers, exit->layer, NULL, p);
        status = rung_scores_of(p, data->labels, data->count, classes, &exit->raw, error);
        if (status == RUNG_OK) {
            probabilities_of(cascade, logits, data->count, layers, exit->layer, calibration, p);
            status = rung_scores_of(p, data->labels, data->count, classes, &exit->calibrated, error);
        }
        exit->has_scores = status == RUNG_OK;
    }
    free(logits);
    free(p);
    return status;
}

rung_status rung_profile_measure(const rung_cascade *cascade, size_t repeats, const rung_dataset *data,
                                 const rung_progress *progress, rung_profile *profile, rung_error *error)
{
    rung_profile made = {.num_levels = cascade->num_levels};
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = measure_level(cascade, l, repeats, progress, &made.levels[l], error);
    }
    for (uint32_t l = 0; status == RUNG_OK && data != NULL && l < cascade->num_levels; l++) {
        status = score_level(cascade, l, data, progress, &made.levels[l], error);
    }
    if (status != RUNG_OK) {
        rung_profile_deinit(&made);
        return status;
    }
    *profile = made;
    return RUNG_OK;
}
