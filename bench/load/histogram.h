/* histogram.h: latencies in buckets whose width is at most 1/64 of their value, so that percentiles of any number of values take a fixed amount of memory
 * (as G. Tene's HdrHistogram). For bench/load. */
#ifndef RUNG_BENCH_LOAD_HISTOGRAM_H
#define RUNG_BENCH_LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS 64  /* buckets of one power of two */
#define HISTOGRAM_POWERS 40 /* microseconds / 16 up to 2^40 */
#define HISTOGRAM_UNIT 16e6 /* buckets of the smallest width in a second */

/* All zeros: empty. */
typedef struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_STEPS * HISTOGRAM_POWERS];
    double least_s, most_s, sum_s;
} histogram;

void histogram_add(histogram *h, double seconds);
void histogram_merge(histogram *to, const histogram *from);

/* The value below or at which `share` (in [0, 1]) of all lie: the upper end of its bucket, and never beyond the largest. 0 of an empty one. */
double histogram_percentile_s(const histogram *h, double share);
double histogram_mean_s(const histogram *h);

#endif
