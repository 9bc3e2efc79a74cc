/* bench_crew.c: threads that do the same thing at the same time, and the samples of the machine's peak that they take. See bench.h. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/order.h"
#include "cli/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PEAK_SAMPLE_S 2e-3
#define FIRST_ROUNDS ((size_t)1 << 14)

bench_spread bench_spread_of(double *values, size_t count)
{
    rung_sort(values, count);
    return (bench_spread){.median = rung_quantile(values, count, 0.5),
                          .low = rung_quantile(values, count, 0.1),
                          .high = rung_quantile(values, count, 0.9)};
}

rung_status bench_crew_open(size_t threads, bench_crew *crew, rung_error *error)
{
    bench_crew made = {.threads = threads};
    made.times = rung_alloc(threads, sizeof *made.times, "threads", error);
    rung_status status = made.times == NULL ? RUNG_NO_MEMORY : rung_thread_pool_create(threads, &made.pool, error);
    if (status == RUNG_OK && rung_thread_pool_threads(made.pool) < threads) {
        status = rung_fail(error, RUNG_IO, "the system gives %zu of %zu threads; ask for fewer with --threads",
                           rung_thread_pool_threads(made.pool), threads);
    }
    if (status == RUNG_OK && pthread_barrier_init(&made.barrier, NULL, (unsigned)threads) != 0) {
        status = rung_fail(error, RUNG_IO, "cannot make a barrier for %zu threads", threads);
    }
    if (status != RUNG_OK) {
        rung_thread_pool_free(made.pool);
        free(made.times);
        return status;
    }
    *crew = made;
    return RUNG_OK;
}

void bench_crew_close(bench_crew *crew)
{
    if (crew->threads > 0) {
        pthread_barrier_destroy(&crew->barrier);
        rung_thread_pool_free(crew->pool);
        free(crew->times);
    }
    *crew = (bench_crew){0};
}

typedef struct crew_run {
    bench_crew *crew;
    void (*work)(void *context, size_t thread);
    void *context;
} crew_run;

/* The barrier gives each thread exactly one task. */
static void run_member(void *context, size_t task, size_t thread)
{
    (void)task;
    const crew_run *run = context;
    pthread_barrier_wait(&run->crew->barrier);
    double started_s = rung_clock_s();
    double cpu_s = rung_thread_cpu_s();
    run->work(run->context, thread);
    run->crew->times[thread] = (bench_time){.wall_s = rung_clock_s() - started_s, .cpu_s = rung_thread_cpu_s() - cpu_s};
}

bench_time bench_crew_run(bench_crew *crew, void (*work)(void *context, size_t thread), void *context)
{
    crew_run run = {.crew = crew, .work = work, .context = context};
    rung_thread_pool_run(crew->pool, run_member, &run, crew->threads);
    bench_time slowest = {0};
    for (size_t i = 0; i < crew->threads; i++) {
        slowest.wall_s = fmax(slowest.wall_s, crew->times[i].wall_s);
        slowest.cpu_s = fmax(slowest.cpu_s, crew->times[i].cpu_s);
    }
    return slowest;
}

static double run_peak(const bench_peak *peak, size_t rounds)
{
    return peak->precision == RUNG_PRECISION_INT8 ? peak->kernels->peak_s8(rounds) : peak->kernels->peak_f32(rounds);
}

bench_peak bench_peak_prepare(const rung_kernels *kernels, rung_precision precision)
{
    bench_peak peak = {.kernels = kernels, .precision = precision};
    run_peak(&peak, FIRST_ROUNDS); /* warm-up */
    double started_s = rung_clock_s();
    run_peak(&peak, FIRST_ROUNDS);
    double rounds_per_s = (double)FIRST_ROUNDS / (rung_clock_s() - started_s);
    peak.rounds = (size_t)(rounds_per_s * PEAK_SAMPLE_S) + 1;
    peak.operations = run_peak(&peak, peak.rounds);
    return peak;
}

static void run_sample(void *context, size_t thread)
{
    (void)thread;
    const bench_peak *peak = context;
    run_peak(peak, peak->rounds);
}

double bench_peak_sample(const bench_peak *peak, bench_crew *crew)
{
    bench_peak copy = *peak;
    bench_crew_run(crew, run_sample, &copy);
    double per_s = 0;
    for (size_t i = 0; i < crew->threads; i++) {
        per_s += peak->operations / crew->times[i].wall_s;
    }
    return per_s;
}
