/* test_deployment.c: schemes of several methods as files: they load to the same scheme, and give the replay's answers. */
#include "eval/deployment.h"
#include "evaluation_fixture.h"

static void deploy(const evaluation_fixture *fixture, const rung_scheme *scheme)
{
    char *directory = fixture_directory();
    rung_deployment_check check = {0};
    assert_ok(rung_deployment_write(&fixture->evaluation, scheme, 0.98, "data.jsonl", directory, error));
    assert_ok(rung_deployment_compare(&fixture->evaluation, scheme, directory, 60, &check, error));
    assert_int_equal(check.compared, 60);
    assert_int_equal(check.same, 60);
    /* Written again: the same bytes. */
    char *path = fixture_join(directory, "calibration.json");
    char *first = NULL;
    char *second = NULL;
    size_t size;
    assert_ok(rung_read_file(path, 1 << 24, &first, &size, error));
    assert_ok(rung_deployment_write(&fixture->evaluation, scheme, 0.98, "data.jsonl", directory, error));
    assert_ok(rung_read_file(path, 1 << 24, &second, &size, error));
    assert_string_equal(first, second);
    /* What is not the scheme is found. */
    rung_scheme other = *scheme;
    other.policy.offload.threshold[0] = scheme->policy.offload.threshold[0] < 0.5 ? 0.9 : 0.1;
    assert_fails(rung_deployment_compare(&fixture->evaluation, &other, directory, 20, &check, error), RUNG_MISMATCH,
                 "the policy that was written");
    free(first);
    free(second);
    free(path);
    fixture_remove(directory);
}

static void methods_as_files(void **state)
{
    (void)state;
    static const char *const names[] = {"rung", "paper", "tabi", "tangobert", "deebert", "cocktail", "pabee"};
    static evaluation_fixture fixture;
    evaluation_fixture_open(&fixture, 10);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rung_pick pick = {.num_tested = 0};
        assert_ok(rung_pick_named(&fixture.evaluation, names[i], 0.6, &pick, error));
        deploy(&fixture, &pick.scheme);
    }
    evaluation_fixture_close(&fixture);
}

/* Policies that a search found, with all that it may set. */
static void candidates_as_files(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_method method;
    rung_entrant entrant = {.num_front = 0};
    evaluation_fixture_open(&fixture, 10);
    rung_method_rung(fixture.cascade, 0, &method);
    assert_ok(rung_entrant_tune(&fixture.evaluation, &method, NULL, 15, NULL, &entrant, error));
    for (size_t i = 0; i < entrant.candidates.count; i++) {
        deploy(&fixture, &entrant.candidates.items[i].scheme);
    }
    rung_entrant_deinit(&entrant);
    evaluation_fixture_close(&fixture);
}

static void unwritable_directory(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_pick pick = {.num_tested = 0};
    evaluation_fixture_open(&fixture, 10);
    assert_ok(rung_pick_top(&fixture.evaluation, &pick, error));
    assert_fails(rung_deployment_write(&fixture.evaluation, &pick.scheme, 0.98, "data.jsonl", "/nowhere/deploy", error),
                 RUNG_IO, "/nowhere/deploy");
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(methods_as_files), cmocka_unit_test(candidates_as_files),
                                       cmocka_unit_test(unwritable_directory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
