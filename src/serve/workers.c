/* workers.c: the queue and the threads behind it. See workers.h. */
#include "serve/workers.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "serve/backlog.h"
#include "serve/seat.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUEST_SHARE 4                    /* a guest takes at most a quarter of what its host still has to do */
#define GUESTS_SHARE 2                   /* all guests of a batch take at most half of what it takes itself */
#define FIRST_COST_S_PER_BYTE 1e-5       /* until something was measured: 10 ms for 1,000 bytes */
#define COST_MEMORY 0.05                 /* weight of a new measurement */
#define SHORTEST_COST_BYTES ((size_t)64) /* of an errand: even a short text has its own costs */

typedef struct worker {
    rung_workers *all;
    pthread_t thread;
    sem_t wake; /* a semaphore of its own: a condition variable costs one more system call, and wakes any of them */
    struct worker *next_idle;
    bool listed;            /* among the idle */
    uint64_t tried;         /* serial of the last one that was made ready for ahead of its requests */
    rung_thread_pool *pool; /* NULL: none */
    rung_seat seat;
    rung_seat guest_seat; /* for short errands that pass the batch between its layers */
    double host_work_s;   /* estimate of what is in `seat`, when it was taken */
    double guests_work_s; /* estimate of those that passed it */
    double guests_s;      /* what they took */
} worker;

struct rung_workers {
    void (*done)(void *context);
    void *context;
    pthread_mutex_t lock; /* of all below, but for what only the own worker touches */
    bool stopping;
    size_t idle;
    worker *idle_list; /* those that sleep, the last one to fall asleep first: its caches are warm */
    rung_backlog queue;
    rung_errand *finished;       /* in order */
    rung_errand **last_finished; /* where the next one is hung on */
    rung_errand *ahead;          /* computed still; their bodies wait to be sent; the last one first */
    size_t computing_bytes;
    double cost_s_per_byte;   /* wall time of one worker */
    rung_generation *current; /* has users while it is here */
    size_t num_workers;
    worker *workers; /* [num_workers] */
};

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

/* Moves what is due first into the seat: what fits into one batch, belongs together, and is not estimated to take longer than a batch may (but one errand always
 * goes), at most `most` of them. */
static size_t take(rung_workers *all, rung_seat *seat, size_t most)
{
    size_t bytes = 0;
    size_t count = 0;
    most = most < RUNG_SEAT_ERRANDS ? most : RUNG_SEAT_ERRANDS;
    for (rung_errand *next = rung_backlog_first(&all->queue); next != NULL && count < most;
         next = rung_backlog_first(&all->queue)) {
        const rung_node_config *config = &next->generation->config;
        size_t with_it = bytes + next->cost_bytes;
        bool fits = with_it / RUNG_BYTES_PER_TOKEN <= config->batch_max_tokens &&
                    (double)with_it * all->cost_s_per_byte <= config->batch_max_time_s;
        if (count > 0 && (!fits || !go_together(next, seat->errands[0]))) {
            break;
        }
        bytes = with_it;
        seat->errands[count++] = rung_backlog_pop(&all->queue);
    }
    all->computing_bytes += bytes;
    return count;
}

static size_t cost_of_seat(const rung_seat *seat, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += seat->errands[i]->cost_bytes;
    }
    return bytes;
}

/* Takes a fair share of what waits, so that idle workers get some as well. */
static size_t take_batch(rung_workers *all, worker *self, size_t num_idle)
{
    size_t count = take(all, &self->seat, (all->queue.count + num_idle) / (num_idle + 1));
    self->host_work_s = (double)cost_of_seat(&self->seat, count) * all->cost_s_per_byte;
    self->guests_work_s = 0;
    self->guests_s = 0;
    return count;
}

/* Whether what is due first may pass the batch: it is due before any of those in it, short against what the batch still has to do, and the batch has not
 * made way too often. */
static bool is_guest(const worker *self, const rung_errand *errand, uint32_t layers_left)
{
    const rung_errand *host = self->seat.errands[0];
    if (errand == NULL || errand->due_s >= host->due_s || errand->generation != host->generation) {
        return false;
    }
    size_t layers = rung_generation_model(host->generation)->config.num_layers;
    double work_s = (double)errand->cost_bytes * self->all->cost_s_per_byte;
    double left_s = self->host_work_s * layers_left / (double)layers;
    return GUEST_SHARE * work_s <= left_s && GUESTS_SHARE * (self->guests_work_s + work_s) <= self->host_work_s;
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
    const rung_errand *first = rung_backlog_first(&all->queue);
    if (first == NULL) {
        return INFINITY;
    }
    const rung_node_config *config = &first->generation->config;
    if (config->batch_max_wait_s <= 0 || all->queue.cost_bytes / RUNG_BYTES_PER_TOKEN >= config->batch_max_tokens) {
        return 0;
    }
    return fmax(all->queue.since_s + config->batch_max_wait_s - rung_clock_s(), 0);
}

/* Makes ready for the current generation, so that its first request need not wait for the memory of a batch, and lets go of the one that was
 * replaced: the loop is told, and may free it. False when there is nothing to do. */
static bool follow_current(worker *self)
{
    rung_workers *all = self->all;
    rung_generation *current = all->current;
    const rung_generation *of_guests = self->guest_seat.generation;
    bool behind = current != NULL && self->seat.generation != current && self->tried != current->serial;
    bool guests_behind = current != NULL && of_guests != NULL && of_guests != current;
    if (!behind && !guests_behind) {
        return false;
    }
    self->tried = current->serial; /* without memory now, a request tries again */
    rung_generation_use(current);
    pthread_mutex_unlock(&all->lock);
    rung_status status = rung_seat_enter(&self->seat, current, NULL);
    (void)status;
    if (guests_behind) {
        rung_seat_leave(&self->guest_seat);
    }
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
static void give_back(rung_workers *all, const rung_seat *seat, size_t count, size_t computed_bytes, double seconds)
{
    for (size_t i = 0; i < count; i++) {
        rung_errand *errand = seat->errands[i];
        errand->unsent = forget_ahead(all, errand);
        errand->next = NULL;
        *all->last_finished = errand;
        all->last_finished = &errand->next;
    }
    all->computing_bytes -= cost_of_seat(seat, count);
    if (computed_bytes > 0) {
        all->cost_s_per_byte += COST_MEMORY * (seconds / (double)computed_bytes - all->cost_s_per_byte);
    }
}

/* A worker's errand watched an exit, and its body is to go up. */
static void go_ahead(void *context, rung_errand *errand)
{
    rung_workers *all = context;
    pthread_mutex_lock(&all->lock);
    errand->next_ahead = all->ahead;
    all->ahead = errand;
    pthread_mutex_unlock(&all->lock);
    all->done(all->context);
}

/* Between two layers of the batch: short errands that are due sooner pass it. */
static bool let_guests_pass(void *context, uint32_t layers_left)
{
    worker *self = context;
    rung_workers *all = self->all;
    size_t count = 0;
    pthread_mutex_lock(&all->lock);
    if (!all->stopping && is_guest(self, rung_backlog_first(&all->queue), layers_left)) {
        count = take(all, &self->guest_seat, 1);
    }
    pthread_mutex_unlock(&all->lock);
    if (count == 0) {
        return false;
    }
    double started_s = rung_clock_s();
    size_t bytes = rung_seat_compute(&self->guest_seat, count, NULL);
    double seconds = rung_clock_s() - started_s;
    pthread_mutex_lock(&all->lock);
    self->guests_work_s += (double)cost_of_seat(&self->guest_seat, count) * all->cost_s_per_byte;
    give_back(all, &self->guest_seat, count, bytes, seconds);
    pthread_mutex_unlock(&all->lock);
    all->done(all->context);
    self->guests_s += rung_clock_s() - started_s;
    return true;
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
        worker *called = rung_backlog_first(&all->queue) != NULL ? call_idle(all) : NULL;
        pthread_mutex_unlock(&all->lock);
        wake(called);
        double started_s = rung_clock_s();
        size_t bytes = rung_seat_compute(&self->seat, count, &(rung_between){let_guests_pass, self});
        double seconds = rung_clock_s() - started_s - self->guests_s;
        pthread_mutex_lock(&all->lock);
        give_back(all, &self->seat, count, bytes, seconds);
        pthread_mutex_unlock(&all->lock);
        all->done(all->context);
        pthread_mutex_lock(&all->lock);
    }
    pthread_mutex_unlock(&all->lock);
    rung_seat_leave(&self->seat);
    rung_seat_leave(&self->guest_seat);
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
    next->seat = (rung_seat){.pool = next->pool, .ahead = go_ahead, .context = all};
    next->guest_seat = next->seat;
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
    made->last_finished = &made->finished;
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
    rung_backlog_push(&workers->queue, errand, (double)errand->cost_bytes * workers->cost_s_per_byte);
    worker *called = call_idle(workers);
    pthread_mutex_unlock(&workers->lock);
    wake(called);
}

rung_errand *rung_workers_collect(rung_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    rung_errand *first = workers->finished;
    workers->finished = NULL;
    workers->last_finished = &workers->finished;
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
