/* bench.c: `rung bench`: the encoder against the peak that the same kernels reach on registers alone, measured in turn in the same run. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/parallel.h"
#include "base/prng.h"
#include "cli/cli.h"
#include "model/encoder.h"
#include "model/random_model.h"
#include "run/message.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEAK_SAMPLE_S 2e-3
#define WARM_UP_RUNS 3

/* The shapes that --shape names: layers, hidden, intermediate, heads. */
static const struct {
    const char *name;
    size_t num_layers, hidden_size, intermediate_size, num_heads;
} SHAPES[] = {
    {"bert-base", 12, 768, 3072, 12},
    {"minilm-l6", 6, 384, 1536, 12},
    {"minilm-l12", 12, 384, 1536, 12},
    {"tiny-l3", 3, 384, 1536, 12},
};

typedef struct bench_run {
    const rung_model *model;
    const rung_kernels *kernels;
    const char *name;
    size_t tokens, texts, threads, repeats;
    double peak_rounds_per_s;
    double *run_s;    /* [repeats] slowest thread's time for its batch */
    double *peak_ops; /* [repeats] all threads together, operations a second */
    pthread_barrier_t barrier;
    pthread_mutex_t lock; /* of the two arrays and status */
    rung_status status;
    rung_error error;
} bench_run;

/* Multiply-adds count two: projections, and both products of attention. */
static double operations(const rung_model_config *config, size_t tokens, size_t texts)
{
    double hidden = (double)config->hidden_size;
    double per_token = 2 * hidden * (4 * hidden + 2 * (double)config->intermediate_size);
    double attention = 4 * (double)tokens * hidden;
    return (double)config->num_layers * (double)(tokens * texts) * (per_token + attention);
}

static double run_peak(const bench_run *bench, size_t rounds)
{
    return bench->model->precision == RUNG_PRECISION_INT8 ? bench->kernels->peak_s8(rounds)
                                                          : bench->kernels->peak_f32(rounds);
}

static void run_once(const bench_run *bench, rung_batch *batch, const int32_t *ids, const uint8_t *types)
{
    float logits[RUNG_MAX_LABELS];
    rung_batch_clear(batch);
    for (size_t i = 0; i < bench->texts; i++) {
        rung_batch_add(batch, ids, types, bench->tokens);
    }
    size_t layers = bench->model->config.num_layers;
    for (size_t layer = 0; layer < layers; layer++) {
        rung_encoder_layer(batch, layer, false);
    }
    bool classifies = rung_model_has_exit(bench->model, layers - 1); /* a plain encoder does not */
    for (size_t i = 0; classifies && i < bench->texts; i++) {
        rung_exit_logits(batch, layers - 1, i, logits);
    }
}

/* One thread: its own batch, in step with the others; run and peak take turns. */
static void measure(bench_run *bench, rung_batch *batch, const int32_t *ids, const uint8_t *types)
{
    size_t rounds = (size_t)(bench->peak_rounds_per_s * PEAK_SAMPLE_S) + 1;
    for (size_t i = 0; i < WARM_UP_RUNS; i++) {
        run_once(bench, batch, ids, types);
    }
    for (size_t i = 0; i < bench->repeats; i++) {
        pthread_barrier_wait(&bench->barrier);
        double started_s = rung_clock_s();
        run_once(bench, batch, ids, types);
        double run_s = rung_clock_s() - started_s;
        pthread_barrier_wait(&bench->barrier);
        started_s = rung_clock_s();
        double ops = run_peak(bench, rounds);
        double peak = ops / (rung_clock_s() - started_s);
        pthread_mutex_lock(&bench->lock);
        bench->run_s[i] = fmax(bench->run_s[i], run_s);
        bench->peak_ops[i] += peak;
        pthread_mutex_unlock(&bench->lock);
    }
}

static void work(void *context, size_t worker)
{
    bench_run *shared = context;
    rung_batch batch = {0};
    rung_error error;
    int32_t *ids = rung_alloc(shared->tokens, sizeof *ids, "tokens", &error);
    uint8_t *types = rung_alloc(shared->tokens, sizeof *types, "tokens", &error);
    rung_status status = ids == NULL || types == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = rung_batch_init(&batch, shared->model, shared->kernels, shared->tokens * shared->texts, shared->texts,
                                 &error);
    }
    rung_prng prng = {worker};
    for (size_t i = 0; status == RUNG_OK && i < shared->tokens; i++) {
        ids[i] = (int32_t)rung_prng_below(&prng, shared->model->config.vocab_size);
    }
    pthread_mutex_lock(&shared->lock);
    if (status != RUNG_OK) {
        shared->status = status;
        shared->error = error;
    }
    pthread_mutex_unlock(&shared->lock);
    pthread_barrier_wait(&shared->barrier); /* all know whether all are ready */
    if (shared->status == RUNG_OK) {
        measure(shared, &batch, ids, types);
    }
    rung_batch_deinit(&batch);
    free(ids);
    free(types);
}

static void print_result(bench_run *bench, bool json)
{
    rung_sort(bench->run_s, bench->repeats);
    rung_sort(bench->peak_ops, bench->repeats);
    double median_s = rung_quantile(bench->run_s, bench->repeats, 0.5);
    double gops = operations(&bench->model->config, bench->tokens, bench->texts * bench->threads) / median_s / 1e9;
    double peak_gops = rung_quantile(bench->peak_ops, bench->repeats, 0.9) / 1e9;
    const char *precision = rung_precision_name(bench->model->precision);
    double low_ms = rung_quantile(bench->run_s, bench->repeats, 0.1) * 1e3;
    double high_ms = rung_quantile(bench->run_s, bench->repeats, 0.9) * 1e3;
    if (json) {
        rung_buffer name = {0};
        rung_message_string(&name, bench->name, strlen(bench->name));
        printf("{\"shape\":%s,\"tokens\":%zu,\"batch\":%zu,\"threads\":%zu,\"precision\":\"%s\",\"isa\":\"%s\","
               "\"repeats\":%zu,\"median_ms\":%.4g,\"p10_ms\":%.4g,\"p90_ms\":%.4g,\"gops\":%.4g,\"peak_gops\":%.4g,"
               "\"share\":%.3f}\n",
               name.data != NULL ? name.data : "\"\"", bench->tokens, bench->texts, bench->threads, precision,
               bench->kernels->name, bench->repeats, median_s * 1e3, low_ms, high_ms, gops, peak_gops,
               gops / peak_gops);
        rung_buffer_deinit(&name);
        return;
    }
    printf("%s, %zu tokens, %zu text%s a batch, %zu thread%s, %s, %s, %zu runs\n", bench->name, bench->tokens,
           bench->texts, bench->texts == 1 ? "" : "s", bench->threads, bench->threads == 1 ? "" : "s", precision,
           bench->kernels->name, bench->repeats);
    printf("  batch   %8.2f ms median (10 %%: %.2f, 90 %%: %.2f)\n", median_s * 1e3, low_ms, high_ms);
    printf("  work    %8.1f GOP/s\n  peak    %8.1f GOP/s (registers only, same run)\n  share   %8.1f %%\n", gops,
           peak_gops, 100 * gops / peak_gops);
}

static rung_status run_threads(bench_run *bench, rung_error *error)
{
    size_t rounds = 1 << 14;
    run_peak(bench, rounds); /* warm-up */
    double started_s = rung_clock_s();
    run_peak(bench, rounds);
    bench->peak_rounds_per_s = (double)rounds / (rung_clock_s() - started_s);
    bench->run_s = rung_alloc(bench->repeats, sizeof *bench->run_s, "measurements", error);
    bench->peak_ops = rung_alloc(bench->repeats, sizeof *bench->peak_ops, "measurements", error);
    if (bench->run_s == NULL || bench->peak_ops == NULL) {
        return RUNG_NO_MEMORY;
    }
    if (pthread_barrier_init(&bench->barrier, NULL, (unsigned)bench->threads) != 0) {
        return rung_fail(error, RUNG_IO, "cannot make a barrier for %zu threads", bench->threads);
    }
    pthread_mutex_init(&bench->lock, NULL);
    rung_parallel(bench->threads, work, bench);
    pthread_mutex_destroy(&bench->lock);
    pthread_barrier_destroy(&bench->barrier);
    if (bench->status != RUNG_OK) {
        *error = bench->error;
    }
    return bench->status;
}

static rung_status make_model(const rung_options *options, rung_model **model, const char **name, rung_error *error)
{
    bool int8 = strcmp(rung_options_text(options, RUNG_OPTION_PRECISION), "int8") == 0;
    rung_precision precision = int8 ? RUNG_PRECISION_INT8 : RUNG_PRECISION_FP32;
    const char *path = rung_options_text(options, RUNG_OPTION_MODEL);
    if (path != NULL) {
        *name = path;
        return rung_model_open(path, precision, model, error);
    }
    const char *shape = rung_options_text(options, RUNG_OPTION_SHAPE);
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        if (strcmp(SHAPES[i].name, shape) == 0) {
            rung_model_config config = {.num_layers = SHAPES[i].num_layers,
                                        .hidden_size = SHAPES[i].hidden_size,
                                        .intermediate_size = SHAPES[i].intermediate_size,
                                        .num_heads = SHAPES[i].num_heads,
                                        .max_tokens = 512,
                                        .num_labels = 2};
            *name = SHAPES[i].name;
            return rung_model_random(&config, precision, 1, model, error);
        }
    }
    return rung_fail(error, RUNG_NOT_FOUND, "shape %s is unknown", shape);
}

/* As many as there are processors, within what rung_parallel starts. */
static size_t default_threads(void)
{
    size_t processors = rung_processor_count();
    return processors < RUNG_MAX_THREADS ? processors : RUNG_MAX_THREADS;
}

int cli_bench(const rung_options *options)
{
    rung_error error;
    rung_model *model = NULL;
    size_t threads = (size_t)rung_options_integer(options, RUNG_OPTION_THREADS);
    bench_run bench = {.tokens = (size_t)rung_options_integer(options, RUNG_OPTION_TOKENS),
                       .texts = (size_t)rung_options_integer(options, RUNG_OPTION_BATCH),
                       .threads = threads > 0 ? threads : default_threads(),
                       .repeats = (size_t)rung_options_integer(options, RUNG_OPTION_REPEATS)};
    rung_status status = rung_kernels_select(cli_isa(options), &bench.kernels, &error);
    if (status == RUNG_OK) {
        status = make_model(options, &model, &bench.name, &error);
    }
    if (status == RUNG_OK && bench.tokens > model->config.max_tokens) {
        status = rung_fail(&error, RUNG_LIMIT, "--tokens %zu: %s reads at most %zu", bench.tokens, bench.name,
                           model->config.max_tokens);
    }
    if (status == RUNG_OK) {
        bench.model = model;
        status = run_threads(&bench, &error);
    }
    if (status == RUNG_OK) {
        print_result(&bench, rung_options_bool(options, RUNG_OPTION_JSON));
    }
    free(bench.run_s);
    free(bench.peak_ops);
    rung_model_close(model);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
