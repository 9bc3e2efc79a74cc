/* bench_encoder.c: a row of `rung bench`: batches of random tokens through the encoder, in turn with samples of the peak of the same kernels. See
 * bench.h. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/prng.h"
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>

#define WARM_UP_RUNS 3

double bench_operations(const rung_model_config *config, size_t tokens, double *parts)
{
    double rows = 2 * (double)config->num_layers * (double)tokens * (double)config->hidden_size;
    double hidden = (double)config->hidden_size;
    double inner = (double)config->intermediate_size;
    const double ops[RUNG_ENCODER_PARTS] = {
        [RUNG_PART_QKV] = rows * 3 * hidden,          [RUNG_PART_ATTENTION] = rows * 2 * (double)tokens,
        [RUNG_PART_ATTENTION_OUTPUT] = rows * hidden, [RUNG_PART_FFN_IN] = rows * inner,
        [RUNG_PART_FFN_OUT] = rows * inner,
    };
    double total = 0;
    for (size_t i = 0; i < RUNG_ENCODER_PARTS; i++) {
        total += ops[i];
        if (parts != NULL) {
            parts[i] += ops[i];
        }
    }
    return total;
}

void bench_run_layers(rung_batch *batch)
{
    float logits[RUNG_MAX_LABELS];
    size_t layers = batch->model->config.num_layers;
    for (size_t layer = 0; layer < layers; layer++) {
        rung_encoder_layer(batch, layer, false);
    }
    bool classifies = rung_model_has_exit(batch->model, layers - 1); /* a plain encoder does not */
    for (size_t i = 0; classifies && i < batch->num_sequences; i++) {
        rung_exit_logits(batch, layers - 1, i, logits);
    }
}

/* One row while it is measured. */
typedef struct encoder_bench {
    const bench_row *row;
    bench_crew crew;
    size_t num_batches;
    rung_batch *batches; /* [num_batches] */
    int32_t *ids;        /* [tokens] any: time does not depend on them */
    uint8_t *types;      /* [tokens] */
    double *run_s;       /* [repeats] */
    double *cpu_s;       /* [repeats] */
    double *peaks;       /* [repeats] */
} encoder_bench;

static void run_batch(void *context, size_t thread)
{
    const encoder_bench *bench = context;
    rung_batch *batch = &bench->batches[thread];
    rung_batch_clear(batch);
    for (size_t i = 0; i < bench->row->batch; i++) {
        rung_batch_add(batch, bench->ids, bench->types, bench->row->tokens);
    }
    bench_run_layers(batch);
}

static bench_time run_once(encoder_bench *bench)
{
    if (!bench->row->split) {
        return bench_crew_run(&bench->crew, run_batch, bench);
    }
    double started_s = rung_clock_s();
    double cpu_s = rung_thread_cpu_s();
    run_batch(bench, 0);
    return (bench_time){.wall_s = rung_clock_s() - started_s, .cpu_s = rung_thread_cpu_s() - cpu_s};
}

/* Times the parts of one batch. */
typedef struct stopwatch {
    double before_s;
    double part_s[RUNG_ENCODER_PARTS];
} stopwatch;

static void take_time(void *context, rung_encoder_part part)
{
    stopwatch *watch = context;
    double now_s = rung_clock_s();
    watch->part_s[part] += now_s - watch->before_s;
    watch->before_s = now_s;
}

static void run_timed(void *context, size_t thread)
{
    encoder_bench *bench = context;
    const rung_encoder_probe *probe = bench->batches[thread].probe;
    if (probe != NULL) {
        stopwatch *watch = probe->context;
        *watch = (stopwatch){.before_s = rung_clock_s()};
    }
    run_batch(bench, thread);
}

/* In runs of their own: looking at the clock takes time. The other threads run as well. */
static rung_status measure_parts(encoder_bench *bench, bench_result *result, rung_error *error)
{
    size_t repeats = bench->row->repeats;
    double *samples = rung_alloc(RUNG_ENCODER_PARTS * repeats, sizeof *samples, "measurements", error);
    if (samples == NULL) {
        return RUNG_NO_MEMORY;
    }
    stopwatch watch;
    const rung_encoder_probe probe = {.done = take_time, .context = &watch};
    bench->batches[0].probe = &probe;
    for (size_t i = 0; i < repeats; i++) {
        bench_crew_run(&bench->crew, run_timed, bench);
        for (size_t part = 0; part < RUNG_ENCODER_PARTS; part++) {
            samples[part * repeats + i] = watch.part_s[part];
        }
    }
    bench->batches[0].probe = NULL;
    for (size_t part = 0; part < RUNG_ENCODER_PARTS; part++) {
        result->part_s[part] = bench_spread_of(samples + part * repeats, repeats).median;
    }
    result->has_parts = true;
    free(samples);
    return RUNG_OK;
}

static rung_status measure(encoder_bench *bench, bool with_parts, bench_result *result, rung_error *error)
{
    const bench_row *row = bench->row;
    bench_peak peak = bench_peak_prepare(row->kernels, row->model->precision);
    for (size_t i = 0; i < WARM_UP_RUNS; i++) {
        run_once(bench);
    }
    for (size_t i = 0; i < row->repeats; i++) {
        bench_time time = run_once(bench);
        bench->run_s[i] = time.wall_s;
        bench->cpu_s[i] = time.cpu_s;
        bench->peaks[i] = bench_peak_sample(&peak, &bench->crew);
    }
    *result = (bench_result){.run_s = bench_spread_of(bench->run_s, row->repeats),
                             .cpu_s = bench_spread_of(bench->cpu_s, row->repeats).median,
                             .peak = bench_spread_of(bench->peaks, row->repeats)};
    for (size_t i = 0; i < row->batch; i++) {
        result->operations += bench_operations(&row->model->config, row->tokens, result->part_ops);
    }
    result->operations *= (double)bench->num_batches;
    return with_parts ? measure_parts(bench, result, error) : RUNG_OK;
}

static rung_status prepare(encoder_bench *bench, rung_error *error)
{
    const bench_row *row = bench->row;
    bench->ids = rung_alloc(row->tokens, sizeof *bench->ids, "tokens", error);
    bench->types = rung_alloc(row->tokens, sizeof *bench->types, "tokens", error);
    bench->run_s = rung_alloc(row->repeats, sizeof *bench->run_s, "measurements", error);
    bench->cpu_s = rung_alloc(row->repeats, sizeof *bench->cpu_s, "measurements", error);
    bench->peaks = rung_alloc(row->repeats, sizeof *bench->peaks, "measurements", error);
    size_t wanted = row->split ? 1 : row->threads;
    bench->batches = rung_alloc(wanted, sizeof *bench->batches, "batches", error);
    if (bench->ids == NULL || bench->types == NULL || bench->run_s == NULL || bench->cpu_s == NULL ||
        bench->peaks == NULL || bench->batches == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_prng prng = {1};
    for (size_t i = 0; i < row->tokens; i++) {
        bench->ids[i] = (int32_t)rung_prng_below(&prng, row->model->config.vocab_size);
    }
    rung_status status = bench_crew_open(row->threads, &bench->crew, error);
    for (; status == RUNG_OK && bench->num_batches < wanted; bench->num_batches++) {
        status = rung_batch_init(&bench->batches[bench->num_batches], row->model, row->kernels,
                                 row->tokens * row->batch, row->batch, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return status == RUNG_OK && row->split ? rung_batch_share(&bench->batches[0], bench->crew.pool, error) : status;
}

rung_status bench_encoder(const bench_row *row, bool with_parts, bench_result *result, rung_error *error)
{
    encoder_bench bench = {.row = row};
    rung_status status = prepare(&bench, error);
    if (status == RUNG_OK) {
        status = measure(&bench, with_parts && !row->split, result, error);
    }
    for (size_t i = 0; i < bench.num_batches; i++) {
        rung_batch_deinit(&bench.batches[i]);
    }
    bench_crew_close(&bench.crew);
    free(bench.batches);
    free(bench.ids);
    free(bench.types);
    free(bench.run_s);
    free(bench.cpu_s);
    free(bench.peaks);
    return status;
}
