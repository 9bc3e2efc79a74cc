/* test_cascade.c: the whole path in one process, on the default cascade (models/) and the reviews of examples/: every answer is what its parts say, and
 * does not depend on threads, batches or kernels. */
#include "base/file.h"
#include "cascade/confidence.h"
#include "cascade/ensemble.h"
#include "fit/dataset.h"
#include "run/cascade.h"
#include "skip.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REVIEWS 24

static rung_cascade *open_cascade(const char *path, const rung_open_options *options)
{
    rung_cascade *cascade = NULL;
    rung_error error;
    if (rung_cascade_open(path, options, &cascade, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return cascade;
}

static rung_cascade *open_default(size_t threads, size_t batch_texts, const char *isa)
{
    return open_cascade("models/cascade.yaml",
                        &(rung_open_options){.threads = threads, .batch_texts = batch_texts, .isa = isa});
}

static void read_reviews(const rung_cascade *cascade, rung_dataset *data)
{
    rung_error error;
    if (rung_dataset_read(cascade, "examples/reviews.jsonl.zst", 0, data, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(data->count, 200);
    /* Short ones first: long ones take minutes under a sanitizer. */
    size_t front = 0;
    for (size_t i = 0; i < data->count; i++) {
        if (data->inputs[i].text_bytes <= 600) {
            rung_input input = data->inputs[front];
            data->inputs[front++] = data->inputs[i];
            data->inputs[i] = input;
        }
    }
    assert_true(front >= REVIEWS);
}

static rung_answers *classify(const rung_cascade *cascade, const rung_policy *policy, const rung_input *inputs,
                              size_t count)
{
    rung_answers *answers = NULL;
    rung_error error;
    if (rung_cascade_classify_policy(cascade, policy, inputs, count, NULL, &answers, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(rung_answers_count(answers), count);
    return answers;
}

/* Everything but times. */
static void assert_same_answer(const rung_answer *a, const rung_answer *b, size_t labels)
{
    assert_int_equal(a->status, RUNG_OK);
    assert_int_equal(b->status, RUNG_OK);
    assert_string_equal(a->label, b->label);
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->num_levels, b->num_levels);
    assert_memory_equal(a->probabilities, b->probabilities, labels * sizeof(double));
    for (size_t l = 0; l < a->num_levels; l++) {
        const rung_level_answer *x = &a->levels[l];
        const rung_level_answer *y = &b->levels[l];
        assert_int_equal(x->exit_layer, y->exit_layer);
        assert_memory_equal(&x->confidence, &y->confidence, sizeof x->confidence);
        assert_memory_equal(x->probabilities, y->probabilities, labels * sizeof(double));
        assert_int_equal(x->tokens, y->tokens);
        assert_int_equal(x->words, y->words);
        assert_int_equal(x->kept_words, y->kept_words);
        assert_int_equal(x->bytes_up, y->bytes_up);
        assert_int_equal(x->bytes_down, y->bytes_down);
        assert_memory_equal(&x->link_ms, &y->link_ms, sizeof x->link_ms);
    }
}

static void answers_do_not_depend_on_how_they_are_computed(void **state)
{
    (void)state;
    const rung_kernels *kernels;
    rung_cascade *first = open_default(1, 1, NULL);
    rung_dataset data;
    read_reviews(first, &data);
    rung_answers *expected = classify(first, &first->policy, data.inputs, REVIEWS);
    rung_policy always_up = first->policy; /* short texts through all levels, for the slow reference table */
    always_up.offload.threshold[0] = always_up.offload.threshold[1] = 1;
    const rung_input lines[] = {
        {.text = "A warm, funny film.", .text_bytes = 19},
        {.text = "Dull, and long.", .text_bytes = 15, .text_pair = "So it is!", .text_pair_bytes = 9}};
    rung_answers *expected_lines = classify(first, &always_up, lines, 2);
    for (size_t t = 0; (kernels = rung_kernels_at(t)) != NULL; t++) {
        rung_cascade *other = open_default(2, 0, kernels->name);
        rung_answers *answers = classify(other, &always_up, lines, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_same_answer(rung_answers_get(expected_lines, i), rung_answers_get(answers, i), first->num_classes);
        }
        rung_answers_free(answers);
        if (strcmp(kernels->name, "ref") != 0) {
            answers = classify(other, &other->policy, data.inputs, REVIEWS);
            for (size_t i = 0; i < REVIEWS; i++) {
                assert_same_answer(rung_answers_get(expected, i), rung_answers_get(answers, i), first->num_classes);
            }
            rung_answers_free(answers);
        }
        rung_cascade_close(other);
    }
    rung_answers_free(expected);
    rung_answers_free(expected_lines);
    rung_dataset_deinit(&data);
    rung_cascade_close(first);
}

/* The pool of the first `count` levels of an answer, from their own results. */
static void pool_of(const rung_cascade *cascade, const rung_answer *answer, size_t count, double weights[3],
                    double pooled[2])
{
    bool visited[3] = {false};
    const double *probabilities[3] = {NULL};
    for (size_t l = 0; l < count; l++) {
        visited[l] = true;
        probabilities[l] = answer->levels[l].probabilities;
    }
    rung_ensemble_result(&cascade->policy, &cascade->calibration, visited, probabilities, weights, pooled);
}

/* Eq 11-12 from the levels' own results, at every level that decided and at the end. */
static void answers_are_the_weighted_sum_of_their_levels(void **state)
{
    (void)state;
    rung_cascade *cascade = open_default(2, 0, NULL);
    rung_dataset data;
    read_reviews(cascade, &data);
    cascade->policy.offload.threshold[0] = 0.97; /* so that some of these short reviews go up */
    cascade->policy.offload.threshold[1] = 0.97;
    rung_answers *answers = classify(cascade, &cascade->policy, data.inputs, REVIEWS);
    size_t went_up = 0;
    for (size_t i = 0; i < REVIEWS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        double weights[3];
        double pooled[2];
        double parts_ms = 0;
        assert_int_equal(answer->num_levels, answer->level);
        for (size_t l = 0; l < answer->num_levels; l++) {
            const rung_level_answer *level = &answer->levels[l];
            bool sent = l + 1 < answer->num_levels;
            parts_ms += level->compute_ms + level->link_ms;
            assert_true(level->exit_layer >= 1 && level->exit_layer <= level->layers);
            assert_true(level->kept_words <= level->words);
            assert_int_equal(sent, level->bytes_up > 0);
            pool_of(cascade, answer, l + 1, weights, pooled);
            double confidence = (float)(pooled[0] > pooled[1] ? pooled[0] : pooled[1]);
            if (l + 1 < cascade->num_levels) { /* the top never sends */
                assert_int_equal(sent, confidence <= cascade->policy.offload.threshold[l]);
            }
        }
        double sum = 0;
        for (size_t l = 0; l < answer->num_levels; l++) {
            assert_true(answer->levels[l].weight == weights[l]);
            sum += weights[l];
        }
        assert_true(fabs(sum - 1) < 1e-12);
        assert_true(fabs(pooled[0] - answer->probabilities[0]) < 1e-12);
        assert_true(fabs(pooled[1] - answer->probabilities[1]) < 1e-12);
        assert_true(fabs(parts_ms - answer->latency_ms) < 1e-6);
        assert_int_equal(answer->label_index, rung_argmax(answer->probabilities, 2));
        went_up += answer->level > 1;
    }
    assert_true(went_up > 0 && went_up < REVIEWS);
    rung_answers_free(answers);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

static rung_policy named_policy(const rung_cascade *cascade, const char *name)
{
    rung_policy policy;
    rung_error error;
    if (rung_cascade_config_policy(&cascade->config, name, &policy, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return policy;
}

/* Always-cloud is the cloud's model alone, with two hops of the full text. */
static void always_top_is_the_top_model_alone(void **state)
{
    (void)state;
    rung_cascade *cascade = open_default(2, 0, NULL);
    rung_cascade *alone = open_cascade("models/cloud.safetensors", NULL);
    rung_dataset data;
    read_reviews(cascade, &data);
    rung_policy policy = named_policy(cascade, "single");
    rung_answers *through = classify(cascade, &policy, data.inputs, 6);
    rung_answers *direct = classify(alone, &alone->policy, data.inputs, 6);
    for (size_t i = 0; i < 6; i++) {
        const rung_answer *a = rung_answers_get(through, i);
        const rung_answer *b = rung_answers_get(direct, i);
        assert_int_equal(a->level, 3);
        assert_int_equal(a->label_index, b->label_index);
        assert_int_equal(a->levels[2].exit_layer, 12);
        assert_int_equal(a->levels[2].tokens, b->levels[0].tokens);
        for (size_t l = 0; l < 2; l++) {
            assert_int_equal(a->levels[l].exit_layer, 0);
            assert_null(a->levels[l].probabilities);
            assert_true(a->levels[l].compute_ms == 0);
            assert_true(a->levels[l].bytes_up > data.inputs[i].text_bytes);
        }
    }
    rung_answers_free(through);
    rung_answers_free(direct);
    rung_dataset_deinit(&data);
    rung_cascade_close(alone);
    rung_cascade_close(cascade);
}

static void thresholds_at_their_ends(void **state)
{
    (void)state;
    rung_cascade *cascade = open_default(2, 0, NULL);
    rung_dataset data;
    read_reviews(cascade, &data);
    rung_policy policy = cascade->policy;
    policy.offload.threshold[0] = policy.offload.threshold[1] = 0;
    rung_answers *answers = classify(cascade, &policy, data.inputs, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(rung_answers_get(answers, i)->level, 1);
        assert_int_equal(rung_answers_get(answers, i)->levels[0].bytes_up, 0);
    }
    rung_answers_free(answers);
    policy.offload.threshold[0] = policy.offload.threshold[1] = 1;
    answers = classify(cascade, &policy, data.inputs, 8);
    for (size_t i = 0; i < 8; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        assert_int_equal(answer->level, 3);
        /* The edge's token ids travel to the cloud, which has the same vocabulary, unless the text was cut. */
        assert_int_equal(answer->levels[2].words == 0, answer->levels[1].truncated_tokens == 0);
        assert_true(answer->levels[1].words <= answer->levels[0].kept_words);
    }
    rung_answers_free(answers);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

/* A larger alpha keeps fewer words, and alpha 0 keeps them all. */
static void pruning_follows_alpha(void **state)
{
    (void)state;
    rung_cascade *cascade = open_default(2, 0, NULL);
    rung_dataset data;
    read_reviews(cascade, &data);
    rung_policy policy = cascade->policy;
    policy.offload.threshold[0] = 1;
    policy.offload.threshold[1] = 0;
    size_t kept_before[6];
    static const double alphas[] = {0, 0.5, 1, 2};
    for (size_t a = 0; a < 4; a++) {
        policy.prune.alpha = alphas[a];
        rung_answers *answers = classify(cascade, &policy, data.inputs, 6);
        for (size_t i = 0; i < 6; i++) {
            const rung_level_answer *sender = &rung_answers_get(answers, i)->levels[0];
            if (a == 0) {
                assert_int_equal(sender->kept_words, sender->words);
            } else {
                assert_true(sender->kept_words <= kept_before[i] && sender->kept_words >= 1);
            }
            kept_before[i] = sender->kept_words;
            assert_int_equal(rung_answers_get(answers, i)->levels[1].words, sender->kept_words);
        }
        rung_answers_free(answers);
    }
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

/* A worker's memory is reused: nothing of a pair may show in the single text that comes after it. */
/* A cascade.yaml in a temporary file (path is a template of mkstemps); the levels' models are given. */
static void write_cascade(char *path, const char *first, const char *second, const char *extra)
{
    char yaml[1024];
    char *here = realpath(".", NULL);
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n  - {name: one, model: %s/%s}\n  - {name: two, model: %s/%s, link: wifi}\n%s", here,
                          first, here, second, extra);
    assert_int_equal(write(fd, yaml, (size_t)length), length);
    close(fd);
    free(here);
}

/* A long text through two levels: all of its words are weighed, not those of its start alone. */
static void long_texts_are_read_as_windows(void **state)
{
    (void)state;
    enum { FILLER = 700 };
    static const char filler[] = "so it goes on ";
    char path[] = "/tmp/rung_test_cascade.XXXXXX.yaml";
    char *text = malloc(FILLER * sizeof filler + 64);
    assert_non_null(text);
    size_t length = 0;
    for (size_t i = 0; i < FILLER; i++) {
        memcpy(text + length, filler, sizeof filler - 1);
        length += sizeof filler - 1;
    }
    memcpy(text + length, "and it is wonderful", 20);
    length += 19;
    const rung_input inputs[2] = {{.text = text, .text_bytes = length}, {.text = "Dull.", .text_bytes = 5}};
    for (int windows = 0; windows < 2; windows++) {
        write_cascade(path, "models/end.safetensors", "models/edge.safetensors",
                      windows ? "long_text: windows\nwindow_overlap: 32\n" : "");
        rung_cascade *cascade = open_cascade(path, &(rung_open_options){.threads = 1});
        unlink(path);
        memcpy(path, "/tmp/rung_test_cascade.XXXXXX.yaml", sizeof path);
        rung_policy policy = cascade->policy;
        policy.offload.threshold[0] = 1;
        rung_answers *answers = classify(cascade, &policy, inputs, 2);
        const rung_level_answer *level = rung_answers_get(answers, 0)->levels;
        assert_int_equal(rung_answers_get(answers, 0)->num_levels, 2);
        assert_int_equal(level[0].words, 4 * FILLER + 4);
        if (windows) {
            assert_int_equal(level[0].truncated_tokens, 0);
            assert_true(level[0].tokens > 4 * FILLER);
            assert_int_equal(level[0].exit_layer, level[0].layers);
            assert_true(level[0].kept_words < level[0].words);
        } else {
            assert_true(level[0].truncated_tokens > 0);
            /* What was not read is kept: 510 tokens are as many words here at most. */
            assert_true(level[0].kept_words >= level[0].words - 510);
        }
        assert_int_equal(rung_answers_get(answers, 1)->levels[0].tokens, 4);
        rung_answers_free(answers);
        rung_cascade_close(cascade);
    }
    free(text);
}

static void nothing_is_left_of_the_request_before(void **state)
{
    (void)state;
    const rung_input pair = {.text = "A pair of texts.",
                             .text_bytes = 16,
                             .text_pair = "This is the second of them.",
                             .text_pair_bytes = 27};
    const rung_input single = {.id = "single", .text = "A warm, funny film.", .text_bytes = 19};
    rung_cascade *used = open_default(1, 0, NULL);
    rung_cascade *fresh = open_default(1, 0, NULL);
    rung_policy always_up = used->policy;
    always_up.offload.threshold[0] = always_up.offload.threshold[1] = 1;
    rung_answers_free(classify(used, &always_up, &pair, 1));
    rung_answers *after = classify(used, &always_up, &single, 1);
    rung_answers *alone = classify(fresh, &always_up, &single, 1);
    assert_same_answer(rung_answers_get(alone, 0), rung_answers_get(after, 0), used->num_classes);
    rung_answers_free(after);
    rung_answers_free(alone);
    rung_cascade_close(used);
    rung_cascade_close(fresh);
}

static void bad_inputs_are_refused_one_by_one(void **state)
{
    (void)state;
    rung_cascade *cascade = open_default(2, 0, NULL);
    const rung_input inputs[] = {
        {.text = "fine", .text_bytes = 4},
        {.text = "", .text_bytes = 0},
        {.text = "bad \xff", .text_bytes = 5},
        {.text = "fine", .text_bytes = 4, .text_pair = "\xc3", .text_pair_bytes = 1},
        {.text = " \t", .text_bytes = 2},
        {.text = "fine", .text_bytes = 4},
    };
    rung_answers *answers = classify(cascade, &cascade->policy, inputs, 6);
    assert_int_equal(rung_answers_get(answers, 0)->status, RUNG_OK);
    assert_non_null(strstr(rung_answers_get(answers, 1)->error, "empty"));
    assert_non_null(strstr(rung_answers_get(answers, 2)->error, "offset 4"));
    assert_non_null(strstr(rung_answers_get(answers, 3)->error, "text_pair"));
    assert_int_equal(rung_answers_get(answers, 4)->status, RUNG_OK); /* white space is a text of no words */
    assert_int_equal(rung_answers_get(answers, 5)->status, RUNG_OK);
    assert_memory_equal(rung_answers_get(answers, 0)->probabilities, rung_answers_get(answers, 5)->probabilities,
                        2 * sizeof(double));
    assert_null(rung_answers_get(answers, 6));
    rung_answers_free(answers);
    answers = classify(cascade, &cascade->policy, NULL, 0);
    rung_answers_free(answers);
    rung_cascade_close(cascade);
}

/* Logits of transformers for the multi-label golden model, as its sigmoids, alone and as two levels. */
static void labels_by_themselves(void **state)
{
    (void)state;
    json_t *golden = json_load_file("tests/golden/logits_families.json", 0, NULL);
    assert_non_null(golden);
    const json_t *model = json_array_get(json_object_get(golden, "models"), 3);
    assert_string_equal(json_string_value(json_object_get(model, "model")), "tiny-sharded");
    rung_cascade *alone = open_cascade("tests/golden/tiny-sharded", &(rung_open_options){.precision = "fp32"});
    assert_true(rung_cascade_is_multi_label(alone));
    const json_t *texts = json_object_get(model, "texts");
    for (size_t i = 0; i < 8; i++) {
        const json_t *text = json_array_get(texts, i);
        const json_t *logits = json_array_get(json_object_get(text, "logits"), 2);
        rung_input input = {.text = json_string_value(json_object_get(text, "text"))};
        input.text_bytes = strlen(input.text);
        rung_policy policy = alone->policy;
        policy.exit.rule = RUNG_EXIT_OFF;
        rung_answers *answers = classify(alone, &policy, &input, 1);
        const rung_answer *answer = rung_answers_get(answers, 0);
        double least = 1;
        double greatest = 0;
        for (size_t c = 0; c < 4; c++) {
            double p = 1 / (1 + exp(-json_number_value(json_array_get(logits, c))));
            assert_true(fabs(answer->probabilities[c] - p) < 1e-5);
            least = fmin(least, fmax(p, 1 - p));
            greatest = fmax(greatest, p);
        }
        assert_true(fabs(answer->levels[0].confidence - least) < 1e-5);
        assert_true(fabs(answer->score - greatest) < 1e-5);
        rung_answers_free(answers);
    }
    rung_cascade_close(alone);
    json_decref(golden);
}

static void labels_by_themselves_in_a_cascade(void **state)
{
    (void)state;
    char path[] = "/tmp/rung_test_cascade.XXXXXX.yaml";
    write_cascade(path, "tests/golden/tiny-sharded", "tests/golden/tiny-sharded", "");
    rung_cascade *cascade = open_cascade(path, NULL);
    unlink(path);
    rung_policy always_up = cascade->policy;
    always_up.offload.threshold[0] = 1;
    const rung_input input = {.text = "one funny film and a dull plot", .text_bytes = 30};
    rung_answers *answers = classify(cascade, &always_up, &input, 1);
    const rung_answer *answer = rung_answers_get(answers, 0);
    assert_int_equal(answer->level, 2);
    assert_int_equal(answer->num_levels, 2);
    for (size_t c = 0; c < 4; c++) { /* equal weights: the mean of the two */
        double mean = (answer->levels[0].probabilities[c] + answer->levels[1].probabilities[c]) / 2;
        assert_true(fabs(answer->probabilities[c] - mean) < 1e-12);
    }
    rung_answers_free(answers);
    always_up.offload.threshold[0] = 0; /* any confidence is enough */
    answers = classify(cascade, &always_up, &input, 1);
    assert_int_equal(rung_answers_get(answers, 0)->level, 1);
    rung_answers_free(answers);
    rung_cascade_close(cascade);
}

static void expect_refusal(const char *first, const char *second, const char *extra, rung_status status,
                           const char *part)
{
    char path[] = "/tmp/rung_test_cascade.XXXXXX.yaml";
    write_cascade(path, first, second, extra);
    rung_cascade *cascade = NULL;
    rung_error error = {0};
    assert_int_equal(rung_cascade_open(path, NULL, &cascade, &error), status);
    assert_null(cascade);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, part);
    }
    unlink(path);
}

static void parts_that_disagree_are_refused(void **state)
{
    (void)state;
    expect_refusal("tests/golden/tiny-bert", "tests/golden/tiny-bert-odd", "", RUNG_MISMATCH,
                   "labels differ between levels");
    expect_refusal("tests/golden/tiny-bert", "tests/golden/tiny-sharded", "", RUNG_MISMATCH,
                   "one has problem_type multi_label_classification and the other has not");
    expect_refusal("models/end.safetensors", "tests/golden/tiny-bert-odd", "policy: {prune: {unit: token}}\n",
                   RUNG_MISMATCH, "policy.prune.unit token");
    expect_refusal("models/end.safetensors", "models/edge.safetensors", "labels: {neg: pos}\n", RUNG_MISMATCH,
                   "are both \"pos\" after renaming");
    expect_refusal("models/end.safetensors, memory: 5MiB", "models/edge.safetensors", "", RUNG_LIMIT,
                   "memory is 5242880");
    expect_refusal("models/end.safetensors", "models/edge.safetensors", "calibration: nowhere.json\n", RUNG_NOT_FOUND,
                   "nowhere.json");
    expect_refusal("models/edge.safetensors", "models/end.safetensors", "precision: fp32\n", RUNG_UNSUPPORTED, "fp32");
    rung_cascade *cascade = NULL;
    rung_error error;
    assert_int_equal(
        rung_cascade_open("models/end.safetensors", &(rung_open_options){.precision = "int4"}, &cascade, &error),
        RUNG_INVALID);
    assert_int_equal(
        rung_cascade_open("models/end.safetensors", &(rung_open_options){.threads = 100000}, &cascade, &error),
        RUNG_LIMIT);
    assert_int_equal(rung_cascade_open("models/end.safetensors", &(rung_open_options){.isa = "z80"}, &cascade, &error),
                     RUNG_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_depend_on_how_they_are_computed),
        cmocka_unit_test(answers_are_the_weighted_sum_of_their_levels),
        cmocka_unit_test(always_top_is_the_top_model_alone),
        cmocka_unit_test(thresholds_at_their_ends),
        cmocka_unit_test(pruning_follows_alpha),
        cmocka_unit_test(long_texts_are_read_as_windows),
        cmocka_unit_test(nothing_is_left_of_the_request_before),
        cmocka_unit_test(bad_inputs_are_refused_one_by_one),
        cmocka_unit_test(labels_by_themselves),
        cmocka_unit_test(labels_by_themselves_in_a_cascade),
        cmocka_unit_test(parts_that_disagree_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
