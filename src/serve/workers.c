/* workers.c: the queue and the threads behind it. See workers.h. */
#include "serve/workers.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_BATCH_ERRANDS 64
#define FIRST_COST_S_PER_BYTE 1e-5       /* until something was measured: 10 ms for 1,000 bytes */
#define COST_MEMORY 0.05                 /* weight of a new measurement */
#define SHORTEST_COST_BYTES ((size_t)64) /* of an errand: even a short text has its own costs */

typedef struct errand_list {
    rung_errand *first;
    rung_errand **last; /* where the next one is hung on */
    size_t count;
    size_t cost_bytes;
} errand_list;

struct worker;

/* Whom the batch tells that the exit that an errand watches was passed. */
typedef struct lookout {
    struct worker *worker;
    rung_errand *errand;
} lookout;

typedef struct worker {
    rung_workers *all;
    pthread_t thread;
    sem_t wake; /* a semaphore of its own: a condition variable costs one more system call, and wakes any of them */
    struct worker *next_idle;
    bool listed;                 /* among the idle */
    rung_generation *generation; /* that batch was made for; NULL: none yet */
    uint64_t tried;              /* serial of the last one that was made ready for ahead of its requests */
    rung_batch batch;
    rung_thread_pool *pool; /* that the layers of batch are shared with; NULL: none */
    rung_job *jobs[MAX_BATCH_ERRANDS];
    rung_errand *computing[MAX_BATCH_ERRANDS];
    lookout lookouts[MAX_BATCH_ERRANDS]; /* of those */
} worker;

struct rung_workers {
    void (*done)(void *context);
    void *context;
    pthread_mutex_t lock; /* of all below, but for what only the own worker touches */
    bool stopping;
    size_t idle;
    worker *idle_list; /* those that sleep, the last one to fall asleep first: its caches are warm */
    errand_list queue;
    errand_list finished;
    rung_errand *ahead; /* computed still; their bodies wait to be sent; the last one first */
    size_t computing_bytes;
    double cost_s_per_byte;   /* wall time of one worker */
    rung_generation *current; /* has users while it is here */
    size_t num_workers;
    worker *workers; /* [num_workers] */
};

static void list_init(errand_list *list)
{
    *list = (errand_list){.last = &list->first};
}

static void list_push(errand_list *list, rung_errand *errand)
{
    errand->next = NULL;
    *list->last = errand;
    list->last = &errand->next;
    list->count++;
    list->cost_bytes += errand->cost_bytes;
}

static rung_errand *list_pop(errand_list *list)
{
    rung_errand *errand = list->first;
    list->first = errand->next;
    list->last = list->first == NULL ? &list->first : list->last;
    list->count--;
    list->cost_bytes -= errand->cost_bytes;
    return errand;
}

static uint32_t importance_layers(const rung_errand *errand)
{
    return rung_visit_importance_layers(errand->visit.cascade, errand->visit.policy, errand->visit.level);
}

/* There is one model a batch, one number of layers that give the importance, and one variant. */
static bool go_together(const rung_errand *a, const rung_errand *b)
{
    return a->generation == b->generation && importance_layers(a) == importance_layers(b) &&
           rung_variant_equal(&a->visit.policy->variant, &b->visit.policy->variant);
}

/* Takes a fair share of what waits, so that idle workers get some as well: what fits into one batch and belongs together. */
static size_t take_batch(rung_workers *all, worker *self, size_t num_idle)
{
    size_t share = (all->queue.count + num_idle) / (num_idle + 1);
    size_t bytes = 0;
    size_t count = 0;
    while (all->queue.first != NULL && count < share && count < MAX_BATCH_ERRANDS) {
        rung_errand *next = all->queue.first;
        bool fits = (bytes + next->cost_bytes) / RUNG_BYTES_PER_TOKEN <= next->generation->config.batch_max_tokens;
        if (count > 0 && (!fits || !go_together(next, self->computing[0]))) {
            break;
        }
        bytes += next->cost_bytes;
        self->computing[count++] = list_pop(&all->queue);
    }
    all->computing_bytes += bytes;
    return count;
}

static void leave_generation(worker *self)
{
    if (self->generation != NULL) {
        rung_batch_deinit(&self->batch);
        rung_generation_leave(self->generation);
        self->generation = NULL;
    }
}

/* A batch for the model of this generation. */
static rung_status enter_generation(worker *self, rung_generation *generation, rung_error *error)
{
    if (self->generation == generation) {
        return RUNG_OK;
    }
    leave_generation(self);
    const rung_model *model = rung_generation_model(generation);
    size_t tokens = generation->config.batch_max_tokens;
    tokens = tokens > model->config.max_tokens ? tokens : model->config.max_tokens;
    rung_status status =
        rung_batch_init(&self->batch, model, generation->cascade->kernels, tokens, MAX_BATCH_ERRANDS, error);
    if (status == RUNG_OK) {
        status = rung_batch_share(&self->batch, self->pool, error);
        if (status != RUNG_OK) {
            rung_batch_deinit(&self->batch);
        }
    }
    if (status == RUNG_OK) {
        rung_generation_use(generation);
        self->generation = generation;
    }
    return status;
}

/* Between two layers of the batch: the loop may send the body of one of its errands. */
static void look_ahead(void *context, rung_job *job)
{
    (void)job;
    const lookout *self = context;
    rung_workers *all = self->worker->all;
    if (!rung_errand_watched(self->errand, rung_clock_s())) {
        return;
    }
    pthread_mutex_lock(&all->lock);
    self->errand->next_ahead = all->ahead;
    all->ahead = self->errand;
    pthread_mutex_unlock(&all->lock);
    all->done(all->context);
}

static void run(worker *self, size_t num_jobs)
{
    const rung_errand *first = self->computing[0];
    rung_batch_run(&self->batch, self->jobs, num_jobs, importance_layers(first), &first->visit.policy->variant);
}

/* Returns the cost of what ran to its end: what left uncomputed took no time, and says nothing of what work costs. */
static size_t compute(worker *self, size_t count)
{
    rung_error error;
    rung_status ready = enter_generation(self, self->computing[0]->generation, &error);
    double now_s = rung_clock_s();
    bool runs[MAX_BATCH_ERRANDS];
    size_t num_jobs = 0;
    for (size_t i = 0; i < count; i++) {
        rung_errand *errand = self->computing[i];
        if (ready != RUNG_OK) {
            errand->status = ready;
            errand->error = error;
        }
        runs[i] = ready == RUNG_OK && rung_errand_read(errand, now_s);
        if (runs[i]) {
            self->lookouts[i] = (lookout){self, errand};
            errand->visit.job.on_watch = look_ahead;
            errand->visit.job.watch_context = &self->lookouts[i];
            self->jobs[num_jobs++] = &errand->visit.job;
        }
    }
    if (num_jobs > 0) {
        run(self, num_jobs);
    }
    size_t bytes = 0;
    now_s = rung_clock_s();
    for (size_t i = 0; i < count; i++) {
        if (runs[i]) {
            bytes += self->computing[i]->visit.job.exit_layer > 0 ? self->computing[i]->cost_bytes : 0;
            rung_errand_computed(self->computing[i], now_s);
        }
    }
    return bytes;
}

/* Takes a sleeping worker off the list, to be woken without the lock; NULL: none sleeps. */
static worker *call_idle(rung_workers *all)
{
    worker *called = all->idle_list;
    if (called != NULL) {
        all->idle_list = called->next_idle;
        called->listed = false;
    }
    return called;
}

static void wake(worker *called)
{
    if (called != NULL) {
        sem_post(&called->wake);
    }
}

static void wake_all(rung_workers *all)
{
    for (size_t i = 0; i < all->num_workers; i++) {
        wake(&all->workers[i]);
    }
}

static void delist(worker *self)
{
    worker **at = &self->all->idle_list;
    while (*at != self) {
        at = &(*at)->next_idle;
    }
    *at = self->next_idle;
    self->listed = false;
}

/* wait_s infinite: without limit. May return early. */
static void wait_for_work(worker *self, double wait_s)
{
    rung_workers *all = self->all;
    self->next_idle = all->idle_list;
    self->listed = true;
    all->idle_list = self;
    pthread_mutex_unlock(&all->lock);
    if (isinf(wait_s)) {
        sem_wait(&self->wake);
    } else {
        double until_s = rung_clock_s() + wait_s;
        struct timespec until = {.tv_sec = (time_t)until_s, .tv_nsec = (long)((until_s - floor(until_s)) * 1e9)};
        sem_clockwait(&self->wake, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_lock(&all->lock);
    if (self->listed) {
        delist(self);
    }
}

/* How long what waits may still wait for company; 0: it goes now. Asked again after every wait: meanwhile another worker may have taken it. */
static double company_wait_s(const rung_workers *all)
{
    const rung_errand *first = all->queue.first;
    if (first == NULL) {
        return INFINITY;
    }
    const rung_node_config *config = &first->generation->config;
    if (config->batch_max_wait_s <= 0 || all->queue.cost_bytes / RUNG_BYTES_PER_TOKEN >= config->batch_max_tokens) {
        return 0;
    }
    return fmax(first->queued_s + config->batch_max_wait_s - rung_clock_s(), 0);
}

/* Makes ready for the current generation, so that its first request need not wait for the memory of a batch, and lets go of the one that was
 * replaced: the loop is told, and may free it. False when there is nothing to do. */
static bool follow_current(worker *self)
{
    rung_workers *all = self->all;
    rung_generation *current = all->current;
    if (current == NULL || self->generation == current || self->tried == current->serial) {
        return false;
    }
    self->tried = current->serial; /* without memory now, a request tries again */
    rung_generation_use(current);
    pthread_mutex_unlock(&all->lock);
    rung_status status = enter_generation(self, current, NULL);
    (void)status;
    rung_generation_leave(current);
    all->done(all->context);
    pthread_mutex_lock(&all->lock);
    return true;
}

/* Blocks until there is an errand or the end. A batch that is not full may wait for company. */
static void await_errands(worker *self)
{
    rung_workers *all = self->all;
    all->idle++;
    while (!all->stopping) {
        double wait_s = company_wait_s(all);
        if (wait_s <= 0) {
            break;
        }
        if (isfinite(wait_s) || !follow_current(self)) {
            wait_for_work(self, wait_s);
        }
    }
    all->idle--;
}

/* Under the lock: the errand leaves the list of those that ask ahead. False: it was not there, or the loop has it. */
static bool forget_ahead(rung_workers *all, rung_errand *errand)
{
    rung_errand **at = &all->ahead;
    while (*at != NULL && *at != errand) {
        at = &(*at)->next_ahead;
    }
    bool found = *at != NULL;
    if (found) {
        *at = errand->next_ahead;
    }
    return found;
}

/* computed_bytes: the part of the batch that took the time. */
static void give_back(worker *self, size_t count, size_t computed_bytes, double seconds)
{
    rung_workers *all = self->all;
    for (size_t i = 0; i < count; i++) {
        self->computing[i]->unsent = forget_ahead(all, self->computing[i]);
        all->computing_bytes -= self->computing[i]->cost_bytes;
        list_push(&all->finished, self->computing[i]);
    }
    if (computed_bytes > 0) {
        all->cost_s_per_byte += COST_MEMORY * (seconds / (double)computed_bytes - all->cost_s_per_byte);
    }
}

static void *work(void *argument)
{
    worker *self = argument;
    rung_workers *all = self->all;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        await_errands(self);
        if (all->stopping) {
            break;
        }
        size_t count = take_batch(all, self, all->idle);
        if (count == 0) {
            continue;
        }
        /* Who was called for the rest may have waited for company here. */
        worker *called = all->queue.first != NULL ? call_idle(all) : NULL;
        pthread_mutex_unlock(&all->lock);
        wake(called);
        double started_s = rung_clock_s();
        size_t bytes = compute(self, count);
        double seconds = rung_clock_s() - started_s;
        pthread_mutex_lock(&all->lock);
        give_back(self, count, bytes, seconds);
        pthread_mutex_unlock(&all->lock);
        all->done(all->context);
        pthread_mutex_lock(&all->lock);
    }
    leave_generation(self);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static rung_status start_worker(rung_workers *all, size_t threads_per_text, rung_error *error)
{
    worker *next = &all->workers[all->num_workers];
    next->all = all;
    if (threads_per_text > 1) {
        rung_status status = rung_thread_pool_create(threads_per_text, &next->pool, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    sem_init(&next->wake, 0, 0);
    int code = pthread_create(&next->thread, NULL, work, next);
    if (code != 0) {
        sem_destroy(&next->wake);
        rung_thread_pool_free(next->pool);
        return rung_fail(error, RUNG_IO, "cannot start a thread: %s", strerror(code));
    }
    all->num_workers++;
    return RUNG_OK;
}

rung_status rung_workers_create(size_t threads, size_t threads_per_text, void (*done)(void *context), void *context,
                                rung_workers **workers, rung_error *error)
{
    rung_workers *made = rung_alloc(1, sizeof *made, "workers", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t num_workers = threads_per_text < threads ? threads / threads_per_text : 1;
    size_t helpers = threads_per_text < threads ? threads_per_text : threads;
    made->workers = rung_alloc(num_workers, sizeof *made->workers, "workers", error);
    if (made->workers == NULL) {
        free(made);
        return RUNG_NO_MEMORY;
    }
    pthread_mutex_init(&made->lock, NULL);
    rung_status status = RUNG_OK;
    made->done = done;
    made->context = context;
    made->cost_s_per_byte = FIRST_COST_S_PER_BYTE;
    list_init(&made->queue);
    list_init(&made->finished);
    while (status == RUNG_OK && made->num_workers < num_workers) {
        status = start_worker(made, helpers, error);
    }
    if (made->num_workers > 0) {
        status = RUNG_OK; /* the system refuses more: fewer do the work */
    }
    if (status != RUNG_OK) {
        rung_workers_free(made);
        return status;
    }
    *workers = made;
    return RUNG_OK;
}

void rung_workers_free(rung_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_mutex_unlock(&workers->lock);
    wake_all(workers);
    for (size_t i = 0; i < workers->num_workers; i++) {
        pthread_join(workers->workers[i].thread, NULL);
        sem_destroy(&workers->workers[i].wake);
        rung_thread_pool_free(workers->workers[i].pool);
    }
    pthread_mutex_destroy(&workers->lock);
    free(workers->workers);
    free(workers);
}

/* What is cut off before the model reads it costs next to nothing. */
static size_t cost_of(const rung_errand *errand)
{
    size_t most = rung_generation_model(errand->generation)->config.max_tokens * RUNG_BYTES_PER_TOKEN;
    size_t bytes = errand->text_bytes < most ? errand->text_bytes : most;
    return bytes > SHORTEST_COST_BYTES ? bytes : SHORTEST_COST_BYTES;
}

void rung_workers_submit(rung_workers *workers, rung_errand *errand)
{
    errand->at_worker = true;
    errand->cost_bytes = cost_of(errand);
    pthread_mutex_lock(&workers->lock);
    list_push(&workers->queue, errand);
    worker *called = call_idle(workers);
    pthread_mutex_unlock(&workers->lock);
    wake(called);
}

rung_errand *rung_workers_collect(rung_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    rung_errand *first = workers->finished.first;
    list_init(&workers->finished);
    pthread_mutex_unlock(&workers->lock);
    return first;
}

rung_errand *rung_workers_collect_ahead(rung_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    rung_errand *first = workers->ahead;
    workers->ahead = NULL;
    pthread_mutex_unlock(&workers->lock);
    return first;
}

/* Under the lock. */
static double estimate_wait_s(const rung_workers *workers)
{
    double bytes = (double)(workers->queue.cost_bytes + workers->computing_bytes);
    return workers->queue.cost_bytes == 0 && workers->idle > 0
               ? 0
               : bytes * workers->cost_s_per_byte / (double)workers->num_workers;
}

double rung_workers_wait_s(rung_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    double estimate_s = estimate_wait_s(workers);
    pthread_mutex_unlock(&workers->lock);
    return estimate_s;
}

double rung_workers_done_s(rung_workers *workers, const rung_errand *errand, size_t count)
{
    size_t in_a_row = (count + workers->num_workers - 1) / workers->num_workers;
    pthread_mutex_lock(&workers->lock);
    double estimate_s = estimate_wait_s(workers) + (double)(in_a_row * cost_of(errand)) * workers->cost_s_per_byte;
    pthread_mutex_unlock(&workers->lock);
    return estimate_s;
}

size_t rung_workers_queue_length(rung_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    size_t length = workers->queue.count;
    pthread_mutex_unlock(&workers->lock);
    return length;
}

void rung_workers_renew(rung_workers *workers, rung_generation *current)
{
    pthread_mutex_lock(&workers->lock);
    workers->current = current;
    pthread_mutex_unlock(&workers->lock);
    wake_all(workers);
}
