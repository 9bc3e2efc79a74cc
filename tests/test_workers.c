/* test_workers.c: the queue and its threads: every errand comes back once, batches hold what belongs together, and what waits is estimated. Small enough
 * for ThreadSanitizer. */
#include "base/clock.h"
#include "node_fixture.h"
#include "serve/workers.h"

#include <math.h>
#include <pthread.h>

#define MANY 300

/* What the loop is in a node: it is woken, and collects. */
typedef struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t news;
    size_t wakes; /* since the last look */
} inbox;

static inbox box = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void wake(void *context)
{
    inbox *self = context;
    pthread_mutex_lock(&self->lock);
    self->wakes++;
    pthread_cond_signal(&self->news);
    pthread_mutex_unlock(&self->lock);
}

static void await_wake(inbox *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->wakes == 0) {
        pthread_cond_wait(&self->news, &self->lock);
    }
    self->wakes = 0;
    pthread_mutex_unlock(&self->lock);
}

static rung_workers *create(size_t threads, size_t threads_per_text)
{
    rung_error error;
    rung_workers *workers = NULL;
    assert_int_equal(rung_workers_create(threads, threads_per_text, wake, &box, &workers, &error), RUNG_OK);
    return workers;
}

static rung_generation *open_model(const char *model, const char *max_wait, uint64_t serial)
{
    return open_generation((const char *const[]){"model", model, "batch.max_wait", max_wait, NULL}, serial);
}

/* An input whose machine waits for the local result. */
static rung_errand *new_errand_under(rung_generation *generation, const rung_policy *policy, const char *text)
{
    rung_error error;
    rung_errand *errand = calloc(1, sizeof *errand);
    assert_non_null(errand);
    atomic_init(&errand->cancelled, false);
    assert_int_equal(rung_errand_prepare(errand, generation, &error), RUNG_OK);
    rung_visit_begin(&errand->visit, policy, 1, 7);
    errand->id = "x";
    errand->id_bytes = 1;
    errand->arrived.text[0] = (rung_text){text, strlen(text)};
    errand->text_bytes = strlen(text);
    errand->arrived_s = errand->queued_s = rung_clock_s();
    errand->deadline_s = INFINITY;
    const rung_event event = {.kind = RUNG_EVENT_START, .now_s = errand->arrived_s};
    assert_int_equal(rung_request_step(&errand->visit.machine, &event), RUNG_ACTION_COMPUTE);
    return errand;
}

static rung_errand *new_errand(rung_generation *generation, const char *text)
{
    return new_errand_under(generation, &generation->policies[0], text);
}

/* Until `count` have come back; each once. */
static void collect(rung_workers *workers, size_t count)
{
    for (size_t have = 0; have < count;) {
        rung_errand *errand = rung_workers_collect(workers);
        if (errand == NULL) {
            await_wake(&box);
        }
        for (; errand != NULL; errand = errand->next) {
            assert_true(errand->at_worker);
            errand->at_worker = false;
            have++;
        }
    }
    assert_null(rung_workers_collect(workers));
}

static void check_answered(const rung_errand *errand)
{
    assert_false(errand->at_worker);
    assert_int_equal(errand->status, RUNG_OK);
    assert_int_equal(errand->actions, RUNG_ACTION_ANSWER);
    assert_int_equal(strncmp(errand->out.data, "{\"id\":\"x\"", 9), 0);
}

static void each_errand_comes_back_once(void **state)
{
    (void)state;
    static const char *const texts[] = {"a film", "it was good and long and not dull at all", "dull"};
    rung_generation *generation = open_model(TINY_MODEL, "0ms", 1);
    rung_errand *errands[MANY];
    rung_workers *workers = create(4, 2);
    double score[3] = {0};
    assert_true(rung_workers_wait_s(workers) == 0);
    for (size_t i = 0; i < MANY; i++) {
        errands[i] = new_errand(generation, texts[i % 3]);
        rung_workers_submit(workers, errands[i]);
    }
    collect(workers, MANY);
    for (size_t i = 0; i < MANY; i++) {
        const rung_request *machine = &errands[i]->visit.machine;
        check_answered(errands[i]);
        score[i % 3] = i < 3 ? machine->score : score[i % 3];
        assert_true(machine->score == score[i % 3]); /* whatever it was batched with */
        rung_errand_free(errands[i]);
    }
    assert_int_equal(rung_workers_queue_length(workers), 0);
    rung_workers_free(workers);
    assert_int_equal(atomic_load(&generation->users), 1);
    rung_generation_free(generation);
}

static void what_nobody_waits_for_is_not_computed(void **state)
{
    (void)state;
    rung_generation *generation = open_model(TINY_MODEL, "0ms", 1);
    rung_workers *workers = create(2, 1);
    rung_errand *gone = new_errand(generation, "a film");
    rung_errand *late = new_errand(generation, "a film");
    rung_errand *too_long = new_errand(generation, "a film");
    rung_errand *whole = new_errand(generation, "a film");
    atomic_store(&gone->cancelled, true);
    late->deadline_s = rung_clock_s();
    char *text = malloc(4001);
    assert_non_null(text);
    for (size_t i = 0; i < 4000; i++) {
        text[i] = i % 2 ? ' ' : 'a';
    }
    text[4000] = '\0';
    too_long->arrived.text[0] = (rung_text){text, 4000};
    too_long->may_truncate = false;
    rung_workers_submit(workers, gone);
    rung_workers_submit(workers, late);
    rung_workers_submit(workers, too_long);
    rung_workers_submit(workers, whole);
    collect(workers, 4);
    assert_int_equal(gone->actions, 0);
    assert_int_equal(gone->visit.job.exit_layer, 0);
    assert_false(gone->expired);
    assert_true(late->expired);
    assert_int_equal(late->actions, 0);
    assert_int_equal(too_long->status, RUNG_LIMIT);
    assert_non_null(strstr(too_long->error.message, "128"));
    check_answered(whole);
    rung_errand *const all[] = {gone, late, too_long, whole};
    for (size_t i = 0; i < 4; i++) {
        rung_errand_free(all[i]);
    }
    free(text);
    rung_workers_free(workers);
    rung_generation_free(generation);
}

/* Two models of different shape: one in the other's batch would read outside its weights, or give another score. */
static void generations_do_not_mix(void **state)
{
    (void)state;
    rung_generation *generations[2] = {open_model(TINY_MODEL, "0ms", 1), open_model(ODD_MODEL, "0ms", 2)};
    rung_errand *errands[MANY];
    double score[2] = {0};
    rung_workers *workers = create(2, 1);
    for (size_t i = 0; i < MANY; i++) {
        errands[i] = new_errand(generations[i % 3 == 0], "a film");
        rung_workers_submit(workers, errands[i]);
    }
    collect(workers, MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t which = i % 3 == 0;
        check_answered(errands[i]);
        score[which] = i < 2 ? errands[i]->visit.machine.score : score[which];
        assert_true(errands[i]->visit.machine.score == score[which]);
        rung_errand_free(errands[i]);
    }
    rung_workers_free(workers);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&generations[i]->users), 1);
        rung_generation_free(generations[i]);
    }
}

/* A batch runs one variant of its model: each errand gets that of its policy. */
static void variants_do_not_mix(void **state)
{
    (void)state;
    rung_generation *generation = open_model(TINY_MODEL, "0ms", 1);
    rung_policy policies[3] = {generation->policies[0], generation->policies[0], generation->policies[0]};
    rung_errand *errands[MANY];
    double score[3] = {0};
    policies[1].variant = (rung_variant){RUNG_VARIANT_LAYER_SKIP, 2};
    policies[2].variant = (rung_variant){RUNG_VARIANT_POWER_BERT, 0.3};
    for (size_t k = 0; k < 3; k++) { /* so that all three have the same layers of importance: none */
        policies[k].prune.enabled = false;
        policies[k].exit.rule = RUNG_EXIT_OFF;
        assert_int_equal(rung_policy_check(&policies[k], NULL, NULL), RUNG_OK);
    }
    rung_workers *workers = create(2, 1);
    for (size_t i = 0; i < MANY; i++) {
        errands[i] = new_errand(generation, "it was good and long and not dull at all");
        errands[i]->visit.policy = &policies[i % 3];
        errands[i]->visit.machine.policy = &policies[i % 3];
        rung_workers_submit(workers, errands[i]);
        if (i == 2) { /* each by itself first */
            collect(workers, 3);
        }
    }
    collect(workers, MANY - 3);
    for (size_t i = 0; i < MANY; i++) {
        check_answered(errands[i]);
        score[i % 3] = i < 3 ? errands[i]->visit.machine.score : score[i % 3];
        assert_true(errands[i]->visit.machine.score == score[i % 3]);
        rung_errand_free(errands[i]);
    }
    assert_true(score[0] != score[1] && score[0] != score[2] && score[1] != score[2]);
    rung_workers_free(workers);
    rung_generation_free(generation);
}

/* An errand may be used again for another generation, whose visit has other sizes. */
static void an_errand_changes_its_generation(void **state)
{
    (void)state;
    rung_error error;
    rung_generation *generations[2] = {open_model(TINY_MODEL, "0ms", 1), open_model(ODD_MODEL, "0ms", 2)};
    rung_workers *workers = create(1, 1);
    rung_errand *errand = new_errand(generations[0], "a film");
    double score[2] = {0};
    for (size_t i = 0; i < 6; i++) {
        rung_generation *generation = generations[i % 2];
        assert_int_equal(rung_errand_prepare(errand, generation, &error), RUNG_OK);
        rung_visit_begin(&errand->visit, &generation->policies[0], 1, 7);
        errand->id = "x";
        errand->id_bytes = 1;
        const rung_event event = {.kind = RUNG_EVENT_START, .now_s = rung_clock_s()};
        assert_int_equal(rung_request_step(&errand->visit.machine, &event), RUNG_ACTION_COMPUTE);
        rung_workers_submit(workers, errand);
        collect(workers, 1);
        check_answered(errand);
        score[i % 2] = i < 2 ? errand->visit.machine.score : score[i % 2];
        assert_true(errand->visit.machine.score == score[i % 2]);
    }
    rung_errand_free(errand);
    rung_workers_free(workers);
    rung_generation_free(generations[0]);
    rung_generation_free(generations[1]);
}

/* Renewing makes idle workers leave, and says so, so that the loop frees what was replaced. */
static void idle_workers_leave_an_old_generation(void **state)
{
    (void)state;
    rung_generation *old = open_model(TINY_MODEL, "0ms", 1);
    rung_generation *next = open_model(TINY_MODEL, "0ms", 2);
    rung_workers *workers = create(1, 1);
    rung_workers_renew(workers, old);
    rung_errand *errand = new_errand(old, "a film");
    rung_workers_submit(workers, errand);
    collect(workers, 1);
    rung_workers_renew(workers, next);
    while (atomic_load(&old->users) > 1) {
        await_wake(&box);
    }
    rung_errand_free(errand);
    rung_workers_free(workers);
    rung_generation_free(old);
    rung_generation_free(next);
}

/* A worker that waits for company holds its first batch back for long: what is queued then is estimated, and dropped at the end. */
static void a_full_queue_is_estimated_and_dropped(void **state)
{
    (void)state;
    rung_generation *generation = open_model(TINY_MODEL, "1s", 1);
    rung_errand *errands[8];
    rung_workers *workers = create(2, 1);
    for (size_t i = 0; i < 8; i++) {
        errands[i] = new_errand(generation, "a film");
        errands[i]->queued_s += 3600; /* the wait is of the test's making */
        errands[i]->text_bytes = 200;
        rung_workers_submit(workers, errands[i]);
    }
    assert_int_equal(rung_workers_queue_length(workers), 8);
    double wait_s = rung_workers_wait_s(workers);
    assert_true(wait_s > 0 && wait_s < 60);
    double one_s = rung_workers_done_s(workers, errands[0], 1);
    assert_true(one_s > wait_s);
    assert_true(rung_workers_done_s(workers, errands[0], 2) == one_s); /* there are two workers */
    assert_true(rung_workers_done_s(workers, errands[0], 3) > one_s);
    assert_null(rung_workers_collect(workers));
    rung_workers_free(workers);
    for (size_t i = 0; i < 8; i++) {
        assert_true(errands[i]->at_worker);
        assert_int_equal(errands[i]->actions, 0);
        rung_errand_free(errands[i]);
    }
    assert_int_equal(atomic_load(&generation->users), 1);
    rung_generation_free(generation);
}

/* Enough for a batch is computed at once, however long the wait. */
static void a_full_batch_does_not_wait(void **state)
{
    (void)state;
    rung_generation *generation = open_model(TINY_MODEL, "1s", 1);
    rung_errand *errands[3];
    rung_workers *workers = create(1, 1);
    generation->config.batch_max_tokens = 2 * rung_generation_model(generation)->config.max_tokens;
    for (size_t i = 0; i < 3; i++) {
        errands[i] = new_errand(generation, "a film");
        errands[i]->queued_s += 3600;
        errands[i]->text_bytes = 1000000; /* it costs as much as what the model reads of it */
        rung_workers_submit(workers, errands[i]);
    }
    collect(workers, 2);
    for (size_t i = 0; i < 2; i++) {
        check_answered(errands[i]);
    }
    assert_int_equal(rung_workers_queue_length(workers), 1); /* alone again */
    rung_workers_free(workers);
    for (size_t i = 0; i < 3; i++) {
        rung_errand_free(errands[i]);
    }
    rung_generation_free(generation);
}

/* What left its queue uncomputed took no time: as a measurement it would say that work is for free. */
static void what_was_not_computed_is_not_measured(void **state)
{
    (void)state;
    rung_generation *generation = open_model(TINY_MODEL, "1s", 1);
    generation->config.batch_max_tokens = 128; /* as many as those that are gone claim to have */
    rung_workers *workers = create(3, 8);
    rung_errand *waits = new_errand(generation, "a film");
    waits->queued_s += 3600;
    waits->text_bytes = 200;
    rung_workers_submit(workers, waits);
    double before_s = rung_workers_wait_s(workers);
    rung_workers_free(workers);
    workers = create(3, 8);
    for (size_t i = 0; i < 50; i++) {
        rung_errand *gone = new_errand(generation, "a film");
        atomic_store(&gone->cancelled, true);
        gone->text_bytes = 1000;
        rung_workers_submit(workers, gone);
        collect(workers, 1);
        rung_errand_free(gone);
    }
    rung_workers_submit(workers, waits);
    assert_true(rung_workers_wait_s(workers) == before_s);
    rung_workers_free(workers);
    rung_errand_free(waits);
    rung_generation_free(generation);
}

/* Each body is seen once, by the loop while its errand is computed or with the errand that is back. */
static void bodies_are_handed_out_while_their_errands_are_computed(void **state)
{
    (void)state;
    rung_generation *generation = open_generation((const char *const[]){"config", yaml_path, "level", "1", NULL}, 1);
    rung_policy policy = generation->policies[0];
    policy.offload.threshold[0] = 0;
    policy.offload.speculate[0] = 1;
    policy.exit.rule = RUNG_EXIT_OFF;
    rung_errand *errands[MANY];
    bool ahead[MANY] = {false};
    rung_workers *workers = create(3, 1);
    size_t back = 0;
    for (size_t i = 0; i < MANY; i++) {
        errands[i] =
            new_errand_under(generation, &policy, i % 2 ? "a film" : "it was good and long and not dull at all");
        errands[i]->queued_s = (double)i; /* no batch waits: to find it again */
        rung_workers_submit(workers, errands[i]);
    }
    while (back < MANY) {
        rung_errand *errand = rung_workers_collect_ahead(workers);
        for (; errand != NULL; errand = errand->next_ahead) {
            size_t i = (size_t)errand->queued_s;
            assert_true(errand->at_worker && !ahead[i]);
            assert_int_equal(strncmp(errand->body.data, "{\"key\":", 7), 0);
            ahead[i] = true;
        }
        errand = rung_workers_collect(workers);
        if (errand == NULL) {
            await_wake(&box);
        }
        for (; errand != NULL; errand = errand->next) {
            assert_int_equal(errand->status, RUNG_OK);
            assert_int_equal(errand->actions, RUNG_ACTION_ANSWER | RUNG_ACTION_CANCEL_UPSTREAM);
            assert_true(errand->unsent != ahead[(size_t)errand->queued_s]);
            errand->at_worker = false;
            back++;
        }
    }
    assert_null(rung_workers_collect_ahead(workers));
    for (size_t i = 0; i < MANY; i++) {
        rung_errand_free(errands[i]);
    }
    rung_workers_free(workers);
    rung_generation_free(generation);
}

/* A short errand that comes while a long one is computed. */
typedef struct visitor {
    rung_workers *workers;
    rung_errand *errand; /* NULL: submitted */
} visitor;

/* In the worker's thread, between two layers of the long one: its body is to go up. */
static void submit_between_layers(void *context)
{
    visitor *self = context;
    if (self->workers != NULL && rung_workers_collect_ahead(self->workers) != NULL) {
        rung_workers_submit(self->workers, self->errand);
    }
    wake(&box);
}

static void a_short_one_passes_a_long_one(void **state)
{
    (void)state;
    rung_error error;
    rung_generation *generation = open_generation((const char *const[]){"config", yaml_path, "level", "1", NULL}, 1);
    rung_policy policy = generation->policies[0];
    policy.offload.threshold[0] = 0;
    policy.offload.speculate[0] = 1;
    policy.exit.rule = RUNG_EXIT_OFF;
    policy.exit.first_layer = 1;
    policy.prune.enabled = false;
    char text[1001];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = i % 2 ? ' ' : 'a';
    }
    text[sizeof text - 1] = '\0';
    rung_errand *host = new_errand_under(generation, &policy, text);
    rung_errand *guest = new_errand(generation, "a film");
    host->queued_s += 1000; /* due later, however slow this machine is */
    visitor context = {.errand = guest};
    rung_workers *workers = NULL;
    assert_int_equal(rung_workers_create(1, 1, submit_between_layers, &context, &workers, &error), RUNG_OK);
    context.workers = workers;
    rung_workers_submit(workers, host);
    rung_errand *order[2] = {NULL, NULL};
    for (size_t have = 0; have < 2;) {
        rung_errand *errand = rung_workers_collect(workers);
        if (errand == NULL) {
            await_wake(&box);
        }
        for (; errand != NULL; errand = errand->next) {
            order[have++] = errand;
        }
    }
    assert_ptr_equal(order[0], guest);
    assert_ptr_equal(order[1], host);
    assert_int_equal(guest->status, RUNG_OK);
    assert_int_equal(host->status, RUNG_OK);
    rung_errand_free(host);
    rung_errand_free(guest);
    rung_workers_free(workers);
    assert_int_equal(atomic_load(&generation->users), 1);
    rung_generation_free(generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_errand_comes_back_once),
        cmocka_unit_test(what_nobody_waits_for_is_not_computed),
        cmocka_unit_test(generations_do_not_mix),
        cmocka_unit_test(variants_do_not_mix),
        cmocka_unit_test(an_errand_changes_its_generation),
        cmocka_unit_test(idle_workers_leave_an_old_generation),
        cmocka_unit_test(a_full_queue_is_estimated_and_dropped),
        cmocka_unit_test(a_full_batch_does_not_wait),
        cmocka_unit_test(what_was_not_computed_is_not_measured),
        cmocka_unit_test(a_short_one_passes_a_long_one),
        cmocka_unit_test(bodies_are_handed_out_while_their_errands_are_computed),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
