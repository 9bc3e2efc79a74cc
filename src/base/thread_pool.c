/* thread_pool.c: threads that stay. See thread_pool.h.
 * A run is published by one store to `left`, the number of tasks that nobody took, behind the fields that describe it. A
 * thread takes a task by counting `left` down with a compare-and-swap: if that succeeds, the run it belongs to cannot end before this task has,
 * so that its fields are read only afterwards, and a thread that slept through a run can do no harm. */
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Longer than the gap between two runs of one layer, shorter than what a sleep and a call cost. */
#define SPIN_S 20e-6
#define SPINS_PER_CLOCK 64

typedef struct helper {
    rung_thread_pool *pool;
    pthread_t thread;
    size_t index; /* 1 .. threads-1 */
} helper;

struct rung_thread_pool {
    size_t threads;
    bool spins;
    /* The run; written by its caller while left and unfinished are 0. */
    void (*work)(void *context, size_t task, size_t thread);
    void *context;
    size_t tasks;
    _Alignas(RUNG_ALIGNMENT) atomic_size_t left; /* tasks that nobody took */
    atomic_bool stopping;
    atomic_size_t sleepers;                            /* helpers that wait on `called`, or are about to */
    _Alignas(RUNG_ALIGNMENT) atomic_size_t unfinished; /* tasks that are not done */
    atomic_bool caller_sleeps;
    pthread_mutex_t lock; /* of the two conditions */
    pthread_cond_t called;
    pthread_cond_t finished;
    helper helpers[]; /* [threads - 1] */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool has_call(rung_thread_pool *pool)
{
    return atomic_load(&pool->left) > 0 || atomic_load(&pool->stopping);
}

static bool is_finished(rung_thread_pool *pool)
{
    return atomic_load(&pool->unfinished) == 0;
}

/* True when it came in time. */
static bool spin(rung_thread_pool *pool, bool (*came)(rung_thread_pool *pool))
{
    double until_s = pool->spins ? rung_clock_s() + SPIN_S : 0;
    do {
        for (size_t i = 0; i < SPINS_PER_CLOCK; i++) {
            if (came(pool)) {
                return true;
            }
            relax();
        }
    } while (pool->spins && rung_clock_s() < until_s);
    return false;
}

/* Both sides store first and look afterwards, in one order for all: a helper that misses the call is seen as a sleeper. */
static void await_call(rung_thread_pool *pool)
{
    if (spin(pool, has_call)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_call(pool)) {
        pthread_cond_wait(&pool->called, &pool->lock);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void call_helpers(rung_thread_pool *pool)
{
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->called);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void await_finished(rung_thread_pool *pool)
{
    if (spin(pool, is_finished)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!is_finished(pool)) {
        pthread_cond_wait(&pool->finished, &pool->lock);
    }
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void finish_task(rung_thread_pool *pool)
{
    if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void take_tasks(rung_thread_pool *pool, size_t thread)
{
    size_t left = atomic_load(&pool->left);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&pool->left, &left, left - 1)) {
            pool->work(pool->context, pool->tasks - left, thread);
            finish_task(pool);
            left = atomic_load(&pool->left);
        }
    }
}

static void *run_helper(void *argument)
{
    helper *self = argument;
    rung_thread_pool *pool = self->pool;
    while (!atomic_load(&pool->stopping)) {
        await_call(pool);
        take_tasks(pool, self->index);
    }
    return NULL;
}

rung_status rung_thread_pool_create(size_t threads, rung_thread_pool **pool, rung_error *error)
{
    if (threads < 1 || threads > RUNG_MAX_THREADS) {
        return rung_fail(error, RUNG_LIMIT, "a pool of %zu threads: 1 to %d are possible", threads, RUNG_MAX_THREADS);
    }
    size_t bytes = sizeof(rung_thread_pool) + (threads - 1) * sizeof(helper);
    rung_thread_pool *made = rung_alloc_aligned(bytes, 1, "thread pool", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->threads = 1;
    made->spins = threads <= rung_processor_count();
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->called, NULL);
    pthread_cond_init(&made->finished, NULL);
    for (; made->threads < threads; made->threads++) {
        helper *next = &made->helpers[made->threads - 1];
        *next = (helper){.pool = made, .index = made->threads};
        if (pthread_create(&next->thread, NULL, run_helper, next) != 0) {
            break;
        }
    }
    *pool = made;
    return RUNG_OK;
}

void rung_thread_pool_free(rung_thread_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->stopping, true);
    call_helpers(pool);
    for (size_t i = 0; i + 1 < pool->threads; i++) {
        pthread_join(pool->helpers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->called);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

size_t rung_thread_pool_threads(const rung_thread_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}

void rung_thread_pool_run(rung_thread_pool *pool, void (*work)(void *context, size_t task, size_t thread),
                          void *context, size_t tasks)
{
    if (pool == NULL || pool->threads == 1 || tasks < 2) {
        for (size_t task = 0; task < tasks; task++) {
            work(context, task, 0);
        }
        return;
    }
    pool->work = work;
    pool->context = context;
    pool->tasks = tasks;
    atomic_store(&pool->unfinished, tasks);
    atomic_store(&pool->left, tasks);
    call_helpers(pool);
    take_tasks(pool, 0);
    await_finished(pool);
}
