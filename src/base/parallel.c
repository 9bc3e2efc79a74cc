/* parallel.c: the same function on several threads. See parallel.h. */
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>

typedef struct worker {
    pthread_t thread;
    void (*work)(void *context, size_t worker);
    void *context;
    size_t index;
} worker;

static void *run_worker(void *argument)
{
    worker *self = argument;
    self->work(self->context, self->index);
    return NULL;
}

void rung_parallel(size_t threads, void (*work)(void *context, size_t worker), void *context)
{
    worker workers[RUNG_MAX_THREADS];
    size_t wanted = threads < 1 ? 1 : threads > RUNG_MAX_THREADS ? RUNG_MAX_THREADS : threads;
    size_t started = 1;
    for (; started < wanted; started++) {
        workers[started] = (worker){.work = work, .context = context, .index = started};
        if (pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]) != 0) {
            break;
        }
    }
    work(context, 0);
    for (size_t i = 1; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

size_t rung_processor_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (size_t)count;
}
