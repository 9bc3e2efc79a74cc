/* histogram.c: see histogram.h. Values below 64 units have a bucket each; above, the six bits after the first choose it. */
#include "bench/load/histogram.h"

#include <math.h>

static size_t bucket_of(double seconds)
{
    double units = seconds * HISTOGRAM_UNIT;
    if (!(units >= 1)) {
        return 0;
    }
    uint64_t value = units < 0x1p45 ? (uint64_t)units : (uint64_t)1 << 45;
    unsigned power = value < HISTOGRAM_STEPS ? 0 : 63u - (unsigned)__builtin_clzll(value) - 6u;
    size_t bucket = (size_t)power * HISTOGRAM_STEPS + (size_t)(value >> power);
    size_t last = (size_t)HISTOGRAM_STEPS * HISTOGRAM_POWERS - 1;
    return bucket < last ? bucket : last;
}

static double upper_end_s(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS) {
        return (double)(bucket + 1) / HISTOGRAM_UNIT;
    }
    unsigned power = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    uint64_t value = (bucket - (size_t)power * HISTOGRAM_STEPS + 1) << power;
    return (double)value / HISTOGRAM_UNIT;
}

void histogram_add(histogram *h, double seconds)
{
    h->least_s = h->count == 0 ? seconds : fmin(h->least_s, seconds);
    h->most_s = h->count == 0 ? seconds : fmax(h->most_s, seconds);
    h->sum_s += seconds;
    h->count++;
    h->buckets[bucket_of(seconds)]++;
}

void histogram_merge(histogram *to, const histogram *from)
{
    if (from->count == 0) {
        return;
    }
    to->least_s = to->count == 0 ? from->least_s : fmin(to->least_s, from->least_s);
    to->most_s = to->count == 0 ? from->most_s : fmax(to->most_s, from->most_s);
    to->sum_s += from->sum_s;
    to->count += from->count;
    for (size_t i = 0; i < sizeof to->buckets / sizeof to->buckets[0]; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

double histogram_percentile_s(const histogram *h, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)h->count);
    uint64_t seen = 0;
    size_t last = sizeof h->buckets / sizeof h->buckets[0] - 1; /* which has no end */
    for (size_t i = 0; i < last; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0) {
            return fmin(upper_end_s(i), h->most_s);
        }
    }
    return h->most_s;
}

double histogram_mean_s(const histogram *h)
{
    return h->count > 0 ? h->sum_s / (double)h->count : 0;
}
