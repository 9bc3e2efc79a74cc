/* emulated_avxvnni.h: see emulated_avxvnni.c. Included by the tests of kernel tables through kernels_fixture.h. */
#ifndef RUNG_TESTS_EMULATED_AVXVNNI_H
#define RUNG_TESTS_EMULATED_AVXVNNI_H

#include "kernels/kernels.h"

/* As rung_kernels_at. */
const rung_kernels *emulated_kernels_at(size_t index);

#endif
