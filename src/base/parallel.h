/* parallel.h: the same function on several threads. */
#ifndef RUNG_BASE_PARALLEL_H
#define RUNG_BASE_PARALLEL_H

#include "base/status.h"

#define RUNG_MAX_THREADS 256

/* Calls work(context, worker) for worker = 0 .. threads-1, worker 0 on the calling thread, and waits for all. When the system
 * refuses a thread, fewer workers run: work must take its share from a common counter, not from its number. */
void rung_parallel(size_t threads, void (*work)(void *context, size_t worker), void *context);

/* Processors that this process may use, at least 1. */
size_t rung_processor_count(void);

#endif
