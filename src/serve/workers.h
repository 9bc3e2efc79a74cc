/* workers.h: the threads of a node that compute. Each owns a packed batch; a queue hands errands to them, and done ones go back to the loop. Batches
 * form while all workers are busy; a worker that is free starts at once (or after batch.max_wait). Called from the loop's thread only. */
#ifndef RUNG_SERVE_WORKERS_H
#define RUNG_SERVE_WORKERS_H

#include "serve/errand.h"

typedef struct rung_workers rung_workers;

/* threads / threads_per_text workers, at least one, each with the help of threads_per_text - 1 more threads. done is called from a worker's thread when errands wait to be collected, or a generation was let go of. */
rung_status rung_workers_create(size_t threads, size_t threads_per_text, void (*done)(void *context), void *context,
                                rung_workers **workers, rung_error *error) RUNG_WARN_UNUSED;
/* Waits for what they compute; what is queued is dropped. */
void rung_workers_free(rung_workers *workers);

/* Hands the errand over until it is collected: at_worker is set here, and cleared by who collects. */
void rung_workers_submit(rung_workers *workers, rung_errand *errand);
/* All that were done since the last call, in order; NULL: none. The loop owns them again. */
rung_errand *rung_workers_collect(rung_workers *workers);
/* All whose body is to go to the next level while they are still computed, since the last call, linked by next_ahead; NULL: none. They stay the
 * workers': the loop reads the body, and what does not change. To be called before rung_workers_collect: an errand that is done by then is not
 * listed any more, but `unsent`. */
rung_errand *rung_workers_collect_ahead(rung_workers *workers);

/* Estimated seconds until an errand that is submitted now starts, from the time that bytes of text took so far. */
double rung_workers_wait_s(rung_workers *workers);
/* Until `count` errands like this one, submitted now, are done. */
double rung_workers_done_s(rung_workers *workers, const rung_errand *errand, size_t count);
size_t rung_workers_queue_length(rung_workers *workers);

/* Workers that are idle make ready for this generation, let go of the one before, and call `done`. It has a user until the next call. */
void rung_workers_renew(rung_workers *workers, rung_generation *current);

#endif
