/* plan_fixture.h: a study over three different tiny models, whose classes stand in different orders, and made-up texts, with times that are the same on every
 * machine. Included by the tests of src/plan. */
#ifndef RUNG_TESTS_PLAN_FIXTURE_H
#define RUNG_TESTS_PLAN_FIXTURE_H

#include "evaluation_fixture.h"

#include <math.h>

#define PLAN_CLASSES 3

typedef struct plan_fixture {
    char *directory; /* of the data, the record and the profile */
    rung_cascade *cascade;
    rung_evaluation evaluation;
    const rung_study *study; /* the evaluation's */
} plan_fixture;

static inline void plan_write_cascade(const char *directory)
{
    rung_buffer yaml = {0};
    char *here = realpath(".", NULL);
    rung_buffer_format(&yaml,
                       "levels:\n  - {name: one, model: %s/tests/golden/tiny-distilbert, speed: 0.5}\n"
                       "  - {name: two, model: %s/tests/golden/tiny-roberta, speed: 1.5, link: wifi}\n"
                       "  - {name: three, model: %s/tests/golden/tiny-bert, speed: 2.5, link: 4g}\n"
                       "labels: {negative: neg, positive: pos, contradiction: pos, entailment: neg}\n",
                       here, here, here);
    free(here);
    fixture_write(directory, "cascade.yaml", yaml.data);
    rung_buffer_deinit(&yaml);
}

static inline void plan_fixture_open(plan_fixture *fixture)
{
    fixture->directory = fixture_directory();
    plan_write_cascade(fixture->directory);
    char *yaml = fixture_join(fixture->directory, "cascade.yaml");
    assert_ok(rung_cascade_open(yaml, &(rung_open_options){.threads = 1}, &fixture->cascade, error));
    free(yaml);
    evaluation_write_data(fixture->cascade, fixture->directory);
    char *data = fixture_join(fixture->directory, "data.jsonl");
    rung_evaluation_options of = {.data = data, .max_line_bytes = 1 << 16, .directory = fixture->directory};
    assert_ok(rung_evaluation_open(fixture->cascade, &of, &fixture->evaluation, error));
    evaluation_set_times(&fixture->evaluation.timing);
    fixture->study = &fixture->evaluation.study;
    free(data);
}

static inline void plan_fixture_close(plan_fixture *fixture)
{
    rung_evaluation_close(&fixture->evaluation);
    rung_cascade_close(fixture->cascade);
    fixture_remove(fixture->directory);
}

static inline rung_policy plan_policy(const plan_fixture *fixture, const char *name)
{
    rung_policy policy;
    assert_ok(rung_policy_defaults(name, fixture->cascade->num_levels, &policy, error));
    return policy;
}

static inline void plan_near(const char *what, double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * (1 + fabs(expected)))) {
        fail_msg("%s: %.17g instead of %.17g", what, value, expected);
    }
}

#endif
