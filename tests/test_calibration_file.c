/* test_calibration_file.c: calibration.json is read back as it was written, and every wrong field is named with value and limit. */
#include "config/calibration_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char example[] =
    "{\"format\":\"rung-calibration\",\"version\":1,\"precision\":\"int8\",\"task\":\"single_label\",\"labels\":["
    "\"neg\",\"pos\"],"
    "\"data\":{\"name\":\"holdout.jsonl\",\"sha256\":\"" SHA "\",\"rows\":2500},\"target_agreement\":0.98,\"seed\":1,"
    "\"policy\":{\"name\":\"rung\",\"exit\":{\"rule\":\"agree\",\"tau\":0.02,\"patience\":1,\"confidence\":0.9,\"first_"
    "layer\":1}},"
    "\"levels\":[{\"name\":\"end\",\"model_sha256\":\"" SHA
    "\",\"layers\":3,\"accuracy\":0.87,\"threshold\":0.91,\"agreement\":0.981,"
    "\"answered\":0.5,\"exits\":[{\"layer\":1,\"temperature\":1.5,\"accuracy\":0.8,\"nll_before\":0.5,\"nll_after\":0."
    "4},"
    "{\"layer\":3,\"temperature\":2,\"accuracy\":0.87,\"nll_before\":0.4,\"nll_after\":0.3}]},"
    "{\"name\":\"cloud\",\"model_sha256\":\"" SHA "\",\"layers\":1,\"accuracy\":0.93,\"agreement\":1,\"answered\":0.5,"
    "\"exits\":[{\"layer\":1,\"temperature\":0.05,\"accuracy\":0.93,\"nll_before\":0.2,\"nll_after\":0.2}]}]}";

static rung_calibration_file parse(void)
{
    rung_calibration_file file = {0};
    rung_error error;
    assert_int_equal(rung_calibration_file_parse(example, sizeof example - 1, "c.json", &file, &error), RUNG_OK);
    return file;
}

static void contents(void **state)
{
    (void)state;
    rung_calibration_file file = parse();
    assert_string_equal(file.path, "c.json");
    assert_int_equal(file.precision, RUNG_PRECISION_INT8);
    assert_int_equal(file.task, RUNG_TASK_SINGLE_LABEL);
    assert_int_equal(file.num_labels, 2);
    assert_string_equal(file.labels[1], "pos");
    assert_string_equal(file.data_name, "holdout.jsonl");
    assert_string_equal(file.data_sha256, SHA);
    assert_int_equal(file.data_rows, 2500);
    assert_true(file.target_agreement == 0.98);
    assert_int_equal(file.seed, 1);
    assert_string_equal(file.policy_name, "rung");
    assert_int_equal(file.exit.rule, RUNG_EXIT_AGREE);
    assert_true(file.exit.tau == 0.02 && file.exit.patience == 1 && file.exit.confidence == 0.9 &&
                file.exit.first_layer == 1);
    assert_int_equal(file.num_levels, 2);
    assert_string_equal(file.levels[0].name, "end");
    assert_int_equal(file.levels[0].num_layers, 3);
    assert_int_equal(file.levels[0].num_exits, 2);
    assert_int_equal(file.levels[0].exits[1].layer, 3);
    assert_true(file.levels[0].has_threshold && file.levels[0].threshold == 0.91);
    assert_true(file.levels[0].agreement == 0.981 && file.levels[0].answered == 0.5);
    assert_true(file.levels[0].exits[0].nll_before == 0.5 && file.levels[0].exits[0].nll_after == 0.4);
    assert_false(file.levels[1].has_threshold);
    rung_calibration_file_deinit(&file);
    assert_int_equal(file.num_levels, 0);
}

static void view(void **state)
{
    (void)state;
    rung_calibration_file file = parse();
    rung_calibration calibration;
    rung_error error;
    assert_int_equal(rung_calibration_file_view(&file, &calibration, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_view(&file, &calibration, &error),
                     RUNG_OK); /* again: the first one's arrays go */
    assert_int_equal(calibration.num_levels, 2);
    assert_int_equal(calibration.num_classes, 2);
    assert_int_equal(calibration.level[0].num_exits, 3);
    const double *t = calibration.level[0].temperature;
    assert_true(t[0] == 1.5 && t[1] == 1 && t[2] == 2); /* layer 2 has no exit */
    assert_true(calibration.level[1].accuracy == 0.93);
    rung_calibration_file_deinit(&file);
}

/* The example with the first `from` replaced by `to` must be refused with this message. */
static void refuse(const char *from, const char *to, rung_status status, const char *message)
{
    char *text = malloc(sizeof example + 4096);
    assert_non_null(text);
    const char *at = strstr(example, from);
    assert_non_null(at);
    size_t before = (size_t)(at - example);
    int length = snprintf(text, sizeof example + 4096, "%.*s%s%s", (int)before, example, to, at + strlen(from));
    rung_calibration_file file = {0};
    rung_error error = {0};
    assert_int_equal(rung_calibration_file_parse(text, (size_t)length, "c.json", &file, &error), status);
    assert_string_equal(error.message, message);
    assert_int_equal(file.num_levels, 0);
    free(text);
}

static void wrong_fields(void **state)
{
    (void)state;
    refuse("rung-calibration", "other", RUNG_FORMAT,
           "c.json: field 'format' is 'other'; it must be 'rung-calibration'");
    refuse("\"version\":1", "\"version\":2", RUNG_UNSUPPORTED,
           "c.json: field 'version' is 2; this rung reads 1: run rung fit again");
    refuse("\"version\":1,", "", RUNG_FORMAT, "c.json: field 'version' is missing; it must be an integer");
    refuse("\"int8\"", "\"int4\"", RUNG_FORMAT, "c.json: field 'precision' is 'int4'; it must be fp32 or int8");
    refuse("single_label", "regression", RUNG_FORMAT,
           "c.json: field 'task' is 'regression'; it must be single_label or multi_label");
    refuse("[\"neg\",\"pos\"]", "[]", RUNG_FORMAT, "c.json: field 'labels' has 0 entries; it must have 1 to 4096");
    refuse("[\"neg\",\"pos\"]", "[\"neg\",7]", RUNG_FORMAT,
           "c.json: field 'labels[1]' is an integer; it must be a string");
    refuse("[\"neg\",\"pos\"]", "[\"neg\",\"\"]", RUNG_FORMAT, "c.json: field 'labels[1]' is empty or holds a NUL");
    refuse("[\"neg\",\"pos\"]", "[\"neg\",\"neg\"]", RUNG_FORMAT,
           "c.json: field 'labels[1]' is 'neg', as labels[0] is");
    refuse("\"rows\":2500", "\"rows\":0", RUNG_FORMAT,
           "c.json: field 'data.rows' is 0; it must be from 1 to 9007199254740992");
    refuse("\"rows\":2500", "\"rows\":2.5", RUNG_FORMAT,
           "c.json: field 'data.rows' is a real number; it must be an integer");
    refuse(SHA, "abc", RUNG_FORMAT,
           "c.json: field 'data.sha256' is 'abc'; it must be the 64 hexadecimal digits of a SHA-256");
    refuse("\"temperature\":1.5", "\"temperature\":20.5", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].temperature' is 20.5; it must be from 0.05 to 20");
    refuse("\"temperature\":1.5", "\"temperature\":\"hot\"", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].temperature' is a string; it must be a number");
    refuse("\"temperature\":1.5,", "", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].temperature' is missing; it must be a number");
    refuse("\"layer\":1,", "\"layer\":4,", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].layer' is 4; it must be from 1 to 3");
    refuse("\"layer\":3,", "\"layer\":1,", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[1].layer' is 1; it must be from 2 to 3");
    refuse("\"layer\":3,", "\"layer\":2,", RUNG_FORMAT,
           "c.json: field 'levels[0].exits' ends at layer 2; it must end at the last layer, 3");
    refuse("\"layers\":3", "\"layers\":1", RUNG_FORMAT,
           "c.json: field 'levels[0].exits' has 2 entries; it must have 1 to 1");
    refuse("\"layers\":3", "\"layers\":300", RUNG_FORMAT,
           "c.json: field 'levels[0].layers' is 300; it must be from 1 to 128");
    refuse("\"threshold\":0.91,", "", RUNG_FORMAT,
           "c.json: field 'levels[0].threshold' is missing; it must be a number");
    refuse("\"threshold\":0.91", "\"threshold\":1.01", RUNG_FORMAT,
           "c.json: field 'levels[0].threshold' is 1.01; it must be from 0 to 1");
    refuse("\"threshold\":0.91", "\"treshold\":0.91", RUNG_FORMAT,
           "c.json: unknown field 'levels[0].treshold'; did you mean 'threshold'?");
    refuse("\"seed\":1", "\"seed\":-1", RUNG_FORMAT,
           "c.json: field 'seed' is -1; it must be from 0 to 9007199254740992");
    refuse("\"name\":\"rung\"", "\"name\":\"other\"", RUNG_FORMAT,
           "c.json: field 'policy.name' is 'other'; it must be rung, paper, tabi, tangobert or single");
    refuse("\"rule\":\"agree\"", "\"rule\":\"x\"", RUNG_FORMAT,
           "c.json: field 'policy.exit.rule' is 'x'; it must be off, paper or agree");
    refuse("\"exits\":[{", "\"exits\":[7,{", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0]' is an integer; it must be an object");
}

static void wrong_files(void **state)
{
    (void)state;
    rung_calibration_file file = {0};
    rung_error error;
    assert_int_equal(rung_calibration_file_parse("[1]", 3, "c.json", &file, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "c.json: is an array; it must be an object");
    assert_int_equal(rung_calibration_file_parse("{\"a\":\xff}", 7, "c.json", &file, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "c.json: not valid UTF-8 at byte 5");
    assert_int_equal(rung_calibration_file_parse("{", 1, "c.json", &file, NULL), RUNG_FORMAT);
    assert_int_equal(rung_calibration_file_load("tests/no-such.json", &file, &error), RUNG_NOT_FOUND);
    /* Every truncation is refused, and none crashes. */
    for (size_t bytes = 0; bytes < sizeof example - 1; bytes++) {
        assert_int_equal(rung_calibration_file_parse(example, bytes, "c.json", &file, &error), RUNG_FORMAT);
        assert_non_null(strstr(error.message, "c.json: "));
    }
    assert_int_equal(file.num_levels, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents),
        cmocka_unit_test(view),
        cmocka_unit_test(wrong_fields),
        cmocka_unit_test(wrong_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
