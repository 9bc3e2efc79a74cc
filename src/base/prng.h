/* prng.h: seeded random numbers that are the same on every machine. Time and entropy never come in. */
#ifndef RUNG_BASE_PRNG_H
#define RUNG_BASE_PRNG_H

#include <stdint.h>

/* splitmix64 (Steele et al. 2014): the state is one word, every seed is good. */
typedef struct rung_prng {
    uint64_t state;
} rung_prng;

uint64_t rung_prng_next(rung_prng *prng);

/* Uniform in [0, 1), 53 bits. */
double rung_prng_uniform(rung_prng *prng);

/* Uniform in 0 .. bound-1; bound >= 1. */
uint64_t rung_prng_below(rung_prng *prng, uint64_t bound);

/* Standard normal, Marsaglia polar method; uses rung_log. */
double rung_prng_normal(rung_prng *prng);

/* The 53 top bits of a hash as a number in [0, 1). */
double rung_unit_interval(uint64_t hash);

#endif
