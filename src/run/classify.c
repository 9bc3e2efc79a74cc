/* classify.c: many inputs on several workers: rung_cascade_classify. Each worker takes the next wave of inputs until none is left, so answers do not
 * depend on who computed them. */
#include "base/memory.h"
#include "base/parallel.h"
#include "run/driver.h"

#include <stdatomic.h>
#include <stdlib.h>

struct rung_answers {
    size_t count;
    rung_answer *answers; /* [count] */
    void **blocks;        /* [count] */
};

/* One classify call, shared by its workers. */
typedef struct call {
    const rung_cascade *cascade;
    const rung_policy *policy;
    const rung_input *inputs;
    size_t count;
    size_t wave;
    size_t threads_per_text;
    rung_answers *answers;
    const rung_progress *progress;
    atomic_size_t next;   /* first input that nobody took */
    pthread_mutex_t lock; /* of what is below */
    size_t done;
    rung_status status;
    rung_error error;
} call;

static rung_status acquire_worker(const rung_cascade *cascade, rung_worker **worker, rung_error *error)
{
    rung_cascade *pool =
        (rung_cascade *)(uintptr_t)cascade; /* the pool is the one part that changes; it has its lock */
    *worker = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->num_idle > 0) {
        *worker = pool->idle[--pool->num_idle];
    }
    pthread_mutex_unlock(&pool->lock);
    return *worker != NULL ? RUNG_OK : rung_worker_create(cascade, worker, error);
}

static void release_worker(const rung_cascade *cascade, rung_worker *worker)
{
    rung_cascade *pool = (rung_cascade *)(uintptr_t)cascade;
    pthread_mutex_lock(&pool->lock);
    bool kept = pool->num_idle < RUNG_MAX_THREADS;
    if (kept) {
        pool->idle[pool->num_idle++] = worker;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!kept) {
        rung_worker_free(worker);
    }
}

static void fail_call(call *shared, rung_status status, const rung_error *error)
{
    pthread_mutex_lock(&shared->lock);
    if (shared->status == RUNG_OK) {
        shared->status = status;
        shared->error = *error;
    }
    pthread_mutex_unlock(&shared->lock);
    atomic_store(&shared->next, shared->count); /* the others stop after their wave */
}

static void report_done(call *shared, size_t count)
{
    pthread_mutex_lock(&shared->lock);
    shared->done += count;
    rung_progress_report(shared->progress, shared->policy->name, shared->done, shared->count);
    pthread_mutex_unlock(&shared->lock);
}

static void work(void *context, size_t index)
{
    (void)index;
    call *shared = context;
    rung_error error = {0};
    rung_worker *worker;
    rung_status status = acquire_worker(shared->cascade, &worker, &error);
    if (status != RUNG_OK) {
        fail_call(shared, status, &error);
        return;
    }
    status = rung_worker_share(worker, shared->threads_per_text, &error);
    if (status != RUNG_OK) {
        fail_call(shared, status, &error);
    }
    while (status == RUNG_OK) {
        size_t first = atomic_fetch_add(&shared->next, shared->wave);
        if (first >= shared->count) {
            break;
        }
        size_t left = shared->count - first;
        size_t count = left < shared->wave ? left : shared->wave;
        status = rung_worker_drive(worker, shared->policy, shared->inputs + first, count, first,
                                   shared->answers->answers + first, shared->answers->blocks + first, &error);
        if (status != RUNG_OK) {
            fail_call(shared, status, &error);
        } else {
            report_done(shared, count);
        }
    }
    release_worker(shared->cascade, worker);
}

/* Small calls are spread over the threads, large ones go in full waves. */
static size_t wave_size(const rung_cascade *cascade, size_t count)
{
    size_t wave = (count + cascade->threads - 1) / cascade->threads;
    size_t most = cascade->batch_texts == 0 || cascade->batch_texts > RUNG_WAVE ? RUNG_WAVE : cascade->batch_texts;
    return wave < 1 ? 1 : wave > most ? most : wave;
}

rung_status rung_cascade_classify_policy(const rung_cascade *cascade, const rung_policy *policy,
                                         const rung_input *inputs, size_t count, const rung_progress *progress,
                                         rung_answers **answers, rung_error *error)
{
    rung_answers *made = rung_alloc(1, sizeof *made, "answers", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->answers = rung_alloc(count, sizeof *made->answers, "answers", error);
    made->blocks = rung_alloc(count, sizeof *made->blocks, "answers", error);
    made->count = count;
    rung_status status = made->answers == NULL || made->blocks == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK && count > 0) {
        call shared = {.cascade = cascade,
                       .policy = policy,
                       .inputs = inputs,
                       .count = count,
                       .progress = progress,
                       .wave = wave_size(cascade, count),
                       .answers = made,
                       .status = RUNG_OK};
        pthread_mutex_init(&shared.lock, NULL);
        size_t waves = (count + shared.wave - 1) / shared.wave;
        size_t workers = cascade->threads < waves ? cascade->threads : waves;
        size_t free_threads = cascade->threads / workers;
        size_t most = cascade->threads_per_text;
        shared.threads_per_text = most == 0 || free_threads < most ? free_threads : most;
        rung_parallel(workers, work, &shared);
        pthread_mutex_destroy(&shared.lock);
        status = shared.status;
        if (status != RUNG_OK && error != NULL) {
            *error = shared.error;
        }
    }
    if (status != RUNG_OK) {
        rung_answers_free(made);
        return status;
    }
    *answers = made;
    return RUNG_OK;
}

rung_status rung_cascade_classify(const rung_cascade *cascade, const rung_input *inputs, size_t count,
                                  rung_answers **answers, rung_error *error)
{
    return rung_cascade_classify_policy(cascade, &cascade->policy, inputs, count, NULL, answers, error);
}

size_t rung_answers_count(const rung_answers *answers)
{
    return answers->count;
}

const rung_answer *rung_answers_get(const rung_answers *answers, size_t index)
{
    return index < answers->count ? &answers->answers[index] : NULL;
}

void rung_answers_free(rung_answers *answers)
{
    if (answers == NULL) {
        return;
    }
    for (size_t i = 0; answers->blocks != NULL && i < answers->count; i++) {
        free(answers->blocks[i]);
    }
    free(answers->blocks);
    free(answers->answers);
    free(answers);
}
