/* test_errand.c: one input at a node, event by event: what the worker makes of it, what a reply of the next level changes, and what its loss. */
#include "base/clock.h"
#include "node_fixture.h"
#include "serve/errand.h"

#include <jansson.h>
#include <math.h>

static const char text[] = "the film was good";
static rung_generation *generation;
static rung_policy unsure; /* asks the next level whatever it found itself */

static int open_files(void **state)
{
    if (make_files(state) != 0) {
        return 1;
    }
    generation = open_generation((const char *const[]){"config", yaml_path, "level", "1", NULL}, 1);
    unsure = generation->policies[0];
    unsure.offload.threshold[0] = 1;
    return 0;
}

static int close_files(void **state)
{
    rung_generation_free(generation);
    return remove_files(state);
}

static void begin(rung_errand *errand, const rung_policy *policy, unsigned wanted)
{
    rung_error error;
    assert_int_equal(rung_errand_prepare(errand, generation, &error), RUNG_OK);
    rung_visit_begin(&errand->visit, policy, 1, 7);
    errand->id = "x";
    errand->id_bytes = 1;
    errand->arrived.text[0] = (rung_text){text, strlen(text)};
    errand->text_bytes = strlen(text);
    errand->arrived_s = errand->queued_s = rung_clock_s();
    errand->deadline_s = INFINITY;
    const rung_event event = {.kind = RUNG_EVENT_START, .now_s = errand->arrived_s};
    assert_int_equal(rung_request_step(&errand->visit.machine, &event), wanted);
}

/* on_watch: NULL: nobody looks. */
static void compute_watched(rung_errand *errand, void (*on_watch)(void *context, rung_job *job))
{
    rung_error error;
    rung_batch batch;
    const rung_model *model = rung_generation_model(generation);
    assert_int_equal(rung_batch_init(&batch, model, generation->cascade->kernels, model->config.max_tokens, 1, &error),
                     RUNG_OK);
    assert_true(rung_errand_read(errand, rung_clock_s()));
    rung_job *job = &errand->visit.job;
    job->on_watch = on_watch;
    job->watch_context = errand;
    rung_batch_run(&batch, &job, 1, rung_visit_importance_layers(generation->cascade, errand->visit.policy, 1), NULL);
    rung_errand_computed(errand, rung_clock_s());
    rung_batch_deinit(&batch);
}

static void compute(rung_errand *errand)
{
    compute_watched(errand, NULL);
}

static rung_errand *new_errand(void)
{
    rung_errand *errand = calloc(1, sizeof *errand);
    assert_non_null(errand);
    atomic_init(&errand->cancelled, false);
    return errand;
}

/* One that has computed and is about to ask the next level. */
static rung_errand *asking(void)
{
    rung_errand *errand = new_errand();
    begin(errand, &unsure, RUNG_ACTION_COMPUTE);
    compute(errand);
    assert_int_equal(errand->status, RUNG_OK);
    assert_int_equal(errand->actions, RUNG_ACTION_SEND);
    return errand;
}

static unsigned take(rung_errand *errand, const char *body, rung_error *why)
{
    const rung_call_result result = {.outcome = RUNG_CALL_REPLY,
                                     .http_status = 200,
                                     .body = body,
                                     .body_bytes = strlen(body),
                                     .elapsed_s = 0.5,
                                     .detail = ""};
    return rung_errand_take_reply(errand, &result, rung_clock_s(), why);
}

static json_t *answer_of(rung_errand *errand)
{
    rung_error error;
    json_error_t cause;
    assert_int_equal(rung_errand_write(errand, rung_clock_s(), &error), RUNG_OK);
    json_t *answer = json_loadb(errand->out.data, errand->out.length, 0, &cause);
    if (answer == NULL) {
        fail_msg("%s: %s", cause.text, errand->out.data);
    }
    return answer;
}

#define COUNTS                                                                                                         \
    "\"tokens\":6,\"truncated_tokens\":0,\"words\":4,\"kept_words\":4,\"bytes_up\":0,\"bytes_down\":0,"                \
    "\"compute_ms\":1,\"queue_ms\":2,\"link_ms\":0"
#define FOUND "\"exit_layer\":3,\"layers\":3,\"confidence\":0.75,\"probabilities\":[0.75,0.125,0.125]"
#define REPLY "{\"levels\":[{\"level\":2," FOUND "," COUNTS "}],\"wall_ms\":100}"

static void a_reply_is_part_of_the_answer(void **state)
{
    (void)state;
    rung_error why = {0};
    rung_errand *errand = asking();
    const rung_level_answer *did = &errand->visit.did;
    assert_int_equal(did->bytes_up, errand->body.length);
    assert_int_equal(did->words, 4);
    assert_int_equal(take(errand, REPLY, &why), RUNG_ACTION_ANSWER);
    assert_int_equal(did->bytes_down, strlen(REPLY));
    assert_true(fabs(did->link_ms - 400) < 1e-6);
    assert_int_equal(errand->visit.machine.degraded, RUNG_DEGRADED_NO);
    json_t *answer = answer_of(errand);
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), 2);
    const json_t *levels = json_object_get(answer, "levels");
    assert_int_equal(json_array_size(levels), 2);
    const json_t *second = json_array_get(levels, 1);
    assert_string_equal(json_string_value(json_object_get(second, "model")), "two");
    assert_true(json_number_value(json_object_get(second, "confidence")) == 0.75);
    assert_true(json_number_value(json_object_get(second, "queue_ms")) == 2);
    json_decref(answer);
    /* The same once more is late. */
    assert_int_equal(take(errand, REPLY, &why), RUNG_ACTION_NONE);
    rung_errand_free(errand);
}

static void what_is_no_reply_is_told_and_left_out(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "garbage",
        "[]",
        "{}",
        "{\"levels\":[],\"wall_ms\":1}",                                   /* nobody computed */
        "{\"levels\":[{\"level\":1," FOUND "," COUNTS "}],\"wall_ms\":1}", /* not above */
        "{\"levels\":[{\"level\":3," FOUND "," COUNTS "}],\"wall_ms\":1}", /* no such level */
        "{\"levels\":[{\"level\":2,\"exit_layer\":3,\"layers\":3,\"confidence\":0.5,\"probabilities\":[0.5,0.5]," COUNTS
        "}],\"wall_ms\":1}", /* of another task */
        "{\"levels\":[{\"level\":2," FOUND "," COUNTS "}],\"wall_ms\":-1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_error why = {0};
        rung_errand *errand = asking();
        if (take(errand, bad[i], &why) != RUNG_ACTION_ANSWER) {
            fail_msg("%s", bad[i]);
        }
        assert_int_equal(errand->visit.machine.degraded, RUNG_DEGRADED_BAD_REPLY);
        assert_int_equal(errand->visit.did.bytes_down, strlen(bad[i]));
        assert_true(errand->visit.did.bytes_up > 0); /* it was sent */
        json_t *answer = answer_of(errand);
        assert_int_equal(json_integer_value(json_object_get(answer, "level")), 1);
        assert_int_equal(json_array_size(json_object_get(answer, "levels")), 1);
        json_decref(answer);
        rung_errand_free(errand);
    }
}

static void a_late_reply_changes_nothing(void **state)
{
    (void)state;
    rung_error why = {0};
    rung_errand *errand = asking();
    const rung_event event = {.kind = RUNG_EVENT_TIMER, .now_s = rung_clock_s()};
    assert_int_equal(rung_request_step(&errand->visit.machine, &event),
                     RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_ANSWER);
    double score = errand->visit.machine.score;
    assert_int_equal(take(errand, REPLY, &why), RUNG_ACTION_NONE);
    assert_int_equal(errand->visit.machine.degraded, RUNG_DEGRADED_DEADLINE);
    assert_true(errand->visit.machine.score == score);
    assert_false(errand->visit.machine.results[1].visited);
    assert_int_equal(errand->top_level, 1);
    rung_errand_free(errand);
}

static void what_was_not_sent_did_not_leave(void **state)
{
    (void)state;
    for (int was_sent = 0; was_sent < 2; was_sent++) {
        rung_errand *errand = asking();
        const rung_level_answer *did = &errand->visit.did;
        errand->visit.did.kept_words = 2; /* as if pruned */
        size_t bytes_up = did->bytes_up;
        assert_true(bytes_up > 0);
        assert_int_equal(rung_errand_lose_upstream(errand, RUNG_DEGRADED_OVERLOADED, was_sent, rung_clock_s()),
                         RUNG_ACTION_ANSWER);
        assert_int_equal(did->bytes_up, was_sent ? bytes_up : 0);
        assert_int_equal(did->kept_words, was_sent ? 2 : did->words);
        assert_int_equal(errand->visit.machine.degraded, RUNG_DEGRADED_OVERLOADED);
        rung_errand_free(errand);
    }
}

/* A level that only passes on computes after all when the next one is lost. */
static void who_passed_on_computes_after_all(void **state)
{
    (void)state;
    rung_error error;
    rung_errand *errand = new_errand();
    begin(errand, rung_generation_policy(generation, "single"), RUNG_ACTION_SEND);
    assert_int_equal(rung_errand_make_body(errand, &error), RUNG_OK);
    assert_non_null(strstr(errand->body.data, text)); /* whole */
    assert_int_equal(rung_errand_lose_upstream(errand, RUNG_DEGRADED_UNREACHABLE, false, rung_clock_s()),
                     RUNG_ACTION_COMPUTE);
    compute(errand);
    assert_int_equal(errand->status, RUNG_OK);
    assert_int_equal(errand->actions, RUNG_ACTION_ANSWER);
    json_error_t cause;
    json_t *answer = json_loadb(errand->out.data, errand->out.length, 0, &cause);
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), 1);
    assert_string_equal(json_string_value(json_object_get(answer, "degraded_reason")), "unreachable");
    json_decref(answer);
    assert_int_equal(errand->visit.did.bytes_up, 0);
    rung_errand_free(errand);
}

static void a_text_may_be_cut_or_not(void **state)
{
    (void)state;
    static const char word[] = "film ";
    char *longest = malloc(1001);
    assert_non_null(longest);
    for (size_t i = 0; i < 1000; i++) {
        longest[i] = word[i % 5];
    }
    longest[1000] = '\0';
    for (int may = 0; may < 2; may++) {
        rung_errand *errand = new_errand();
        begin(errand, &unsure, RUNG_ACTION_COMPUTE);
        assert_true(errand->may_truncate);
        errand->may_truncate = may;
        errand->arrived.text[0] = (rung_text){longest, 1000};
        assert_int_equal(rung_errand_read(errand, rung_clock_s()), may);
        assert_int_equal(errand->visit.did.truncated_tokens, 202 - 128);
        assert_int_equal(errand->status, may ? RUNG_OK : RUNG_LIMIT);
        assert_true(may || strstr(errand->error.message, "202") != NULL);
        rung_errand_free(errand);
    }
    free(longest);
}

/* Nothing of the last input shows in the next one. */
static void an_errand_is_used_again(void **state)
{
    (void)state;
    rung_error why = {0};
    rung_errand *errand = asking();
    assert_int_equal(take(errand, REPLY, &why), RUNG_ACTION_ANSWER);
    atomic_store(&errand->cancelled, true);
    errand->finished = errand->sent = errand->expired = true;
    begin(errand, &unsure, RUNG_ACTION_COMPUTE);
    compute(errand);
    assert_int_equal(errand->actions, RUNG_ACTION_SEND);
    assert_false(errand->finished || errand->sent || errand->expired);
    rung_errand_lose_upstream(errand, RUNG_DEGRADED_UNREACHABLE, false, rung_clock_s());
    json_t *answer = answer_of(errand);
    assert_int_equal(json_array_size(json_object_get(answer, "levels")), 1);
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), 1);
    json_decref(answer);
    rung_errand_free(errand);
    rung_errand_free(NULL);
}

/* For the level below there is no id, and the form is that of docs/wire.md. */
static void the_level_below_gets_a_reply(void **state)
{
    (void)state;
    rung_errand *errand = asking();
    errand->id = NULL;
    rung_errand_lose_upstream(errand, RUNG_DEGRADED_LOOP, false, rung_clock_s());
    json_t *reply = answer_of(errand);
    assert_null(json_object_get(reply, "id"));
    assert_int_equal(json_array_size(json_object_get(reply, "levels")), 1);
    assert_string_equal(json_string_value(json_object_get(reply, "degraded")), "loop");
    assert_true(json_is_real(json_object_get(reply, "wall_ms")));
    json_decref(reply);
    rung_errand_free(errand);
}

static rung_buffer sent_ahead; /* what the body was when it was to be sent */

static void send_ahead(void *context, rung_job *job)
{
    rung_errand *errand = context;
    assert_int_equal(job->exit_layer, 0);
    assert_true(rung_errand_watched(errand, rung_clock_s()));
    assert_true(errand->visit.did.bytes_up > 0);
    rung_buffer_append(&sent_ahead, errand->body.data, errand->body.length);
}

/* One that asked ahead; threshold: whether it needs the next level's answer. */
static rung_errand *asking_ahead(double threshold, unsigned wanted)
{
    static rung_policy policy;
    policy = unsure;
    policy.offload.threshold[0] = threshold;
    policy.offload.speculate[0] = 1;
    rung_errand *errand = new_errand();
    begin(errand, &policy, RUNG_ACTION_COMPUTE);
    compute_watched(errand, send_ahead);
    assert_int_equal(errand->status, RUNG_OK);
    assert_int_equal(errand->actions, wanted);
    assert_int_equal(errand->visit.did.exit_layer, 3);
    assert_string_equal(errand->body.data, sent_ahead.data); /* it is the loop's by then */
    assert_non_null(strstr(errand->body.data, "\"exit_layer\":2"));
    rung_buffer_deinit(&sent_ahead);
    return errand;
}

static void what_comes_early_is_held(void **state)
{
    (void)state;
    rung_error why = {0};
    char body[] = REPLY;
    char detail[] = "a detail";
    rung_call_result result = {
        .outcome = RUNG_CALL_REPLY, .sent = true, .body = body, .body_bytes = strlen(body), .detail = detail};
    rung_errand *errand = asking_ahead(1, RUNG_ACTION_NONE);
    rung_errand_hold(errand, RUNG_DEGRADED_NO, &result);
    memset(body, 'x', sizeof body - 1);
    memset(detail, 'x', sizeof detail - 1);
    assert_true(errand->held.is_held && errand->held.lost == RUNG_DEGRADED_NO && errand->held.result.sent);
    assert_string_equal(errand->held.result.body, REPLY);
    assert_string_equal(errand->held.result.detail, "a detail");
    assert_int_equal(rung_errand_take_reply(errand, &errand->held.result, rung_clock_s(), &why), RUNG_ACTION_ANSWER);
    json_t *answer = answer_of(errand);
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), 2);
    json_decref(answer);
    /* The same errand, whose call is lost this time. */
    begin(errand, &unsure, RUNG_ACTION_COMPUTE);
    assert_false(errand->held.is_held);
    compute(errand);
    rung_errand_hold(errand, RUNG_DEGRADED_OVERLOADED, &(rung_call_result){.detail = ""});
    assert_int_equal(errand->held.lost, RUNG_DEGRADED_OVERLOADED);
    assert_int_equal(errand->held.result.body_bytes, 0);
    assert_string_equal(errand->held.result.detail, "");
    rung_errand_free(errand);
}

static void what_was_asked_in_vain_is_counted_when_it_left(void **state)
{
    (void)state;
    rung_error error;
    rung_errand *errand = asking_ahead(0, RUNG_ACTION_ANSWER | RUNG_ACTION_CANCEL_UPSTREAM);
    assert_non_null(strstr(errand->out.data, "\"level\":1,\"degraded\":false"));
    assert_null(strstr(errand->out.data, "\"bytes_up\":0,"));
    assert_int_equal(rung_errand_write_unsent(errand, rung_clock_s(), &error), RUNG_OK);
    assert_non_null(strstr(errand->out.data, "\"bytes_up\":0,"));
    assert_int_equal(errand->visit.did.kept_words, 4);
    rung_errand_free(errand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_part_of_the_answer),
        cmocka_unit_test(what_is_no_reply_is_told_and_left_out),
        cmocka_unit_test(a_late_reply_changes_nothing),
        cmocka_unit_test(what_was_not_sent_did_not_leave),
        cmocka_unit_test(who_passed_on_computes_after_all),
        cmocka_unit_test(a_text_may_be_cut_or_not),
        cmocka_unit_test(what_comes_early_is_held),
        cmocka_unit_test(what_was_asked_in_vain_is_counted_when_it_left),
        cmocka_unit_test(an_errand_is_used_again),
        cmocka_unit_test(the_level_below_gets_a_reply),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
