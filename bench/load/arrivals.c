/* arrivals.c: see arrivals.h. */
#include "bench/load/arrivals.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static double exponential_s(arrivals *a, double mean_s)
{
    return -log(1 - rung_prng_uniform(&a->prng)) * mean_s;
}

bool arrivals_find(const char *name, arrival_process *process)
{
    static const char *const names[] = {"closed", "constant", "poisson", "bursty", "batched"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *process = (arrival_process)i;
            return true;
        }
    }
    return false;
}

/* In time of bursts only; what lies beyond the end of a burst goes on in the next one. */
static double burst_step_s(arrivals *a)
{
    double at_s = a->next_s + exponential_s(a, 1 / (a->rate * BURST_FACTOR));
    while (at_s > a->burst_end_s) {
        double pause_s = exponential_s(a, BURST_MEAN_S * (BURST_FACTOR - 1));
        double length_s = exponential_s(a, BURST_MEAN_S);
        at_s += pause_s;
        a->burst_end_s += pause_s + length_s;
    }
    return at_s;
}

static void step(arrivals *a)
{
    switch (a->process) {
    case ARRIVALS_CLOSED:
    case ARRIVALS_CONSTANT:
        a->next_s += 1 / a->rate;
        break;
    case ARRIVALS_POISSON:
        a->next_s += exponential_s(a, 1 / a->rate);
        break;
    case ARRIVALS_BURSTY:
        a->next_s = burst_step_s(a);
        break;
    case ARRIVALS_BATCHED:
        a->left = a->left > 0 ? a->left - 1 : BATCH_SIZE - 1;
        a->next_s += a->left < BATCH_SIZE - 1 ? 0 : exponential_s(a, BATCH_SIZE / a->rate);
        break;
    }
}

arrivals arrivals_begin(arrival_process process, double rate, uint64_t seed, double start_s)
{
    arrivals a = {.process = process, .rate = rate, .prng = {seed}, .next_s = start_s, .burst_end_s = start_s};
    step(&a);
    return a;
}

double arrivals_take_s(arrivals *a)
{
    double taken_s = a->next_s;
    step(a);
    return taken_s;
}
