/* schedule.c: see schedule.h. glibc has no sched_setattr before 2.41. Source: sched(7), sched_setattr(2). */
#include "base/schedule.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 100000 /* the shortest that Linux takes */

/* struct sched_attr, its first version. */
typedef struct attributes {
    uint32_t size;
    uint32_t policy; /* 0: SCHED_OTHER */
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of SCHED_OTHER: the slice */
    uint64_t deadline_ns, period_ns;
} attributes;

bool rung_schedule_short_slices(void)
{
    attributes own = {0};
    if (syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) != 0 || own.policy != 0) {
        return false; /* whoever chose another policy knows better */
    }
    own.size = sizeof own;
    own.runtime_ns = SLICE_NS;
    return syscall(SYS_sched_setattr, 0, &own, 0) == 0;
}
