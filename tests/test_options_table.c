/* test_options_table.c: what must hold for every row of the tables, and the finding of commands. */
#include "config/cascade_config.h"
#include "config/option_value.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void rows_are_complete(void **state)
{
    (void)state;
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        assert_non_null(spec->key);
        assert_true(strlen(spec->key) > 0 && strlen(spec->help) > 0);
        /* One line of help that a sentence can go on with: no capital, no full stop. */
        assert_null(strchr(spec->help, '\n'));
        assert_true(spec->help[strlen(spec->help) - 1] != '.');
        bool needs_choices = spec->type == RUNG_TYPE_CHOICE || spec->type == RUNG_TYPE_NUMBER_OR_WORD ||
                             spec->type == RUNG_TYPE_LEVELS || spec->type == RUNG_TYPE_POLICY ||
                             spec->type == RUNG_TYPE_VARIANT;
        assert_true(needs_choices == (spec->choices != NULL));
        bool has_range = spec->type == RUNG_TYPE_INTEGER || spec->type == RUNG_TYPE_NUMBER ||
                         spec->type == RUNG_TYPE_NUMBERS || spec->type == RUNG_TYPE_INTEGERS ||
                         spec->type == RUNG_TYPE_NUMBER_OR_WORD || spec->type == RUNG_TYPE_LEVELS ||
                         spec->type == RUNG_TYPE_SIZE || spec->type == RUNG_TYPE_TIME || spec->type == RUNG_TYPE_RATE;
        assert_true(has_range == (spec->max > spec->min));
        assert_true(spec->max_numbers <= RUNG_MAX_NUMBERS);
        assert_true(spec->type == RUNG_TYPE_BOOL || spec->value_name != NULL);
        assert_true(rung_option_is_level(id) == (strncmp(spec->key, "levels[].", 9) == 0));
        assert_true(spec->commands != 0 || spec->later != NULL);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    for (rung_option_id a = 0; a < RUNG_OPTION_COUNT; a++) {
        for (rung_option_id b = 0; b < RUNG_OPTION_COUNT; b++) {
            const rung_option_spec *x = rung_option_spec_of(a);
            const rung_option_spec *y = rung_option_spec_of(b);
            bool apart = (x->commands & y->commands) == 0; /* no command takes both, and files know one of them */
            assert_true(a == b || strcmp(x->key, y->key) != 0 || (apart && (x->flag_only || y->flag_only)));
            assert_true(x->alias == NULL || strcmp(x->alias, y->key) != 0);
            assert_true(a == b || x->alias == NULL || y->alias == NULL || strcmp(x->alias, y->alias) != 0);
            assert_true(a == b || x->letter == 0 || x->letter != y->letter);
        }
    }
}

/* A choice's index is stored in the enum of its field. */
static void choices_follow_their_enums(void **state)
{
    (void)state;
    static const struct {
        rung_option_id id;
        const char *name;
        uint32_t value;
    } pairs[] = {
        {RUNG_OPTION_PRECISION, "fp32", 0},
        {RUNG_OPTION_PRECISION, "int8", 1},
        {RUNG_OPTION_LONG_TEXT, "truncate", RUNG_LONG_TEXT_TRUNCATE},
        {RUNG_OPTION_LONG_TEXT, "windows", RUNG_LONG_TEXT_WINDOWS},
        {RUNG_OPTION_POLICY_PRUNE_UNIT, "auto", RUNG_PRUNE_AUTO},
        {RUNG_OPTION_POLICY_PRUNE_UNIT, "token", RUNG_PRUNE_TOKEN},
        {RUNG_OPTION_POLICY_PRUNE_UNIT, "word", RUNG_PRUNE_WORD},
        {RUNG_OPTION_POLICY_EXIT_RULE, "off", RUNG_EXIT_OFF},
        {RUNG_OPTION_POLICY_EXIT_RULE, "paper", RUNG_EXIT_PAPER},
        {RUNG_OPTION_POLICY_EXIT_RULE, "agree", RUNG_EXIT_AGREE},
        {RUNG_OPTION_POLICY_EXIT_RULE, "pabee", RUNG_EXIT_PABEE},
        {RUNG_OPTION_POLICY_EXIT_RULE, "entropy", RUNG_EXIT_ENTROPY},
        {RUNG_OPTION_POLICY_EXIT_RULE, "divergence", RUNG_EXIT_DIVERGENCE},
        {RUNG_OPTION_POLICY_DEFER, "confidence", RUNG_DEFER_CONFIDENCE},
        {RUNG_OPTION_POLICY_DEFER, "learned", RUNG_DEFER_LEARNED},
        {RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS, "accuracy", RUNG_WEIGHTS_ACCURACY},
        {RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS, "last", RUNG_WEIGHTS_LAST},
        {RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS, "fitted", RUNG_WEIGHTS_FITTED},
        {RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS, "vote", RUNG_WEIGHTS_VOTE},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        uint32_t index = 99;
        assert_true(rung_find_choice(rung_option_spec_of(pairs[i].id)->choices, pairs[i].name, &index));
        assert_int_equal(index, pairs[i].value);
    }
    size_t count;
    const rung_command_spec *commands = rung_command_specs(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(commands[i].min_arguments <= commands[i].max_arguments);
        assert_true((commands[i].arguments[0] == '\0') == (commands[i].max_arguments == 0));
    }
}

/* The table names the policies that there are, in their order. */
static void every_policy_has_its_name(void **state)
{
    (void)state;
    size_t count;
    const char *const *names = rung_policy_names(&count);
    rung_buffer joined = {0};
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(&joined, "%s%s", i > 0 ? "|" : "", names[i]);
    }
    assert_string_equal(joined.data, rung_option_spec_of(RUNG_OPTION_POLICY_NAME)->choices);
    rung_buffer_deinit(&joined);
}

static void commands(void **state)
{
    (void)state;
    const rung_command_spec *spec = NULL;
    rung_error error;
    assert_int_equal(rung_command_find("quantize", &spec, &error), RUNG_OK);
    assert_int_equal(spec->command, RUNG_COMMAND_QUANTIZE);
    assert_int_equal(rung_command_find("clasify", &spec, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "unknown command 'clasify'; did you mean 'classify'?");
    assert_int_equal(rung_command_find("paint", &spec, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "unknown command 'paint'; 'rung --help' lists them");
    assert_int_equal(rung_command_find("plan", &spec, &error), RUNG_UNSUPPORTED);
    assert_string_equal(error.message, "command 'plan' is not available in this version");
    assert_int_equal(rung_command_find("sim", &spec, &error), RUNG_UNSUPPORTED);
    assert_int_equal(rung_command_find("sim|plan", &spec, &error), RUNG_NOT_FOUND);
    assert_int_equal(rung_command_find("", &spec, NULL), RUNG_NOT_FOUND);
    assert_int_equal(spec->command, RUNG_COMMAND_QUANTIZE); /* untouched by failures */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(choices_follow_their_enums),
        cmocka_unit_test(every_policy_has_its_name),
        cmocka_unit_test(commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
