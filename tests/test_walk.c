/* test_walk.c: one request in virtual time, worked out by hand: a record of three levels whose logits are chosen, and links where a byte takes a millisecond. */
#include "replay/walk.h"
#include "store_fixture.h"

#define LEVELS 3
#define CLASSES 2
#define CELLS 8
#define RTT_S 0.1
#define PAYLOAD 40u   /* of the text as it was asked */
#define PRUNED 10u    /* of what goes up from any level that has read it */
#define TOKENIZE 3e-3 /* of every cell's text */

/* Logits (0, x): the second class has the probability 1 / (1 + e^-x). */
#define SURE 3.0f
#define UNSURE 0.2f

static const uint32_t num_layers[LEVELS] = {3, 2, 1};
static const double temperature[3] = {1, 1, 1};
static const uint32_t class_of[CLASSES] = {0, 1};
/* Seconds until the exits, at speed 1. */
static const double exit_s[LEVELS][3] = {{1, 2, 4}, {0.5, 1}, {0.25}};
static const double speeds[LEVELS] = {2, 1, 0.5};

typedef struct scene {
    char *directory;
    rung_store *store;
    rung_exit_table *tables[LEVELS];
    rung_cell cells[CELLS];
    rung_tape tape;
    rung_timing timing;
    rung_link link;
    rung_calibration calibration;
    rung_policy policy;
    rung_walk_place place;
    rung_walker walker;
    rung_outcome outcome;
    double probabilities[LEVELS * CLASSES];
    double pooled[CLASSES];
} scene;

static void add_entry(scene *s, uint32_t level, const float logits[3])
{
    made_entry made = store_entry_of(
        level, (rung_record_entry){.num_tokens = 5, .num_layers = num_layers[level - 1], .num_classes = CLASSES});
    for (uint32_t e = 0; e < num_layers[level - 1]; e++) {
        made.values[CLASSES * e] = 0;
        made.values[CLASSES * e + 1] = logits[e];
    }
    size_t index;
    assert_ok(rung_store_add(s->store, &made.key, &made.entry, &index, error));
    assert_int_equal(index, level - 1);
    free(made.values);
}

static void make_levels(scene *s)
{
    s->timing.num_levels = LEVELS;
    s->calibration = (rung_calibration){.num_levels = LEVELS, .num_classes = CLASSES};
    for (uint32_t l = 0; l < LEVELS; l++) {
        rung_level_calibration *calibration = &s->calibration.level[l];
        *calibration =
            (rung_level_calibration){.num_exits = num_layers[l], .temperature = temperature, .accuracy = 0.5 + 0.1 * l};
        s->timing.level[l] = (rung_level_timing){.num_layers = num_layers[l], .tokenize_ms_per_byte = 0.1};
        for (uint32_t e = 0; e < num_layers[l]; e++) {
            s->timing.level[l].exits[e] = (rung_latency_curve){.a_ms = exit_s[l][e] * 1e3 - 50, .b_ms_per_token = 10};
        }
        const rung_exit_source source = {.store = s->store,
                                         .num_layers = num_layers[l],
                                         .num_classes = CLASSES,
                                         .exits = (UINT64_C(1) << num_layers[l]) - 1,
                                         .class_of = class_of};
        assert_ok(rung_exit_table_create(&source, calibration, false, &s->tables[l], error));
        assert_ok(rung_exit_table_reserve(s->tables[l], error));
        s->place.level[l] = (rung_walk_level){.exits = s->tables[l],
                                              .num_layers = num_layers[l],
                                              .exit_set = source.exits,
                                              .speed = speeds[l],
                                              .link = l > 0 ? &s->link : NULL};
    }
}

/* logits: by level and exit. All cells are known; whatever was read has 5 tokens and 30 bytes. */
static void open_scene(scene *s, const char *policy, const float logits[LEVELS][3])
{
    *s = (scene){.directory = fixture_directory(), .link = {.rtt_ms = RTT_S * 1e3, .up_bps = 8e3, .down_bps = 8e3}};
    char *path = fixture_join(s->directory, "record.rung");
    assert_ok(rung_store_open(path, STORE_ORIGIN, false, &s->store, error));
    free(path);
    for (uint32_t level = 1; level <= LEVELS; level++) {
        add_entry(s, level, logits[level - 1]);
    }
    make_levels(s);
    for (uint32_t cell = 1; cell < CELLS; cell++) {
        s->cells[cell] = (rung_cell){.entry = rung_cell_level(cell),
                                     .num_tokens = 5,
                                     .text_bytes = 30,
                                     .words = 4,
                                     .kept_words = 2,
                                     .payload_bytes = PRUNED};
    }
    s->cells[0].payload_bytes = PAYLOAD;
    s->tape = (rung_tape){.num_cells = CELLS, .cells = s->cells};
    assert_ok(rung_policy_defaults(policy, LEVELS, &s->policy, error));
    s->place.num_levels = LEVELS;
    s->place.num_classes = CLASSES;
    s->place.tape = &s->tape;
    s->place.policy = &s->policy;
    s->place.calibration = &s->calibration;
    s->place.timing = &s->timing;
    s->place.notes_decisions = true;
    s->place.probabilities = s->probabilities;
    s->place.pooled = s->pooled;
    assert_ok(rung_walker_init(&s->walker, &s->place, error));
}

static void close_scene(scene *s)
{
    rung_walker_deinit(&s->walker);
    for (uint32_t l = 0; l < LEVELS; l++) {
        rung_exit_table_free(s->tables[l]);
    }
    rung_store_close(s->store);
    fixture_remove(s->directory);
}

static uint32_t walk(scene *s)
{
    assert_ok(rung_policy_check(&s->policy, &s->calibration, error));
    uint32_t missing = rung_walk(&s->walker, 0, 0x123, &s->outcome);
    assert_false(s->walker.failed);
    return missing;
}

static void assert_seconds(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-6) {
        fail_msg("%.9g s, not %.9g s", got, wanted);
    }
}

/* Until the exit after `layer`, with the tokens and the text's bytes. */
static double computing(uint32_t level, uint32_t layer)
{
    return (exit_s[level - 1][layer - 1] + TOKENIZE) / speeds[level - 1];
}

static double way_up(const scene *s, uint32_t level)
{
    return RTT_S / 2 + s->outcome.bytes_up[level - 1] / 1e3;
}

static double way_down(const scene *s, uint32_t level)
{
    return RTT_S / 2 + s->outcome.bytes_down[level - 1] / 1e3;
}

static void a_sure_level_answers_by_itself(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{SURE, SURE, SURE}, {SURE, SURE}, {SURE}});
    assert_int_equal(walk(&s), 0);
    assert_seconds(s.outcome.latency_s, computing(1, 3));
    assert_int_equal(s.outcome.label, 1);
    assert_int_equal(s.outcome.answer_level, 1);
    assert_int_equal(s.outcome.visited, 1);
    assert_int_equal(s.outcome.exit_layer[0], 3);
    assert_int_equal(s.outcome.bytes_up[0], 0);
    assert_true(s.outcome.link_s[0] == 0);
    assert_true(fabs(s.outcome.score - 1 / (1 + exp(-SURE))) < 1e-12 && s.outcome.score == s.pooled[1]);
    assert_int_equal(s.outcome.decided_label[0], 1);
    assert_true(s.outcome.decided_score[0] == (float)s.outcome.score);
    close_scene(&s);
}

static void each_hop_costs_both_ways_and_its_bytes(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{SURE, SURE, UNSURE}, {SURE, UNSURE}, {-SURE}});
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.answer_level, 3);
    assert_int_equal(s.outcome.label, 0);
    assert_int_equal(s.outcome.visited, 7);
    /* {"key":"0000000000000123","text":"","prior":[{"level":1,"exit_layer":3,"layers":3,"confidence":C,"probabilities":[P,C]}]} */
    char body[256];
    double p = 1 / (1 + exp(-(double)UNSURE));
    int length =
        snprintf(body, sizeof body,
                 "{\"key\":\"0000000000000123\",\"text\":\"\",\"prior\":[{\"level\":1,\"exit_layer\":3,\"layers\":3,"
                 "\"confidence\":%.9g,\"probabilities\":[%.9g,%.9g]}]}",
                 (float)p, (float)(1 - p), (float)p);
    assert_int_equal(s.outcome.bytes_up[0], (unsigned)length + PRUNED);
    assert_true(s.outcome.bytes_up[1] > s.outcome.bytes_up[0]); /* two results */
    assert_true(s.outcome.bytes_down[0] > s.outcome.bytes_down[1]);
    double at_top = computing(3, 1);
    double links = way_up(&s, 1) + way_up(&s, 2) + way_down(&s, 1) + way_down(&s, 2);
    assert_seconds(s.outcome.latency_s, computing(1, 3) + computing(2, 2) + at_top + links);
    assert_seconds(s.outcome.compute_s[2], at_top);
    assert_seconds(s.outcome.link_s[0], way_up(&s, 1) + way_down(&s, 1));
    assert_true(s.probabilities[2] == (float)s.probabilities[2]); /* it travelled */
    close_scene(&s);
}

static void levels_below_the_first_only_pass_on(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "single(3)", (const float[LEVELS][3]){{SURE, SURE, SURE}, {SURE, SURE}, {-SURE}});
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.computed, 4);
    assert_int_equal(s.outcome.visited, 4);
    assert_int_equal(s.outcome.label, 0);
    assert_int_equal(s.outcome.bytes_up[0],
                     strlen("{\"key\":\"0000000000000123\",\"text\":\"\",\"prior\":[]}") + PAYLOAD);
    assert_int_equal(s.outcome.bytes_up[1], s.outcome.bytes_up[0]);
    double links = way_up(&s, 1) + way_up(&s, 2) + way_down(&s, 1) + way_down(&s, 2);
    assert_seconds(s.outcome.latency_s, computing(3, 1) + links);
    assert_true(s.probabilities[0] == 0 && s.probabilities[4] > 0);
    close_scene(&s);
}

static void speculate(scene *s)
{
    s->policy.exit.first_layer = 1;
    s->policy.offload.speculate[0] = 0.9;
    s->policy.offload.threshold[1] = 0;
}

static void a_reply_that_is_asked_for_ahead_comes_earlier(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{UNSURE, SURE, UNSURE}, {-SURE, -SURE}, {SURE}});
    speculate(&s);
    assert_int_equal(walk(&s), 0);
    assert_true(s.outcome.speculated && !s.outcome.cancelled);
    assert_int_equal(s.outcome.answer_level, 2);
    double asked = computing(1, 1);
    double back = asked + way_up(&s, 1) + computing(2, 2) + way_down(&s, 1);
    assert_seconds(s.outcome.latency_s, back > computing(1, 3) ? back : computing(1, 3));
    /* Now over a link so fast that the reply waits for the level's own result. */
    s.link.up_bps = s.link.down_bps = INFINITY;
    assert_int_equal(walk(&s), 0);
    assert_true(asked + RTT_S + computing(2, 2) < computing(1, 3));
    assert_seconds(s.outcome.latency_s, computing(1, 3));
    assert_int_equal(s.outcome.answer_level, 2);
    close_scene(&s);
}

static void what_was_asked_in_vain_is_taken_back(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{UNSURE, SURE, SURE}, {-SURE, -SURE}, {SURE}});
    speculate(&s);
    assert_int_equal(walk(&s), 0);
    assert_true(s.outcome.speculated && s.outcome.cancelled);
    assert_int_equal(s.outcome.answer_level, 1);
    assert_int_equal(s.outcome.computed, 1);
    assert_seconds(s.outcome.latency_s, computing(1, 3));
    assert_true(s.outcome.bytes_up[0] > 0);
    assert_int_equal(s.outcome.bytes_down[0], 0);
    close_scene(&s);
}

static void parallel_levels_wait_for_the_slowest(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "cocktail", (const float[LEVELS][3]){{SURE, SURE, SURE}, {-SURE, -SURE}, {-SURE}});
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.visited, 7);
    assert_int_equal(s.outcome.label, 0); /* two votes of accuracies .6 and .7 against .5 */
    double top = way_up(&s, 1) + way_up(&s, 2) + computing(3, 1) + way_down(&s, 2);
    double second = way_up(&s, 1) + computing(2, 2);
    double upper = (top > second ? top : second) + way_down(&s, 1);
    assert_seconds(s.outcome.latency_s, upper > computing(1, 3) ? upper : computing(1, 3));
    /* The whole text, and nothing of what the level found meanwhile. */
    assert_int_equal(s.outcome.bytes_up[0],
                     strlen("{\"key\":\"0000000000000123\",\"text\":\"\",\"prior\":[]}") + PAYLOAD);
    close_scene(&s);
}

static void early_offload_stops_the_level(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{UNSURE, SURE, SURE}, {SURE, SURE}, {SURE}});
    s.policy.exit.first_layer = 1;
    s.policy.offload.early[0] = 0.6;
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.exit_layer[0], 1);
    assert_int_equal(s.outcome.answer_level, 2);
    assert_false(s.outcome.speculated);
    assert_seconds(s.outcome.latency_s, computing(1, 1) + way_up(&s, 1) + computing(2, 2) + way_down(&s, 1));
    s.policy.offload.skip[0] = 0.6; /* and to level 3, past level 2 */
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.computed, 5);
    assert_int_equal(s.outcome.answer_level, 3);
    close_scene(&s);
}

static void logits_that_are_not_numbers_degrade(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{NAN, NAN, NAN}, {SURE, SURE}, {SURE}});
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.degraded, RUNG_DEGRADED_MODEL);
    assert_int_equal(s.outcome.answer_level, 2);
    assert_int_equal(s.outcome.visited, 2);
    assert_int_equal(s.outcome.computed, 3);
    close_scene(&s);
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{SURE, SURE, UNSURE}, {NAN, NAN}, {NAN}});
    assert_int_equal(walk(&s), 0);
    assert_true(s.outcome.degraded != RUNG_DEGRADED_NO);
    assert_int_equal(s.outcome.answer_level, 1);
    assert_int_equal(s.outcome.visited, 1);
    close_scene(&s);
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{NAN, NAN, NAN}, {NAN, NAN}, {INFINITY}});
    assert_int_equal(walk(&s), 0);
    assert_int_equal(s.outcome.label, UINT32_MAX);
    assert_int_equal(s.outcome.computed, 7);
    close_scene(&s);
}

static void what_is_not_recorded_is_asked_for(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "tangobert", (const float[LEVELS][3]){{SURE, SURE, UNSURE}, {SURE, UNSURE}, {-SURE}});
    s.cells[7].entry = 0;
    assert_int_equal(walk(&s), 7);
    s.cells[3].entry = 0;
    assert_int_equal(walk(&s), 3);
    s.cells[1].entry = 0;
    assert_int_equal(walk(&s), 1);
    s.policy.first_compute_level = 2;
    s.cells[6].entry = 0; /* level 3 after level 2 alone */
    assert_int_equal(walk(&s), 6);
    s.policy.members = 4;
    assert_int_equal(walk(&s), 0);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sure_level_answers_by_itself),
        cmocka_unit_test(each_hop_costs_both_ways_and_its_bytes),
        cmocka_unit_test(levels_below_the_first_only_pass_on),
        cmocka_unit_test(a_reply_that_is_asked_for_ahead_comes_earlier),
        cmocka_unit_test(what_was_asked_in_vain_is_taken_back),
        cmocka_unit_test(parallel_levels_wait_for_the_slowest),
        cmocka_unit_test(early_offload_stops_the_level),
        cmocka_unit_test(logits_that_are_not_numbers_degrade),
        cmocka_unit_test(what_is_not_recorded_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
