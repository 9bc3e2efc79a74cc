/* bench_texts.c: `rung bench --data`: texts of many lengths through tokenizer, batches, all layers and the last exit, as the workers of a node take
 * them when all have work: each thread takes the next texts until none is left. See bench.h. */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "config/jsonl.h"
#include "run/message.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What one thread works with, and what it did in the last pass. */
typedef struct reader {
    rung_batch batch;
    rung_encoding encoding;
    size_t tokens;
    double operations;
    double tokenize_s;
    double total_s;
    rung_status status;
    rung_error error;
} reader;

typedef struct texts_bench {
    const bench_row *row;
    bench_crew crew;
    rung_line *lines; /* [count] */
    size_t count, capacity;
    atomic_size_t next; /* the first text that nobody took */
    size_t num_readers;
    reader *readers; /* [num_readers] */
    double *pass_s;  /* [repeats] */
    double *peaks;   /* [repeats] */
} texts_bench;

static rung_status read_lines(texts_bench *bench, rung_line_reader *from, size_t max_rows, rung_error *error)
{
    rung_status status = RUNG_OK;
    while (status == RUNG_OK && bench->count < max_rows) {
        const char *text;
        size_t bytes;
        status = rung_line_reader_next(from, &text, &bytes, error);
        if (status != RUNG_OK || text == NULL) {
            break;
        }
        status =
            rung_grow((void **)&bench->lines, &bench->capacity, bench->count + 1, sizeof *bench->lines, "texts", error);
        if (status == RUNG_OK) {
            bench->lines[bench->count] = (rung_line){0};
            status = rung_line_parse(text, bytes, bench->count, &bench->lines[bench->count], error);
            bench->count += status == RUNG_OK;
        }
    }
    if (status != RUNG_OK) {
        return rung_fail_in(error, "%s:%" PRIu64, rung_line_reader_name(from), rung_line_reader_number(from));
    }
    if (bench->count == 0) {
        return rung_fail(error, RUNG_INVALID, "%s holds no texts", rung_line_reader_name(from));
    }
    return RUNG_OK;
}

static void run_batch(reader *self)
{
    if (self->batch.num_sequences > 0) {
        bench_run_layers(&self->batch);
        rung_batch_clear(&self->batch);
    }
}

static void take_text(reader *self, const rung_model *model, const rung_line *line)
{
    double started_s = rung_clock_s();
    rung_text pair = {line->text_pair, line->text_pair_bytes};
    self->status =
        rung_tokenize(model->tokenizer, (rung_text){line->text, line->text_bytes},
                      line->text_pair != NULL ? &pair : NULL, model->config.max_tokens, &self->encoding, &self->error);
    self->tokenize_s += rung_clock_s() - started_s;
    if (self->status != RUNG_OK) {
        return;
    }
    size_t tokens = self->encoding.length;
    self->tokens += tokens;
    self->operations += bench_operations(&model->config, tokens, NULL);
    rung_batch_add(&self->batch, self->encoding.ids, self->encoding.type_ids, tokens);
}

static void read_texts(void *context, size_t thread)
{
    texts_bench *bench = context;
    reader *self = &bench->readers[thread];
    size_t take = bench->row->batch;
    double started_s = rung_clock_s();
    self->tokens = 0;
    self->operations = self->tokenize_s = 0;
    rung_batch_clear(&self->batch);
    for (;;) {
        size_t first = atomic_fetch_add(&bench->next, take);
        for (size_t i = first; i < bench->count && i < first + take && self->status == RUNG_OK; i++) {
            take_text(self, bench->row->model, &bench->lines[i]);
        }
        if (first >= bench->count || self->status != RUNG_OK) {
            break;
        }
        run_batch(self);
    }
    self->total_s = rung_clock_s() - started_s;
}

static double run_pass(texts_bench *bench)
{
    atomic_store(&bench->next, 0);
    if (!bench->row->split) {
        return bench_crew_run(&bench->crew, read_texts, bench).wall_s;
    }
    read_texts(bench, 0);
    return bench->readers[0].total_s;
}

static void print(texts_bench *bench, rung_buffer *out, const char *path, bool json)
{
    const bench_row *row = bench->row;
    reader sum = {0};
    for (size_t i = 0; i < bench->num_readers; i++) {
        sum.tokens += bench->readers[i].tokens;
        sum.operations += bench->readers[i].operations;
        sum.tokenize_s += bench->readers[i].tokenize_s;
        sum.total_s += bench->readers[i].total_s;
    }
    bench_spread pass = bench_spread_of(bench->pass_s, row->repeats);
    double peak_gops = bench_spread_of(bench->peaks, row->repeats).high / 1e9;
    double gops = sum.operations / pass.median / 1e9;
    double texts_per_s = (double)bench->count / pass.median;
    double tokens_per_s = (double)sum.tokens / pass.median;
    double share = sum.tokenize_s / sum.total_s;
    if (json) {
        rung_buffer_text(out, "{");
        bench_row_json(out, row);
        rung_buffer_text(out, ",\"data\":");
        rung_message_string(out, cli_base_name(path), strlen(cli_base_name(path)));
        rung_buffer_format(out, ",\"texts\":%zu,\"text_tokens\":%zu,\"median_ms\":%.5g,\"p10_ms\":%.5g,\"p90_ms\":%.5g",
                           bench->count, sum.tokens, pass.median * 1e3, pass.low * 1e3, pass.high * 1e3);
        rung_buffer_format(out, ",\"texts_per_s\":%.4g,\"tokens_per_s\":%.5g,\"gops\":%.4g,\"peak_gops\":%.4g",
                           texts_per_s, tokens_per_s, gops, peak_gops);
        rung_buffer_format(out, ",\"share\":%.3f,\"tokenizer_share\":%.4f}\n", gops / peak_gops, share);
        return;
    }
    bench_row_text(out, row);
    rung_buffer_format(out, "  texts   %8.1f texts/s, %.0f tokens/s; %zu texts of %.0f tokens on average\n",
                       texts_per_s, tokens_per_s, bench->count, (double)sum.tokens / (double)bench->count);
    rung_buffer_format(out, "  pass    %8.2f s median (10 %%: %.2f, 90 %%: %.2f)\n", pass.median, pass.low, pass.high);
    rung_buffer_format(out, "  work    %8.1f GOP/s\n  peak    %8.1f GOP/s (registers only, same run)\n", gops,
                       peak_gops);
    rung_buffer_format(out, "  share   %8.1f %%\n  tokenizer %6.2f %% of the time\n", 100 * gops / peak_gops,
                       100 * share);
}

static rung_status measure(texts_bench *bench, rung_error *error)
{
    const bench_row *row = bench->row;
    bench_peak peak = bench_peak_prepare(row->kernels, row->model->precision);
    for (size_t i = 0; i <= row->repeats; i++) { /* the first pass warms up */
        double pass_s = run_pass(bench);
        for (size_t r = 0; r < bench->num_readers; r++) {
            if (bench->readers[r].status != RUNG_OK) {
                *error = bench->readers[r].error;
                return bench->readers[r].status;
            }
        }
        if (i > 0) {
            bench->pass_s[i - 1] = pass_s;
            bench->peaks[i - 1] = bench_peak_sample(&peak, &bench->crew);
        }
    }
    return RUNG_OK;
}

static rung_status prepare(texts_bench *bench, rung_error *error)
{
    const bench_row *row = bench->row;
    size_t wanted = row->split ? 1 : row->threads;
    bench->readers = rung_alloc(wanted, sizeof *bench->readers, "threads", error);
    bench->pass_s = rung_alloc(row->repeats, sizeof *bench->pass_s, "measurements", error);
    bench->peaks = rung_alloc(row->repeats, sizeof *bench->peaks, "measurements", error);
    if (bench->readers == NULL || bench->pass_s == NULL || bench->peaks == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = bench_crew_open(row->threads, &bench->crew, error);
    for (; status == RUNG_OK && bench->num_readers < wanted; bench->num_readers++) {
        status = rung_batch_init(&bench->readers[bench->num_readers].batch, row->model, row->kernels,
                                 row->batch * row->model->config.max_tokens, row->batch, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return status == RUNG_OK && row->split ? rung_batch_share(&bench->readers[0].batch, bench->crew.pool, error)
                                           : status;
}

static void deinit(texts_bench *bench)
{
    for (size_t i = 0; i < bench->num_readers; i++) {
        rung_batch_deinit(&bench->readers[i].batch);
        rung_encoding_deinit(&bench->readers[i].encoding);
    }
    for (size_t i = 0; i < bench->count; i++) {
        rung_line_deinit(&bench->lines[i]);
    }
    bench_crew_close(&bench->crew);
    free(bench->readers);
    free(bench->lines);
    free(bench->pass_s);
    free(bench->peaks);
}

rung_status bench_texts(const bench_row *row, const char *path, size_t max_line_bytes, size_t max_rows, bool json,
                        rung_error *error)
{
    texts_bench bench = {.row = row};
    rung_line_reader *from = NULL;
    rung_status status = rung_line_reader_open(path, max_line_bytes, &from, error);
    if (status == RUNG_OK) {
        status = read_lines(&bench, from, max_rows, error);
    }
    rung_line_reader_close(from);
    if (status == RUNG_OK) {
        status = prepare(&bench, error);
    }
    if (status == RUNG_OK) {
        status = measure(&bench, error);
    }
    if (status == RUNG_OK) {
        rung_buffer out = {0};
        print(&bench, &out, path, json);
        status = cli_print_buffer(&out, error);
        rung_buffer_deinit(&out);
    }
    deinit(&bench);
    return status;
}
