/* test_timing.c: a profile's curves as a replay's times, kept in a file to the same bits, and files that are no such thing. */
#include "model_fixture.h"
#include "replay/timing.h"

#include <math.h>

static const char ORIGIN[] = "precision int8\nlevel 1 model sha256 \"ab\"\n";

static void a_layer_without_exit_costs_what_the_next_exit_does(void **state)
{
    (void)state;
    rung_profile_exit exits[2] = {{.layer = 2, .curve = {.a_ms = 1, .b_ms_per_token = 0.1}},
                                  {.layer = 5, .curve = {.a_ms = 3, .b_ms_per_token = 0.2}}};
    rung_profile profile = {.num_levels = 1,
                            .levels = {{.tokenize_ms = 0.5 * RUNG_PROFILE_TEXT_BYTES, .num_exits = 2, .exits = exits}}};
    rung_timing timing;
    assert_ok(rung_timing_of(&profile, &timing, error));
    assert_int_equal(timing.num_levels, 1);
    assert_int_equal(timing.level[0].num_layers, 5);
    assert_true(timing.level[0].tokenize_ms_per_byte == 0.5);
    static const double a_ms[] = {1, 1, 3, 3, 3};
    for (size_t e = 0; e < 5; e++) {
        assert_true(timing.level[0].exits[e].a_ms == a_ms[e]);
    }
    exits[1].layer = RUNG_TIMING_MAX_LAYERS + 1;
    assert_fails(rung_timing_of(&profile, &timing, error), RUNG_LIMIT, "level 1 has 65 layers");
    assert_int_equal(timing.level[0].num_layers, 5); /* untouched */
}

static rung_timing make_timing(void)
{
    rung_timing timing = {.num_levels = 2};
    for (uint32_t l = 0; l < 2; l++) {
        timing.level[l].num_layers = 3 + l;
        timing.level[l].tokenize_ms_per_byte = 1.0 / 3 / (l + 1);
        for (uint32_t e = 0; e < 3 + l; e++) {
            timing.level[l].exits[e] = (rung_latency_curve){
                .a_ms = M_PI * (e + 1), .b_ms_per_token = 0x1p-1060 * e, .c_ms_per_token2 = 1e-7 / (e + 3)};
        }
    }
    return timing;
}

static void a_file_brings_back_the_same_bits(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "profile.json");
    rung_timing timing = make_timing();
    rung_timing back;
    assert_fails(rung_timing_load(path, ORIGIN, &back, error), RUNG_NOT_FOUND, path);
    assert_ok(rung_timing_save(&timing, ORIGIN, path, error));
    assert_ok(rung_timing_load(path, ORIGIN, &back, error));
    assert_int_equal(back.num_levels, 2);
    for (uint32_t l = 0; l < 2; l++) {
        const rung_level_timing *a = &timing.level[l];
        const rung_level_timing *b = &back.level[l];
        assert_int_equal(a->num_layers, b->num_layers);
        assert_true(a->tokenize_ms_per_byte == b->tokenize_ms_per_byte);
        for (uint32_t e = 0; e < a->num_layers; e++) {
            assert_true(a->exits[e].a_ms == b->exits[e].a_ms);
            assert_true(a->exits[e].b_ms_per_token == b->exits[e].b_ms_per_token);
            assert_true(a->exits[e].c_ms_per_token2 == b->exits[e].c_ms_per_token2);
        }
    }
    assert_fails(rung_timing_load(path, "precision fp32\n", &back, error), RUNG_MISMATCH, "give another directory");
    char *nowhere = fixture_join(directory, "no/such/place.json");
    assert_fails(rung_timing_save(&timing, ORIGIN, nowhere, error), RUNG_NOT_FOUND, "no/such/place.json");
    free(nowhere);
    free(path);
    fixture_remove(directory);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *fragment;
    } bad[] = {
        {"", "profile.json:"},
        {"{\"version\": 1", "profile.json:"},
        {"[]", "not a profile of version 1"},
        {"{\"version\": 2, \"origin\": \"o\", \"levels\": [{}]}", "not a profile of version 1"},
        {"{\"version\": 1, \"levels\": [{}]}", "not a profile of version 1"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": []}", "not a profile of version 1"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{},{},{},{},{},{},{},{},{}]}", "not a profile of version 1"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{\"exits\": [[1, 2, 3]]}]}", "levels[0] has no curves"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{\"tokenize_ms_per_byte\": 1, \"exits\": []}]}",
         "levels[0] has no curves"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{\"tokenize_ms_per_byte\": 1, \"exits\": [[1, 2]]}]}",
         "levels[0] has no curves"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{\"tokenize_ms_per_byte\": 1, \"exits\": [[1, -2, 3]]}]}",
         "levels[0] has no curves"},
        {"{\"version\": 1, \"origin\": \"o\", \"levels\": [{\"tokenize_ms_per_byte\": \"1\", \"exits\": [[1, 2, 3]]}]}",
         "levels[0] has no curves"},
    };
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "profile.json");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_timing timing = {.num_levels = 77};
        rung_error failure = {.message = ""};
        fixture_write(directory, "profile.json", bad[i].text);
        rung_status status = rung_timing_load(path, "o", &timing, &failure);
        if (status != RUNG_INVALID || strstr(failure.message, bad[i].fragment) == NULL) {
            fail_msg("%s: %s", bad[i].text, failure.message);
        }
        assert_int_equal(timing.num_levels, 77);
    }
    free(path);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_without_exit_costs_what_the_next_exit_does),
        cmocka_unit_test(a_file_brings_back_the_same_bits),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
