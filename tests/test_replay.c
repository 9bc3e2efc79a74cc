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

/* ---- the record ---- */

static void assert_same(const rung_outcome *a, const rung_outcome *b)
{
    assert_memory_equal(&a->latency_s, &b->latency_s, sizeof a->latency_s);
    assert_memory_equal(&a->score, &b->score, sizeof a->score);
    assert_int_equal(a->label, b->label);
    assert_int_equal(a->answer_level, b->answer_level);
    assert_int_equal(a->visited, b->visited);
    assert_int_equal(a->computed, b->computed);
    assert_memory_equal(a->exit_layer, b->exit_layer, sizeof a->exit_layer);
    assert_memory_equal(a->decided_label, b->decided_label, sizeof a->decided_label);
    assert_memory_equal(a->decided_score, b->decided_score, sizeof a->decided_score);
    assert_memory_equal(a->compute_s, b->compute_s, sizeof a->compute_s);
    assert_memory_equal(a->link_s, b->link_s, sizeof a->link_s);
    assert_memory_equal(a->bytes_up, b->bytes_up, sizeof a->bytes_up);
    assert_memory_equal(a->bytes_down, b->bytes_down, sizeof a->bytes_down);
    assert_int_equal(a->speculated, b->speculated);
    assert_int_equal(a->cancelled, b->cancelled);
    assert_int_equal(a->degraded, b->degraded);
}

static void assert_same_replays(const replayed *a, const replayed *b, uint32_t levels)
{
    for (size_t i = 0; i < REPLAY_TEXTS; i++) {
        assert_same(&a->outcomes[i], &b->outcomes[i]);
    }
    assert_memory_equal(a->probabilities, b->probabilities, REPLAY_TEXTS * levels * REPLAY_LABELS * sizeof(double));
    assert_memory_equal(a->pooled, b->pooled, sizeof a->pooled);
}

/* All that a scene records for a policy that sends everything through all levels, pruned. */
static rung_policy everything_up(const scene *s)
{
    rung_policy policy;
    assert_ok(rung_policy_defaults("tabi", s->cascade->num_levels, &policy, error));
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        policy.offload.threshold[l] = 1;
    }
    return policy;
}

static void as_many_threads_as_one(void **state)
{
    (void)state;
    static scene one, three;
    static replayed a, b;
    open_scene(&one, "013", false, 1, "", 5);
    open_scene(&three, "013", false, 3, "", 5);
    for (size_t n = 0; n < 60; n++) {
        rung_policy policy = draw_policy(&one);
        const rung_calibration *calibration = &one.calibrations[n % 4].calibration;
        assert_ok(try_replay(&one, &policy, calibration, true, &a, error));
        assert_ok(try_replay(&three, &policy, calibration, true, &b, error));
        assert_same_replays(&a, &b, 3);
    }
    close_scene(&one);
    close_scene(&three);
}

/* What a search does: calibrations and links come and go, and the answers are those of a replay that never saw another. */
static void calls_do_not_change_each_other(void **state)
{
    (void)state;
    static scene s;
    static replayed first[12], again;
    rung_policy policies[12];
    rung_link links[RUNG_MAX_LEVELS];
    const double speeds[] = {1, 2, 3};
    open_scene(&s, "012", false, 2, "", 6);
    for (size_t n = 0; n < 12; n++) { /* more calibrations than tables are kept for, by turns */
        policies[n] = draw_policy(&s);
        s.calibrations[n % 4].temperature[0][2] = 0.1 + 0.1 * (double)(n / 4);
        assert_ok(try_replay(&s, &policies[n], &s.calibrations[n % 4].calibration, true, &first[n], error));
    }
    size_t rows[] = {3};
    rung_outcome slower;
    for (size_t l = 0; l < 3; l++) {
        assert_ok(rung_link_find("satellite", &links[l], error));
    }
    const rung_replay_call call = {
        .policy = &policies[0], .links = links, .speeds = speeds, .rows = rows, .num_rows = 1, .may_compute = true};
    assert_ok(rung_replay_run(s.replay, &call, &slower, error));
    size_t computed = rung_replay_computed(s.replay);
    for (size_t n = 12; n-- > 0;) {
        s.calibrations[n % 4].temperature[0][2] = 0.1 + 0.1 * (double)(n / 4);
        assert_ok(try_replay(&s, &policies[n], &s.calibrations[n % 4].calibration, false, &again, error));
        assert_same_replays(&first[n], &again, 3);
    }
    assert_int_equal(rung_replay_computed(s.replay), computed);
    close_scene(&s);
}

static void what_the_record_has_not_is_said(void **state)
{
    (void)state;
    static scene s;
    static replayed out, again;
    open_scene(&s, "013", false, 2, "", 7);
    rung_policy policy = everything_up(&s);
    assert_fails(try_replay(&s, &policy, NULL, false, &out, error), RUNG_NOT_FOUND,
                 "input 0: the record has nothing of its text at level 1");
    rung_policy first_alone;
    assert_ok(rung_policy_defaults("single(1)", 3, &first_alone, error));
    assert_ok(try_replay(&s, &first_alone, NULL, true, &out, error));
    assert_fails(try_replay(&s, &policy, NULL, false, &out, error), RUNG_NOT_FOUND,
                 "the record has nothing of its text at level 2");
    assert_ok(try_replay(&s, &policy, NULL, true, &out, error));
    size_t computed = rung_replay_computed(s.replay);
    close_record(&s);
    open_record(&s, true); /* of an earlier run, for reading alone */
    assert_ok(try_replay(&s, &policy, NULL, false, &again, error));
    assert_same_replays(&out, &again, 3);
    assert_int_equal(rung_replay_computed(s.replay), 0);
    assert_true(computed >= rung_store_count(s.store));
    close_scene(&s);
}

static void whole_texts_are_recorded(void **state)
{
    (void)state;
    static scene s;
    rung_record_entry entry;
    size_t rows[] = {4, 9, 30};
    open_scene(&s, "013", false, 2, "", 8);
    rung_policy policy = everything_up(&s);
    assert_fails(rung_replay_whole(s.replay, 9, 2, &entry, error), RUNG_NOT_FOUND, "input 9");
    assert_ok(rung_replay_record(s.replay, &policy, rows, 3, NULL, error));
    size_t computed = rung_replay_computed(s.replay);
    assert_int_equal(computed, 3 + 2 * 3 + 2 * 3); /* pruned ones too */
    assert_ok(rung_replay_record(s.replay, &policy, rows, 3, NULL, error));
    assert_int_equal(rung_replay_computed(s.replay), computed);
    for (uint32_t level = 1; level <= 3; level++) {
        rung_answers *answers = NULL;
        char name[16];
        snprintf(name, sizeof name, "single(%u)", level);
        rung_policy alone;
        assert_ok(rung_policy_defaults(name, 3, &alone, error));
        assert_ok(rung_cascade_classify_policy(s.cascade, &alone, &s.texts.inputs[9], 1, NULL, &answers, error));
        assert_ok(rung_replay_whole(s.replay, 9, level, &entry, error));
        const rung_level_answer *did = &rung_answers_get(answers, 0)->levels[level - 1];
        assert_int_equal(entry.num_tokens, did->tokens);
        assert_int_equal(entry.num_layers, did->layers);
        assert_int_equal(entry.hidden_size > 0, level < 3);
        rung_answers_free(answers);
    }
    assert_fails(rung_replay_whole(s.replay, 10, 1, &entry, error), RUNG_NOT_FOUND, "input 10");
    close_scene(&s);
}

/* ---- failures ---- */

static void a_text_that_no_level_takes_is_named(void **state)
{
    (void)state;
    static scene s;
    static replayed out;
    open_scene(&s, "01", false, 1, "", 9);
    rung_policy policy = everything_up(&s);
    rung_input good = s.texts.inputs[20];
    s.texts.inputs[20].text = "caf\xe9";
    s.texts.inputs[20].text_bytes = 4;
    assert_fails(try_replay(&s, &policy, NULL, true, &out, error), RUNG_INVALID, "input 20: text is not valid UTF-8");
    assert_true(rung_store_count(s.store) > 0 && rung_store_count(s.store) < REPLAY_TEXTS);
    s.texts.inputs[20] = good;
    s.texts.inputs[21].text_pair = "";
    s.texts.inputs[21].text_pair_bytes = 0;
    assert_fails(try_replay(&s, &policy, NULL, true, &out, error), RUNG_INVALID, "input 21: text_pair is empty");
    s.texts.inputs[21].text_pair = NULL;
    assert_ok(try_replay(&s, &policy, NULL, true, &out, error)); /* it goes on with what it has */
    close_scene(&s);
}

/* Ends the process as a crash would, after some texts of the second level. */
static void end_at_level_2(void *context, const char *what, size_t done, size_t total)
{
    (void)context;
    (void)total;
    if (strcmp(what, "level-2") == 0 && done >= 16) {
        _exit(0);
    }
}

static void a_fill_that_was_interrupted_goes_on(void **state)
{
    (void)state;
    static scene s;
    static replayed whole, rest;
    open_scene(&s, "013", false, 1, "", 10);
    rung_policy policy = everything_up(&s);
    assert_ok(try_replay(&s, &policy, NULL, true, &whole, error));
    size_t needed = rung_store_count(s.store);
    close_scene(&s);
    open_scene(&s, "013", false, 1, "", 10);
    close_record(&s);
    pid_t child = fork();
    if (child == 0) {
        const rung_progress progress = {.report = end_at_level_2};
        size_t rows[REPLAY_TEXTS];
        for (size_t i = 0; i < REPLAY_TEXTS; i++) {
            rows[i] = i;
        }
        const rung_replay_call call = {
            .policy = &policy, .rows = rows, .num_rows = REPLAY_TEXTS, .may_compute = true, .progress = &progress};
        open_record(&s, false);
        if (rung_replay_run(s.replay, &call, rest.outcomes, NULL) != RUNG_OK) {
            _exit(1);
        }
        _exit(2); /* it was to end before */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    open_record(&s, false);
    size_t kept = rung_store_count(s.store);
    assert_true(kept >= 16 && kept < needed); /* all of level 1 was written out */
    assert_ok(try_replay(&s, &policy, NULL, true, &rest, error));
    assert_int_equal(rung_store_count(s.store), needed);
    assert_same_replays(&whole, &rest, 3);
    close_scene(&s);
}

static void what_cannot_be_replayed_is_refused(void **state)
{
    (void)state;
    rung_replay *replay = NULL;
    rung_cascade *cascade = replay_open(&files, "01", false, 1, "long_text: windows\n");
    rung_timing timing = replay_timing(cascade);
    assert_fails(rung_replay_create(cascade, NULL, NULL, 0, &timing, &replay, error), RUNG_UNSUPPORTED,
                 "long_text windows");
    rung_cascade_close(cascade);
    cascade = replay_open(&files, "0123012", false, 1, "");
    timing = replay_timing(cascade);
    assert_fails(rung_replay_create(cascade, NULL, NULL, 0, &timing, &replay, error), RUNG_LIMIT, "7 levels");
    rung_cascade_close(cascade);
    cascade = replay_open(&files, "01", false, 1, "");
    timing = replay_timing(cascade);
    timing.level[1].num_layers = 3;
    assert_fails(rung_replay_create(cascade, NULL, NULL, 0, &timing, &replay, error), RUNG_MISMATCH,
                 "3 layers at level 2");
    rung_cascade_close(cascade);
    assert_null(replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_are_the_live_answers),
        cmocka_unit_test(as_many_threads_as_one),
        cmocka_unit_test(calls_do_not_change_each_other),
        cmocka_unit_test(what_the_record_has_not_is_said),
        cmocka_unit_test(whole_texts_are_recorded),
        cmocka_unit_test(a_text_that_no_level_takes_is_named),
        cmocka_unit_test(a_fill_that_was_interrupted_goes_on),
        cmocka_unit_test(what_cannot_be_replayed_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
