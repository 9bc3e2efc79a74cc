/* clock.c: the only callers of the system clocks. See clock.h. */
#include "base/clock.h"

#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double rung_clock_s(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double rung_thread_cpu_s(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}
