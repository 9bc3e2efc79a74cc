/* math.h: exp, log, erf and tanh of our own, so that every machine, compiler and C library gives the same bits.
 * Only IEEE + - * / sqrt and explicit fma are used, in a fixed order. Kernels vectorise the float ones lane by lane
 * with the same operations; tests compare bits. */
#ifndef RUNG_BASE_MATH_H
#define RUNG_BASE_MATH_H

#include <stddef.h>

/* Double precision, for probabilities, fits and reports: within 2 ulp of the exact value. rung_exp saturates to 0 and
 * infinity, rung_log(0) = -infinity, rung_log(x < 0) and NaN give NaN. */
double rung_exp(double x);
double rung_log(double x);

#endif
