/* test_node_ahead.c: three levels of small models as nodes in this process, under policies that ask the next level ahead of the result, pass levels by, or have
 * all compute side by side: answers as in one process, whatever came first. Small enough for ThreadSanitizer. */
#define NODE_LEVELS 3
#include "run/answer_json.h"
#include "served_node.h"

#include <jansson.h>

#define CLIENTS 4
#define CALLS_EACH 12
#define TEXT_BYTES 256

/* All levels of a policy, as nodes and in one process. */
typedef struct chain {
    rung_policy policy;
    rung_cascade *cascade;
    served level[NODE_LEVELS];
} chain;

static rung_cascade *open_cascade(void)
{
    rung_error error;
    rung_cascade *cascade = NULL;
    assert_int_equal(rung_cascade_open(yaml_path, NULL, &cascade, &error), RUNG_OK);
    return cascade;
}

/* link_rtt: between the first two nodes; NULL: what the machine takes. */
static void start_chain(chain *c, const char *link_rtt)
{
    static const char *const numbers[] = {"1", "2", "3"};
    const char *above = NULL;
    for (size_t l = NODE_LEVELS; l-- > 0;) {
        c->level[l] = (served){.policy = &c->policy};
        start_draining(&c->level[l], numbers[l], above, l == 0 ? link_rtt : NULL, NULL);
        above = rung_node_url(c->level[l].node);
    }
}

static void stop_chain(chain *c)
{
    for (size_t l = 0; l < NODE_LEVELS; l++) {
        stop(&c->level[l]);
    }
    rung_cascade_close(c->cascade);
}

/* "rung" with these thresholds; levels send ahead at or below `speculate`. */
static void make_policy(chain *c, double threshold, double speculate)
{
    c->cascade = open_cascade();
    c->policy = c->cascade->policy;
    for (size_t l = 0; l < NODE_LEVELS; l++) {
        c->policy.offload.threshold[l] = threshold;
        c->policy.offload.speculate[l] = speculate;
    }
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (json == NULL) {
        fail_msg("%s: %s", error.text, text);
    }
    return json;
}

static void assert_same_field(const json_t *a, const json_t *b, const char *field)
{
    const json_t *x = json_object_get(a, field);
    const json_t *y = json_object_get(b, field);
    if ((x != NULL || y != NULL) && !json_equal(x, y)) {
        char *texts[2] = {json_dumps(a, 0), json_dumps(b, 0)};
        fail_msg("%s: %s\n%s", field, texts[0], texts[1]);
    }
}

/* What was found, digit by digit; not what anything took, nor what was sent without need, nor the name of the policy in the bytes. */
static void assert_same_findings(const char *got, const char *expected, size_t name_bytes)
{
    static const char *const fields[] = {"id", "label", "score", "probabilities", "level", "degraded"};
    static const char *const of_level[] = {"exit_layer", "layers", "confidence", "probabilities",
                                           "weight",     "tokens", "words"};
    json_t *a = parse(got);
    json_t *b = parse(expected);
    const json_t *levels = json_object_get(a, "levels");
    size_t count = json_array_size(levels);
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
        assert_same_field(a, b, fields[f]);
    }
    assert_int_equal(count, json_array_size(json_object_get(b, "levels")));
    for (size_t l = 0; l < count; l++) {
        const json_t *x = json_array_get(levels, l);
        const json_t *y = json_array_get(json_object_get(b, "levels"), l);
        for (size_t f = 0; f < sizeof of_level / sizeof of_level[0]; f++) {
            assert_same_field(x, y, of_level[f]);
        }
        if (l + 1 < count) {
            assert_same_field(x, y, "kept_words");
            assert_int_equal(json_integer_value(json_object_get(x, "bytes_up")),
                             json_integer_value(json_object_get(y, "bytes_up")) + (json_int_t)name_bytes);
        }
    }
    json_decref(a);
    json_decref(b);
}

static size_t make_text(size_t seed, char text[TEXT_BYTES])
{
    static const char *const words[] = {"the",  "film", "was", "good",  "dull", "and",
                                        "long", "not",  "a",   "funny", "plot"};
    size_t used = 0;
    for (size_t w = 0; w < 3 + seed % 17; w++) {
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s%s", w > 0 ? " " : "",
                                 words[(seed * (w + 2) + w * w) % 11]);
    }
    return used;
}

typedef struct client {
    chain *chain;
    const char *name; /* of the policy that is asked for; NULL: none */
    size_t number;
    size_t levels[NODE_LEVELS + 1]; /* how many were answered there */
    pthread_t thread;
} client;

/* "rung", as named above or the chain's own. */
static rung_policy policy_of(const client *self)
{
    rung_policy policy = self->chain->policy;
    rung_error error;
    if (self->name != NULL && rung_cascade_named_policy(self->chain->cascade, self->name, &policy, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return policy;
}

static void *be_client(void *argument)
{
    client *self = argument;
    const rung_policy policy = policy_of(self);
    int fd = connect_to(&self->chain->level[0]);
    for (size_t i = 0; i < CALLS_EACH; i++) {
        char id[32];
        char text[TEXT_BYTES];
        char body[TEXT_BYTES + 128];
        char answer[8192];
        rung_answers *expected = NULL;
        rung_error error;
        snprintf(id, sizeof id, "%zu-%zu", self->number, i);
        const rung_input input = {.id = id, .text = text, .text_bytes = make_text(self->number * CALLS_EACH + i, text)};
        snprintf(body, sizeof body, "{\"id\":\"%s\",\"text\":\"%s\"%s%s%s}", id, text,
                 self->name != NULL ? ",\"policy\":\"" : "", self->name != NULL ? self->name : "",
                 self->name != NULL ? "\"" : "");
        send_call(fd, "POST", "/v1/classify", body);
        assert_int_equal(receive(fd, answer, sizeof answer), 200);
        assert_int_equal(
            rung_cascade_classify_policy(self->chain->cascade, &policy, &input, 1, NULL, &expected, &error), RUNG_OK);
        rung_buffer json = {0};
        rung_answer_json(&json, self->chain->cascade, id, strlen(id), rung_answers_get(expected, 0));
        assert_same_findings(answer, json.data,
                             self->name != NULL ? strlen("\"policy\":\"\",") + strlen(self->name) : 0);
        self->levels[rung_answers_get(expected, 0)->level]++;
        rung_answers_free(expected);
        rung_buffer_deinit(&json);
    }
    close(fd);
    return NULL;
}

/* Adds to `levels` how many answers came from each. */
static void ask_all(chain *c, const char *name, size_t levels[NODE_LEVELS + 1])
{
    client clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.chain = c, .name = name, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, be_client, &clients[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        for (size_t l = 0; l <= NODE_LEVELS; l++) {
            levels[l] += clients[i].levels[l];
        }
    }
}

/* Answers found in one process by a policy that does not send ahead. */
static double median_confidence(const rung_cascade *cascade, rung_policy policy)
{
    double confidences[CLIENTS * CALLS_EACH];
    policy.offload.threshold[0] = 0;
    for (size_t i = 0; i < CLIENTS * CALLS_EACH; i++) {
        char text[TEXT_BYTES];
        rung_answers *answers = NULL;
        rung_error error;
        const rung_input input = {.text = text, .text_bytes = make_text(i, text)};
        assert_int_equal(rung_cascade_classify_policy(cascade, &policy, &input, 1, NULL, &answers, &error), RUNG_OK);
        confidences[i] = rung_answers_get(answers, 0)->levels[0].confidence;
        rung_answers_free(answers);
        for (size_t j = i; j > 0 && confidences[j] < confidences[j - 1]; j--) {
            double larger = confidences[j - 1];
            confidences[j - 1] = confidences[j];
            confidences[j] = larger;
        }
    }
    return confidences[CLIENTS * CALLS_EACH / 2];
}

static void answers_do_not_depend_on_speculation(void **state)
{
    (void)state;
    static const double shares[] = {0.001, 1};
    for (size_t i = 0; i < 2; i++) {
        chain c;
        size_t levels[NODE_LEVELS + 1] = {0};
        make_policy(&c, 0, shares[i]);
        double median = median_confidence(c.cascade, c.policy);
        c.policy.offload.threshold[0] = c.policy.offload.threshold[1] = median;
        start_chain(&c, NULL);
        ask_all(&c, NULL, levels);
        assert_true(levels[1] > 0 && levels[2] + levels[3] > 0);
        stop_chain(&c);
    }
}

static void levels_are_passed_by(void **state)
{
    (void)state;
    chain c;
    size_t levels[NODE_LEVELS + 1] = {0};
    make_policy(&c, 0, 0);
    double median = median_confidence(c.cascade, c.policy);
    c.policy.offload.threshold[0] = 1;
    c.policy.offload.threshold[1] = 0;
    c.policy.offload.skip[0] = median;
    start_chain(&c, NULL);
    ask_all(&c, NULL, levels);
    assert_true(levels[2] > 0 && levels[3] > 0); /* past level 2 those alone that it would not have kept */
    stop_chain(&c);
}

static void levels_stop_early_to_go_up(void **state)
{
    (void)state;
    chain c;
    size_t levels[NODE_LEVELS + 1] = {0};
    make_policy(&c, 0, 0);
    c.policy.offload.early[0] = c.policy.offload.early[1] = 1;
    start_chain(&c, NULL);
    ask_all(&c, NULL, levels);
    assert_int_equal(levels[3], CLIENTS * CALLS_EACH);
    stop_chain(&c);
}

/* Named policies: all levels at once, one alone, and models that are run in a cheaper way. */
static void named_policies_are_those_of_one_process(void **state)
{
    (void)state;
    static const char *const names[] = {"cocktail",        "single(1)",       "single(2)", "single(3)",
                                        "layer-skip(1.5)", "power-bert(0.3)", "deebert",   "random(0.5)"};
    chain c;
    make_policy(&c, 0.7, 0);
    start_chain(&c, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t levels[NODE_LEVELS + 1] = {0};
        ask_all(&c, names[i], levels);
        assert_true(i != 0 || levels[3] == CLIENTS * CALLS_EACH);
        assert_true(i < 1 || i > 3 || levels[i] == CLIENTS * CALLS_EACH);
    }
    stop_chain(&c);
}

/* A link of seconds: the call is on its way when the level finds that it is sure. */
static void what_is_not_needed_is_cancelled(void **state)
{
    (void)state;
    chain c;
    char answer[8192];
    make_policy(&c, 0, 1);
    start_chain(&c, "8s");
    double before_s = rung_clock_s();
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(ask(&c.level[0], "POST", "/v1/classify",
                             "{\"inputs\":[\"the film was good\",\"dull and long\",\"not a film\"]}", answer,
                             sizeof answer),
                         200);
        json_t *list = parse(answer);
        for (size_t j = 0; j < 3; j++) {
            const json_t *one = json_array_get(list, j);
            assert_int_equal(json_integer_value(json_object_get(one, "level")), 1);
            assert_int_equal(json_array_size(json_object_get(one, "levels")), 1);
            assert_true(json_is_false(json_object_get(one, "degraded")));
        }
        json_decref(list);
    }
    assert_true(rung_clock_s() - before_s < 8); /* none waited */
    await_metric(&c.level[0], "rung_upstream_in_flight 0");
    assert_true(has_metric(&c.level[1], "rung_requests_total{outcome=\"ok\"} 0"));
    stop_chain(&c);
}

/* Without a next level a speculation fails, and that is told only where the result needs it. */
static void a_lost_speculation_matters_where_it_is_needed(void **state)
{
    (void)state;
    for (int needed = 0; needed < 2; needed++) {
        chain c;
        char answer[8192];
        make_policy(&c, needed, 1);
        c.level[0] = (served){.policy = &c.policy};
        start_draining(&c.level[0], "1", "http://127.0.0.1:9", NULL, NULL);
        for (size_t i = 0; i < 12; i++) { /* more than what opens a circuit */
            assert_int_equal(
                ask(&c.level[0], "POST", "/v1/classify", "{\"text\":\"the film was good\"}", answer, sizeof answer),
                200);
            assert_int_equal(strstr(answer, "\"degraded_reason\":\"unreachable\"") != NULL, needed);
            assert_non_null(strstr(answer, "\"level\":1,"));
            assert_true(!needed || strstr(answer, "\"bytes_up\":0,") != NULL);
        }
        stop(&c.level[0]);
        rung_cascade_close(c.cascade);
    }
}

/* The end comes, or the client leaves, while errands are at their workers and their calls above. */
static void it_may_end_in_any_state(void **state)
{
    (void)state;
    for (size_t round = 0; round < 8; round++) {
        chain c;
        int fds[CLIENTS];
        make_policy(&c, 1, 1);
        c.policy.parallel = round % 2 == 1;
        start_chain(&c, round % 4 < 2 ? "9s" : NULL);
        for (size_t i = 0; i < CLIENTS; i++) {
            fds[i] = connect_to(&c.level[0]);
            send_call(fds[i], "POST", "/v1/classify",
                      "{\"inputs\":[\"a film\",\"it was good\",\"no\",\"it was good\",\"the film\",\"no\"]}");
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)round * 300000}, NULL);
        for (size_t i = 0; i < CLIENTS; i++) {
            close(fds[i]);
        }
        await_metric(&c.level[0], "rung_upstream_in_flight 0");
        stop_chain(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_depend_on_speculation),
        cmocka_unit_test(levels_are_passed_by),
        cmocka_unit_test(levels_stop_early_to_go_up),
        cmocka_unit_test(named_policies_are_those_of_one_process),
        cmocka_unit_test(what_is_not_needed_is_cancelled),
        cmocka_unit_test(a_lost_speculation_matters_where_it_is_needed),
        cmocka_unit_test(it_may_end_in_any_state),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
