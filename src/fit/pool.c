/* pool.c: weights of a linear pool by expectation-maximisation: the members are the components of a mixture whose weights alone are unknown,
 * and each step takes a member's share in the likelihood of the truths as its new weight. Every step lowers the loss. See pool.h. */
#include "fit/pool.h"

#include "base/math.h"

#include <math.h>

#define MAX_ITERATIONS 2000
#define LEAST_CHANGE 1e-9       /* of any weight in one step */
#define LEAST_PROBABILITY 1e-12 /* a member that rules the truth out still has a finite loss */

static double of_truth(const rung_pool_results *results, size_t i, size_t member)
{
    double p = results->probabilities[(i * results->num_members + member) * results->num_classes + results->labels[i]];
    return p > LEAST_PROBABILITY ? p : LEAST_PROBABILITY;
}

static double pooled_truth(const rung_pool_results *results, size_t i, const double *weights)
{
    double sum = 0;
    for (size_t m = 0; m < results->num_members; m++) {
        sum += weights[m] * of_truth(results, i, m);
    }
    return sum;
}

static double mean_nll(const rung_pool_results *results, const double *weights)
{
    double sum = 0;
    for (size_t i = 0; i < results->n; i++) {
        sum -= rung_log(pooled_truth(results, i, weights));
    }
    return results->n > 0 ? sum / (double)results->n : 0;
}

/* One step; returns the largest change of a weight. */
static double improve(const rung_pool_results *results, double *weights, double *shares)
{
    size_t members = results->num_members;
    for (size_t m = 0; m < members; m++) {
        shares[m] = RUNG_POOL_PRIOR / (double)members;
    }
    for (size_t i = 0; i < results->n; i++) {
        double pooled = pooled_truth(results, i, weights);
        for (size_t m = 0; m < members; m++) {
            shares[m] += weights[m] * of_truth(results, i, m) / pooled;
        }
    }
    double total = (double)results->n + RUNG_POOL_PRIOR;
    double change = 0;
    for (size_t m = 0; m < members; m++) {
        double weight = shares[m] / total;
        change = fmax(change, fabs(weight - weights[m]));
        weights[m] = weight;
    }
    return change;
}

static rung_status check(const rung_pool_results *results, rung_error *error)
{
    size_t row = results->num_members * results->num_classes;
    for (size_t i = 0; i < results->n; i++) {
        if (results->labels[i] >= results->num_classes) {
            return rung_fail(error, RUNG_INVALID, "input %zu: label %u is outside 0..%zu", i, results->labels[i],
                             results->num_classes - 1);
        }
        for (size_t j = 0; j < row; j++) {
            double p = results->probabilities[i * row + j];
            if (!(p >= 0 && p <= 1 + 1e-6)) {
                return rung_fail(error, RUNG_INVALID, "input %zu: %g is no probability: it must be from 0 to 1", i, p);
            }
        }
    }
    return RUNG_OK;
}

rung_status rung_fit_pool(const rung_pool_results *results, double *weights, rung_pool_fit *fit, rung_error *error)
{
    rung_status status = check(results, error);
    if (status == RUNG_OK && results->num_members > RUNG_POOL_MAX_MEMBERS) {
        status =
            rung_fail(error, RUNG_LIMIT, "%zu members: the limit is %d", results->num_members, RUNG_POOL_MAX_MEMBERS);
    }
    if (status != RUNG_OK) {
        return status;
    }
    double shares[RUNG_POOL_MAX_MEMBERS];
    for (size_t m = 0; m < results->num_members; m++) {
        weights[m] = 1 / (double)results->num_members;
    }
    rung_pool_fit found = {.nll_equal = mean_nll(results, weights)};
    while (found.iterations < MAX_ITERATIONS) {
        found.iterations++;
        if (improve(results, weights, shares) < LEAST_CHANGE) {
            break;
        }
    }
    found.nll = mean_nll(results, weights);
    *fit = found;
    return RUNG_OK;
}
