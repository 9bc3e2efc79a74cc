/* replay_speed.c: how many requests a second one core replays, when the record holds all that they ask for. Fills a record first, which runs the models on the
 * texts and takes minutes; the time of a level is a made-up curve, since any costs the same.
 *
 *     build/bench/replay_speed CASCADE.yaml TEXTS.jsonl[.zst] [DIR [ROWS [ROUNDS]]]
 *
 * DIR keeps the record (record.rung) for another run; without it, or "-", the record is in a temporary place. ROWS: the first so many texts, 0: all. ROUNDS: 15,
 * of at least 50,000 requests each. Prints the machine, and for each policy the median and the 10 % and 90 % points over the rounds.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/order.h"
#include "fit/dataset.h"
#include "replay/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS_A_ROUND 50000

static const char *const policies[] = {"single(1)", "tangobert", "tabi", "paper", "rung", "cocktail", "deebert"};

#define NUM_POLICIES (sizeof policies / sizeof policies[0])

typedef struct bench {
    rung_cascade *cascade;
    rung_store *store;
    rung_replay *replay;
    rung_timing timing;
    rung_dataset data;
    size_t *rows;
    size_t num_rows;
    rung_outcome *outcomes;
} bench;

static void fail(const rung_error *error)
{
    fprintf(stderr, "replay_speed: %s\n", error->message);
    exit(1);
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "replay_speed: out of memory\n");
        exit(1);
    }
    return memory;
}

static void print_machine(void)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            printf("%ld x%s", sysconf(_SC_NPROCESSORS_ONLN), colon + 1);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void open_cascade(bench *b, const char *path, size_t threads)
{
    rung_error error;
    if (rung_cascade_open(path, &(rung_open_options){.threads = threads}, &b->cascade, &error) != RUNG_OK) {
        fail(&error);
    }
    b->timing = (rung_timing){.num_levels = b->cascade->num_levels};
    for (uint32_t l = 0; l < b->cascade->num_levels; l++) {
        rung_level_timing *level = &b->timing.level[l];
        level->num_layers = (uint32_t)b->cascade->level[l].model->config.num_layers;
        level->tokenize_ms_per_byte = 1e-4;
        for (uint32_t e = 0; e < level->num_layers; e++) {
            level->exits[e] = (rung_latency_curve){.a_ms = e + 1, .b_ms_per_token = 0.01 * (e + 1)};
        }
    }
}

/* As src/eval/evaluation.c says what a record is of, so that either reads the other's. */
static void open_record(bench *b, const char *directory)
{
    rung_error error;
    rung_buffer origin = {0};
    rung_recorder recorder = {.cascade = b->cascade};
    rung_recorder_identify(&recorder);
    rung_buffer_format(&origin, "precision %s\n", b->cascade->precision == RUNG_PRECISION_INT8 ? "int8" : "fp32");
    for (uint32_t l = 0; l < b->cascade->num_levels; l++) {
        rung_buffer_format(&origin, "level %" PRIu32 " model sha256 %s\n", l + 1, recorder.identity[l]);
    }
    char *path = rung_path_join(directory, "record.rung", &error);
    if (path == NULL || rung_store_open(path, origin.data, false, &b->store, &error) != RUNG_OK ||
        rung_replay_create(b->cascade, b->store, b->data.inputs, b->data.count, &b->timing, &b->replay, &error) !=
            RUNG_OK) {
        fail(&error);
    }
    rung_buffer_deinit(&origin);
    free(path);
}

static void close_all(bench *b)
{
    rung_replay_free(b->replay);
    rung_store_close(b->store);
    rung_cascade_close(b->cascade);
}

static void report(void *context, const char *what, size_t done, size_t total)
{
    (void)context;
    fprintf(stderr, "\r%s: %zu of %zu texts%s", what, done, total, done == total ? "\n" : "");
}

static void run(bench *b, const char *name, bool may_compute)
{
    rung_error error;
    rung_policy policy;
    const rung_progress progress = {.report = report};
    const rung_replay_call call = {
        .policy = &policy, .rows = b->rows, .num_rows = b->num_rows, .may_compute = may_compute, .progress = &progress};
    if (rung_cascade_named_policy(b->cascade, name, &policy, &error) != RUNG_OK ||
        rung_replay_run(b->replay, &call, b->outcomes, &error) != RUNG_OK) {
        fail(&error);
    }
}

static void time_policy(bench *b, const char *name, size_t rounds)
{
    double *rates = take(rounds, sizeof *rates);
    size_t calls = REQUESTS_A_ROUND / b->num_rows + 1;
    run(b, name, false);
    for (size_t r = 0; r < rounds; r++) {
        double started_s = rung_thread_cpu_s();
        for (size_t i = 0; i < calls; i++) {
            run(b, name, false);
        }
        rates[r] = (double)(calls * b->num_rows) / (rung_thread_cpu_s() - started_s) / 1e6;
    }
    size_t levels = 0;
    for (size_t i = 0; i < b->num_rows; i++) {
        levels += (size_t)__builtin_popcount(b->outcomes[i].computed);
    }
    rung_sort(rates, rounds);
    printf("%-10s %6.2f M requests/s (%.2f to %.2f, %zu rounds), %.2f levels a request\n", name,
           rung_quantile(rates, rounds, 0.5), rung_quantile(rates, rounds, 0.1), rung_quantile(rates, rounds, 0.9),
           rounds, (double)levels / (double)b->num_rows);
    free(rates);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: replay_speed CASCADE.yaml TEXTS.jsonl [DIR [ROWS [ROUNDS]]]\n");
        return 2;
    }
    char temporary[] = "/tmp/replay_speed.XXXXXX";
    bool keeps = argc > 3 && strcmp(argv[3], "-") != 0;
    size_t most = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    size_t rounds = argc > 5 ? strtoul(argv[5], NULL, 10) : 15;
    rung_error error;
    bench b = {0};
    const char *directory = keeps ? argv[3] : mkdtemp(temporary);
    if (directory == NULL || rounds == 0) {
        fprintf(stderr, "replay_speed: no temporary directory, or no rounds\n");
        return 1;
    }
    open_cascade(&b, argv[1], 0);
    if (rung_dataset_read(b.cascade, argv[2], 0, &b.data, &error) != RUNG_OK) {
        fail(&error);
    }
    b.num_rows = most > 0 && most < b.data.count ? most : b.data.count;
    b.rows = take(b.num_rows, sizeof *b.rows);
    b.outcomes = take(b.num_rows, sizeof *b.outcomes);
    for (size_t i = 0; i < b.num_rows; i++) {
        b.rows[i] = i;
    }
    open_record(&b, directory);
    for (size_t p = 0; p < NUM_POLICIES; p++) {
        run(&b, policies[p], true);
    }
    print_machine();
    printf("%zu texts, %zu recorded now, %zu entries in the record; one thread, processor time\n", b.num_rows,
           rung_replay_computed(b.replay), rung_store_count(b.store));
    close_all(&b);
    open_cascade(&b, argv[1], 1);
    open_record(&b, directory);
    for (size_t p = 0; p < NUM_POLICIES; p++) {
        run(&b, policies[p], true);
        time_policy(&b, policies[p], rounds);
    }
    close_all(&b);
    rung_dataset_deinit(&b.data);
    free(b.rows);
    free(b.outcomes);
    if (!keeps) {
        char *path = rung_path_join(directory, "record.rung", NULL);
        unlink(path);
        rmdir(directory);
        free(path);
    }
    return 0;
}
