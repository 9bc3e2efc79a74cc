/* test_options.c: command lines into values in force, which source wins, and every wrong command line by its message. */
#include "config/options.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_options *make(void)
{
    rung_options *options = NULL;
    rung_error error;
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    return options;
}

static void defaults(void **state)
{
    (void)state;
    rung_options *options = make();
    assert_false(rung_options_bool(options, RUNG_OPTION_JSON));
    assert_int_equal(rung_options_choice(options, RUNG_OPTION_PRECISION), 1);
    assert_int_equal(rung_options_integer(options, RUNG_OPTION_MAX_LINE), 8388608);
    assert_true(rung_options_number(options, RUNG_OPTION_AGREEMENT) == 0.98);
    assert_null(rung_options_text(options, RUNG_OPTION_CONFIG));
    assert_false(rung_options_given(options, RUNG_OPTION_PRECISION));
    assert_string_equal(rung_options_value(options, RUNG_OPTION_PRECISION)->origin, "default");
    assert_int_equal(rung_options_value(options, RUNG_OPTION_CONFIG)->source, RUNG_SOURCE_NONE);
    assert_true(rung_options_level_value(options, RUNG_OPTION_LEVEL_SPEED, 7)->number == 1);
    assert_int_equal(rung_options_level_value(options, RUNG_OPTION_LEVEL_SPEED, 8)->source, RUNG_SOURCE_NONE);
    assert_int_equal(rung_options_value(NULL, RUNG_OPTION_CONFIG)->source, RUNG_SOURCE_NONE);
    rung_options_free(options);
    rung_options_free(NULL);
}

static void flags(void **state)
{
    (void)state;
    static const char *const arguments[] = {
        "first",
        "-c",
        "a.yaml",
        "--json",
        "--policy.exit.tau=0.5",
        "--seed",
        "9",
        "--levels.2.speed",
        "3",
        "--once=false",
        "-",
        "--policy",
        "tabi",
        "--",
        "--json",
    };
    rung_options *options = make();
    rung_error error;
    /* --once belongs to another command. */
    assert_int_equal(rung_options_parse(options, RUNG_COMMAND_CLASSIFY, COUNT(arguments), arguments, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message,
                        "option --once is not one of 'rung classify'; 'rung classify --help' lists them");
    assert_int_equal(rung_options_num_arguments(options), 0);
    assert_false(rung_options_bool(options, RUNG_OPTION_JSON));
    const char *good[COUNT(arguments)];
    memcpy(good, arguments, sizeof good);
    good[9] = "--json=true";
    assert_int_equal(rung_options_parse(options, RUNG_COMMAND_CLASSIFY, COUNT(good), good, &error), RUNG_OK);
    assert_int_equal(rung_options_num_arguments(options), 3);
    assert_string_equal(rung_options_argument(options, 0), "first");
    assert_string_equal(rung_options_argument(options, 1), "-");
    assert_string_equal(rung_options_argument(options, 2), "--json");
    assert_string_equal(rung_options_text(options, RUNG_OPTION_CONFIG), "a.yaml");
    assert_string_equal(rung_options_value(options, RUNG_OPTION_CONFIG)->origin, "-c");
    assert_true(rung_options_bool(options, RUNG_OPTION_JSON));
    assert_true(rung_options_number(options, RUNG_OPTION_POLICY_EXIT_TAU) == 0.5);
    assert_int_equal(rung_options_integer(options, RUNG_OPTION_POLICY_SEED), 9);
    assert_string_equal(rung_options_value(options, RUNG_OPTION_POLICY_SEED)->origin, "--seed");
    assert_true(rung_options_level_value(options, RUNG_OPTION_LEVEL_SPEED, 1)->number == 3);
    assert_true(rung_options_level_value(options, RUNG_OPTION_LEVEL_SPEED, 0)->number == 1);
    assert_string_equal(rung_options_text(options, RUNG_OPTION_POLICY_NAME), "tabi");
    rung_options *copy = NULL;
    assert_int_equal(rung_options_copy(options, &copy, &error), RUNG_OK);
    rung_options_free(options);
    assert_string_equal(rung_options_argument(copy, 0), "first");
    assert_string_equal(rung_options_text(copy, RUNG_OPTION_CONFIG), "a.yaml");
    rung_options_free(copy);
}

static void short_flags_and_order(void **state)
{
    (void)state;
    static const char *const arguments[] = {"-ma.safetensors", "--seed", "1", "--seed=2", "-m", "b"};
    rung_options *options = make();
    rung_error error;
    assert_int_equal(rung_options_parse(options, RUNG_COMMAND_CLASSIFY, COUNT(arguments), arguments, &error), RUNG_OK);
    assert_string_equal(rung_options_text(options, RUNG_OPTION_MODEL), "b"); /* the later one wins */
    assert_int_equal(rung_options_integer(options, RUNG_OPTION_POLICY_SEED), 2);
    rung_options_free(options);
}

static void wrong_command_lines(void **state)
{
    (void)state;
    static const struct {
        rung_command command;
        size_t count;
        const char *arguments[3];
        const char *message;
    } bad[] = {
        {RUNG_COMMAND_CLASSIFY, 1, {"--jsno"}, "unknown option --jsno; did you mean --json?"},
        {RUNG_COMMAND_CLASSIFY,
         1,
         {"--threshold"},
         "unknown option --threshold; did you mean --policy.offload.threshold?"},
        {RUNG_COMMAND_CLASSIFY,
         1,
         {"--levels.2.sped=1"},
         "unknown option --levels.2.sped; did you mean --levels.N.speed?"},
        {RUNG_COMMAND_CLASSIFY,
         1,
         {"--levels.9.speed=1"},
         "unknown option --levels.9.speed; did you mean --levels.N.speed?"},
        {RUNG_COMMAND_CLASSIFY,
         1,
         {"--levels.0.speed=1"},
         "unknown option --levels.0.speed; did you mean --levels.N.speed?"},
        {RUNG_COMMAND_CLASSIFY,
         1,
         {"--brightness=1"},
         "unknown option --brightness; 'rung classify --help' lists them"},
        {RUNG_COMMAND_CLASSIFY, 1, {"--plan=p"}, "unknown option --plan; 'rung classify --help' lists them"},
        {RUNG_COMMAND_CLASSIFY, 1, {"-x"}, "unknown option -x; 'rung classify --help' lists them"},
        {RUNG_COMMAND_CLASSIFY, 1, {"-hx"}, "-h takes no value"},
        {RUNG_COMMAND_CLASSIFY, 1, {"--config"}, "--config needs a value: --config FILE"},
        {RUNG_COMMAND_CLASSIFY, 1, {"--config="}, "--config: is empty"},
        {RUNG_COMMAND_CLASSIFY, 1, {"-c"}, "-c needs a value: -c FILE"},
        {RUNG_COMMAND_CLASSIFY, 2, {"--policy.exit.tau", "2"}, "--policy.exit.tau: 2 is outside the range: 0 to 1"},
        {RUNG_COMMAND_CLASSIFY, 1, {"--json=1"}, "--json: '1' is not true or false"},
        {RUNG_COMMAND_CLASSIFY,
         2,
         {"--precision", "int9"},
         "--precision: 'int9' is not one of fp32 or int8; did you mean 'int8'?"},
        {RUNG_COMMAND_CLASSIFY,
         2,
         {"--max-line", "1"},
         "--max-line: '1' has no unit; write for example 1MiB (units: B, kB, MB, GB, KiB, MiB, GiB)"},
        {RUNG_COMMAND_QUANTIZE, 0, {NULL}, "rung quantize needs an argument: rung quantize HF_DIR"},
        {RUNG_COMMAND_QUANTIZE, 2, {"a", "b"}, "unexpected argument 'b': rung quantize HF_DIR"},
        {RUNG_COMMAND_DEMO, 1, {"x"}, "unexpected argument 'x': rung demo takes options only"},
        {RUNG_COMMAND_BENCH, 2, {"--tokens", "1000"}, "--tokens: 1000 is outside the range: 1 to 512"},
    };
    rung_options *options = make();
    for (size_t i = 0; i < COUNT(bad); i++) {
        rung_error error;
        rung_status status = rung_options_parse(options, bad[i].command, bad[i].count, bad[i].arguments, &error);
        assert_true(status == RUNG_INVALID || status == RUNG_NOT_FOUND);
        assert_int_equal(error.code, status);
        assert_string_equal(error.message, bad[i].message);
        assert_int_equal(rung_options_parse(options, bad[i].command, bad[i].count, bad[i].arguments, NULL), status);
    }
    char flag[400] = "--";
    memset(flag + 2, 'a', 300);
    const char *const long_flag[] = {flag};
    rung_error error;
    assert_int_equal(rung_options_parse(options, RUNG_COMMAND_FIT, 1, long_flag, &error), RUNG_NOT_FOUND);
    assert_non_null(strstr(error.message, "aaa...; 'rung fit --help' lists them"));
    const char *const help[] = {"--help"};
    assert_int_equal(rung_options_parse(options, RUNG_COMMAND_QUANTIZE, 1, help, &error), RUNG_OK);
    rung_options_free(options);
}

static void stronger_sources_win(void **state)
{
    (void)state;
    rung_options *options = make();
    rung_error error;
    const rung_option_id id = RUNG_OPTION_POLICY_EXIT_TAU;
    assert_int_equal(rung_options_put(options, id, 0, RUNG_SOURCE_FILE, "a:1", NULL, "a:1", "0.1", &error), RUNG_OK);
    assert_int_equal(rung_options_put(options, id, 0, RUNG_SOURCE_POLICY, "policy", NULL, "p", "0.2", &error), RUNG_OK);
    assert_string_equal(rung_options_text(options, id), "0.1");
    assert_int_equal(rung_options_set(options, "policy.exit.tau", "0.3", &error), RUNG_OK);
    assert_int_equal(rung_options_put(options, id, 0, RUNG_SOURCE_FILE, "b:1", NULL, "b:1", "0.4", &error), RUNG_OK);
    assert_string_equal(rung_options_text(options, id), "0.3");
    /* A wrong value is an error although a flag hides it. */
    assert_int_equal(rung_options_put(options, id, 0, RUNG_SOURCE_FILE, "b:2", NULL, "b:2: tau", "4", &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "b:2: tau: 4 is outside the range: 0 to 1");
    static const char *const pairs[] = {"a", "b"};
    assert_int_equal(rung_options_put_pairs(options, RUNG_OPTION_LABELS, "a:9", 1, pairs, &error), RUNG_OK);
    assert_string_equal(rung_options_text(options, RUNG_OPTION_LABELS), "a=b");
    assert_int_equal(rung_options_set(options, "labels", "c=d", &error), RUNG_OK);
    assert_int_equal(rung_options_put_pairs(options, RUNG_OPTION_LABELS, "a:9", 1, pairs, &error), RUNG_OK);
    assert_string_equal(rung_options_text(options, RUNG_OPTION_LABELS), "c=d");
    assert_int_equal(rung_options_set(options, "policy.nmae", "x", &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "unknown option 'policy.nmae'; did you mean 'policy.name'?");
    rung_options_free(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(flags),
        cmocka_unit_test(short_flags_and_order),
        cmocka_unit_test(wrong_command_lines),
        cmocka_unit_test(stronger_sources_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
