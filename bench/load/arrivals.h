/* arrivals.h: when requests are meant to be sent: an arrival process, which does not wait for answers (open loop). Knows no clock. For bench/load. */
#ifndef RUNG_BENCH_LOAD_ARRIVALS_H
#define RUNG_BENCH_LOAD_ARRIVALS_H

#include "base/prng.h"

#include <stdbool.h>

typedef enum arrival_process {
    ARRIVALS_CLOSED,   /* none: each connection sends as soon as it has its answer */
    ARRIVALS_CONSTANT, /* one every 1 / rate */
    ARRIVALS_POISSON,  /* independent of each other */
    ARRIVALS_BURSTY, /* Poisson, at BURST_FACTOR times the rate in bursts and not at all between them: a Markov-modulated process */
    ARRIVALS_BATCHED, /* Poisson, BATCH_SIZE at a moment */
} arrival_process;

#define BURST_FACTOR 4
#define BURST_MEAN_S 0.1
#define BATCH_SIZE 8

typedef struct arrivals {
    arrival_process process;
    double rate; /* mean, a second */
    rung_prng prng;
    double next_s; /* the next one */
    double burst_end_s;
    unsigned left; /* of a batch */
} arrivals;

/* "closed", "constant", "poisson", "bursty", "batched"; false: no such process. */
bool arrivals_find(const char *name, arrival_process *process);

/* The first request is not meant before start_s. */
arrivals arrivals_begin(arrival_process process, double rate, uint64_t seed, double start_s);

/* The moment of the next one, which is passed by then. */
double arrivals_take_s(arrivals *a);

#endif
