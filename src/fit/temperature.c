/* temperature.c: T of Eq 6 by Newton on 1/T. See temperature.h.
 * With b = 1/T the mean loss of an input with logits z and target y is f(b) = log sum exp(b z) - b (y . z), convex in b:
 * f' = E_p[z] - y . z and f'' = Var_p[z] under p = softmax(b z). */
#include "fit/temperature.h"

#include "base/math.h"

#include <math.h>

#define MAX_ITERATIONS 200
#define TOLERANCE 1e-12 /* of b, relative */

/* Either labels or targets. */
typedef struct fit_problem {
    const rung_fit_logits *logits;
    const uint32_t *labels; /* [n] */
    const float *targets;   /* [n, num_classes] */
} fit_problem;

typedef struct loss {
    double value, slope, curvature;
} loss;

/* y . d, where d is a row of logits less its greatest. */
static double target_mean(const fit_problem *problem, size_t row, const float *z, double max)
{
    if (problem->labels != NULL) {
        return (double)z[problem->labels[row]] - max;
    }
    const float *y = problem->targets + row * problem->logits->num_classes;
    double mean = 0;
    double total = 0;
    for (size_t c = 0; c < problem->logits->num_classes; c++) {
        mean += (double)y[c] * ((double)z[c] - max);
        total += (double)y[c];
    }
    return mean / total;
}

/* Row by row in order, so that the same data gives the same bits. */
static loss mean_loss(const fit_problem *problem, double b)
{
    const rung_fit_logits *all = problem->logits;
    loss sum = {0};
    for (size_t i = 0; i < all->n; i++) {
        const float *z = all->logits + i * all->stride;
        double max = (double)z[0];
        for (size_t c = 1; c < all->num_classes; c++) {
            max = (double)z[c] > max ? (double)z[c] : max;
        }
        double total = 0;
        double first = 0;
        double second = 0;
        for (size_t c = 0; c < all->num_classes; c++) {
            double d = (double)z[c] - max;
            double e = rung_exp(b * d);
            total += e;
            first += e * d;
            second += e * d * d;
        }
        double mean = first / total;
        double target = target_mean(problem, i, z, max);
        sum.value += rung_log(total) - b * target;
        sum.slope += mean - target;
        sum.curvature += second / total - mean * mean;
    }
    double n = (double)all->n;
    return (loss){sum.value / n, sum.slope / n, sum.curvature / n};
}

/* The root of the slope inside (low, high), where it changes sign. A Newton step that leaves the bracket, or that has no curvature to go
 * by, is replaced by bisection: so it always ends. */
static double find_root(const fit_problem *problem, double low, double high, unsigned *iterations)
{
    double b = 1;
    for (*iterations = 1; *iterations < MAX_ITERATIONS; (*iterations)++) {
        loss at = mean_loss(problem, b);
        if (at.slope == 0) {
            break;
        }
        if (at.slope < 0) {
            low = b;
        } else {
            high = b;
        }
        double next = b - at.slope / at.curvature;
        if (!(next > low && next < high)) {
            next = low + (high - low) / 2;
        }
        double step = fabs(next - b);
        b = next;
        if (step <= TOLERANCE * b) {
            break;
        }
    }
    return b;
}

static void solve(const fit_problem *problem, rung_temperature_fit *fit)
{
    double low = 1 / RUNG_TEMPERATURE_MAX;
    double high = 1 / RUNG_TEMPERATURE_MIN;
    double slope_low = mean_loss(problem, low).slope;
    double slope_high = mean_loss(problem, high).slope;
    rung_temperature_fit found = {.temperature = 1};
    if (slope_low >= 0 && slope_high > 0) {
        found.temperature = RUNG_TEMPERATURE_MAX;
        found.at_bound = true;
    } else if (slope_high <= 0 && slope_low < 0) {
        found.temperature = RUNG_TEMPERATURE_MIN;
        found.at_bound = true;
    } else if (slope_low < 0) {
        found.temperature = 1 / find_root(problem, low, high, &found.iterations);
    } /* else the loss is flat: T = 1 */
    found.nll_before = mean_loss(problem, 1).value;
    found.nll = mean_loss(problem, 1 / found.temperature).value;
    *fit = found;
}

static rung_status check_logits(const rung_fit_logits *logits, rung_error *error)
{
    if (logits->n == 0) {
        return rung_fail(error, RUNG_INVALID, "no inputs to fit a temperature on; give at least one");
    }
    if (logits->num_classes < 2) {
        return rung_fail(error, RUNG_INVALID, "a temperature needs at least 2 classes, the model has %zu",
                         logits->num_classes);
    }
    if (logits->stride < logits->num_classes) {
        return rung_fail(error, RUNG_INVALID, "the stride of the logits is %zu; it must be at least %zu",
                         logits->stride, logits->num_classes);
    }
    for (size_t i = 0; i < logits->n; i++) {
        for (size_t c = 0; c < logits->num_classes; c++) {
            float z = logits->logits[i * logits->stride + c];
            if (!isfinite(z)) {
                return rung_fail(error, RUNG_INVALID, "input %zu: the logit of class %zu is %g; it must be finite", i,
                                 c, (double)z);
            }
        }
    }
    return RUNG_OK;
}

rung_status rung_fit_temperature(const rung_fit_logits *logits, const uint32_t *labels, rung_temperature_fit *fit,
                                 rung_error *error)
{
    rung_status status = check_logits(logits, error);
    if (status != RUNG_OK) {
        return status;
    }
    bool one_class = true;
    for (size_t i = 0; i < logits->n; i++) {
        if (labels[i] >= logits->num_classes) {
            return rung_fail(error, RUNG_INVALID, "input %zu: label %u; it must be below %zu, the number of classes", i,
                             labels[i], logits->num_classes);
        }
        one_class = one_class && labels[i] == labels[0];
    }
    if (one_class) {
        return rung_fail(error, RUNG_INVALID, "all %zu inputs have label %u; a temperature needs at least 2 classes",
                         logits->n, labels[0]);
    }
    solve(&(fit_problem){.logits = logits, .labels = labels}, fit);
    return RUNG_OK;
}

rung_status rung_fit_temperature_soft(const rung_fit_logits *logits, const float *targets, rung_temperature_fit *fit,
                                      rung_error *error)
{
    rung_status status = check_logits(logits, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < logits->n; i++) {
        double sum = 0;
        for (size_t c = 0; c < logits->num_classes; c++) {
            double y = (double)targets[i * logits->num_classes + c];
            if (!(y >= 0)) {
                return rung_fail(error, RUNG_INVALID, "input %zu: the target of class %zu is %g; it must be 0 or above",
                                 i, c, y);
            }
            sum += y;
        }
        if (!(fabs(sum - 1) <= 0.001)) {
            return rung_fail(error, RUNG_INVALID, "input %zu: the targets add up to %g; they must add up to 1", i, sum);
        }
    }
    solve(&(fit_problem){.logits = logits, .targets = targets}, fit);
    return RUNG_OK;
}
