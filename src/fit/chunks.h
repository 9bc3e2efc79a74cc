/* chunks.h: a number of rows that several workers take in chunks, with their progress and their first failure. Used by record.c and reach.c; knows
 * nothing of what is done with a row. */
#ifndef RUNG_FIT_CHUNKS_H
#define RUNG_FIT_CHUNKS_H

#include "base/progress.h"
#include "base/status.h"

#include <pthread.h>

typedef struct rung_chunks {
    size_t total; /* rows */
    size_t size;  /* of a chunk */
    const rung_progress *progress;
    const char *what;     /* for the progress; lent */
    pthread_mutex_t lock; /* of all below */
    size_t next;
    size_t done;
    rung_status status;
    rung_error error;
} rung_chunks;

void rung_chunks_init(rung_chunks *chunks, size_t total, size_t size, const rung_progress *progress, const char *what);

/* The next chunk: how many rows, from *first on; 0 when none is left or a worker failed. finished: rows that the caller did since it took the last. */
size_t rung_chunks_take(rung_chunks *chunks, size_t *first, size_t finished);

/* A worker is done: the first failure is kept. */
void rung_chunks_leave(rung_chunks *chunks, rung_status status, const rung_error *error);

/* When all workers have left: what became of it. */
rung_status rung_chunks_end(rung_chunks *chunks, rung_error *error) RUNG_WARN_UNUSED;

#endif
