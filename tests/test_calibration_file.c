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
    "{\"format\":\"rung-calibration\",\"version\":2,\"precision\":\"int8\",\"task\":\"single_label\",\"labels\":["
    "\"neg\",\"pos\"],\"labels_from\":\"data\","
    "\"data\":{\"name\":\"holdout.jsonl\",\"sha256\":\"" SHA "\",\"rows\":2500},\"target_agreement\":0.98,\"seed\":1,"
    "\"policy\":{\"name\":\"rung\",\"weights\":\"fitted\",\"decide_on\":\"pooled\",\"softmax\":\"calibrated\","
    "\"defer\":\"learned\",\"exit\":{\"rule\":\"agree\",\"tau\":0.02,\"patience\":1,\"confidence\":0.9,\"first_"
    "layer\":1}},"
    "\"levels\":[{\"name\":\"end\",\"model_sha256\":\"" SHA "\",\"tokenizer_sha256\":\"" SHA
    "\",\"max_tokens\":512,\"type_vocab_size\":2,\"hidden_size\":2,\"layers\":3,\"accuracy\":0.87,\"class_accuracy\":["
    "0.75,1],"
    "\"threshold\":0.91,"
    "\"agreement\":0.981,"
    "\"answered\":0.5,\"deferral_threshold\":0.25,\"deferral_answered\":0.75,\"exits\":[{\"layer\":1,\"temperature\":1."
    "5,\"shape\":1.8,\"accuracy\":0.8,\"nll_before\":0.5,\"nll_after\":0."
    "4,\"ece\":0.01,\"head\":{\"weight\":\"AACAPwAAAMAAAAAAAAAAgA==\",\"bias\":\"AAAAPwAAAL8=\"}},"
    "{\"layer\":3,\"temperature\":2,\"accuracy\":0.87,\"nll_before\":0.4,\"nll_after\":0.3,\"ece\":0.02,"
    "\"deferral\":{\"weight\":\"AACAPwAAAMAAAAAAAAAAgAAAgD8AAADA\",\"bias\":-1.5}}]},"
    "{\"name\":\"cloud\",\"model_sha256\":\"" SHA "\",\"tokenizer_sha256\":\"" SHA
    "\",\"max_tokens\":128,\"type_vocab_size\":0,\"hidden_size\":4,\"layers\":1,\"accuracy\":0.93,\"agreement\":1,"
    "\"answered\":0.5,"
    "\"exits\":[{\"layer\":1,\"temperature\":0.05,\"shape\":0.5,\"accuracy\":0.93,\"nll_before\":0.2,\"nll_after\":0.2,"
    "\"ece\":0}]}],"
    "\"pools\":[{\"levels\":[1],\"rows\":2500,\"accuracy_temperature\":1,\"accuracy_nll\":0.3,\"fitted_weights\":[1],"
    "\"fitted_temperature\":1.25,"
    "\"fitted_nll\":0.3,\"fitted_ece\":0.01},{\"levels\":[1,2],\"rows\":800,\"accuracy_temperature\":0.5,\"accuracy_"
    "nll\":0.3,"
    "\"fitted_weights\":[0.25,0.75],\"fitted_temperature\":2,\"fitted_nll\":0.2,\"fitted_ece\":0.015}]}";

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
    assert_int_equal(file.labels_from, RUNG_LABELS_FROM_DATA);
    assert_string_equal(file.policy.name, "rung");
    const rung_exit_policy *exit = &file.policy.exit;
    assert_int_equal(exit->rule, RUNG_EXIT_AGREE);
    assert_true(exit->tau == 0.02 && exit->patience == 1 && exit->confidence == 0.9 && exit->first_layer == 1);
    assert_int_equal(file.policy.weights, RUNG_WEIGHTS_FITTED);
    assert_int_equal(file.policy.defer, RUNG_DEFER_LEARNED);
    assert_true(file.policy.variant.kind == RUNG_VARIANT_NONE && file.policy.variant.amount == 1);
    assert_true(file.policy.pooled_decision && !file.policy.raw_ensemble);
    assert_int_equal(file.num_levels, 2);
    assert_string_equal(file.levels[0].name, "end");
    assert_int_equal(file.levels[0].num_layers, 3);
    assert_int_equal(file.levels[0].num_exits, 2);
    assert_int_equal(file.levels[0].exits[1].layer, 3);
    assert_true(file.levels[0].has_threshold && file.levels[0].threshold == 0.91);
    assert_true(file.levels[0].agreement == 0.981 && file.levels[0].answered == 0.5);
    assert_true(file.levels[0].exits[0].nll_before == 0.5 && file.levels[0].exits[0].nll_after == 0.4);
    assert_true(file.levels[0].class_accuracy[0] == 0.75 && file.levels[0].class_accuracy[1] == 1);
    assert_null(file.levels[1].class_accuracy);
    assert_false(file.levels[1].has_threshold);
    assert_string_equal(file.levels[1].tokenizer_sha256, SHA);
    assert_int_equal(file.levels[0].max_tokens, 512);
    assert_int_equal(file.levels[1].type_vocab_size, 0);
    assert_int_equal(file.levels[1].hidden_size, 4);
    rung_calibration_file_deinit(&file);
    assert_int_equal(file.num_levels, 0);
}

static void arrays_and_pools(void **state)
{
    (void)state;
    rung_calibration_file file = parse();
    const rung_calibration_exit *first = &file.levels[0].exits[0];
    const rung_calibration_exit *last = &file.levels[0].exits[1];
    const float head[4] = {1, -2, 0, -0.0f};
    assert_memory_equal(first->head_weight, head, sizeof head); /* by bits: -0 stays */
    assert_true(first->head_bias[0] == 0.5f && first->head_bias[1] == -0.5f);
    assert_null(first->deferral_weight);
    assert_null(last->head_weight);
    assert_true(last->deferral_weight[4] == 1 && last->deferral_weight[5] == -2 && last->deferral_bias == -1.5);
    assert_true(file.levels[0].has_deferral_threshold && file.levels[0].deferral_threshold == 0.25);
    assert_true(file.levels[0].deferral_answered == 0.75 && !file.levels[1].has_deferral_threshold);
    assert_int_equal(file.num_pools, 2);
    assert_int_equal(file.pools[0].set, 1);
    assert_int_equal(file.pools[1].set, 3);
    assert_int_equal(file.pools[1].rows, 800);
    assert_true(file.pools[1].fitted_weight[0] == 0.25 && file.pools[1].fitted_weight[1] == 0.75);
    assert_true(file.pools[1].accuracy_temperature == 0.5 && file.pools[1].fitted_ece == 0.015);
    rung_calibration_file_deinit(&file);
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
    assert_true(calibration.level[0].class_accuracy[0] == 0.75 && calibration.level[1].class_accuracy == NULL);
    const double *shape = calibration.level[0].shape;
    assert_true(shape[0] == 1.8 && shape[1] == 1 && shape[2] == 1 && calibration.level[1].shape[0] == 0.5);
    const rung_deferral *deferral = calibration.level[0].deferral;
    assert_true(deferral[0].hidden_size == 0 && deferral[1].hidden_size == 0 && deferral[2].hidden_size == 2);
    assert_true(deferral[2].bias == -1.5 && deferral[2].weight[5] == -2);
    assert_null(calibration.level[1].deferral);
    assert_true(calibration.pools[1].fitted_temperature == 1.25 && calibration.pools[1].fitted_weight[0] == 1);
    assert_true(calibration.pools[3].fitted_weight[1] == 0.75 && calibration.pools[3].accuracy_temperature == 0.5);
    assert_true(calibration.pools[2].fitted_weight[1] == 0 &&
                calibration.pools[2].fitted_temperature == 1); /* not fitted */
    rung_calibration_file_deinit(&file);
}

/* The example with its policy replaced. */
static rung_status parse_with_policy(const char *policy, rung_calibration_file *file, rung_error *error)
{
    char *text = malloc(sizeof example + 4096);
    assert_non_null(text);
    const char *at = strstr(example, "\"policy\":");
    const char *end = strstr(example, "\"levels\":");
    assert_true(at != NULL && end != NULL);
    int length =
        snprintf(text, sizeof example + 4096, "%.*s\"policy\":%s,%s", (int)(at - example), example, policy, end);
    rung_status status = rung_calibration_file_parse(text, (size_t)length, "c.json", file, error);
    free(text);
    return status;
}

#define REST "\"decide_on\":\"own\",\"softmax\":\"raw\",\"defer\":\"confidence\""
#define EXIT(rule, more)                                                                                               \
    "\"exit\":{\"rule\":\"" rule "\",\"tau\":0,\"patience\":2,\"confidence\":1," more "\"first_layer\":1}"

static void every_policy(void **state)
{
    (void)state;
    rung_calibration_file file = {0};
    rung_error error;
    assert_int_equal(
        parse_with_policy("{\"name\":\"cocktail\",\"weights\":\"vote\"," REST "," EXIT("pabee", "") "}", &file, &error),
        RUNG_OK);
    assert_int_equal(file.policy.weights, RUNG_WEIGHTS_VOTE);
    assert_int_equal(file.policy.exit.rule, RUNG_EXIT_PABEE);
    assert_int_equal(
        parse_with_policy("{\"name\":\"single(2)\",\"weights\":\"last\",\"variant\":\"layer-skip(1.5)\"," REST
                          "," EXIT("divergence", "") "}",
                          &file, &error),
        RUNG_OK);
    assert_string_equal(file.policy.name, "single(2)");
    assert_int_equal(file.policy.exit.rule, RUNG_EXIT_DIVERGENCE);
    assert_true(file.policy.variant.kind == RUNG_VARIANT_LAYER_SKIP && file.policy.variant.amount == 1.5);
    assert_int_equal(parse_with_policy("{\"name\":\"branchynet\",\"weights\":\"last\"," REST
                                       "," EXIT("entropy", "\"entropy\":[0.5,0.25],") "}",
                                       &file, &error),
                     RUNG_OK);
    assert_int_equal(file.policy.exit.rule, RUNG_EXIT_ENTROPY);
    assert_true(file.policy.exit.entropy[0] == 0.5 && file.policy.exit.entropy[1] == 0.25);
    assert_true(file.policy.exit.entropy[RUNG_EXIT_THRESHOLDS - 1] == 0.25);
    rung_calibration_file_deinit(&file);
    static const struct {
        const char *policy, *message;
    } bad[] = {
        {"{\"name\":\"single(3)\",\"weights\":\"last\"," REST "," EXIT("off", "") "}",
         "c.json: field 'policy.name': policy.name single(3): the cascade has the levels 1 to 2"},
        {"{\"name\":\"rung(3)\",\"weights\":\"last\"," REST "," EXIT("off", "") "}",
         "c.json: field 'policy.name': policy \"rung(3)\": rung takes no number"},
        {"{\"name\":\"rung\",\"weights\":\"last\",\"variant\":\"half\"," REST "," EXIT("off", "") "}",
         "c.json: field 'policy.variant': variant 'half': not one of none, layer-skip(SPEEDUP) and power-bert(SHARE)"},
        {"{\"name\":\"rung\",\"weights\":\"last\"," REST "," EXIT("entropy", "") "}",
         "c.json: field 'policy.exit.entropy' is missing; it must be an array"},
        {"{\"name\":\"rung\",\"weights\":\"last\"," REST "," EXIT("entropy", "\"entropy\":[],") "}",
         "c.json: field 'policy.exit.entropy' has 0 entries; it must have 1 to 32"},
        {"{\"name\":\"rung\",\"weights\":\"last\"," REST "," EXIT("entropy", "\"entropy\":[0.1,-1],") "}",
         "c.json: field 'policy.exit.entropy[1]' is -1; it must be from 0 to 100"},
        {"{\"name\":\"rung\",\"weights\":\"best\"," REST "," EXIT("off", "") "}",
         "c.json: field 'policy.weights' is 'best'; it must be accuracy, last, fitted or vote"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse_with_policy(bad[i].policy, &file, &error), RUNG_FORMAT);
        assert_int_equal(error.code, RUNG_FORMAT);
        assert_string_equal(error.message, bad[i].message);
        assert_int_equal(file.num_levels, 0);
    }
}

/* The file of the default cascade, written before levels had a class_accuracy. */
static void the_default_file_loads(void **state)
{
    (void)state;
    const char *root = getenv("MESON_SOURCE_ROOT");
    char path[4096];
    rung_calibration_file file = {0};
    rung_calibration calibration;
    rung_error error;
    snprintf(path, sizeof path, "%s/models/calibration.json", root != NULL ? root : ".");
    if (rung_calibration_file_load(path, &file, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(rung_calibration_file_view(&file, &calibration, &error), RUNG_OK);
    for (uint32_t l = 0; l < file.num_levels; l++) {
        assert_ptr_equal(calibration.level[l].class_accuracy, file.levels[l].class_accuracy);
    }
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

#define CLOUD                                                                                                          \
    "\"model_sha256\":\"" SHA "\",\"tokenizer_sha256\":\"" SHA                                                         \
    "\",\"max_tokens\":128,\"type_vocab_size\":0,\"hidden_size\":4,\"layers\":1,"
#define SHA_OF_M "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"
#define REMOTE(fields) "\"model_sha256\":\"" SHA_OF_M "\",\"remote\":{" fields "},\"layers\":1,"
#define V2 "\"protocol\":\"v2\",\"model\":\"x\",\"labels\":[\"pos\",\"neg\"],\"identity\":\"m\""

static void a_remote_level(void **state)
{
    (void)state;
    char text[sizeof example + 256];
    const char *at = strstr(example, CLOUD);
    assert_non_null(at);
    int length = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - example), example, REMOTE(V2), at + strlen(CLOUD));
    rung_calibration_file file = {0};
    rung_error error = {0};
    if (rung_calibration_file_parse(text, (size_t)length, "c.json", &file, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    const rung_calibration_level *cloud = &file.levels[1];
    assert_true(cloud->is_remote && !file.levels[0].is_remote);
    assert_int_equal(cloud->remote.protocol, RUNG_PROTOCOL_V2);
    assert_string_equal(cloud->remote.model, "x");
    assert_int_equal(cloud->remote.num_labels, 2);
    assert_string_equal(cloud->remote.labels[0], "pos");
    assert_string_equal(cloud->identity, "m");
    assert_string_equal(cloud->tokenizer_sha256, "");
    assert_int_equal(cloud->num_layers, 1);
    rung_calibration_file_deinit(&file);
    refuse(CLOUD, REMOTE("\"protocol\":\"rung\""), RUNG_FORMAT,
           "c.json: field 'levels[1].remote.protocol' is 'rung'; it must be tei or v2");
    refuse(CLOUD, REMOTE("\"protocol\":\"v2\",\"identity\":\"m\""), RUNG_FORMAT,
           "c.json: field 'levels[1].remote.model' is missing; it must be a string");
    refuse(CLOUD, REMOTE("\"protocol\":\"tei\""), RUNG_FORMAT,
           "c.json: field 'levels[1].remote.identity' is missing; it must be a string");
    refuse(
        CLOUD, REMOTE("\"protocol\":\"tei\",\"identity\":\"n\""), RUNG_FORMAT,
        "c.json: field 'levels[1].remote.identity' has the hash 1b16b1df538b..., but model_sha256 is 62c66a7a5dd7...");
    refuse(CLOUD, REMOTE("\"protocol\":\"v2\",\"model\":\"x\",\"labels\":[\"a\",\"a\"],\"identity\":\"m\""),
           RUNG_FORMAT, "c.json: field 'levels[1].remote.labels[1]' is 'a', as labels[0] is");
    refuse(CLOUD, REMOTE(V2) "\"hidden_size\":4,", RUNG_FORMAT,
           "c.json: field 'levels[1].hidden_size' does not go with remote");
    refuse("\"max_tokens\":512,\"type_vocab_size\":2,\"hidden_size\":2,\"layers\":3",
           "\"remote\":{" V2 "},\"layers\":3", RUNG_FORMAT,
           "c.json: field 'levels[0].tokenizer_sha256' does not go with remote");
}

static void wrong_fields(void **state)
{
    (void)state;
    refuse("rung-calibration", "other", RUNG_FORMAT,
           "c.json: field 'format' is 'other'; it must be 'rung-calibration'");
    refuse("\"version\":2", "\"version\":1", RUNG_UNSUPPORTED,
           "c.json: field 'version' is 1; this rung reads 2: run rung fit again");
    refuse("\"version\":2,", "", RUNG_FORMAT, "c.json: field 'version' is missing; it must be an integer");
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
    refuse("\"shape\":1.8", "\"shape\":5", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].shape' is 5; it must be from 0.25 to 4");
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
           "c.json: field 'policy.name': policy.name \"other\" is unknown; use rung, paper, tabi, tangobert, single, "
           "single(LEVEL), pabee, branchynet, deebert, f-pabee, cocktail, random(SHARE), layer-skip(SPEEDUP) or "
           "power-bert(SHARE)");
    refuse("\"rule\":\"agree\"", "\"rule\":\"x\"", RUNG_FORMAT,
           "c.json: field 'policy.exit.rule' is 'x'; it must be off, paper, agree, pabee, entropy or divergence");
    refuse("[0.75,1]", "[0.75]", RUNG_FORMAT,
           "c.json: field 'levels[0].class_accuracy' has 1 entries; it must have 2 to 2");
    refuse("[0.75,1]", "[0.75,1.5]", RUNG_FORMAT,
           "c.json: field 'levels[0].class_accuracy[1]' is 1.5; it must be from 0 to 1");
    refuse("[0.75,1]", "0.75", RUNG_FORMAT,
           "c.json: field 'levels[0].class_accuracy' is a real number; it must be an array");
    refuse("\"exits\":[{", "\"exits\":[7,{", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0]' is an integer; it must be an object");
}

static void wrong_arrays(void **state)
{
    (void)state;
    refuse("AACAPwAAAMAAAAAAAAAAgA==", "AACAPwAAAMA=", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].head.weight' has 12 characters; 4 floats in base64 have 24");
    refuse("AACAPwAAAMAAAAAAAAAAgA==", "AACAPwAAAMAAAAAAAAAAgAAA", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].head.weight' has 18 bytes; 4 floats have 16");
    refuse("AACAPwAAAMAAAAAAAAAAgA==", "AACAfwAAAMAAAAAAAAAAgA==", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].head.weight': float 0 is inf; it must be finite");
    refuse("AAAAPwAAAL8=", "AAAA.wAAAL8=", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[0].head.bias': not base64: byte 0x2e at offset 4");
    refuse("\"bias\":\"AAAAPwAAAL8=\"", "\"b\":1", RUNG_FORMAT, "c.json: unknown field 'levels[0].exits[0].head.b'");
    refuse("\"bias\":-1.5", "\"bias\":1e10", RUNG_FORMAT,
           "c.json: field 'levels[0].exits[1].deferral.bias' is 1e+10; it must be from -1e+09 to 1e+09");
    refuse("\"hidden_size\":2", "\"hidden_size\":16385", RUNG_FORMAT,
           "c.json: field 'levels[0].hidden_size' is 16385; it must be from 1 to 16384");
    refuse("\"deferral_answered\":0.75,", "", RUNG_FORMAT,
           "c.json: field 'levels[0].deferral_answered' is missing; it must be a number");
}

static void wrong_pools(void **state)
{
    (void)state;
    refuse("\"levels\":[1,2]", "\"levels\":[1,3]", RUNG_FORMAT,
           "c.json: field 'pools[1].levels[1]' must be a level from 2 to 2, rising");
    refuse("\"levels\":[1,2]", "\"levels\":[2,1]", RUNG_FORMAT,
           "c.json: field 'pools[1].levels[1]' must be a level from 3 to 2, rising");
    refuse("\"levels\":[1,2]", "\"levels\":[]", RUNG_FORMAT,
           "c.json: field 'pools[1].levels' has 0 entries; it must have 1 to 2");
    refuse("[0.25,0.75]", "[0.25]", RUNG_FORMAT,
           "c.json: field 'pools[1].fitted_weights' has 1 entries; it must have 2 to 2");
    refuse("[0.25,0.75]", "[0.25,0.5]", RUNG_FORMAT,
           "c.json: field 'pools[1].fitted_weights' adds up to 0.75; it must be 1");
    refuse("[0.25,0.75]", "[-0.25,1.25]", RUNG_FORMAT,
           "c.json: field 'pools[1].fitted_weights[0]' must be a number from 0 to 1");
    refuse("[1],\"rows\":2500", "[1,2],\"rows\":2500", RUNG_FORMAT,
           "c.json: field 'pools[0].fitted_weights' has 1 entries; it must have 2 to 2");
    refuse(
        "{\"levels\":[1,2],\"rows\":800,\"accuracy_temperature\":0.5,\"accuracy_nll\":0.3,"
        "\"fitted_weights\":[0.25,0.75]",
        "{\"levels\":[1],\"rows\":800,\"accuracy_temperature\":0.5,\"accuracy_nll\":0.3,\"fitted_weights\":[1]",
        RUNG_FORMAT,
        "c.json: field 'pools[1].levels' is out of order: sets are sorted by their highest level, then the next, and "
        "occur once");
    refuse("\"fitted_temperature\":2,", "\"fitted_temperature\":0,", RUNG_FORMAT,
           "c.json: field 'pools[1].fitted_temperature' is 0; it must be from 0.05 to 20");
    refuse("\"labels_from\":\"data\"", "\"labels_from\":\"none\"", RUNG_FORMAT,
           "c.json: field 'labels_from' is 'none'; it must be data or top");
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
        cmocka_unit_test(contents),       cmocka_unit_test(arrays_and_pools), cmocka_unit_test(view),
        cmocka_unit_test(wrong_fields),   cmocka_unit_test(wrong_arrays),     cmocka_unit_test(wrong_pools),
        cmocka_unit_test(wrong_files),    cmocka_unit_test(every_policy),     cmocka_unit_test(the_default_file_loads),
        cmocka_unit_test(a_remote_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
