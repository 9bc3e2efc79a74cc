/* thread_pool.h: threads that stay, for work that is too short to start threads for: the parts of one layer. What is started once and runs
 * long goes to base/parallel.h. */
#ifndef RUNG_BASE_THREAD_POOL_H
#define RUNG_BASE_THREAD_POOL_H

#include "base/status.h"

typedef struct rung_thread_pool rung_thread_pool;

/* A pool of `threads` threads, 1 .. RUNG_MAX_THREADS, the one that calls rung_thread_pool_run among them. When the system refuses a
 * thread, the pool has fewer. Threads wait for work spinning for a moment, then asleep; where the process may use fewer
 * processors than there are threads they sleep at once. RUNG_LIMIT, RUNG_NO_MEMORY. Release with rung_thread_pool_free. */
rung_status rung_thread_pool_create(size_t threads, rung_thread_pool **pool, rung_error *error) RUNG_WARN_UNUSED;

/* No run may be under way. NULL is accepted. */
void rung_thread_pool_free(rung_thread_pool *pool);

/* Threads that a run may use, the caller's included; 1 for NULL. */
size_t rung_thread_pool_threads(const rung_thread_pool *pool);

/* Calls work(context, task, thread) once for each task = 0 .. tasks-1 and waits for all; what they wrote is then visible to the caller.
 * Tasks are handed out in order, to whichever thread is free. thread = 0 .. threads-1 is the same for all tasks that run on one thread,
 * and 0 on the caller's: for scratch. With pool NULL all run on the caller's. One run at a time; work may not start another on
 * the same pool. */
void rung_thread_pool_run(rung_thread_pool *pool, void (*work)(void *context, size_t task, size_t thread),
                          void *context, size_t tasks);

#endif
