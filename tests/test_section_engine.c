/* test_section_engine.c: factors that multiply out, on a small evaluation. */
#include "eval/section_engine.h"
#include "evaluation_fixture.h"

#include <math.h>

static evaluation_fixture fixture;
static rung_contestants contestants;

static int open_all(void **state)
{
    (void)state;
    evaluation_fixture_open(&fixture, 12);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
    return 0;
}

/* The number that follows the text's place, whatever is between that is no digit. */
static double number_after(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    assert_non_null(at);
    at += strlen(what);
    return strtod(at + strcspn(at, "0123456789"), NULL);
}

static void factors_multiply(void **state)
{
    (void)state;
    static const rung_peer peers[] = {{"slow engine", 3}, {"same engine", 1}};
    assert_ok(rung_section_engine(&fixture.evaluation, &fixture.report, &contestants, peers, 2, error));
    char *steps = NULL;
    evaluation_read(&fixture, "engine.csv", &steps);
    char *policies = NULL;
    evaluation_read(&fixture, "engine_policies.csv", &policies);
    assert_int_equal(evaluation_count(steps, "\r\n"), 1 + 2 * 6);
    assert_int_equal(evaluation_count(policies, "\r\n"), 1 + 2 * 5);
    const char *product = strstr(fixture.report.text.data, "Against slow engine, which takes 3 times");
    double all = number_after(product, "(the rest) =");
    double factors = number_after(product, "to compute:") * number_after(product, "(engine) x") *
                     number_after(product, "(deferral) x") * number_after(product, "skipped levels) x") *
                     number_after(product, "(pruning) x");
    assert_true(fabs(factors / all - 1) < 0.05); /* printed with two decimals */
    assert_true(number_after(product, "to compute:") > 1);
    product = strstr(fixture.report.text.data, "Against same engine");
    assert_true(number_after(product, "to compute:") == 1);
    free(steps);
    free(policies);
}

static void refusals(void **state)
{
    (void)state;
    static const rung_peer peers[] = {{"none", 0}};
    assert_fails(rung_section_engine(&fixture.evaluation, &fixture.report, &contestants, peers, 1, error), RUNG_INVALID,
                 "engine \"none\"");
    size_t count;
    const rung_peer *known = rung_default_peers(&count);
    assert_true(count >= 1 && known[0].factor > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_multiply),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
