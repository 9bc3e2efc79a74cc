/* schedule.h: what a thread tells the system's scheduler of itself. Called by threads that must answer soon beside others that compute. */
#ifndef RUNG_BASE_SCHEDULE_H
#define RUNG_BASE_SCHEDULE_H

#include <stdbool.h>

/* The calling thread works in short pieces: when it wakes it goes before threads that compute, which since Linux 6.6 would otherwise finish their time slice first. Its
 * share of the processor stays what it is. From Linux 6.12 on; false: the system does not know of it, and goes on as before. */
bool rung_schedule_short_slices(void);

#endif
