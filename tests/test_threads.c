/* test_threads.c: many threads on one cascade of two small levels; small enough for ThreadSanitizer. Answers and fits are those of one
 * thread. */
#include "base/parallel.h"
#include "fit/fit_cascade.h"
#include "skip.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUTS 200
#define CALLERS 3

static char text[INPUTS][64];
static rung_input inputs[INPUTS];
static char path[] = "/tmp/rung_test_threads.XXXXXX.yaml";

static int write_cascade(void **state)
{
    (void)state;
    char yaml[1024];
    char *here = realpath(".", NULL);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n  - {name: one, model: %s/tests/golden/tiny-bert}\n"
                          "  - {name: two, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "policy: {offload: {threshold: 0.7}}\n",
                          here, here);
    free(here);
    int fd = mkstemps(path, 5);
    if (fd < 0 || write(fd, yaml, (size_t)length) != length) {
        return 1;
    }
    for (size_t i = 0; i < INPUTS; i++) {
        int bytes = snprintf(text[i], sizeof text[i], "it was good, the film %zu of %zu was %s", i, i * 7 % 13,
                             i % 3 == 0 ? "great" : "dull");
        inputs[i] = (rung_input){.text = text[i], .text_bytes = (size_t)bytes};
    }
    return close(fd);
}

static int remove_cascade(void **state)
{
    (void)state;
    return unlink(path);
}

static rung_cascade *open_with(size_t threads)
{
    rung_cascade *cascade = NULL;
    rung_error error;
    if (rung_cascade_open(path, &(rung_open_options){.threads = threads}, &cascade, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return cascade;
}

static rung_answers *classify_first(const rung_cascade *cascade, size_t count)
{
    rung_answers *answers = NULL;
    rung_error error;
    return rung_cascade_classify(cascade, inputs, count, &answers, &error) == RUNG_OK ? answers : NULL;
}

static rung_answers *classify(const rung_cascade *cascade)
{
    return classify_first(cascade, INPUTS);
}

static bool same_answers(const rung_answers *a, const rung_answers *b, size_t labels)
{
    for (size_t i = 0; i < rung_answers_count(b); i++) {
        const rung_answer *x = rung_answers_get(a, i);
        const rung_answer *y = rung_answers_get(b, i);
        if (x->status != RUNG_OK || y->status != RUNG_OK || x->level != y->level ||
            memcmp(x->probabilities, y->probabilities, labels * sizeof(double)) != 0) {
            return false;
        }
    }
    return true;
}

typedef struct calls {
    const rung_cascade *cascade;
    const rung_answers *expected;
    atomic_size_t right;
} calls;

static void call(void *context, size_t worker)
{
    (void)worker;
    calls *shared = context;
    rung_answers *answers = classify(shared->cascade);
    if (answers != NULL && same_answers(shared->expected, answers, rung_cascade_num_labels(shared->cascade))) {
        atomic_fetch_add(&shared->right, 1);
    }
    rung_answers_free(answers);
}

static void callers_and_workers_do_not_disturb_each_other(void **state)
{
    (void)state;
    rung_cascade *alone = open_with(1);
    rung_cascade *together = open_with(4);
    assert_int_equal(rung_cascade_num_levels(together), 2);
    rung_answers *expected = classify(alone);
    assert_non_null(expected);
    size_t levels[3] = {0};
    for (size_t i = 0; i < INPUTS; i++) {
        levels[rung_answers_get(expected, i)->level]++;
    }
    assert_true(levels[1] > 0 && levels[2] > 0);
    calls shared = {.cascade = together, .expected = expected};
    rung_parallel(CALLERS, call, &shared);
    assert_int_equal(atomic_load(&shared.right), CALLERS);
    rung_answers_free(expected);
    rung_cascade_close(alone);
    rung_cascade_close(together);
}

/* With fewer texts than threads, threads share the layers; how many changes from call to call. */
static void few_texts_get_the_same_answers(void **state)
{
    (void)state;
    static const size_t counts[] = {1, INPUTS, 1, 3, 2, 1, 5, 2};
    rung_cascade *alone = open_with(1);
    rung_cascade *together = open_with(5);
    rung_answers *expected = classify(alone);
    assert_non_null(expected);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        rung_answers *answers = classify_first(together, counts[i]);
        assert_non_null(answers);
        assert_int_equal(rung_answers_count(answers), counts[i]);
        assert_true(same_answers(expected, answers, rung_cascade_num_labels(together)));
        rung_answers_free(answers);
    }
    rung_answers_free(expected);
    rung_cascade_close(alone);
    rung_cascade_close(together);
}

static void count_progress(void *context, const char *what, size_t done, size_t total)
{
    (void)what;
    size_t *most = context; /* calls come one at a time */
    *most = done > *most ? done : *most;
    assert_true(done <= total);
}

static void fits_are_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    rung_buffer printed[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        rung_cascade *cascade = open_with(i == 0 ? 1 : 4);
        uint32_t labels[INPUTS];
        for (size_t n = 0; n < INPUTS; n++) {
            labels[n] = (uint32_t)(n % 3);
        }
        rung_dataset data = {.count = INPUTS, .inputs = inputs, .labels = labels};
        memset(data.sha256, '0', sizeof data.sha256 - 1);
        rung_calibration_file file = {0};
        rung_error error;
        size_t most = 0;
        rung_progress progress = {.report = count_progress, .context = &most};
        rung_fit_options options = {.data_name = "made up", .target_agreement = 0.9, .progress = &progress};
        if (rung_fit_cascade(cascade, &data, &options, &file, &error) != RUNG_OK ||
            rung_calibration_file_print(&file, &printed[i], &error) != RUNG_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(most, INPUTS);
        rung_calibration_file_deinit(&file);
        rung_cascade_close(cascade);
    }
    assert_string_equal(printed[0].data, printed[1].data);
    rung_buffer_deinit(&printed[0]);
    rung_buffer_deinit(&printed[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_and_workers_do_not_disturb_each_other),
        cmocka_unit_test(few_texts_get_the_same_answers),
        cmocka_unit_test(fits_are_the_same_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, write_cascade, remove_cascade);
}
