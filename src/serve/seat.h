/* seat.h: where a worker computes: a packed batch for the model of one generation, and the errands that are in it. Called by workers.c, from the worker's own
 * thread; knows no queue. */
#ifndef RUNG_SERVE_SEAT_H
#define RUNG_SERVE_SEAT_H

#include "serve/errand.h"

#define RUNG_SEAT_ERRANDS 64

typedef struct rung_seat rung_seat;

/* Whom the batch tells that the exit that an errand watches was passed. */
typedef struct rung_lookout {
    const rung_seat *seat;
    rung_errand *errand;
} rung_lookout;

/* Zero-initialise, set pool, ahead and context; release with rung_seat_leave. */
struct rung_seat {
    rung_thread_pool *pool; /* that the layers of the batch are shared with; NULL: none */
    /* The body of an errand may go to the next level while it is still computed. */
    void (*ahead)(void *context, rung_errand *errand);
    void *context;
    /* Private, but for errands. */
    rung_generation *generation; /* that the batch was made for; NULL: none yet */
    rung_batch batch;
    rung_errand *errands[RUNG_SEAT_ERRANDS]; /* [count] of rung_seat_compute; the caller puts them here */
    rung_job *jobs[RUNG_SEAT_ERRANDS];
    rung_lookout lookouts[RUNG_SEAT_ERRANDS];
};

/* A batch for the model of this generation, whose user the seat becomes until it leaves. */
rung_status rung_seat_enter(rung_seat *seat, rung_generation *generation, rung_error *error) RUNG_WARN_UNUSED;
void rung_seat_leave(rung_seat *seat);

/* Computes errands[0 .. count), which have one generation, one number of layers of importance, and one variant. between may be NULL. Returns the cost of what ran to its
 * end: what left uncomputed took no time, and says nothing of what work costs. */
size_t rung_seat_compute(rung_seat *seat, size_t count, const rung_between *between);

#endif
