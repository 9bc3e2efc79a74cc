/* test_windows.c: where windows begin and end, and that their mean is that of the windows run as texts of their own. */
#include "model/random_model.h"
#include "run/windows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_TOKENS 10 /* of the model: 8 of the text and two special ones */
#define LABELS 3
#define HIDDEN 32
#define MAX_LENGTH 100

typedef struct scene {
    rung_model *model;
    rung_batch batch;
    double temperature[2];
    rung_level_calibration calibration;
    int32_t ids[MAX_LENGTH];
    uint8_t types[MAX_LENGTH], special[MAX_LENGTH];
    rung_encoding tokens;
    rung_windows windows;
} scene;

static void open_scene(scene *s)
{
    static const rung_model_config shape = {.num_layers = 2,
                                            .hidden_size = HIDDEN,
                                            .intermediate_size = 64,
                                            .num_heads = 2,
                                            .max_tokens = MAX_TOKENS,
                                            .num_labels = LABELS};
    rung_error error;
    const rung_kernels *kernels;
    *s = (scene){.temperature = {1, 1}};
    assert_int_equal(rung_model_random(&shape, RUNG_PRECISION_INT8, 3, &s->model, &error), RUNG_OK);
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_batch_init(&s->batch, s->model, kernels, 25, 64, &error), RUNG_OK);
    s->calibration = (rung_level_calibration){.num_exits = 2, .temperature = s->temperature};
    s->tokens = (rung_encoding){.ids = s->ids, .type_ids = s->types, .special = s->special};
}

static void close_scene(scene *s)
{
    rung_windows_deinit(&s->windows);
    rung_batch_deinit(&s->batch);
    rung_model_close(s->model);
}

/* A text of `own` tokens between two special ones. */
static void make(scene *s, size_t own, size_t overlap)
{
    rung_error error;
    s->tokens.length = own + 2;
    for (size_t i = 0; i < s->tokens.length; i++) {
        s->ids[i] = (int32_t)(10 + i);
        s->special[i] = i == 0 || i == own + 1;
    }
    assert_int_equal(rung_windows_make(&s->windows, &s->tokens, &s->model->config, overlap, &s->calibration, &error),
                     RUNG_OK);
}

static void windows_cover_the_text(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    make(&s, 8, 2);
    assert_int_equal(s.windows.count, 0); /* it fits */
    for (size_t own = 9; own <= 60; own++) {
        for (size_t overlap = 0; overlap < 12; overlap++) {
            make(&s, own, overlap);
            size_t step = 8 - (overlap < 4 ? overlap : 4);
            assert_int_equal(s.windows.count, 1 + (own - 8 + step - 1) / step);
            for (size_t w = 0; w < s.windows.count; w++) {
                const rung_job *job = &s.windows.jobs[w];
                bool last = w + 1 == s.windows.count;
                size_t first = last ? own - 8 + 1 : w * step + 1;
                assert_int_equal(s.windows.first[w], first);
                assert_int_equal(job->num_tokens, MAX_TOKENS);
                assert_int_equal(job->ids[0], 10);
                assert_int_equal(job->ids[MAX_TOKENS - 1], 10 + own + 1);
                for (size_t i = 0; i < 8; i++) {
                    assert_int_equal(job->ids[1 + i], 10 + first + i);
                }
            }
            assert_int_equal(s.windows.num_tokens, s.windows.count * MAX_TOKENS);
        }
    }
    close_scene(&s);
}

static void the_limit_bounds_the_windows(void **state)
{
    (void)state;
    assert_int_equal(rung_windows_limit(512, 64), 512 + 63 * 448);
    assert_int_equal(rung_windows_limit(512, 5000), 512 + 63 * 256);
    assert_int_equal(rung_windows_limit(3, 0), 3 + 63 * 3);
}

/* Runs the windows as parts of one job, beside another job, in a batch that holds two and a half of them. */
static void the_result_is_the_mean(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    make(&s, 30, 3); /* 6 windows */
    size_t count = s.windows.count;
    assert_int_equal(count, 6);
    float logits[2][LABELS], state_mean[HIDDEN], other_state[HIDDEN];
    double workspace[2 * LABELS];
    static const rung_exit_policy all_layers = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1};
    rung_job other = {.ids = s.ids, .type_ids = s.types, .num_tokens = 7, .logits = logits[1], .state = other_state};
    rung_exit_init(&other.exit, &all_layers, &s.calibration, LABELS, workspace);
    rung_job whole = {.logits = logits[0], .state = state_mean, .parts = s.windows.jobs, .num_parts = count};
    rung_batch_run(&s.batch, (rung_job *[]){&whole, &other}, 2, 1, NULL);
    assert_int_equal(whole.exit_layer, 2);
    assert_int_equal(other.exit_layer, 2);
    float sum[LABELS] = {0}, state_sum[HIDDEN] = {0};
    float importance[MAX_LENGTH] = {0};
    unsigned readers[MAX_LENGTH] = {0};
    for (size_t w = 0; w < count; w++) {
        float own[LABELS], own_state[HIDDEN], own_importance[MAX_TOKENS];
        rung_job alone = {.ids = s.windows.jobs[w].ids,
                          .type_ids = s.windows.jobs[w].type_ids,
                          .num_tokens = MAX_TOKENS,
                          .logits = own,
                          .state = own_state,
                          .importance = own_importance};
        rung_exit_init(&alone.exit, &all_layers, &s.calibration, LABELS, workspace);
        rung_batch_run(&s.batch, (rung_job *[]){&alone}, 1, 1, NULL);
        for (size_t c = 0; c < LABELS; c++) {
            sum[c] += own[c];
        }
        for (size_t i = 0; i < HIDDEN; i++) {
            state_sum[i] += own_state[i];
        }
        for (size_t i = 1; i + 1 < MAX_TOKENS; i++) {
            importance[s.windows.first[w] + i - 1] += own_importance[i];
            readers[s.windows.first[w] + i - 1]++;
        }
    }
    for (size_t c = 0; c < LABELS; c++) {
        assert_true(logits[0][c] == sum[c] / (float)count);
    }
    for (size_t i = 0; i < HIDDEN; i++) {
        assert_true(state_mean[i] == state_sum[i] / (float)count);
    }
    float found[MAX_LENGTH];
    rung_windows_importance(&s.windows, &s.tokens, found);
    for (size_t i = 1; i <= 30; i++) {
        assert_true(readers[i] > 0 && found[i] == importance[i] / (float)readers[i]);
    }
    assert_true(found[0] == 0 && found[31] == 0);
    close_scene(&s);
}

static void a_cancelled_text_leaves_with_all_its_windows(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    make(&s, 30, 3);
    float logits[LABELS];
    const atomic_bool cancelled = true;
    rung_job whole = {.logits = logits, .parts = s.windows.jobs, .num_parts = s.windows.count, .cancelled = &cancelled};
    rung_batch_run(&s.batch, (rung_job *[]){&whole}, 1, 0, NULL);
    assert_int_equal(whole.exit_layer, 0);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_the_text),
        cmocka_unit_test(the_limit_bounds_the_windows),
        cmocka_unit_test(the_result_is_the_mean),
        cmocka_unit_test(a_cancelled_text_leaves_with_all_its_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
