/* progress.h: how far a long call is, told to whoever looks. */
#ifndef RUNG_BASE_PROGRESS_H
#define RUNG_BASE_PROGRESS_H

#include <stddef.h>

typedef struct rung_progress {
    /* Called from one thread at a time, not always the caller's. */
    void (*report)(void *context, const char *what, size_t done, size_t total);
    void *context;
} rung_progress;

/* progress may be NULL: nobody looks. */
static inline void rung_progress_report(const rung_progress *progress, const char *what, size_t done, size_t total)
{
    if (progress != NULL && progress->report != NULL) {
        progress->report(progress->context, what, done, total);
    }
}

#endif
