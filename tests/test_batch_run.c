/* test_batch_run.c: jobs that are cancelled leave the batch, and the others do not notice. */
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
    rung_batch_run(&b->batch, jobs, JOBS, 0);
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
    rung_batch_run(&b.batch, jobs, JOBS, 0);
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
    rung_batch_run(&b.batch, jobs, JOBS, 0);
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
    rung_batch_run(&b.batch, jobs, JOBS, 2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelled_jobs_leave), cmocka_unit_test(states_are_what_heads_read),
        cmocka_unit_test(the_state_is_that_of_the_exit), cmocka_unit_test(importance_after_every_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
