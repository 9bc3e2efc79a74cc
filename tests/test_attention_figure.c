/* test_attention_figure.c: the strips of a text: all its words at level 1, at level 2 those that level 1 sent. */
#include "eval/attention_figure.h"
#include "evaluation_fixture.h"

static size_t boxes(const evaluation_fixture *fixture, const char *name)
{
    char *svg = NULL;
    evaluation_read(fixture, name, &svg);
    size_t count = evaluation_count(svg, "<text");
    free(svg);
    return count;
}

static void draw(evaluation_fixture *fixture, double alpha, rung_prune_unit unit, size_t row)
{
    rung_policy policy;
    assert_ok(rung_policy_defaults("rung", 3, &policy, error));
    policy.prune.alpha = alpha;
    policy.prune.unit = unit;
    assert_ok(rung_attention_figures(&fixture->evaluation, &fixture->report, &policy, row, 1, error));
}

static void words_of_a_level(void **state)
{
    (void)state;
    static const rung_prune_unit units[] = {RUNG_PRUNE_AUTO, RUNG_PRUNE_TOKEN, RUNG_PRUNE_WORD};
    static evaluation_fixture fixture;
    evaluation_fixture_open(&fixture, 10);
    size_t row = fixture.evaluation.study.report.rows[0];
    while (fixture.evaluation.inputs[row].text_bytes < 40) {
        row++;
    }
    for (size_t i = 0; i < 3; i++) {
        draw(&fixture, 0, units[i], row); /* keeps everything */
        size_t all = boxes(&fixture, "fig6_text1_level1.svg");
        assert_int_equal(boxes(&fixture, "fig6_text1_level2.svg"), all);
        draw(&fixture, 100, units[i], row); /* keeps one */
        assert_true(boxes(&fixture, "fig6_text1_level1.svg") >= all);
        assert_true(boxes(&fixture, "fig6_text1_level2.svg") < all);
    }
    assert_int_equal(fixture.report.num_figures, 3 * 2 * 2);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_of_a_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
