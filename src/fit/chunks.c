/* chunks.c: rows by chunks. See chunks.h. */
#include "fit/chunks.h"

void rung_chunks_init(rung_chunks *chunks, size_t total, size_t size, const rung_progress *progress, const char *what)
{
    *chunks = (rung_chunks){.total = total, .size = size, .progress = progress, .what = what, .status = RUNG_OK};
    pthread_mutex_init(&chunks->lock, NULL);
}

size_t rung_chunks_take(rung_chunks *chunks, size_t *first, size_t finished)
{
    pthread_mutex_lock(&chunks->lock);
    chunks->done += finished;
    if (finished > 0) {
        rung_progress_report(chunks->progress, chunks->what, chunks->done, chunks->total);
    }
    size_t left = chunks->status == RUNG_OK ? chunks->total - chunks->next : 0;
    size_t count = left < chunks->size ? left : chunks->size;
    *first = chunks->next;
    chunks->next += count;
    pthread_mutex_unlock(&chunks->lock);
    return count;
}

void rung_chunks_leave(rung_chunks *chunks, rung_status status, const rung_error *error)
{
    pthread_mutex_lock(&chunks->lock);
    if (status != RUNG_OK && chunks->status == RUNG_OK) {
        chunks->status = status;
        chunks->error = *error;
    }
    pthread_mutex_unlock(&chunks->lock);
}

rung_status rung_chunks_end(rung_chunks *chunks, rung_error *error)
{
    pthread_mutex_destroy(&chunks->lock);
    if (chunks->status != RUNG_OK && error != NULL) {
        *error = chunks->error;
    }
    return chunks->status;
}
