/* order.c: sorting and quantiles. See order.h. */
#include "base/order.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void rung_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
}

double rung_quantile(const double *sorted, size_t count, double q)
{
    return sorted[(size_t)(q * (double)(count - 1) + 0.5)];
}
