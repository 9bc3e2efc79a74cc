/* bench.c: `rung bench`: the encoder against the peak that the same kernels reach on registers alone, measured in turn in the same run. Reads the
 * options and runs what they ask for; see bench.h and docs/bench.md. */
#include "cli/bench.h"

#include "model/random_model.h"

#include <string.h>

/* The shapes that --shape names, in the order of its choices. */
static const struct {
    const char *name;
    rung_model_config config;
} SHAPES[] = {
#define SHAPE(shape_name, layers, hidden, inner, heads, tokens, vocab)                                                 \
    {                                                                                                                  \
        shape_name,                                                                                                    \
        {                                                                                                              \
            .num_layers = (layers), .hidden_size = (hidden), .intermediate_size = (inner), .num_heads = (heads),       \
            .max_tokens = (tokens), .vocab_size = (vocab), .num_labels = 2                                             \
        }                                                                                                              \
    }
    SHAPE("bert-base", 12, 768, 3072, 12, 512, 30522), SHAPE("bert-large", 24, 1024, 4096, 16, 512, 30522),
    SHAPE("minilm-l6", 6, 384, 1536, 12, 512, 30522),  SHAPE("minilm-l12", 12, 384, 1536, 12, 512, 30522),
    SHAPE("bertweet", 12, 768, 3072, 12, 128, 64001),  SHAPE("tiny-l3", 3, 384, 1536, 12, 512, 30522),
#undef SHAPE
};

/* What the options say; each list is run through. */
typedef struct bench_plan {
    const char *path; /* of the model; NULL: a shape */
    const char *data; /* NULL: random tokens */
    bool json, split, parts;
    size_t repeats;
    const rung_kernels *kernels;
    const rung_option_value *tokens, *batches, *threads;
} bench_plan;

size_t bench_threads(double asked)
{
    size_t processors = rung_processor_count();
    size_t most = processors < RUNG_MAX_THREADS ? processors : RUNG_MAX_THREADS;
    return asked > 0 ? (size_t)asked : most;
}

static rung_status open_model(const bench_plan *plan, const rung_options *options, rung_precision precision,
                              rung_model **model, rung_error *error)
{
    if (plan->path != NULL) {
        return rung_model_open(plan->path, precision, model, error);
    }
    return rung_model_random(&SHAPES[rung_options_choice(options, RUNG_OPTION_SHAPE)].config, precision, 1, model,
                             error);
}

static rung_status run_tokens(const bench_plan *plan, bench_row row, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (uint32_t i = 0; status == RUNG_OK && i < plan->tokens->num_numbers; i++) {
        bench_result result;
        row.tokens = (size_t)plan->tokens->numbers[i];
        if (row.tokens > row.model->config.max_tokens) {
            return rung_fail(error, RUNG_LIMIT, "--tokens %zu: %s reads at most %zu", row.tokens, row.name,
                             row.model->config.max_tokens);
        }
        status = bench_encoder(&row, plan->parts, &result, error);
        if (status == RUNG_OK) {
            status = bench_print_row(&row, &result, plan->json, error);
        }
    }
    return status;
}

static rung_status run_model(const bench_plan *plan, const rung_options *options, const rung_model *model,
                             rung_error *error)
{
    bench_row row = {.model = model,
                     .kernels = plan->kernels,
                     .name = plan->path != NULL ? plan->path : rung_options_text(options, RUNG_OPTION_SHAPE),
                     .split = plan->split,
                     .repeats = plan->repeats};
    rung_status status = RUNG_OK;
    uint32_t counts = plan->threads->num_numbers > 0 ? plan->threads->num_numbers : 1; /* by default 0: all */
    for (uint32_t t = 0; status == RUNG_OK && t < counts; t++) {
        row.threads = bench_threads(plan->threads->numbers[t]);
        for (uint32_t b = 0; status == RUNG_OK && b < plan->batches->num_numbers; b++) {
            row.batch = (size_t)plan->batches->numbers[b];
            status = plan->data == NULL
                         ? run_tokens(plan, row, error)
                         : bench_texts(&row, plan->data, (size_t)rung_options_integer(options, RUNG_OPTION_MAX_LINE),
                                       (size_t)rung_options_integer(options, RUNG_OPTION_ROWS), plan->json, error);
        }
    }
    return status;
}

static rung_status run_rows(const bench_plan *plan, const rung_options *options, rung_error *error)
{
    static const rung_precision precisions[] = {RUNG_PRECISION_INT8, RUNG_PRECISION_FP32};
    uint32_t asked = rung_options_choice(options, RUNG_OPTION_BENCH_PRECISION); /* of int8|fp32|both */
    rung_status status = RUNG_OK;
    for (uint32_t p = 0; status == RUNG_OK && p < 2; p++) {
        rung_model *model = NULL;
        if (asked != 2 && asked != p) {
            continue;
        }
        status = open_model(plan, options, precisions[p], &model, error);
        if (status == RUNG_OK) {
            status = run_model(plan, options, model, error);
        }
        rung_model_close(model);
    }
    return status;
}

static rung_status run_load(const bench_plan *plan, const rung_options *options, rung_error *error)
{
    if (rung_options_choice(options, RUNG_OPTION_BENCH_PRECISION) == 2) {
        return rung_fail(error, RUNG_INVALID, "--load: --precision both is for runs; give int8 or fp32");
    }
    const rung_open_options open = {.isa = cli_isa(options),
                                    .precision = rung_options_text(options, RUNG_OPTION_BENCH_PRECISION),
                                    .threads = 1,
                                    .batch_texts = 1};
    return bench_load(plan->path, &open, plan->repeats, plan->json, error);
}

/* Options that say which model, or what to do with it. */
static bool wants_model(const rung_options *options)
{
    static const rung_option_id ids[] = {
        RUNG_OPTION_MODEL, RUNG_OPTION_SHAPE, RUNG_OPTION_TOKENS, RUNG_OPTION_BATCH, RUNG_OPTION_SPLIT,
        RUNG_OPTION_PARTS, RUNG_OPTION_DATA,  RUNG_OPTION_ROWS,   RUNG_OPTION_LOAD,  RUNG_OPTION_BENCH_PRECISION};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (rung_options_given(options, ids[i])) {
            return true;
        }
    }
    return false;
}

/* What goes together. */
static rung_status check_options(const rung_options *options, rung_error *error)
{
    bool has_model = rung_options_text(options, RUNG_OPTION_MODEL) != NULL;
    bool load = rung_options_bool(options, RUNG_OPTION_LOAD);
    bool data = rung_options_text(options, RUNG_OPTION_DATA) != NULL;
    bool tokens = rung_options_given(options, RUNG_OPTION_TOKENS);
    if (has_model && rung_options_given(options, RUNG_OPTION_SHAPE)) {
        return rung_fail(error, RUNG_INVALID, "--shape and --model: give one of them");
    }
    if (rung_options_bool(options, RUNG_OPTION_PEAKS) && wants_model(options)) {
        return rung_fail(error, RUNG_INVALID,
                         "--peaks measures the machine alone: give it without a model and its runs");
    }
    if ((load || data) && !has_model) {
        return rung_fail(error, RUNG_INVALID, "%s needs --model: a shape has no %s", load ? "--load" : "--data",
                         load ? "file" : "tokenizer");
    }
    if (load && (data || tokens)) {
        return rung_fail(error, RUNG_INVALID, "--load and %s: give one of them", data ? "--data" : "--tokens");
    }
    if (data && tokens) {
        return rung_fail(error, RUNG_INVALID, "--data and --tokens: give one of them: texts have their own lengths");
    }
    if (!data && rung_options_given(options, RUNG_OPTION_ROWS)) {
        return rung_fail(error, RUNG_INVALID, "--rows needs --data");
    }
    if (rung_options_bool(options, RUNG_OPTION_PARTS) && (data || rung_options_bool(options, RUNG_OPTION_SPLIT))) {
        return rung_fail(error, RUNG_INVALID, "--parts and %s: give one of them", data ? "--data" : "--split");
    }
    return RUNG_OK;
}

static rung_status run_bench(const rung_options *options, rung_error *error)
{
    bench_plan plan = {.path = rung_options_text(options, RUNG_OPTION_MODEL),
                       .data = rung_options_text(options, RUNG_OPTION_DATA),
                       .json = rung_options_bool(options, RUNG_OPTION_JSON),
                       .split = rung_options_bool(options, RUNG_OPTION_SPLIT),
                       .repeats = (size_t)rung_options_integer(options, RUNG_OPTION_REPEATS),
                       .tokens = rung_options_value(options, RUNG_OPTION_TOKENS),
                       .batches = rung_options_value(options, RUNG_OPTION_BATCH),
                       .threads = rung_options_value(options, RUNG_OPTION_BENCH_THREADS)};
    plan.parts = !plan.json || rung_options_bool(options, RUNG_OPTION_PARTS);
    rung_status status = check_options(options, error);
    if (status == RUNG_OK) {
        status = rung_kernels_select(cli_isa(options), &plan.kernels, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (!wants_model(options)) {
        return bench_peaks(plan.threads, plan.repeats, plan.json, error);
    }
    return rung_options_bool(options, RUNG_OPTION_LOAD) ? run_load(&plan, options, error)
                                                        : run_rows(&plan, options, error);
}

int cli_bench(const rung_options *options)
{
    rung_error error;
    return run_bench(options, &error) == RUNG_OK ? CLI_OK : cli_fail(&error);
}
