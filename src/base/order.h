/* order.h: numbers in order, and their quantiles: for measurements. */
#ifndef RUNG_BASE_ORDER_H
#define RUNG_BASE_ORDER_H

#include <stddef.h>

/* Rising; values without NaN. */
void rung_sort(double *values, size_t count);

/* The value at rank q (count - 1), rounded, of sorted values; count >= 1, q in [0, 1]. */
double rung_quantile(const double *sorted, size_t count, double q);

#endif
