/* test_protocol.c: what the protocols have in common: labels by name, probabilities that are some, their logarithms, and the identity of a model. */
#include "net/protocol.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const labels[] = {"neg", "so", "pos"};
static const rung_remote_reader three = {.num_classes = 3, .labels = labels};
static const rung_remote_reader two = {.num_classes = 2, .labels = labels};

static rung_status read(const char *text, const rung_remote_reader *reader, bool rest, double *out, rung_error *error)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    rung_status status = rung_remote_read_scores(json, "body", reader, rest, out, error);
    json_decref(json);
    return status;
}

static void labels_come_in_any_order(void **state)
{
    (void)state;
    rung_error error;
    double p[3];
    assert_int_equal(read("[{\"label\":\"pos\",\"score\":0.7,\"more\":1},{\"label\":\"neg\",\"score\":0.2},"
                          "{\"label\":\"so\",\"score\":0.1}]",
                          &three, false, p, &error),
                     RUNG_OK);
    assert_true(p[0] == 0.2 && p[1] == 0.1 && p[2] == 0.7);
}

static void labels_are_renamed(void **state)
{
    (void)state;
    rung_error error;
    double p[2];
    rung_label_rename renames[] = {{"NEGATIVE", "neg"}, {"LABEL_1", "so"}};
    const rung_cascade_config names = {.num_renames = 2, .renames = renames};
    const rung_remote_reader reader = {.num_classes = 2, .labels = labels, .names = &names};
    assert_int_equal(
        read("[{\"label\":\"LABEL_1\",\"score\":1},{\"label\":\"NEGATIVE\",\"score\":0}]", &reader, false, p, &error),
        RUNG_OK);
    assert_true(p[0] == 0 && p[1] == 1);
}

static void one_of_two_leaves_the_rest(void **state)
{
    (void)state;
    rung_error error = {0};
    double p[3];
    assert_int_equal(read("[{\"label\":\"so\",\"score\":0.75}]", &two, true, p, &error), RUNG_OK);
    assert_true(p[0] == 0.25 && p[1] == 0.75);
    assert_int_equal(read("[{\"label\":\"so\",\"score\":0.75}]", &two, false, p, &error), RUNG_INVALID);
    assert_string_equal(error.message, "body has no label \"neg\"; all 2 are needed");
    assert_int_equal(read("[{\"label\":\"so\",\"score\":0.75}]", &three, true, p, &error), RUNG_INVALID);
}

static void wrong_scores(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        rung_status status;
        const char *message;
    } cases[] = {
        {"{}", RUNG_FORMAT, "body must be a list of at most 2 labels with their scores"},
        {"[1]", RUNG_FORMAT, "body[0] must be an object of label, a string, and score, a number"},
        {"[{\"label\":\"neg\"}]", RUNG_FORMAT, "body[0] must be an object of label, a string, and score, a number"},
        {"[{\"label\":\"neg\",\"score\":\"1\"}]", RUNG_FORMAT,
         "body[0] must be an object of label, a string, and score, a number"},
        {"[{\"label\":\"pos\",\"score\":1}]", RUNG_INVALID,
         "body[0].label is \"pos\", which is no label of the cascade; rename it with `labels`"},
        {"[{\"label\":\"neg\",\"score\":0.5},{\"label\":\"neg\",\"score\":0.5}]", RUNG_INVALID,
         "body[1].label is \"neg\", which came before"},
        {"[{\"label\":\"neg\",\"score\":-0.1}]", RUNG_INVALID, "body[0] is -0.1; it must be from 0 to 1"},
        {"[{\"label\":\"neg\",\"score\":1.5}]", RUNG_INVALID, "body[0] is 1.5; it must be from 0 to 1"},
        {"[{\"label\":\"neg\",\"score\":0.5}]", RUNG_INVALID, "body has no label \"so\"; all 2 are needed"},
        {"[{\"label\":\"neg\",\"score\":0.5},{\"label\":\"so\",\"score\":0.498}]", RUNG_INVALID,
         "body adds up to 0.998; it must be 1"},
        {"[1,2,3]", RUNG_FORMAT, "body must be a list of at most 2 labels with their scores"},
        {"[]", RUNG_INVALID, "body has no label \"neg\"; all 2 are needed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_error error = {0};
        double p[2] = {7, 7};
        assert_int_equal(read(cases[i].text, &two, false, p, &error), cases[i].status);
        assert_string_equal(error.message, cases[i].message);
        assert_true(p[0] == 7 && p[1] == 7);
    }
}

static void sums_may_be_rounded(void **state)
{
    (void)state;
    rung_error error;
    const double good[] = {0.4, 0.6009};
    const double bad[] = {0.4, 0.6011};
    const double nan_there[] = {NAN, 0.5};
    assert_int_equal(rung_remote_check_probabilities(good, 2, "p", &error), RUNG_OK);
    assert_int_equal(rung_remote_check_probabilities(bad, 2, "p", &error), RUNG_INVALID);
    assert_int_equal(rung_remote_check_probabilities(nan_there, 2, "p", &error), RUNG_INVALID);
    assert_string_equal(error.message, "p[0] is nan; it must be from 0 to 1");
}

static void logits_have_a_floor(void **state)
{
    (void)state;
    const double p[] = {1, 0, 1e-7, 1e-9, 0.5};
    float logits[5];
    rung_remote_logits(p, 5, logits);
    assert_true(logits[0] == 0 && isfinite(logits[1]));
    assert_true(logits[1] == logits[2] && logits[3] == logits[2]);
    assert_true(fabs(logits[1] - log(1e-7)) < 1e-5 && fabs(logits[4] - log(0.5)) < 1e-6);
}

static void identities_are_hashed(void **state)
{
    (void)state;
    rung_error error;
    rung_model_identity identity = {0};
    rung_buffer text = {0};
    rung_buffer_text(&text, "abc");
    assert_int_equal(rung_model_identity_take(&text, &identity, &error), RUNG_OK);
    assert_string_equal(identity.text, "abc");
    assert_string_equal(identity.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (int i = 0; i <= RUNG_MAX_IDENTITY_BYTES; i++) {
        rung_buffer_text(&text, "x");
    }
    assert_int_equal(rung_model_identity_take(&text, &identity, &error), RUNG_LIMIT);
    assert_string_equal(identity.text, "abc");
    rung_model_identity_deinit(&identity);
}

static void a_rung_node_has_its_own_paths(void **state)
{
    (void)state;
    rung_protocol_paths paths;
    const rung_protocol *rung = rung_protocol_of(RUNG_PROTOCOL_RUNG);
    rung->paths(&(rung_remote){0}, &paths);
    assert_string_equal(paths.ask, "/v1/classify");
    assert_string_equal(paths.probe, "/health");
    assert_string_equal(paths.identity, "");
    assert_true(rung->write == NULL && rung->parse == NULL && rung->identify == NULL);
    assert_ptr_equal(rung_protocol_of(RUNG_PROTOCOL_TEI), &rung_protocol_tei);
    assert_ptr_equal(rung_protocol_of(RUNG_PROTOCOL_V2), &rung_protocol_v2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_come_in_any_order),   cmocka_unit_test(labels_are_renamed),
        cmocka_unit_test(one_of_two_leaves_the_rest), cmocka_unit_test(wrong_scores),
        cmocka_unit_test(sums_may_be_rounded),        cmocka_unit_test(logits_have_a_floor),
        cmocka_unit_test(identities_are_hashed),      cmocka_unit_test(a_rung_node_has_its_own_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
