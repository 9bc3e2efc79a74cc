/* skip.h: how a test says that it cannot run here. ./check reads the line and holds it against tests/skips.txt: a skip
 * that is not in that list, or whose condition does not hold, is a failure. */
#ifndef RUNG_TESTS_SKIP_H
#define RUNG_TESTS_SKIP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Ends the running test case as skipped. name: the test case; condition: one of those in tests/skips.txt. */
static inline void skip_because(const char *name, const char *condition)
{
    printf("SKIP %s %s\n", name, condition);
    fflush(stdout);
    skip();
}

#endif
