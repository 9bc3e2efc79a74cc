/* driver.h: all levels of a cascade in one process and in virtual time. A worker takes a wave of requests through the levels, one level
 * after the other, each level's requests in packed batches. The decisions are src/cascade's, the layers src/model's. */
#ifndef RUNG_RUN_DRIVER_H
#define RUNG_RUN_DRIVER_H

#include "run/batch_run.h"
#include "run/cascade.h"

#define RUNG_WAVE 64 /* requests that a worker takes on together */

typedef struct rung_worker rung_worker;

rung_status rung_worker_create(const rung_cascade *cascade, rung_worker **worker, rung_error *error) RUNG_WARN_UNUSED;
void rung_worker_free(rung_worker *worker);

/* The layers of each text run on `threads` threads from now on, as far as the system gives them; 1: on the caller's alone. They stay with the worker. */
rung_status rung_worker_share(rung_worker *worker, size_t threads, rung_error *error) RUNG_WARN_UNUSED;

/* Answers inputs[0..count), count <= RUNG_WAVE; first_position is the position of inputs[0] in the user's call (the id of inputs without one).
 * Each answer is one block to free(): blocks[i]. An input that cannot be classified gets its own status; RUNG_NO_MEMORY fails
 * the call. */
rung_status rung_worker_drive(rung_worker *worker, const rung_policy *policy, const rung_input *inputs, size_t count,
                              size_t first_position, rung_answer *answers, void **blocks,
                              rung_error *error) RUNG_WARN_UNUSED;

#endif
