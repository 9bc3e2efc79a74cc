/* test_replay.c: a replay answers what the levels answer live, bit for bit, whatever the policy; and what it does when the record has not all. */
#include "replay_fixture.h"

#include <sys/wait.h>

#define POLICIES 1000 /* over all scenes */

/* A cascade, texts, a record and what the test needs to draw policies. */
typedef struct scene {
    rung_cascade *cascade;
    rung_timing timing;
    rung_store *store;
    rung_replay *replay;
    char *directory; /* of the record */
    replay_texts texts;
    replay_calibration calibrations[4];
    double seen[RUNG_MAX_LEVELS][REPLAY_TEXTS]; /* confidences of the last answers that each level had a part in */
    rung_prng prng;
} scene;

static replay_files files;

static int make_files(void **state)
{
    (void)state;
    replay_files_make(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    replay_files_remove(&files);
    return 0;
}

static void open_record(scene *s, bool read_only)
{
    char *path = fixture_join(s->directory, "record.rung");
    assert_ok(rung_store_open(path, "test\n", read_only, &s->store, error));
    assert_ok(rung_replay_create(s->cascade, s->store, s->texts.inputs, REPLAY_TEXTS, &s->timing, &s->replay, error));
    free(path);
}

static void close_record(scene *s)
{
    rung_replay_free(s->replay);
    rung_store_close(s->store);
}

static void open_scene(scene *s, const char *levels, bool multi_label, size_t threads, const char *rest, uint64_t seed)
{
    *s = (scene){.cascade = replay_open(&files, levels, multi_label, threads, rest)};
    s->timing = replay_timing(s->cascade);
    s->directory = fixture_directory();
    s->prng.state = seed;
    replay_texts_make(&s->texts, seed);
    for (size_t i = 0; i < 4; i++) {
        replay_draw_calibration(&s->prng, s->cascade, &s->calibrations[i]);
    }
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        for (size_t i = 0; i < REPLAY_TEXTS; i++) {
            s->seen[l][i] = replay_between(&s->prng, 0.3, 1);
        }
    }
    open_record(s, false);
}

static void close_scene(scene *s)
{
    close_record(s);
    fixture_remove(s->directory);
    rung_cascade_close(s->cascade);
}

/* ---- policies at random ---- */

static bool one_in(scene *s, uint64_t n)
{
    return rung_prng_below(&s->prng, n) == 0;
}

static double draw_confidence(scene *s, uint32_t level)
{
    return one_in(s, 2) ? s->seen[level][rung_prng_below(&s->prng, REPLAY_TEXTS)] : replay_between(&s->prng, 0.3, 1);
}

static void draw_offload(scene *s, rung_offload_policy *offload)
{
    bool skips = one_in(s, 3);
    bool early = one_in(s, 3);
    bool speculates = one_in(s, 3);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        offload->threshold[l] = one_in(s, 8) ? 1 : draw_confidence(s, l);
        offload->skip[l] = skips && !one_in(s, 3) ? draw_confidence(s, l) : 0;
        offload->early[l] = early && !one_in(s, 3) ? draw_confidence(s, l) : 0;
        offload->speculate[l] = speculates && !one_in(s, 3) ? draw_confidence(s, l) : 0;
    }
    offload->hard = !one_in(s, 3);
    offload->k = replay_between(&s->prng, 0.5, 20);
    offload->at_random = one_in(s, 10);
    offload->share = rung_prng_uniform(&s->prng);
}

static void draw_exit(scene *s, rung_exit_policy *exit)
{
    exit->rule = (rung_exit_rule)rung_prng_below(&s->prng, RUNG_EXIT_DIVERGENCE + 1);
    exit->tau = one_in(s, 6) ? 0 : pow(10, -replay_between(&s->prng, 0, 5));
    exit->patience = 1 + (uint32_t)rung_prng_below(&s->prng, 3);
    exit->confidence = one_in(s, 3) ? 0 : replay_between(&s->prng, 0.3, 0.9);
    exit->first_layer = 1 + (uint32_t)rung_prng_below(&s->prng, 6);
    for (size_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
        exit->entropy[e] = replay_between(&s->prng, 0, 1.1);
    }
}

static rung_policy draw_any(scene *s)
{
    static const double alphas[] = {0, 0.5, 0.8, 0.95, 1, 1.05, 1.2};
    rung_policy policy;
    uint32_t levels = s->cascade->num_levels;
    assert_ok(rung_policy_defaults("rung", levels, &policy, error));
    policy.seed = 1 + rung_prng_below(&s->prng, 3);
    draw_offload(s, &policy.offload);
    draw_exit(s, &policy.exit);
    policy.prune.enabled = !one_in(s, 4);
    policy.prune.alpha = alphas[rung_prng_below(&s->prng, sizeof alphas / sizeof alphas[0])];
    policy.prune.unit = (rung_prune_unit)rung_prng_below(&s->prng, RUNG_PRUNE_WORD + 1);
    policy.weights = (rung_weights)rung_prng_below(&s->prng, RUNG_WEIGHTS_VOTE + 1);
    policy.defer = one_in(s, 4) ? RUNG_DEFER_LEARNED : RUNG_DEFER_CONFIDENCE;
    policy.pooled_decision = one_in(s, 2);
    policy.raw_ensemble = one_in(s, 3);
    policy.first_compute_level = one_in(s, 4) ? 1 + (uint32_t)rung_prng_below(&s->prng, levels) : 1;
    policy.members = one_in(s, 4) ? (uint32_t)rung_prng_below(&s->prng, 1u << levels) : 0;
    policy.parallel = one_in(s, 8);
    policy.all_layer_importance = one_in(s, 4);
    if (one_in(s, 10)) { /* without what variants do not go with */
        policy.variant.kind = one_in(s, 2) ? RUNG_VARIANT_LAYER_SKIP : RUNG_VARIANT_POWER_BERT;
        policy.variant.amount = policy.variant.kind == RUNG_VARIANT_LAYER_SKIP ? replay_between(&s->prng, 1, 3)
                                                                               : replay_between(&s->prng, 0.1, 1);
        policy.prune.enabled = false;
        policy.exit.rule = RUNG_EXIT_OFF;
        policy.defer = RUNG_DEFER_CONFIDENCE;
        memset(policy.offload.early, 0, sizeof policy.offload.early);
        memset(policy.offload.speculate, 0, sizeof policy.offload.speculate);
    }
    return policy;
}

static rung_policy draw_policy(scene *s)
{
    rung_policy policy;
    do {
        policy = draw_any(s);
    } while (rung_cascade_check_policy(s->cascade, &policy, NULL) != RUNG_OK);
    return policy;
}

/* ---- live and replayed ---- */

/* What the policies of a scene met. */
typedef struct met {
    size_t levels[RUNG_MAX_LEVELS], early_exits, tokens, cancelled, speculated, skipped, parallel, variants, learned;
} met;

#define assert_equal(what, replayed, live)                                                                             \
    do {                                                                                                               \
        if ((replayed) != (live)) {                                                                                    \
            fail_msg("%s: %s %.17g replayed, %.17g live", where, (what), (double)(replayed), (double)(live));          \
        }                                                                                                              \
    } while (0)

static void compare_level(const char *where, const rung_outcome *outcome, const double *probabilities,
                          const rung_level_answer *level)
{
    uint32_t l = level->level - 1;
    assert_equal("exit layer", outcome->exit_layer[l], level->exit_layer);
    assert_equal("visited", outcome->visited >> l & 1, level->probabilities != NULL);
    assert_equal("computed", outcome->computed >> l & 1, level->exit_layer > 0);
    assert_equal("bytes up", outcome->bytes_up[l], level->bytes_up);
    assert_equal("bytes down", outcome->bytes_down[l], level->bytes_down);
    for (size_t c = 0; level->probabilities != NULL && c < REPLAY_LABELS; c++) {
        assert_equal("probability of a level", probabilities[l * REPLAY_LABELS + c], level->probabilities[c]);
    }
}

static void compare(const char *where, const rung_cascade *cascade, const rung_outcome *outcome,
                    const double *probabilities, const double *pooled, const rung_answer *answer)
{
    assert_equal("status", RUNG_OK, answer->status);
    assert_equal("label", outcome->label, answer->label_index);
    assert_equal("score", outcome->score, answer->score);
    assert_equal("answer level", outcome->answer_level, answer->level);
    assert_equal("degraded", outcome->degraded != RUNG_DEGRADED_NO, answer->degraded);
    for (size_t c = 0; c < REPLAY_LABELS; c++) {
        assert_equal("probability", pooled[c], answer->probabilities[c]);
    }
    for (size_t i = 0; i < answer->num_levels; i++) {
        assert_equal("level", answer->levels[i].level, i + 1);
        compare_level(where, outcome, probabilities, &answer->levels[i]);
    }
    for (size_t l = answer->num_levels; l < cascade->num_levels; l++) {
        assert_equal("computed", outcome->computed >> l & 1, 0);
        assert_equal("visited", outcome->visited >> l & 1, 0);
        assert_equal("exit layer", outcome->exit_layer[l], 0);
        assert_equal("bytes up", outcome->bytes_up[l], 0);
        assert_equal("bytes down", outcome->bytes_down[l], 0);
    }
}

static void count(met *all, const rung_policy *policy, const rung_outcome *outcome, const rung_answer *answer)
{
    bool passes = policy->first_compute_level > 1 || policy->members != 0;
    for (size_t i = 0; i < answer->num_levels; i++) {
        const rung_level_answer *level = &answer->levels[i];
        all->levels[i] += level->exit_layer > 0;
        all->early_exits += level->exit_layer > 0 && level->exit_layer < level->layers;
        all->tokens += level->exit_layer > 0 && level->words == 0 && i > 0;
        all->skipped += !passes && level->exit_layer == 0;
    }
    all->cancelled += outcome->cancelled;
    all->speculated += outcome->speculated;
    all->parallel += policy->parallel;
    all->variants += policy->variant.kind != RUNG_VARIANT_NONE;
    all->learned += policy->defer == RUNG_DEFER_LEARNED;
}

static void describe(const rung_policy *policy, char *out, size_t bytes)
{
    const rung_offload_policy *o = &policy->offload;
    snprintf(out, bytes,
             "t %g %g %g hard %d k %g random %d skip %g %g early %g %g speculate %g %g; prune %d %g unit %d; rule %d "
             "tau %g patience %u c %g first %u; weights %d defer %d pooled %d raw %d first %u members %u parallel %d "
             "variant %d all-layer %d",
             o->threshold[0], o->threshold[1], o->threshold[2], o->hard, o->k, o->at_random, o->skip[0], o->skip[1],
             o->early[0], o->early[1], o->speculate[0], o->speculate[1], policy->prune.enabled, policy->prune.alpha,
             policy->prune.unit, policy->exit.rule, policy->exit.tau, policy->exit.patience, policy->exit.confidence,
             policy->exit.first_layer, policy->weights, policy->defer, policy->pooled_decision, policy->raw_ensemble,
             policy->first_compute_level, policy->members, policy->parallel, policy->variant.kind,
             policy->all_layer_importance);
}

typedef struct replayed {
    rung_outcome outcomes[REPLAY_TEXTS];
    double probabilities[REPLAY_TEXTS * RUNG_MAX_LEVELS * REPLAY_LABELS];
    double pooled[REPLAY_TEXTS * REPLAY_LABELS];
} replayed;

static rung_status try_replay(scene *s, const rung_policy *policy, const rung_calibration *calibration,
                              bool may_compute, replayed *out, rung_error *error)
{
    size_t rows[REPLAY_TEXTS];
    for (size_t i = 0; i < REPLAY_TEXTS; i++) {
        rows[i] = i;
    }
    const rung_replay_call call = {.policy = policy,
                                   .calibration = calibration,
                                   .rows = rows,
                                   .num_rows = REPLAY_TEXTS,
                                   .may_compute = may_compute,
                                   .probabilities = out->probabilities,
                                   .pooled = out->pooled};
    return rung_replay_run(s->replay, &call, out->outcomes, error);
}

static void replay_and_compare(scene *s, met *all)
{
    static replayed out;
    rung_answers *answers = NULL;
    rung_policy policy = draw_policy(s);
    char text[512];
    describe(&policy, text, sizeof text);
    s->cascade->calibration = s->calibrations[rung_prng_below(&s->prng, 4)].calibration;
    assert_ok(rung_cascade_classify_policy(s->cascade, &policy, s->texts.inputs, REPLAY_TEXTS, NULL, &answers, error));
    assert_ok(try_replay(s, &policy, NULL, true, &out, error));
    uint32_t levels = s->cascade->num_levels;
    for (size_t i = 0; i < REPLAY_TEXTS; i++) {
        char where[640];
        const rung_answer *answer = rung_answers_get(answers, i);
        snprintf(where, sizeof where, "%s: text %zu", text, i);
        compare(where, s->cascade, &out.outcomes[i], out.probabilities + i * levels * REPLAY_LABELS,
                out.pooled + i * REPLAY_LABELS, answer);
        count(all, &policy, &out.outcomes[i], answer);
        for (size_t l = 0; l < answer->num_levels; l++) {
            if (answer->levels[l].probabilities != NULL) {
                s->seen[l][i] = answer->levels[l].confidence;
            }
        }
    }
    rung_answers_free(answers);
}

static void replays_are_the_live_answers(void **state)
{
    (void)state;
    static const struct {
        const char *levels;
        bool multi_label;
        size_t share; /* of the policies, in tenths */
    } scenes[] = {{"013", false, 2},  {"301", false, 2}, {"012", false, 3},
                  {"0132", false, 1}, {"01", true, 1},   {"312", true, 1}};
    met all = {.early_exits = 0};
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        static scene s;
        open_scene(&s, scenes[i].levels, scenes[i].multi_label, 2, "", 100 + i);
        for (size_t n = 0; n < POLICIES / 10 * scenes[i].share; n++) {
            replay_and_compare(&s, &all);
        }
        close_scene(&s);
    }
    print_message(
        "levels %zu %zu %zu %zu, early %zu, tokens %zu, cancelled %zu of %zu, skipped %zu, parallel %zu, variants "
        "%zu, learned %zu\n",
        all.levels[0], all.levels[1], all.levels[2], all.levels[3], all.early_exits, all.tokens, all.cancelled,
        all.speculated, all.skipped, all.parallel, all.variants, all.learned);
    assert_true(all.levels[0] > 1000 && all.levels[1] > 1000 && all.levels[2] > 1000 && all.levels[3] > 100);
    assert_true(all.early_exits > 1000 && all.tokens > 1000 && all.speculated > 200 && all.cancelled > 20);
    assert_true(all.skipped > 50 && all.parallel > 500 && all.variants > 500 && all.learned > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_are_the_live_answers),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
