/* bench.h: what the files of `rung bench` share. bench.c reads the options and chooses; bench_crew.c runs work on several threads at once;
 * bench_peaks.c, bench_encoder.c, bench_texts.c and bench_load.c measure; bench_report.c prints. */
#ifndef RUNG_CLI_BENCH_H
#define RUNG_CLI_BENCH_H

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "cli/cli.h"
#include "model/encoder.h"

#include <pthread.h>

/* Median, and the values that 10 % and 90 % of the samples lie below. */
typedef struct bench_spread {
    double median, low, high;
} bench_spread;

/* Sorts the values; count >= 1. */
bench_spread bench_spread_of(double *values, size_t count);

/* Of the slowest thread. */
typedef struct bench_time {
    double wall_s;
    double cpu_s; /* processor time: what other programs took of the machine is not in it */
} bench_time;

/* Threads that do the same thing at the same time. */
typedef struct bench_crew {
    rung_thread_pool *pool;
    size_t threads;
    pthread_barrier_t barrier;
    bench_time *times; /* [threads] that each took */
} bench_crew;

/* RUNG_IO when the system gives fewer threads. Release with bench_crew_close. */
rung_status bench_crew_open(size_t threads, bench_crew *crew, rung_error *error) RUNG_WARN_UNUSED;
void bench_crew_close(bench_crew *crew);
/* Calls work(context, thread) on every thread, started together. */
bench_time bench_crew_run(bench_crew *crew, void (*work)(void *context, size_t thread), void *context);

/* A sample of what the kernels reach on registers alone, all threads together, in operations a second. A few milliseconds. */
typedef struct bench_peak {
    const rung_kernels *kernels;
    rung_precision precision;
    size_t rounds;     /* that fill a sample */
    double operations; /* of a sample on one thread */
} bench_peak;

bench_peak bench_peak_prepare(const rung_kernels *kernels, rung_precision precision);
double bench_peak_sample(const bench_peak *peak, bench_crew *crew);

/* As many threads as asked for; as many as there are processors for 0. */
size_t bench_threads(double asked);

/* Prints the machine's peaks for each number of threads, by default 1 and all: every table of kernels, and memory. */
rung_status bench_peaks(const rung_option_value *threads, size_t repeats, bool json,
                        rung_error *error) RUNG_WARN_UNUSED;

/* One row of the bench of the encoder, or of texts. */
typedef struct bench_row {
    const rung_model *model;
    const rung_kernels *kernels;
    const char *name; /* of the shape, or the model's path */
    size_t tokens;    /* of each text; not of rows of --data */
    size_t batch;     /* texts in a batch */
    size_t threads;
    bool split; /* the threads share the layers of one batch; otherwise each has a batch of its own */
    size_t repeats;
} bench_row;

typedef struct bench_result {
    bench_spread run_s;
    double cpu_s;      /* median */
    bench_spread peak; /* operations a second of all threads together, between the runs */
    double operations; /* of all threads in a run */
    bool has_parts;
    double part_s[RUNG_ENCODER_PARTS];   /* median of one thread's batch */
    double part_ops[RUNG_ENCODER_PARTS]; /* 0: nothing that counts */
} bench_result;

/* Multiply-adds of all layers for one text of this length, each counted as two: projections, and both products of attention. parts
 * [RUNG_ENCODER_PARTS], unless NULL, get theirs added. */
double bench_operations(const rung_model_config *config, size_t tokens, double *parts);

/* All layers and the last exit over what lies in the batch. */
void bench_run_layers(rung_batch *batch);

/* with_parts needs a row that is not split. */
rung_status bench_encoder(const bench_row *row, bool with_parts, bench_result *result,
                          rung_error *error) RUNG_WARN_UNUSED;

/* The texts of a file through tokenizer, batches, layers and last exit; prints. row->tokens is not used. */
rung_status bench_texts(const bench_row *row, const char *path, size_t max_line_bytes, size_t max_rows, bool json,
                        rung_error *error) RUNG_WARN_UNUSED;

/* From opening the model at `path` to the first answer; prints. */
rung_status bench_load(const char *path, const rung_open_options *options, size_t repeats, bool json,
                       rung_error *error) RUNG_WARN_UNUSED;

/* Prints a row: a JSON line, or a table. */
rung_status bench_print_row(const bench_row *row, const bench_result *result, bool json,
                            rung_error *error) RUNG_WARN_UNUSED;

/* "name" as a JSON string, and the keys that rows have in common, without braces. */
void bench_row_json(rung_buffer *out, const bench_row *row);
/* "2 threads on one batch" */
void bench_row_text(rung_buffer *out, const bench_row *row);

#endif
