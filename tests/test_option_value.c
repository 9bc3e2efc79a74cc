/* test_option_value.c: one value of each type from text, and how each is refused. */
#include "config/option_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_option_value parse(rung_option_id id, const char *text)
{
    rung_option_value value = {0};
    rung_error error;
    assert_int_equal(rung_option_value_parse(rung_option_spec_of(id), "x", text, &value, &error), RUNG_OK);
    return value;
}

static void every_type(void **state)
{
    (void)state;
    rung_option_value value = parse(RUNG_OPTION_ONCE, "true");
    assert_true(value.boolean);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_SEED, "42");
    assert_int_equal(value.integer, 42);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_EXIT_TAU, "0.02");
    assert_true(value.number == 0.02);
    assert_string_equal(value.text, "0.02");
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_OFFLOAD_K, "hard");
    assert_true(value.is_word);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_OFFLOAD_K, "10");
    assert_true(!value.is_word && value.number == 10);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "0.9 , 0.8,1");
    assert_int_equal(value.num_numbers, 3);
    assert_true(value.numbers[0] == 0.9 && value.numbers[1] == 0.8 && value.numbers[2] == 1);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_TOKENS, "16, 64,512,1,2,3,4,5,6");
    assert_int_equal(value.num_numbers, 9);
    assert_true(value.numbers[0] == 16 && value.numbers[1] == 64 && value.numbers[8] == 6);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_EXIT_ENTROPY, "1,2,3,4,5,6,7,8,9");
    assert_true(value.num_numbers == 9 && value.numbers[8] == 9);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_MEMBERS, "3, 1");
    assert_true(!value.is_word && value.num_numbers == 2 && value.numbers[0] == 3 && value.numbers[1] == 1);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_MEMBERS, "all");
    assert_true(value.is_word);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_OFFLOAD_RANDOM, "off");
    assert_true(value.is_word);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_NAME, "single(8)");
    assert_string_equal(value.text, "single(8)");
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_VARIANT, "power-bert(0.5)");
    assert_string_equal(value.text, "power-bert(0.5)");
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_POLICY_PRUNE_UNIT, "word");
    assert_int_equal(value.choice, RUNG_PRUNE_WORD);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_LEVEL_MEMORY, "64MiB");
    assert_int_equal(value.integer, 67108864);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_LEVEL_LINK + RUNG_LINK_KEY_RTT, "8ms");
    assert_true(value.number == 0.008);
    rung_option_value_deinit(&value);
    value = parse(RUNG_OPTION_LABELS, "NEGATIVE=neg,POSITIVE=a=b");
    assert_int_equal(value.num_pairs, 2);
    assert_string_equal(value.pairs[0], "NEGATIVE");
    assert_string_equal(value.pairs[3], "a=b");
    assert_string_equal(value.text, "NEGATIVE=neg,POSITIVE=a=b");
    rung_option_value copy = {0};
    rung_error error;
    assert_int_equal(rung_option_value_copy(&value, &copy, &error), RUNG_OK);
    rung_option_value_deinit(&value);
    assert_string_equal(copy.pairs[2], "POSITIVE");
    rung_option_value_deinit(&copy);
    assert_null(copy.pairs);
}

typedef struct refusal {
    rung_option_id id;
    const char *text;
    rung_status status;
    const char *message;
} refusal;

static void refuse_all(const refusal *bad, size_t count)
{
    rung_option_value value = {.text = NULL};
    for (size_t i = 0; i < count; i++) {
        rung_error error;
        const rung_option_spec *spec = rung_option_spec_of(bad[i].id);
        assert_int_equal(rung_option_value_parse(spec, "x", bad[i].text, &value, &error), bad[i].status);
        assert_string_equal(error.message, bad[i].message);
        assert_int_equal(rung_option_value_parse(spec, "x", bad[i].text, &value, NULL), bad[i].status);
        assert_null(value.text);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const refusal bad[] = {
        {RUNG_OPTION_ONCE, "yes", RUNG_INVALID, "x: 'yes' is not true or false"},
        {RUNG_OPTION_POLICY_EXIT_TAU, "", RUNG_INVALID, "x: is empty"},
        {RUNG_OPTION_POLICY_EXIT_TAU, "a\xff", RUNG_INVALID, "x: not valid UTF-8 at byte 1"},
        {RUNG_OPTION_POLICY_EXIT_TAU, "low", RUNG_INVALID, "x: 'low' is not a number (0 to 1)"},
        {RUNG_OPTION_POLICY_EXIT_TAU, "1.5", RUNG_INVALID, "x: 1.5 is outside the range: 0 to 1"},
        {RUNG_OPTION_POLICY_EXIT_TAU, "nan", RUNG_INVALID, "x: 'nan' is not a number (0 to 1)"},
        {RUNG_OPTION_POLICY_EXIT_PATIENCE, "0", RUNG_INVALID, "x: 0 is outside the range: 1 to 128"},
        {RUNG_OPTION_POLICY_EXIT_PATIENCE, "1.5", RUNG_INVALID, "x: '1.5' is not a whole number (1 to 128)"},
        {RUNG_OPTION_POLICY_SEED, "-1", RUNG_INVALID, "x: '-1' is not a whole number (0 to 9007199254740992)"},
        {RUNG_OPTION_POLICY_OFFLOAD_K, "hrad", RUNG_INVALID,
         "x: 'hrad' is not a number or hard (above 0, at most 1000000); did you mean 'hard'?"},
        {RUNG_OPTION_POLICY_OFFLOAD_K, "0", RUNG_INVALID, "x: 0 is outside the range: above 0, at most 1000000"},
        {RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "0.9,2", RUNG_INVALID, "x: 2 is outside the range: 0 to 1"},
        {RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "0.9,,1", RUNG_INVALID, "x: '' is not a number (0 to 1)"},
        {RUNG_OPTION_TOKENS, "16,1.5", RUNG_INVALID, "x: '1.5' is not a whole number (1 to 512)"},
        {RUNG_OPTION_TOKENS, "16,,2", RUNG_INVALID, "x: '' is not a whole number (1 to 512)"},
        {RUNG_OPTION_TOKENS, "16,513", RUNG_INVALID, "x: 513 is outside the range: 1 to 512"},
        {RUNG_OPTION_TOKENS, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", RUNG_LIMIT, "x: more than 16 numbers"},
        {RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "0,0,0,0,0,0,0,0,0", RUNG_LIMIT, "x: more than 8 numbers"},
        {RUNG_OPTION_POLICY_EXIT_RULE, "agre", RUNG_INVALID,
         "x: 'agre' is not one of off, paper, agree, pabee, entropy or divergence; did you mean 'agree'?"},
        {RUNG_OPTION_LEVEL_MEMORY, "64", RUNG_INVALID,
         "x: '64' has no unit; write for example 64MiB (units: B, kB, MB, GB, KiB, MiB, GiB)"},
        {RUNG_OPTION_LEVEL_MEMORY, "0B", RUNG_INVALID, "x: 0B is outside the range: 1B to 1TiB"},
        {RUNG_OPTION_LEVEL_LINK + RUNG_LINK_KEY_RTT, "2min", RUNG_INVALID, "x: 2min is outside the range: 0s to 60s"},
        {RUNG_OPTION_LEVEL_LINK + RUNG_LINK_KEY_UP, "0bit/s", RUNG_INVALID,
         "x: 0bit/s is outside the range: 1bit/s to 1000Gbit/s"},
        {RUNG_OPTION_LABELS, "a", RUNG_INVALID, "x: 'a' has no '='; write OLD=NEW,OLD=NEW"},
        {RUNG_OPTION_LABELS, "a=", RUNG_INVALID, "x: a name is empty; write OLD=NEW"},
        {RUNG_OPTION_MODERATION_FLAGGED, "a,,b", RUNG_INVALID, "x: a name is empty; write NAME,NAME"},
        {RUNG_OPTION_LABELS, "a=b,a=c", RUNG_INVALID, "x: 'a' is renamed twice"},
        {RUNG_OPTION_UPSTREAM_PROTOCOL, "grpc", RUNG_INVALID, "x: 'grpc' is not one of rung, tei or v2"},
        {RUNG_OPTION_LEVEL_REMOTE_LABELS, "neg,,pos", RUNG_INVALID, "x: a name is empty; write NAME,NAME"},
        {RUNG_OPTION_TLS_KEY_FILE, "key.pem", RUNG_UNSUPPORTED,
         "x: 'tls.key_file' is not available in this version; remove it, and put a proxy with TLS before the node's "
         "loopback address"},
        {RUNG_OPTION_DEADLINE, "0ms", RUNG_INVALID, "x: 0ms is outside the range: 1ms to 600s"},
        {RUNG_OPTION_LISTEN, "127.0.0.1", RUNG_INVALID,
         "x: '127.0.0.1' has no port; write address and port, as 127.0.0.1:8080"},
        {RUNG_OPTION_UPSTREAM_ADDRESSES, "http://a:1,b:2", RUNG_INVALID,
         "x: 'b:2' does not begin with http:// or https://; write http://host:port or https://host:port"},
        {RUNG_OPTION_PLAN, "plan.json", RUNG_UNSUPPORTED,
         "x: 'plan' is not available in this version; remove it, and set the policy's keys"},
    };
    refuse_all(bad, sizeof bad / sizeof bad[0]);
}

static void refusals_of_policies(void **state)
{
    (void)state;
    static const refusal bad[] = {
        {RUNG_OPTION_POLICY_NAME, "oracle", RUNG_UNSUPPORTED,
         "x: 'oracle' is not available in this version; use rung, paper, tabi, tangobert, single, pabee, branchynet, "
         "deebert, f-pabee, cocktail, random, layer-skip or power-bert"},
        {RUNG_OPTION_POLICY_NAME, "pabe", RUNG_INVALID,
         "x: 'pabe' is not one of rung, paper, tabi, tangobert, single, pabee, branchynet, deebert, f-pabee, cocktail, "
         "random, layer-skip or power-bert; did you mean 'pabee'?"},
        {RUNG_OPTION_POLICY_NAME, "singel(2)", RUNG_INVALID,
         "x: 'singel(2)' is not one of rung, paper, tabi, tangobert, single, pabee, branchynet, deebert, f-pabee, "
         "cocktail, random, layer-skip or power-bert; did you mean 'single'?"},
        {RUNG_OPTION_POLICY_NAME, "rung(2)", RUNG_INVALID, "x: policy \"rung(2)\": rung takes no number"},
        {RUNG_OPTION_POLICY_NAME, "single(top)", RUNG_INVALID,
         "x: policy \"single(top)\": single takes a number in parentheses, as single(2)"},
        {RUNG_OPTION_POLICY_NAME, "single(1", RUNG_INVALID,
         "x: policy \"single(1\": single takes a number in parentheses, as single(2)"},
        {RUNG_OPTION_POLICY_NAME, "single(0)", RUNG_INVALID,
         "x: policy.name single(0): the cascade has the levels 1 to 8"},
        {RUNG_OPTION_POLICY_NAME, "random(2)", RUNG_INVALID, "x: policy.offload.random is 2; it must be from 0 to 1"},
        {RUNG_OPTION_POLICY_VARIANT, "layer-skp(2)", RUNG_INVALID,
         "x: 'layer-skp(2)' is not one of none, layer-skip or power-bert; did you mean 'layer-skip'?"},
        {RUNG_OPTION_POLICY_VARIANT, "layer-skip", RUNG_INVALID,
         "x: variant 'layer-skip': 'layer-skip' needs a speedup above 1, as in layer-skip(2)"},
        {RUNG_OPTION_POLICY_VARIANT, "power-bert(2)", RUNG_INVALID,
         "x: variant 'power-bert(2)': 'power-bert' needs a share above 0 and at most 1, as in power-bert(0.5)"},
        {RUNG_OPTION_POLICY_MEMBERS, "al", RUNG_INVALID, "x: 'al' is not a whole number (1 to 8)"},
        {RUNG_OPTION_POLICY_MEMBERS, "1,9", RUNG_INVALID, "x: 9 is outside the range: 1 to 8"},
        {RUNG_OPTION_POLICY_MEMBERS, "2,1,2", RUNG_INVALID, "x: level 2 is there twice"},
        {RUNG_OPTION_POLICY_OFFLOAD_RANDOM, "of", RUNG_INVALID,
         "x: 'of' is not a number or off (0 to 1); did you mean 'off'?"},
        {RUNG_OPTION_POLICY_OFFLOAD_RANDOM, "1.5", RUNG_INVALID, "x: 1.5 is outside the range: 0 to 1"},
        {RUNG_OPTION_POLICY_OFFLOAD_SKIP, "-0.1", RUNG_INVALID, "x: -0.1 is outside the range: 0 to 1"},
        {RUNG_OPTION_POLICY_OFFLOAD_EARLY, "0.5,2", RUNG_INVALID, "x: 2 is outside the range: 0 to 1"},
        {RUNG_OPTION_POLICY_OFFLOAD_SPECULATE, "yes", RUNG_INVALID, "x: 'yes' is not a number (0 to 1)"},
        {RUNG_OPTION_POLICY_EXIT_ENTROPY, "0.2,-1", RUNG_INVALID, "x: -1 is outside the range: 0 to 100"},
        {RUNG_OPTION_POLICY_EXIT_ENTROPY, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
         RUNG_LIMIT, "x: more than 32 numbers"},
        {RUNG_OPTION_POLICY_PARALLEL, "1", RUNG_INVALID, "x: '1' is not true or false"},
    };
    refuse_all(bad, sizeof bad / sizeof bad[0]);
}

static void flags_and_ranges(void **state)
{
    (void)state;
    char flag[RUNG_FLAG_BYTES];
    char range[RUNG_RANGE_BYTES];
    assert_string_equal(rung_option_flag("levels[].link.rtt", flag), "--levels.N.link.rtt");
    assert_string_equal(rung_option_flag("seed", flag), "--seed");
    assert_string_equal(rung_option_range(rung_option_spec_of(RUNG_OPTION_MAX_LINE), range), "1KiB to 1GiB");
    assert_string_equal(rung_option_range(rung_option_spec_of(RUNG_OPTION_CONFIG), range), "");
    assert_string_equal(rung_option_range(rung_option_spec_of(RUNG_OPTION_BATCH_MAX_WAIT), range), "0s to 1s");
    rung_buffer names = {0};
    rung_append_choices(&names, "a|b|c");
    rung_buffer_text(&names, ";");
    rung_append_choices(&names, "a");
    assert_string_equal(names.data, "a, b or c;a");
    rung_buffer_deinit(&names);
    assert_false(rung_find_choice("ab|c", "a", NULL));
    assert_false(rung_find_choice("ab|c", "b|c", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(refusals),
        cmocka_unit_test(refusals_of_policies),
        cmocka_unit_test(flags_and_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
