/* driver.c: waves of requests through all levels in one process. See driver.h. */
#include "run/driver.h"

#include "base/memory.h"
#include "run/flight.h"

#include <assert.h>
#include <stdlib.h>

struct rung_worker {
    const rung_cascade *cascade;
    size_t threads;         /* that the layers run on */
    rung_thread_pool *pool; /* NULL: none yet */
    size_t pool_threads;    /* that it was made for */
    rung_batch batch[RUNG_MAX_LEVELS];
    rung_flight flights[RUNG_WAVE];
    rung_job *jobs[RUNG_WAVE];
    rung_flight *computing[RUNG_WAVE];
};

rung_status rung_worker_create(const rung_cascade *cascade, rung_worker **worker, rung_error *error)
{
    rung_worker *made = rung_alloc(1, sizeof *made, "worker", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->cascade = cascade;
    made->threads = 1;
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        const rung_model *model = cascade->level[l].model;
        size_t longest = model->config.max_tokens;
        size_t tokens = cascade->batch_tokens > longest ? cascade->batch_tokens : longest;
        size_t texts = cascade->batch_texts > 0 && cascade->batch_texts < RUNG_WAVE ? cascade->batch_texts : RUNG_WAVE;
        status = rung_batch_init(&made->batch[l], model, cascade->kernels, tokens, texts, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < RUNG_WAVE; i++) {
        status = rung_flight_init(&made->flights[i], cascade, error);
    }
    if (status != RUNG_OK) {
        rung_worker_free(made);
        return status;
    }
    *worker = made;
    return RUNG_OK;
}

void rung_worker_free(rung_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    for (uint32_t l = 0; l < worker->cascade->num_levels; l++) {
        rung_batch_deinit(&worker->batch[l]);
    }
    for (size_t i = 0; i < RUNG_WAVE; i++) {
        rung_flight_deinit(&worker->flights[i]);
    }
    rung_thread_pool_free(worker->pool);
    free(worker);
}

static rung_status share_batches(rung_worker *worker, rung_thread_pool *pool, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < worker->cascade->num_levels; l++) {
        status = rung_batch_share(&worker->batch[l], pool, error);
    }
    return status;
}

rung_status rung_worker_share(rung_worker *worker, size_t threads, rung_error *error)
{
    if (threads == worker->threads) {
        return RUNG_OK;
    }
    if (threads == 1) { /* the pool sleeps until a call has few texts again */
        worker->threads = 1;
        return share_batches(worker, NULL, error);
    }
    rung_thread_pool *pool = worker->pool;
    bool is_new = worker->pool_threads != threads;
    rung_status status = is_new ? rung_thread_pool_create(threads, &pool, error) : RUNG_OK;
    if (status != RUNG_OK) {
        return status;
    }
    status = share_batches(worker, pool, error);
    worker->threads = threads;
    if (status != RUNG_OK) {
        rung_status alone = share_batches(worker, NULL, NULL); /* needs no memory */
        (void)alone;
        worker->threads = 1;
    }
    if (is_new) {
        rung_thread_pool_free(worker->pool); /* no batch has it any more */
        worker->pool = pool;
        worker->pool_threads = threads;
    }
    return status;
}

/* All flights that are at `level`: arrive, compute together, decide. */
static rung_status run_level(rung_worker *worker, const rung_policy *policy, uint32_t level, size_t count,
                             rung_error *error)
{
    size_t num_jobs = 0;
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        rung_flight *flight = &worker->flights[i];
        bool compute = false;
        if (flight->level == level) {
            status = rung_flight_arrive(flight, &compute, error);
        }
        if (compute) {
            worker->jobs[num_jobs] = &rung_flight_visit(flight)->job;
            worker->computing[num_jobs++] = flight;
        }
    }
    if (status != RUNG_OK) {
        return status;
    }
    rung_batch_run(&worker->batch[level - 1], worker->jobs, num_jobs,
                   rung_visit_importance_layers(worker->cascade, policy, level), &policy->variant);
    for (size_t i = 0; status == RUNG_OK && i < num_jobs; i++) {
        status = rung_flight_computed(worker->computing[i], error);
    }
    return status;
}

rung_status rung_worker_drive(rung_worker *worker, const rung_policy *policy, const rung_input *inputs, size_t count,
                              size_t first_position, rung_answer *answers, void **blocks, rung_error *error)
{
    assert(count <= RUNG_WAVE);
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        status = rung_flight_ask(&worker->flights[i], policy, &inputs[i], first_position + i, error);
    }
    for (uint32_t level = 1; status == RUNG_OK && level <= worker->cascade->num_levels; level++) {
        status = run_level(worker, policy, level, count, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        status = rung_flight_answer(&worker->flights[i], &answers[i], &blocks[i], error);
    }
    return status;
}
