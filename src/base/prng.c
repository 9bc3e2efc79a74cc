/* prng.c: seeded random numbers. See prng.h. */
#include "base/prng.h"

#include "base/math.h"

#include <math.h>

uint64_t rung_prng_next(rung_prng *prng)
{
    uint64_t z = prng->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double rung_unit_interval(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

double rung_prng_uniform(rung_prng *prng)
{
    return rung_unit_interval(rung_prng_next(prng));
}

uint64_t rung_prng_below(rung_prng *prng, uint64_t bound)
{
    uint64_t threshold = (0 - bound) % bound; /* values below it would make the remainder uneven */
    for (;;) {
        uint64_t value = rung_prng_next(prng);
        if (value >= threshold) {
            return value % bound;
        }
    }
}

double rung_prng_normal(rung_prng *prng)
{
    for (;;) {
        double u = 2 * rung_prng_uniform(prng) - 1;
        double v = 2 * rung_prng_uniform(prng) - 1;
        double s = u * u + v * v;
        if (s > 0 && s < 1) {
            return u * sqrt(-2 * rung_log(s) / s);
        }
    }
}
