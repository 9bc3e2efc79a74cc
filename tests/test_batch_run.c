/* test_batch_run.c: jobs that are cancelled leave the batch, and the others do not notice; what every layer hands out; exits that are watched or left for the next level; the
 * variants. */
#include "base/clock.h"
#include "model/random_model.h"
#include "run/batch_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOKENS 12
#define JOBS 3

typedef struct bench {
    rung_model *model;
    const rung_kernels *kernels;
    rung_batch batch;
    rung_level_calibration calibration;
    double temperature[RUNG_MAX_LAYERS];
    int32_t ids[TOKENS];
    uint8_t types[TOKENS];
    rung_job jobs[JOBS];
    float logits[JOBS][8];
    double workspace[JOBS][16];
} bench;

static const rung_model_config SHAPE = {
    .num_layers = 3, .hidden_size = 32, .intermediate_size = 64, .num_heads = 2, .max_tokens = 16, .num_labels = 3};
static const rung_exit_policy ALL_LAYERS = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1};

static void open_bench(bench *b)
{
    rung_error error;
    *b = (bench){0};
    assert_int_equal(rung_model_random(&SHAPE, RUNG_PRECISION_INT8, 1, &b->model, &error), RUNG_OK);
    assert_int_equal(rung_kernels_select(NULL, &b->kernels, &error), RUNG_OK);
    assert_int_equal(rung_batch_init(&b->batch, b->model, b->kernels, b->model->config.max_tokens, JOBS, &error),
                     RUNG_OK);
    assert_true(b->model->config.num_labels <= 8);
    b->calibration =
        (rung_level_calibration){.num_exits = (uint32_t)b->model->config.num_layers, .temperature = b->temperature};
    for (size_t l = 0; l < b->model->config.num_layers; l++) {
        b->temperature[l] = 1;
    }
    for (int32_t i = 0; i < TOKENS; i++) {
        b->ids[i] = 5 + 7 * i;
    }
}

static void run(bench *b, const atomic_bool *cancelled)
{
    rung_job *jobs[JOBS];
    for (size_t j = 0; j < JOBS; j++) {
        b->jobs[j] = (rung_job){.ids = b->ids,
                                .type_ids = b->types,
                                .num_tokens = TOKENS - j,
                                .logits = b->logits[j],
                                .cancelled = cancelled != NULL ? &cancelled[j] : NULL};
        rung_exit_init(&b->jobs[j].exit, &ALL_LAYERS, &b->calibration, (uint32_t)b->model->config.num_labels,
                       b->workspace[j]);
        jobs[j] = &b->jobs[j];
    }
    rung_batch_run(&b->batch, jobs, JOBS, 0, NULL);
}

static void cancelled_jobs_leave(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    run(&b, NULL);
    float expected[JOBS][8];
    memcpy(expected, b.logits, sizeof expected);
    memset(b.logits, 0, sizeof b.logits);
    const atomic_bool cancelled[JOBS] = {false, true, false};
    run(&b, cancelled);
    size_t bytes = b.model->config.num_labels * sizeof(float);
    for (size_t j = 0; j < JOBS; j++) {
        assert_int_equal(b.jobs[j].exit_layer, j == 1 ? 0 : b.model->config.num_layers);
        if (j != 1) {
            assert_memory_equal(b.logits[j], expected[j], bytes);
        }
    }
    const atomic_bool all[JOBS] = {true, true, true};
    run(&b, all);
    for (size_t j = 0; j < JOBS; j++) {
        assert_int_equal(b.jobs[j].exit_layer, 0);
        assert_true(b.jobs[j].compute_s == 0);
    }
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* Another batch in the same thread, between the layers of this one, which burns time as well. */
typedef struct guest {
    bench inner;
    float expected[8];
    uint32_t layers_left[2 * JOBS];
    size_t calls;
} guest;

static bool run_guest(void *context, uint32_t layers_left)
{
    guest *g = context;
    assert_true(g->calls < sizeof g->layers_left / sizeof g->layers_left[0]);
    g->layers_left[g->calls++] = layers_left;
    run(&g->inner, NULL);
    assert_memory_equal(g->inner.logits[0], g->expected, g->inner.model->config.num_labels * sizeof(float));
    for (double until_s = rung_thread_cpu_s() + 0.02; rung_thread_cpu_s() < until_s;) {
    }
    return true;
}

static void others_run_between_layers(void **state)
{
    (void)state;
    bench b;
    guest g = {.calls = 0};
    open_bench(&b);
    open_bench(&g.inner);
    run(&b, NULL);
    float expected[JOBS][8];
    memcpy(expected, b.logits, sizeof expected);
    memcpy(g.expected, b.logits[0], sizeof g.expected);
    rung_job *jobs[JOBS];
    for (size_t j = 0; j < JOBS; j++) {
        rung_exit_init(&b.jobs[j].exit, &ALL_LAYERS, &b.calibration, (uint32_t)b.model->config.num_labels,
                       b.workspace[j]);
        jobs[j] = &b.jobs[j];
    }
    memset(b.logits, 0, sizeof b.logits);
    rung_batch_run_between(&b.batch, jobs, JOBS, 0, NULL, &(rung_between){run_guest, &g});
    for (size_t j = 0; j < JOBS; j++) { /* one fits at a time: after two of its three layers the others are asked */
        assert_memory_equal(b.logits[j], expected[j], b.model->config.num_labels * sizeof(float));
        assert_true(b.jobs[j].compute_s < 0.02);
        assert_int_equal(g.layers_left[2 * j], 2);
        assert_int_equal(g.layers_left[2 * j + 1], 1);
    }
    assert_int_equal(g.calls, 2 * JOBS);
    rung_batch_deinit(&g.inner.batch);
    rung_model_close(g.inner.model);
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* The state of the last layer, through the head by hand, gives the logits; states of jobs beside each other do not mix. */
static void states_are_what_heads_read(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    size_t hidden = b.model->config.hidden_size;
    size_t layers = b.model->config.num_layers;
    size_t classes = b.model->config.num_labels;
    run(&b, NULL);
    rung_job *jobs[JOBS];
    float *states = calloc(JOBS * layers * hidden, sizeof *states);
    float *logits = calloc(JOBS * layers * classes, sizeof *logits);
    assert_non_null(states);
    assert_non_null(logits);
    for (size_t j = 0; j < JOBS; j++) {
        b.jobs[j].all_states = j == 1 ? NULL : states + j * layers * hidden;
        b.jobs[j].all_logits = logits + j * layers * classes;
        rung_exit_init(&b.jobs[j].exit, &ALL_LAYERS, &b.calibration, (uint32_t)classes, b.workspace[j]);
        jobs[j] = &b.jobs[j];
    }
    rung_batch_run(&b.batch, jobs, JOBS, 0, NULL);
    for (size_t l = 0; l + 1 < layers; l++) { /* the last head may read through a pooler */
        for (size_t j = 0; j < JOBS; j += 2) {
            const float *at = states + (j * layers + l) * hidden;
            for (size_t c = 0; c < classes; c++) {
                double sum = (double)b.model->exits[l].bias[c];
                for (size_t i = 0; i < hidden; i++) {
                    sum += (double)b.model->exits[l].weight[c * hidden + i] * (double)at[i];
                }
                double difference = sum - (double)logits[(j * layers + l) * classes + c];
                assert_true(difference < 1e-4 && difference > -1e-4);
            }
        }
        assert_true(states[(layers + l) * hidden] == 0);
    }
    assert_memory_not_equal(states, states + 2 * layers * hidden, hidden * sizeof *states);
    free(states);
    free(logits);
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* Every job stops after the second layer: the state there is its own, whoever leaves with it. */
static void the_state_is_that_of_the_exit(void **state)
{
    (void)state;
    static const rung_exit_policy second = {.rule = RUNG_EXIT_PAPER, .tau = 2, .patience = 1, .first_layer = 2};
    bench b;
    open_bench(&b);
    size_t hidden = b.model->config.hidden_size;
    size_t layers = b.model->config.num_layers;
    run(&b, NULL);
    rung_job *jobs[JOBS];
    float *all = calloc(JOBS * layers * hidden, sizeof *all);
    float *at_exit = calloc(JOBS * hidden, sizeof *at_exit);
    assert_non_null(all);
    assert_non_null(at_exit);
    for (size_t j = 0; j < JOBS; j++) {
        b.jobs[j].all_states = all + j * layers * hidden;
        b.jobs[j].state = at_exit + j * hidden;
        rung_exit_init(&b.jobs[j].exit, j == 1 ? &ALL_LAYERS : &second, &b.calibration,
                       (uint32_t)b.model->config.num_labels, b.workspace[j]);
        jobs[j] = &b.jobs[j];
    }
    rung_batch_run(&b.batch, jobs, JOBS, 0, NULL);
    for (size_t j = 0; j < JOBS; j++) {
        size_t layer = j == 1 ? layers : 2;
        assert_int_equal(b.jobs[j].exit_layer, layer);
        assert_memory_equal(at_exit + j * hidden, all + (j * layers + layer - 1) * hidden, hidden * sizeof *all);
    }
    free(all);
    free(at_exit);
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* Attention of a token's queries sums to 1: after l layers the sums of a text add up to l times its tokens. What an exit takes is the same
 * sum, divided. Jobs beside each other leave at different layers and each finds its own. */
static void importance_after_every_layer(void **state)
{
    (void)state;
    static const rung_exit_policy second = {.rule = RUNG_EXIT_PAPER, .tau = 2, .patience = 1, .first_layer = 2};
    bench b;
    open_bench(&b);
    size_t layers = b.model->config.num_layers;
    run(&b, NULL);
    rung_job *jobs[JOBS];
    float all[JOBS][3 * TOKENS] = {{0}};
    float at_exit[JOBS][TOKENS];
    double seconds[JOBS][3] = {{0}};
    assert_int_equal(layers, 3);
    for (size_t j = 0; j < JOBS; j++) {
        b.jobs[j].all_importance = all[j];
        b.jobs[j].all_compute_s = seconds[j];
        b.jobs[j].importance = at_exit[j];
        rung_exit_init(&b.jobs[j].exit, j == 1 ? &ALL_LAYERS : &second, &b.calibration,
                       (uint32_t)b.model->config.num_labels, b.workspace[j]);
        jobs[j] = &b.jobs[j];
    }
    rung_batch_run(&b.batch, jobs, JOBS, 2, NULL);
    for (size_t j = 0; j < JOBS; j++) {
        size_t tokens = b.jobs[j].num_tokens;
        size_t ran = j == 1 ? layers : 2;
        assert_int_equal(b.jobs[j].exit_layer, ran);
        for (size_t l = 0; l < 2; l++) {
            double sum = 0;
            for (size_t i = 0; i < tokens; i++) {
                sum += (double)all[j][l * tokens + i];
            }
            double difference = sum - (double)((l + 1) * tokens);
            assert_true(difference < 1e-3 && difference > -1e-3);
        }
        for (size_t i = 0; i < tokens; i++) {
            assert_true(at_exit[j][i] == all[j][tokens + i] / 2);
            assert_true(all[j][2 * tokens + i] == 0); /* the third layer adds nothing */
        }
        assert_true(seconds[j][0] > 0);
        for (size_t l = 1; l < ran; l++) {
            assert_true(seconds[j][l] >= seconds[j][l - 1]);
        }
        assert_true(seconds[j][ran - 1] == b.jobs[j].compute_s);
        assert_true(ran == layers || seconds[j][ran] == 0);
    }
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* What is watched of one job, and what the callback saw of it. */
typedef struct watcher {
    float logits[8];
    float state[32];
    float importance[TOKENS]; /* when it was told */
    unsigned calls;
} watcher;

static void note_watch(void *context, rung_job *job)
{
    watcher *self = context;
    self->calls++;
    assert_true(job->watched && job->exit_layer == 0);
    assert_true(job->watch_s > 0 && job->watch_s == job->compute_s);
    memcpy(self->importance, job->importance, job->num_tokens * sizeof *job->importance);
}

/* Job 0 stops at the exit that is watched, job 1 goes on, and job 2 is not watched. All run as if nobody had watched. */
static void a_watched_exit_is_told_while_the_job_runs(void **state)
{
    (void)state;
    static const rung_exit_policy second = {.rule = RUNG_EXIT_PAPER, .tau = 2, .patience = 1, .first_layer = 2};
    for (int told = 0; told < 2; told++) {
        bench b;
        open_bench(&b);
        size_t classes = b.model->config.num_labels;
        size_t hidden = b.model->config.hidden_size;
        float all_logits[3 * 8];
        float all_states[3 * 32];
        float importance[JOBS][TOKENS] = {{0}};
        watcher watchers[JOBS] = {0};
        rung_job *jobs[JOBS];
        run(&b, NULL);
        float expected[8];
        memcpy(expected, b.logits[1], sizeof expected);
        for (size_t j = 0; j < JOBS; j++) {
            b.jobs[j].importance = importance[j];
            b.jobs[j].watch_layer = j == 2 ? 0 : 2;
            b.jobs[j].watch_logits = watchers[j].logits;
            b.jobs[j].watch_state = watchers[j].state;
            b.jobs[j].on_watch = told ? note_watch : NULL;
            b.jobs[j].watch_context = &watchers[j];
            rung_exit_init(&b.jobs[j].exit, j == 0 ? &second : &ALL_LAYERS, &b.calibration, (uint32_t)classes,
                           b.workspace[j]);
            jobs[j] = &b.jobs[j];
        }
        b.jobs[1].all_logits = told ? NULL : all_logits; /* else no exit but the watched one is asked */
        b.jobs[1].all_states = all_states;
        rung_batch_run(&b.batch, jobs, JOBS, 2, NULL);
        assert_int_equal(b.jobs[0].exit_layer, 2);
        assert_false(b.jobs[0].watched || b.jobs[2].watched);
        assert_true(b.jobs[1].watched && b.jobs[1].exit_layer == 3);
        assert_true(b.jobs[1].watch_s > 0 && b.jobs[1].watch_s < b.jobs[1].compute_s);
        assert_int_equal(watchers[1].calls, told);
        assert_int_equal(watchers[0].calls + watchers[2].calls, 0);
        assert_memory_equal(b.jobs[1].logits, expected, classes * sizeof expected[0]);
        assert_memory_equal(watchers[1].state, all_states + hidden, hidden * sizeof(float));
        if (told) { /* complete by then */
            assert_memory_equal(watchers[1].importance, importance[1], b.jobs[1].num_tokens * sizeof(float));
        } else {
            assert_memory_equal(watchers[1].logits, all_logits + classes, classes * sizeof(float));
        }
        const atomic_bool cancelled[JOBS] = {false, true, false};
        b.jobs[1].cancelled = &cancelled[1];
        rung_batch_run(&b.batch, &jobs[1], 1, 2, NULL);
        assert_false(b.jobs[1].watched);
        rung_batch_deinit(&b.batch);
        rung_model_close(b.model);
    }
}

/* Exits are asked for the sake of early offload alone, from the first one on that may stop. */
static void early_offload_is_told(void **state)
{
    (void)state;
    static const rung_exit_policy from_second = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 2};
    static const double early[JOBS] = {1, 0, 1e-6};
    bench b;
    open_bench(&b);
    rung_job *jobs[JOBS];
    run(&b, NULL);
    for (size_t j = 0; j < JOBS; j++) {
        rung_exit_init(&b.jobs[j].exit, &from_second, &b.calibration, (uint32_t)b.model->config.num_labels,
                       b.workspace[j]);
        b.jobs[j].exit.early = early[j];
        jobs[j] = &b.jobs[j];
    }
    rung_batch_run(&b.batch, jobs, JOBS, 2, NULL);
    for (size_t j = 0; j < JOBS; j++) {
        assert_int_equal(b.jobs[j].early, j == 0);
        assert_int_equal(b.jobs[j].exit_layer, j == 0 ? 2 : 3);
    }
    b.jobs[0].exit.early = 0;
    rung_exit_init(&b.jobs[0].exit, &from_second, &b.calibration, (uint32_t)b.model->config.num_labels, b.workspace[0]);
    rung_batch_run(&b.batch, jobs, 1, 2, NULL);
    assert_false(b.jobs[0].early); /* nothing of the run before */
    rung_batch_deinit(&b.batch);
    rung_model_close(b.model);
}

/* ---- Variants ---- */

#define TEXTS 5
#define LONGEST 90
#define HIDDEN 104
#define LABELS 3
#define LAYERS 5

static const size_t LENGTHS[TEXTS] = {1, 7, 64, 33, LONGEST};
static const rung_exit_policy SECOND = {.rule = RUNG_EXIT_PAPER, .tau = 2, .patience = 1, .first_layer = 2};

/* What every text gets from one model. */
typedef struct outcome {
    float logits[TEXTS][LABELS];
    float state[TEXTS][HIDDEN];
    uint32_t exit_layer[TEXTS];
} outcome;

typedef struct trial {
    rung_model *model;
    rung_level_calibration calibration;
    double temperature[LAYERS];
    int32_t ids[TEXTS][LONGEST];
    uint8_t types[TEXTS][LONGEST];
} trial;

static void open_trial(trial *t, size_t num_layers, rung_precision precision)
{
    const rung_model_config shape = {.num_layers = num_layers,
                                     .hidden_size = HIDDEN,
                                     .intermediate_size = 212,
                                     .num_heads = 4,
                                     .max_tokens = LONGEST,
                                     .num_labels = LABELS};
    rung_error error;
    *t = (trial){0};
    assert_int_equal(rung_model_random(&shape, precision, 7, &t->model, &error), RUNG_OK);
    for (size_t l = 0; l < num_layers; l++) {
        t->temperature[l] = 1;
    }
    t->calibration = (rung_level_calibration){.num_exits = (uint32_t)num_layers, .temperature = t->temperature};
    for (size_t s = 0; s < TEXTS; s++) {
        for (size_t i = 0; i < LENGTHS[s]; i++) {
            t->ids[s][i] = (int32_t)((17 * s + 31 * i + i * i) % t->model->config.vocab_size);
            t->types[s][i] = i > LENGTHS[s] / 2;
        }
    }
}

/* All texts in one call, over a batch of max_tokens and max_sequences. */
static void try_batch(trial *t, const rung_kernels *kernels, rung_thread_pool *pool, size_t max_tokens,
                      size_t max_sequences, const rung_variant *variant, outcome *out)
{
    rung_batch batch;
    rung_error error;
    rung_job job[TEXTS];
    rung_job *jobs[TEXTS];
    double workspace[TEXTS][2 * LABELS];
    *out = (outcome){0};
    assert_int_equal(rung_batch_init(&batch, t->model, kernels, max_tokens, max_sequences, &error), RUNG_OK);
    assert_int_equal(rung_batch_share(&batch, pool, &error), RUNG_OK);
    for (size_t s = 0; s < TEXTS; s++) {
        job[s] = (rung_job){.ids = t->ids[s],
                            .type_ids = t->types[s],
                            .num_tokens = LENGTHS[s],
                            .logits = out->logits[s],
                            .state = out->state[s]};
        bool may_leave = variant != NULL && variant->kind != RUNG_VARIANT_NONE;
        rung_exit_init(&job[s].exit, may_leave ? &SECOND : &ALL_LAYERS, &t->calibration, LABELS, workspace[s]);
        jobs[s] = &job[s];
    }
    rung_batch_run(&batch, jobs, TEXTS, 0, variant);
    for (size_t s = 0; s < TEXTS; s++) {
        out->exit_layer[s] = job[s].exit_layer;
        assert_int_equal(job[s].exit_layer, t->model->config.num_layers);
    }
    rung_batch_deinit(&batch);
}

static void try_simply(trial *t, const rung_variant *variant, outcome *out)
{
    rung_error error;
    const rung_kernels *kernels;
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    try_batch(t, kernels, NULL, 512, TEXTS, variant, out);
}

/* Variants that leave nothing out change no bit. */
static void a_variant_of_all_is_none(void **state)
{
    (void)state;
    static const struct {
        size_t num_layers;
        rung_variant variant;
    } cases[] = {{LAYERS, {RUNG_VARIANT_NONE, 0}},         {LAYERS, {RUNG_VARIANT_POWER_BERT, 1}},
                 {2, {RUNG_VARIANT_LAYER_SKIP, 2}},        {1, {RUNG_VARIANT_LAYER_SKIP, 4}},
                 {1, {RUNG_VARIANT_POWER_BERT, 0.1}},      {1, {RUNG_VARIANT_NONE, 0}},
                 {2, {RUNG_VARIANT_POWER_BERT, 0.999999}}, {2, {RUNG_VARIANT_NONE, 0}}};
    static outcome plain, found;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int int8 = 0; int8 < 2; int8++) {
            trial t;
            open_trial(&t, cases[i].num_layers, int8 ? RUNG_PRECISION_INT8 : RUNG_PRECISION_FP32);
            try_simply(&t, NULL, &plain);
            try_simply(&t, &cases[i].variant, &found);
            assert_memory_equal(&plain, &found, sizeof plain);
            rung_model_close(t.model);
        }
    }
}

/* The same by hand: the encoder's layers that are kept, one text alone. */
static void layer_skip_runs_the_kept_layers(void **state)
{
    (void)state;
    static const size_t kept[] = {0, 4}; /* R = int(5 / 2) = 2 */
    static outcome found;
    trial t;
    rung_error error;
    rung_batch batch;
    const rung_kernels *kernels;
    open_trial(&t, LAYERS, RUNG_PRECISION_INT8);
    try_simply(&t, &(rung_variant){RUNG_VARIANT_LAYER_SKIP, 2}, &found);
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_batch_init(&batch, t.model, kernels, LONGEST, 1, &error), RUNG_OK);
    for (size_t s = 0; s < TEXTS; s++) {
        float logits[LABELS];
        rung_batch_clear(&batch);
        rung_batch_add(&batch, t.ids[s], t.types[s], LENGTHS[s]);
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            rung_encoder_layer(&batch, kept[i], false);
        }
        rung_exit_logits(&batch, LAYERS - 1, 0, logits);
        assert_memory_equal(logits, found.logits[s], sizeof logits);
    }
    rung_batch_deinit(&batch);
    rung_model_close(t.model);
}

/* The same by hand: a token stays when fewer than `count` others, [CLS] first, are before it; sums of one layer only. */
static void power_bert_drops_by_the_layers_own_sums(void **state)
{
    (void)state;
    static const size_t counts[LAYERS - 1] = {30, 27, 24, 20}; /* of 33: 29.7, 26.4, 23.1, 19.8 */
    enum { TEXT = 3 };
    static outcome found;
    trial t;
    rung_error error;
    rung_batch batch;
    const rung_kernels *kernels;
    open_trial(&t, LAYERS, RUNG_PRECISION_INT8);
    try_simply(&t, &(rung_variant){RUNG_VARIANT_POWER_BERT, 0.5}, &found);
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_batch_init(&batch, t.model, kernels, LONGEST, 1, &error), RUNG_OK);
    rung_batch_add(&batch, t.ids[TEXT], t.types[TEXT], LENGTHS[TEXT]);
    for (size_t layer = 0; layer + 1 < LAYERS; layer++) {
        memset(batch.importance, 0, batch.num_tokens * sizeof *batch.importance);
        rung_encoder_layer(&batch, layer, true);
        const float *sums = batch.importance;
        bool keep[LONGEST];
        for (size_t i = 0; i < batch.num_tokens; i++) {
            size_t before = i > 0;
            for (size_t j = 1; j < batch.num_tokens; j++) {
                before += i > 0 && (sums[j] > sums[i] || (sums[j] == sums[i] && j < i));
            }
            keep[i] = before < counts[layer];
        }
        rung_batch_keep_tokens(&batch, keep);
        assert_int_equal(batch.num_tokens, counts[layer]);
    }
    float logits[LABELS];
    rung_encoder_layer(&batch, LAYERS - 1, false);
    rung_exit_logits(&batch, LAYERS - 1, 0, logits);
    assert_memory_equal(logits, found.logits[TEXT], sizeof logits);
    rung_batch_deinit(&batch);
    rung_model_close(t.model);
}

/* Every table, alone, in pairs and together, on one thread and on three. */
static void check_bits_of(trial *t, const rung_variant *variant)
{
    static const struct {
        size_t max_tokens, max_sequences;
    } batches[] = {{LONGEST, 1}, {100, 2}, {512, TEXTS}};
    static outcome plain, first, found;
    rung_error error;
    const rung_kernels *kernels;
    try_simply(t, NULL, &plain);
    try_simply(t, variant, &first);
    assert_memory_not_equal(plain.logits[TEXTS - 1], first.logits[TEXTS - 1], sizeof plain.logits[0]);
    for (size_t k = 0; (kernels = rung_kernels_at(k)) != NULL; k++) {
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            try_batch(t, kernels, NULL, batches[b].max_tokens, batches[b].max_sequences, variant, &found);
            assert_memory_equal(&first, &found, sizeof first);
        }
    }
    if (getenv("RUNG_EMULATED") == NULL) {
        rung_thread_pool *pool;
        assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
        assert_int_equal(rung_thread_pool_create(3, &pool, &error), RUNG_OK);
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            try_batch(t, kernels, pool, batches[b].max_tokens, batches[b].max_sequences, variant, &found);
            assert_memory_equal(&first, &found, sizeof first);
        }
        rung_thread_pool_free(pool);
    }
}

static void variants_give_the_same_bits_everywhere(void **state)
{
    (void)state;
    static const rung_variant variants[] = {{RUNG_VARIANT_LAYER_SKIP, 2},
                                            {RUNG_VARIANT_LAYER_SKIP, 1.2},
                                            {RUNG_VARIANT_POWER_BERT, 0.5},
                                            {RUNG_VARIANT_POWER_BERT, 0.02}};
    for (int int8 = 0; int8 < 2; int8++) {
        trial t;
        open_trial(&t, LAYERS, int8 ? RUNG_PRECISION_INT8 : RUNG_PRECISION_FP32);
        for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
            check_bits_of(&t, &variants[v]);
        }
        rung_model_close(t.model);
    }
}

/* Rows of layers that do not run, and logits of exits that are not asked, are left alone; a cancelled job leaves. */
static void variants_fill_what_ran(void **state)
{
    (void)state;
    static const rung_variant variants[] = {{RUNG_VARIANT_LAYER_SKIP, 2}, {RUNG_VARIANT_POWER_BERT, 0.5}};
    for (size_t v = 0; v < 2; v++) {
        bench b;
        open_bench(&b);
        run(&b, NULL);
        enum { WIDTH = 32, LAST = 2 };
        float logits[JOBS][3 * 3] = {{0}}, states[JOBS][3 * WIDTH] = {{0}}, importance[JOBS][3 * TOKENS] = {{0}};
        double seconds[JOBS][3] = {{0}};
        const atomic_bool cancelled[JOBS] = {false, true, false};
        rung_job *jobs[JOBS];
        for (size_t j = 0; j < JOBS; j++) {
            b.jobs[j].all_logits = logits[j];
            b.jobs[j].all_states = states[j];
            b.jobs[j].all_importance = importance[j];
            b.jobs[j].all_compute_s = seconds[j];
            b.jobs[j].cancelled = &cancelled[j];
            rung_exit_init(&b.jobs[j].exit, &SECOND, &b.calibration, 3, b.workspace[j]);
            jobs[j] = &b.jobs[j];
        }
        rung_batch_run(&b.batch, jobs, JOBS, 0, &variants[v]);
        for (size_t j = 0; j < JOBS; j++) {
            bool ran = j != 1;
            bool skips = variants[v].kind == RUNG_VARIANT_LAYER_SKIP; /* the second of three */
            assert_int_equal(b.jobs[j].exit_layer, ran ? 3 : 0);
            assert_true(logits[j][0] == 0 && logits[j][3] == 0 && (logits[j][LAST * 3] != 0) == ran);
            assert_true((states[j][0] != 0) == ran && (states[j][WIDTH] != 0) == (ran && !skips));
            assert_true((states[j][LAST * WIDTH] != 0) == ran && importance[j][0] == 0);
            assert_true((seconds[j][0] > 0) == ran && (seconds[j][1] > 0) == (ran && !skips));
            assert_true(seconds[j][LAST] == (ran ? b.jobs[j].compute_s : 0));
        }
        rung_batch_deinit(&b.batch);
        rung_model_close(b.model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cancelled_jobs_leave),
                                       cmocka_unit_test(others_run_between_layers),
                                       cmocka_unit_test(states_are_what_heads_read),
                                       cmocka_unit_test(the_state_is_that_of_the_exit),
                                       cmocka_unit_test(importance_after_every_layer),
                                       cmocka_unit_test(a_watched_exit_is_told_while_the_job_runs),
                                       cmocka_unit_test(early_offload_is_told),
                                       cmocka_unit_test(a_variant_of_all_is_none),
                                       cmocka_unit_test(layer_skip_runs_the_kept_layers),
                                       cmocka_unit_test(power_bert_drops_by_the_layers_own_sums),
                                       cmocka_unit_test(variants_give_the_same_bits_everywhere),
                                       cmocka_unit_test(variants_fill_what_ran)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
