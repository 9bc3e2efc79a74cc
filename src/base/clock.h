/* clock.h: where time comes from. Only src/run, src/cli, src/fit/profile.c, src/eval/gnuplot.c, the benches and the spinning of base/thread_pool.c call it; everything below takes time as an argument. */
#ifndef RUNG_BASE_CLOCK_H
#define RUNG_BASE_CLOCK_H

/* Seconds of the monotonic clock. */
double rung_clock_s(void);

/* Processor seconds that the calling thread has used: what `measured compute` means, since it does not count
 * the time that other processes of a shared machine took. */
double rung_thread_cpu_s(void);

#endif
