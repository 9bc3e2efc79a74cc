/* accuracy_pick.c: picks at equal accuracy. See accuracy_pick.h. */
#include "eval/accuracy_pick.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

#define CHANCE_Z 0.8416212335729143 /* four in five of a standard normal lie below */

/* The rows that may be looked at: those to tune on, then those to certify on. */
typedef struct known_rows {
    const rung_study *study;
    size_t n;
    rung_outcome *outcomes; /* [n] scratch */
    double *base_right;     /* [n] of the scheme that is compared with, 0 or 1 */
    double *right;          /* [n] of a candidate */
} known_rows;

static rung_status see(const known_rows *known, const rung_scheme *scheme, double *right, rung_error *error)
{
    const rung_study *study = known->study;
    const rung_rows *parts[] = {&study->tune, &study->certify};
    size_t at = 0;
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        rung_status status = rung_scheme_replay(study, scheme, NULL, parts[k], false, known->outcomes, error);
        if (status != RUNG_OK) {
            return status;
        }
        for (size_t i = 0; i < parts[k]->count; i++) {
            right[at++] = known->outcomes[i].label == study->labels[parts[k]->rows[i]];
        }
    }
    return RUNG_OK;
}

/* Mean and standard deviation of the paired differences. */
static double difference(const known_rows *known, double *spread)
{
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < known->n; i++) {
        double d = known->right[i] - known->base_right[i];
        sum += d;
        squares += d * d;
    }
    double n = (double)known->n;
    double mean = sum / n;
    *spread = sqrt(fmax(squares / n - mean * mean, 0));
    return mean;
}

static rung_status search(const known_rows *known, const rung_entrant *entrant, double tolerance, double confidence,
                          rung_accuracy_pick *out, rung_error *error)
{
    double report = (double)known->study->report.count;
    double half_widths = rung_normal_z(confidence) / sqrt(report) + CHANCE_Z * sqrt(1 / report + 1 / (double)known->n);
    rung_accuracy_pick best = {.difference = -INFINITY};
    for (size_t i = 0; i < entrant->num_front && !best.found; i++) { /* fastest first */
        const rung_scheme *scheme = &entrant->candidates.items[entrant->front[i]].scheme;
        rung_status status = see(known, scheme, known->right, error);
        if (status != RUNG_OK) {
            return status;
        }
        double spread;
        double seen = difference(known, &spread);
        double margin = spread * half_widths - tolerance;
        if (seen >= margin || seen - margin > best.difference - best.margin) {
            best = (rung_accuracy_pick){.pick = {.scheme = *scheme, .num_tested = entrant->num_front},
                                        .margin = margin,
                                        .difference = seen,
                                        .found = seen >= margin};
        }
    }
    *out = best;
    return RUNG_OK;
}

rung_status rung_pick_as_accurate(const rung_evaluation *evaluation, const rung_entrant *entrant,
                                  const rung_scheme *scheme, double tolerance, double confidence,
                                  rung_accuracy_pick *pick, rung_error *error)
{
    const rung_study *study = &evaluation->study;
    known_rows known = {.study = study, .n = study->tune.count + study->certify.count};
    known.outcomes = rung_alloc(known.n, sizeof *known.outcomes, "outcomes", error);
    known.base_right = rung_alloc(known.n, sizeof *known.base_right, "outcomes", error);
    known.right = rung_alloc(known.n, sizeof *known.right, "outcomes", error);
    rung_status status = known.outcomes == NULL || known.base_right == NULL || known.right == NULL
                             ? RUNG_NO_MEMORY
                             : see(&known, scheme, known.base_right, error);
    if (status == RUNG_OK) {
        status = search(&known, entrant, tolerance, confidence, pick, error);
    }
    free(known.outcomes);
    free(known.base_right);
    free(known.right);
    return status;
}
