/* bench_peaks.c: `rung bench --peaks`: what this machine can do at most: each table of kernels on registers alone, and memory. See bench.h. */
#include "base/memory.h"
#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the memory that is read: so much, or so many times the last cache when that is more, within a limit. */
#define LEAST_BYTES ((size_t)256 << 20)
#define MOST_BYTES ((size_t)1 << 30)
#define CACHES 4

/* One line of the output, and where its samples come from. */
typedef struct peak_line {
    const char *what;
    const char *isa; /* NULL: none */
    const char *unit;
    double (*sample)(void *context, bench_crew *crew);
    void *context;
} peak_line;

static rung_status measure(const peak_line *line, bench_crew *crew, size_t repeats, bool json, rung_error *error)
{
    double *samples = rung_alloc(repeats, sizeof *samples, "measurements", error);
    if (samples == NULL) {
        return RUNG_NO_MEMORY;
    }
    double warm_up = line->sample(line->context, crew);
    (void)warm_up;
    for (size_t i = 0; i < repeats; i++) {
        samples[i] = line->sample(line->context, crew) / 1e9;
    }
    bench_spread spread = bench_spread_of(samples, repeats);
    free(samples);
    const char *isa = line->isa != NULL ? line->isa : "";
    if (json) {
        printf("{\"peak\":\"%s\",\"isa\":\"%s\",\"threads\":%zu,\"repeats\":%zu,\"unit\":\"%s\",\"median\":%.4g,"
               "\"p10\":%.4g,\"p90\":%.4g}\n",
               line->what, isa, crew->threads, repeats, line->unit, spread.median, spread.low, spread.high);
    } else {
        printf("%-12s %-12s %3zu thread%s %9.1f %-6s (10 %%: %.1f, 90 %%: %.1f)\n", line->what, isa, crew->threads,
               crew->threads == 1 ? " " : "s", spread.median, line->unit, spread.low, spread.high);
    }
    fflush(stdout);
    return RUNG_OK;
}

static double sample_kernels(void *context, bench_crew *crew)
{
    return bench_peak_sample(context, crew);
}

static rung_status measure_kernels(bench_crew *crew, size_t repeats, bool json, rung_error *error)
{
    static const rung_precision precisions[] = {RUNG_PRECISION_FP32, RUNG_PRECISION_INT8};
    const rung_kernels *kernels;
    rung_status status = RUNG_OK;
    for (size_t p = 0; p < 2; p++) {
        for (size_t t = 0; status == RUNG_OK && (kernels = rung_kernels_at(t)) != NULL; t++) {
            bench_peak peak = bench_peak_prepare(kernels, precisions[p]);
            const peak_line line = {.what = rung_precision_name(precisions[p]),
                                    .isa = kernels->name,
                                    .unit = "GOP/s",
                                    .sample = sample_kernels,
                                    .context = &peak};
            status = measure(&line, crew, repeats, json, error);
        }
    }
    return status;
}

/* The memory that is measured, and what its threads do with their parts of it. */
typedef struct memory_run {
    uint64_t *words; /* [count] */
    size_t count;
    size_t threads;
    uint64_t *sums; /* [threads] so that reading cannot be left out */
} memory_run;

static void read_part(void *context, size_t thread)
{
    const memory_run *run = context;
    size_t part = run->count / run->threads / 8 * 8;
    const uint64_t *words = run->words + thread * part;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < part; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            sums[j] += words[i + j];
        }
    }
    for (size_t j = 0; j < 8; j++) {
        run->sums[thread] += sums[j];
    }
}

/* The first half of the part to the second. */
static void copy_part(void *context, size_t thread)
{
    const memory_run *run = context;
    size_t half = run->count / run->threads / 2;
    uint64_t *words = run->words + thread * 2 * half;
    memcpy(words + half, words, half * sizeof *words);
}

static double sample_read(void *context, bench_crew *crew)
{
    const memory_run *run = context;
    return (double)(run->count * sizeof *run->words) / bench_crew_run(crew, read_part, context).wall_s;
}

static double sample_copy(void *context, bench_crew *crew)
{
    const memory_run *run = context;
    return (double)(run->count * sizeof *run->words) / bench_crew_run(crew, copy_part, context).wall_s;
}

static size_t memory_bytes(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = cache > 0 ? CACHES * (size_t)cache : 0;
    return bytes < LEAST_BYTES ? LEAST_BYTES : bytes > MOST_BYTES ? MOST_BYTES : bytes;
}

static rung_status measure_memory(bench_crew *crew, size_t repeats, bool json, rung_error *error)
{
    memory_run run = {.count = memory_bytes() / sizeof(uint64_t), .threads = crew->threads};
    run.words = rung_alloc(run.count, sizeof *run.words, "memory to measure", error);
    run.sums = rung_alloc(crew->threads, sizeof *run.sums, "measurements", error);
    rung_status status = run.words == NULL || run.sums == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        memset(run.words, 1, run.count * sizeof *run.words); /* or all pages would be the same one of zeros */
        const peak_line line = {.what = "memory read", .unit = "GB/s", .sample = sample_read, .context = &run};
        status = measure(&line, crew, repeats, json, error);
    }
    if (status == RUNG_OK) {
        const peak_line line = {.what = "memory copy", .unit = "GB/s", .sample = sample_copy, .context = &run};
        status = measure(&line, crew, repeats, json, error);
    }
    free(run.words);
    free(run.sums);
    return status;
}

rung_status bench_peaks(const rung_option_value *threads, size_t repeats, bool json, rung_error *error)
{
    static const rung_option_value one_and_all = {.num_numbers = 2, .numbers = {1, 0}};
    const rung_option_value *counts = threads->num_numbers > 0 ? threads : &one_and_all;
    rung_status status = RUNG_OK;
    for (uint32_t t = 0; status == RUNG_OK && t < counts->num_numbers; t++) {
        bench_crew crew;
        status = bench_crew_open(bench_threads(counts->numbers[t]), &crew, error);
        if (status != RUNG_OK) {
            return status;
        }
        status = measure_kernels(&crew, repeats, json, error);
        if (status == RUNG_OK) {
            status = measure_memory(&crew, repeats, json, error);
        }
        bench_crew_close(&crew);
    }
    return status;
}
