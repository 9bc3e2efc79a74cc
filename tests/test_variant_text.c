/* test_variant_text.c: names of variants read back, and bad ones refused. */
#include "config/variant_text.h"
#include "numbers.h"

static void names_read_back(void **state)
{
    (void)state;
    static const char *const names[] = {
        "none",          "layer-skip(2)",      "layer-skip(1.3)", "power-bert(0.5)",
        "power-bert(1)", "layer-skip(1e+300)", "power-bert(0.1)", "layer-skip(1.3333333333333333)"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rung_variant variant = {.amount = -1};
        char text[RUNG_VARIANT_BYTES];
        rung_error error;
        assert_int_equal(rung_variant_parse(names[i], &variant, &error), RUNG_OK);
        assert_string_equal(rung_variant_format(&variant, text), names[i]);
    }
    rung_variant variant;
    assert_int_equal(rung_variant_parse("layer-skip(2.50)", &variant, NULL), RUNG_OK);
    assert_int_equal(variant.kind, RUNG_VARIANT_LAYER_SKIP);
    assert_true(variant.amount == 2.5);
    assert_int_equal(rung_variant_parse("none", &variant, NULL), RUNG_OK);
    assert_int_equal(variant.kind, RUNG_VARIANT_NONE);
    assert_true(variant.amount == 1);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "not one of none, layer-skip(SPEEDUP) and power-bert(SHARE)"},
        {"(2)", "not one of"},
        {"layerskip(2)", "not one of"},
        {"layer-ski(2)", "not one of"},
        {"Layer-skip(2)", "not one of"},
        {" none", "not one of"},
        {"none(1)", "'none' takes no number"},
        {"none(", "'none' takes no number"},
        {"layer-skip", "'layer-skip' needs a speedup above 1"},
        {"layer-skip()", "needs a speedup above 1"},
        {"layer-skip(x)", "needs a speedup above 1"},
        {"layer-skip(2x)", "needs a speedup above 1"},
        {"layer-skip(1)", "needs a speedup above 1"},
        {"layer-skip(0)", "needs a speedup above 1"},
        {"layer-skip(-2)", "needs a speedup above 1"},
        {"layer-skip(inf)", "needs a speedup above 1"},
        {"layer-skip(nan)", "needs a speedup above 1"},
        {"layer-skip(1e999)", "needs a speedup above 1"},
        {"power-bert", "needs a share above 0 and at most 1"},
        {"power-bert(0)", "needs a share above 0 and at most 1"},
        {"power-bert(1.01)", "needs a share above 0 and at most 1"},
        {"power-bert(50%)", "needs a share above 0 and at most 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_variant variant = {.kind = RUNG_VARIANT_POWER_BERT, .amount = 0.25};
        rung_error error = {0};
        assert_int_equal(rung_variant_parse(cases[i].text, &variant, &error), RUNG_INVALID);
        char quoted[128];
        snprintf(quoted, sizeof quoted, "variant '%s': ", cases[i].text);
        if (strncmp(error.message, quoted, strlen(quoted)) != 0 || strstr(error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s", cases[i].text, error.message);
        }
        assert_true(variant.kind == RUNG_VARIANT_POWER_BERT && variant.amount == 0.25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back),
        cmocka_unit_test(bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
