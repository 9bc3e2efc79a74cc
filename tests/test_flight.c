/* test_flight.c: requests on their way through three levels in one process: offload from an early exit, levels asked ahead of the result, levels that are
 * passed by, and levels that compute side by side. Times are virtual: what overlaps is not added up. */
#include "base/file.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "run/cascade.h"
#include "skip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXTS 40
#define CLASSES 3
#define LEVELS 3

static rung_cascade *cascade;
static char texts[TEXTS][128];
static rung_input inputs[TEXTS];

/* Three times the same small model, of three layers with exits. */
static int open_levels(void **state)
{
    (void)state;
    static const char *const words[] = {"the",  "film", "was", "good",  "dull", "and",
                                        "long", "not",  "a",   "funny", "plot"};
    char path[] = "/tmp/rung_test_flight.XXXXXX.yaml";
    char yaml[1024];
    char *here = realpath(".", NULL);
    rung_error error;
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n"
                          "  - {name: one, model: %s/tests/golden/tiny-bert, speed: 0.5}\n"
                          "  - {name: two, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "  - {name: three, model: %s/tests/golden/tiny-bert, link: 4g}\n",
                          here, here, here);
    assert_int_equal(write(fd, yaml, (size_t)length), length);
    close(fd);
    free(here);
    if (rung_cascade_open(path, &(rung_open_options){.threads = 1}, &cascade, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    unlink(path);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t used = 0;
        for (size_t w = 0; w < 3 + i % 17; w++) {
            used += (size_t)snprintf(texts[i] + used, sizeof texts[i] - used, "%s%s", w > 0 ? " " : "",
                                     words[(i * (w + 2) + w * w) % 11]);
        }
        inputs[i] = (rung_input){.text = texts[i], .text_bytes = used};
    }
    return 0;
}

static int close_levels(void **state)
{
    (void)state;
    rung_cascade_close(cascade);
    return 0;
}

static void set_thresholds(rung_policy *policy, double first, double second)
{
    policy->offload.threshold[0] = first;
    policy->offload.threshold[1] = second;
}

/* "rung" without early exit by rule, deciding on each level's own confidence. */
static rung_policy plain_policy(void)
{
    rung_policy policy = cascade->policy;
    policy.exit.rule = RUNG_EXIT_OFF;
    policy.exit.first_layer = 2;
    policy.pooled_decision = false;
    policy.weights = RUNG_WEIGHTS_ACCURACY;
    set_thresholds(&policy, 0, 0);
    return policy;
}
static rung_answers *classify(const rung_policy *policy)
{
    rung_answers *answers = NULL;
    rung_error error;
    if (rung_cascade_check_policy(cascade, policy, &error) != RUNG_OK ||
        rung_cascade_classify_policy(cascade, policy, inputs, TEXTS, NULL, &answers, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        assert_int_equal(rung_answers_get(answers, i)->status, RUNG_OK);
        assert_false(rung_answers_get(answers, i)->degraded);
    }
    return answers;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The confidence that half of the texts have at level 1, where it stops. */
static double median_confidence(rung_policy policy)
{
    double confidences[TEXTS];
    rung_answers *answers = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        confidences[i] = rung_answers_get(answers, i)->levels[0].confidence;
    }
    rung_answers_free(answers);
    qsort(confidences, TEXTS, sizeof confidences[0], compare);
    return confidences[TEXTS / 2];
}

/* Compute and links of all levels, one after the other. */
static double in_a_row_ms(const rung_answer *answer)
{
    double sum = 0;
    for (size_t l = 0; l < answer->num_levels; l++) {
        sum += answer->levels[l].compute_ms + answer->levels[l].link_ms;
    }
    return sum;
}

/* What was found, bit by bit; what was sent without need may differ. */
static void assert_same_findings(const rung_answer *a, const rung_answer *b)
{
    assert_string_equal(a->label, b->label);
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->num_levels, b->num_levels);
    assert_memory_equal(a->probabilities, b->probabilities, CLASSES * sizeof(double));
    for (size_t l = 0; l < a->num_levels; l++) {
        const rung_level_answer *x = &a->levels[l];
        const rung_level_answer *y = &b->levels[l];
        assert_int_equal(x->exit_layer, y->exit_layer);
        assert_int_equal(x->tokens, y->tokens);
        assert_int_equal(x->words, y->words);
        assert_memory_equal(&x->confidence, &y->confidence, sizeof x->confidence);
        assert_memory_equal(&x->weight, &y->weight, sizeof x->weight);
        assert_int_equal(x->probabilities == NULL, y->probabilities == NULL); /* it was passed by */
        if (x->probabilities != NULL) {
            assert_memory_equal(x->probabilities, y->probabilities, CLASSES * sizeof(double));
        }
        if (l + 1 < a->num_levels) {
            assert_int_equal(x->bytes_up, y->bytes_up);
            assert_int_equal(x->kept_words, y->kept_words);
        }
    }
}

/* Probabilities of levels above have travelled as floats. */
static void assert_same_floats(const double *a, const double *b)
{
    for (size_t c = 0; c < CLASSES; c++) {
        assert_true((float)a[c] == (float)b[c]);
    }
}

/* The same policy, which sends ahead at every text, at no text, and in between. Returns how many were sent ahead in between, and were not needed. */
static size_t speculate(rung_policy policy, double between)
{
    static const double never = 0.001;
    size_t ahead = 0;
    policy.offload.speculate[0] = policy.offload.speculate[1] = never;
    rung_answers *later = classify(&policy);
    policy.offload.speculate[0] = policy.offload.speculate[1] = 1;
    rung_answers *always = classify(&policy);
    policy.offload.speculate[0] = policy.offload.speculate[1] = between;
    rung_answers *sometimes = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *a = rung_answers_get(later, i);
        const rung_answer *b = rung_answers_get(always, i);
        const rung_answer *c = rung_answers_get(sometimes, i);
        assert_same_findings(a, b);
        assert_same_findings(a, c);
        const rung_level_answer *last = &b->levels[b->num_levels - 1];
        assert_true(fabs(a->latency_ms - in_a_row_ms(a)) < 1e-6);
        /* Sent in vain, and nobody waits for the way: the level that answers has it all. */
        assert_int_equal(a->levels[a->num_levels - 1].bytes_up, 0);
        assert_int_equal(last->bytes_up > 0, b->num_levels < LEVELS && last->exit_layer > policy.exit.first_layer);
        assert_int_equal(last->bytes_down, 0);
        assert_true(last->link_ms == 0);
        bool overlapped = false;
        for (size_t l = 0; l + 1 < b->num_levels; l++) {
            overlapped = overlapped || b->levels[l].exit_layer > policy.exit.first_layer;
        }
        assert_true(overlapped ? b->latency_ms < in_a_row_ms(b) : fabs(b->latency_ms - in_a_row_ms(b)) < 1e-6);
        assert_true(b->latency_ms + 1e-9 >= b->levels[0].compute_ms);
        ahead += c->levels[c->num_levels - 1].bytes_up > 0;
    }
    rung_answers_free(later);
    rung_answers_free(always);
    rung_answers_free(sometimes);
    return ahead;
}

static void answers_do_not_depend_on_speculation(void **state)
{
    (void)state;
    rung_policy policy = plain_policy();
    double median = median_confidence(policy);
    policy.offload.early[0] = 1;
    double watched = median_confidence(policy);
    policy.offload.early[0] = 0;
    set_thresholds(&policy, median, median);
    size_t ahead = speculate(policy, watched);
    assert_true(ahead > 0 && ahead < TEXTS);
    policy.pooled_decision = true;
    speculate(policy, watched);
    policy.offload.hard = false; /* with its coin */
    speculate(policy, watched);
    policy.offload.skip[0] = watched;
    speculate(policy, watched);
    policy.prune.unit = RUNG_PRUNE_WORD;
    speculate(policy, watched);
    policy.prune.enabled = false;
    speculate(policy, watched);
    /* Rules that stop some of them at the exit that is watched, or before the next. */
    policy = plain_policy();
    set_thresholds(&policy, median, median);
    policy.exit.rule = RUNG_EXIT_AGREE;
    policy.exit.confidence = median;
    policy.exit.tau = 0.5;
    speculate(policy, watched);
    policy = plain_policy();
    policy.exit.first_layer = 1;
    set_thresholds(&policy, median, median);
    policy.offload.early[0] = watched;
    speculate(policy, watched);
    policy.exit.first_layer = 3; /* the last: there is nothing to watch */
    assert_int_equal(speculate(policy, 1), 0);
}

/* What goes up is what the watched exit said. */
static void the_prior_is_of_the_watched_exit(void **state)
{
    (void)state;
    rung_policy policy = plain_policy();
    set_thresholds(&policy, 1, 0);
    policy.exit.first_layer = 1;
    /* Level 2 goes up when the pool of what came and of its own is at or below its threshold. */
    policy.offload.early[0] = 1;
    rung_answers *early = classify(&policy);
    policy.offload.early[0] = 0;
    policy.offload.speculate[0] = 1;
    rung_answers *ahead = classify(&policy);
    policy.offload.speculate[0] = 0;
    rung_answers *late = classify(&policy);
    size_t differ = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *a = rung_answers_get(early, i);
        const rung_answer *b = rung_answers_get(ahead, i);
        const rung_answer *c = rung_answers_get(late, i);
        assert_int_equal(a->levels[0].exit_layer, 1);
        assert_int_equal(b->levels[0].exit_layer, 3);
        /* The same text and prior went up, and so level 2 found the same; level 1's own part is that of its last layer. */
        assert_int_equal(a->levels[0].bytes_up, b->levels[0].bytes_up);
        assert_int_equal(a->levels[0].bytes_down, b->levels[0].bytes_down);
        assert_memory_equal(a->levels[1].probabilities, b->levels[1].probabilities, CLASSES * sizeof(double));
        assert_memory_equal(b->levels[0].probabilities, c->levels[0].probabilities, CLASSES * sizeof(double));
        differ += memcmp(a->levels[0].probabilities, b->levels[0].probabilities, CLASSES * sizeof(double)) != 0;
    }
    assert_true(differ > 0);
    rung_answers_free(early);
    rung_answers_free(ahead);
    rung_answers_free(late);
}

/* A weight for the state alone: the decision and the speculation read the state of their own exits. */
static void learned_deferral_reads_the_state_of_its_exit(void **state)
{
    (void)state;
    enum { HIDDEN = 32 };
    float weight[HIDDEN + RUNG_DEFERRAL_SCORES];
    for (size_t i = 0; i < HIDDEN + RUNG_DEFERRAL_SCORES; i++) {
        weight[i] = i < HIDDEN ? (i % 3 == 0 ? 2.0f : -1.0f) : 0;
    }
    rung_deferral deferral[3];
    for (size_t e = 0; e < 3; e++) {
        deferral[e] = (rung_deferral){.hidden_size = HIDDEN, .weight = weight, .bias = e == 1 ? 0 : 0.25};
    }
    for (uint32_t l = 0; l < LEVELS; l++) {
        cascade->calibration.level[l].deferral = deferral;
    }
    rung_policy policy = plain_policy();
    policy.defer = RUNG_DEFER_LEARNED;
    size_t went_up = 0;
    size_t ahead = 0;
    for (int t = 1; t < 20; t++) {
        set_thresholds(&policy, t / 20.0, t / 20.0);
        ahead += speculate(policy, t / 20.0);
        rung_answers *answers = classify(&policy);
        for (size_t i = 0; i < TEXTS; i++) {
            went_up += rung_answers_get(answers, i)->level > 1;
        }
        rung_answers_free(answers);
    }
    assert_true(went_up > 0 && went_up < (size_t)19 * TEXTS && ahead > 0);
    for (uint32_t l = 0; l < LEVELS; l++) {
        cascade->calibration.level[l].deferral = NULL;
    }
}

static void little_at_an_early_exit_goes_up_from_there(void **state)
{
    (void)state;
    rung_policy policy = plain_policy();
    set_thresholds(&policy, 0, 0); /* whatever the result is worth */
    policy.offload.early[0] = policy.offload.early[1] = policy.offload.early[2] = 1;
    rung_answers *answers = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        assert_int_equal(answer->level, 3);
        assert_int_equal(answer->levels[0].exit_layer, 2);
        assert_int_equal(answer->levels[1].exit_layer, 2);
        assert_int_equal(answer->levels[2].exit_layer, 3); /* there is none above */
        assert_true(fabs(answer->latency_ms - in_a_row_ms(answer)) < 1e-6);
    }
    rung_answers_free(answers);
    double median = median_confidence(policy);
    policy.offload.early[0] = policy.offload.early[1] = median;
    size_t early = 0;
    answers = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        assert_int_equal(answer->levels[0].exit_layer == 2, answer->level > 1);
        assert_true(answer->levels[0].exit_layer == 3 || answer->levels[0].confidence <= median);
        early += answer->level > 1;
    }
    assert_true(early > 0 && early < TEXTS);
    rung_answers_free(answers);
}

static void a_level_is_passed_by(void **state)
{
    (void)state;
    rung_policy policy = plain_policy();
    double median = median_confidence(policy);
    set_thresholds(&policy, 1, 0);
    rung_answers *all = classify(&policy);
    policy.offload.skip[0] = policy.offload.skip[1] = median;
    rung_answers *answers = classify(&policy);
    size_t skipped = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        const rung_level_answer *level = answer->levels;
        if (level[0].confidence > median) {
            assert_same_findings(rung_answers_get(all, i), answer);
            continue;
        }
        skipped++;
        assert_int_equal(answer->level, 3);
        assert_int_equal(answer->num_levels, 3);
        assert_int_equal(level[1].exit_layer, 0);
        assert_null(level[1].probabilities);
        assert_true(level[1].compute_ms == 0 && level[1].bytes_up > 0 && level[1].link_ms > 0);
        assert_int_equal(level[2].exit_layer, 3);
        assert_true(fabs(level[0].weight + level[2].weight - 1) < 1e-12);
        /* Level 3 reads what level 2 would have read. */
        assert_int_equal(level[2].tokens, rung_answers_get(all, i)->levels[1].tokens);
        assert_memory_equal(level[2].probabilities, rung_answers_get(all, i)->levels[1].probabilities,
                            CLASSES * sizeof(double));
        assert_true(fabs(answer->latency_ms - in_a_row_ms(answer)) < 1e-6);
    }
    assert_true(skipped > 0 && skipped < TEXTS);
    rung_answers_free(all);
    rung_answers_free(answers);
}

static rung_policy named(const char *name)
{
    rung_policy policy;
    rung_error error;
    if (rung_policy_defaults(name, LEVELS, &policy, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return policy;
}

/* All levels have the whole text, and the answer is there when the last of them is. */
static void all_levels_compute_side_by_side(void **state)
{
    (void)state;
    rung_policy policy = named("cocktail");
    rung_answers *answers = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        const rung_level_answer *level = answer->levels;
        double upper_ms = fmax(level[1].compute_ms, level[2].compute_ms + level[1].link_ms);
        assert_int_equal(answer->level, 3);
        for (size_t l = 0; l < LEVELS; l++) {
            assert_int_equal(level[l].exit_layer, 3);
            assert_int_equal(level[l].tokens, level[0].tokens);
            assert_int_equal(level[l].kept_words, level[l].words);
            assert_same_floats(level[l].probabilities, level[0].probabilities);
        }
        assert_true(fabs(answer->score - 1) < 1e-12); /* they are the same model: one vote */
        assert_true(fabs(answer->latency_ms - fmax(level[0].compute_ms, upper_ms + level[0].link_ms)) < 1e-6);
    }
    rung_answers_free(answers);
}

static void members_alone_compute(void **state)
{
    (void)state;
    for (uint32_t member = 1; member <= LEVELS; member++) {
        char name[32];
        snprintf(name, sizeof name, "single(%u)", member);
        rung_policy policy = named(name);
        rung_answers *answers = classify(&policy);
        for (size_t i = 0; i < TEXTS; i++) {
            const rung_answer *answer = rung_answers_get(answers, i);
            assert_int_equal(answer->level, member);
            assert_int_equal(answer->num_levels, member);
            for (size_t l = 0; l < member; l++) {
                assert_int_equal(answer->levels[l].exit_layer, l + 1 == member ? 3 : 0);
                assert_int_equal(answer->levels[l].bytes_up > 0, l + 1 < member);
            }
            assert_memory_equal(answer->probabilities, answer->levels[member - 1].probabilities,
                                CLASSES * sizeof(double));
        }
        rung_answers_free(answers);
    }
    rung_policy policy = named("cocktail"); /* of two: the one between passes on */
    policy.members = 5;
    rung_answers *answers = classify(&policy);
    for (size_t i = 0; i < TEXTS; i++) {
        const rung_level_answer *level = rung_answers_get(answers, i)->levels;
        assert_int_equal(level[0].exit_layer, 3);
        assert_int_equal(level[1].exit_layer, 0);
        assert_int_equal(level[2].exit_layer, 3);
    }
    rung_answers_free(answers);
}

/* The policy's variant is what runs. */
static void variants_run(void **state)
{
    (void)state;
    static const char *const names[] = {"layer-skip(2)", "power-bert(0.2)"};
    rung_policy policy = named("tangobert");
    set_thresholds(&policy, 0, 0);
    rung_answers *plain = classify(&policy);
    for (size_t n = 0; n < 2; n++) {
        policy = named(names[n]);
        set_thresholds(&policy, 0, 0);
        rung_answers *answers = classify(&policy);
        size_t differ = 0;
        for (size_t i = 0; i < TEXTS; i++) {
            differ += memcmp(rung_answers_get(plain, i)->probabilities, rung_answers_get(answers, i)->probabilities,
                             CLASSES * sizeof(double)) != 0;
        }
        assert_true(differ > TEXTS / 2);
        rung_answers_free(answers);
    }
    rung_answers_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_depend_on_speculation),
        cmocka_unit_test(the_prior_is_of_the_watched_exit),
        cmocka_unit_test(learned_deferral_reads_the_state_of_its_exit),
        cmocka_unit_test(little_at_an_early_exit_goes_up_from_there),
        cmocka_unit_test(a_level_is_passed_by),
        cmocka_unit_test(all_levels_compute_side_by_side),
        cmocka_unit_test(members_alone_compute),
        cmocka_unit_test(variants_run),
    };
    return cmocka_run_group_tests(tests, open_levels, close_levels);
}
