/* scheme.c: replays schemes over a study, and fits the pools of a policy on the calibration rows that reach them. See study.h. */
#include "base/memory.h"
#include "fit/fit_pools.h"
#include "plan/study.h"

#include <string.h>

static void reset_pools(const rung_study *study, rung_scheme *scheme)
{
    for (uint32_t set = 0; set >> study->cascade->num_levels == 0; set++) {
        scheme->pools[set] = (rung_pool){.accuracy_temperature = 1, .fitted_temperature = 1};
    }
}

/* The results of the calibration rows whose visited levels, as far as the highest of the set, are the set. */
static void collect(const rung_study *study, rung_set_results *results)
{
    size_t classes = study->cascade->num_classes;
    uint32_t levels = study->cascade->num_levels;
    uint32_t up_to = (UINT32_C(1) << results->num_levels) - 1;
    for (size_t i = 0; i < study->calibrate.count; i++) {
        if ((study->outcomes[i].visited & up_to) != results->set) {
            continue;
        }
        size_t row = study->calibrate.rows[i];
        double *out = results->probabilities + results->n * results->members * classes;
        for (uint32_t l = 0; l < results->num_levels; l++) {
            if (results->set >> l & 1) {
                memcpy(out, study->fitted_probabilities + (row * levels + l) * classes, classes * sizeof *out);
                out += classes;
            }
        }
        results->labels[results->n++] = study->labels[row];
    }
}

static rung_status fit_set(const rung_study *study, uint32_t set, uint32_t level, rung_pool *pool, rung_error *error)
{
    rung_set_results results = {.set = set, .num_levels = level, .classes = study->cascade->num_classes};
    rung_calibration_pool fitted;
    rung_status status = rung_set_results_init(&results, study->calibrate.count, false, error);
    if (status == RUNG_OK) {
        collect(study, &results);
    }
    if (status == RUNG_OK && results.n >= RUNG_FIT_MIN_ROWS) {
        rung_calibration by_level = study->calibration;
        by_level.num_levels = level;
        status = rung_fit_set(&results, &by_level, &fitted, error);
        if (status == RUNG_OK) {
            *pool = (rung_pool){.accuracy_temperature = fitted.accuracy_temperature,
                                .fitted_temperature = fitted.fitted_temperature};
            memcpy(pool->fitted_weight, fitted.fitted_weight, sizeof pool->fitted_weight);
        }
    }
    rung_set_results_deinit(&results);
    return status;
}

/* The call but for its policy and calibration, which are the scheme's. */
static rung_status replay(const rung_study *study, const rung_scheme *scheme, rung_replay_call call,
                          rung_outcome *outcomes, rung_error *error)
{
    rung_calibration calibration = study->calibration;
    calibration.pools = scheme->pools;
    call.policy = &scheme->policy;
    call.calibration = &calibration;
    call.may_compute = true;
    rung_status status = rung_policy_check(&scheme->policy, &calibration, error);
    return status == RUNG_OK ? rung_replay_run(study->replay, &call, outcomes, error) : status;
}

rung_status rung_scheme_replay(const rung_study *study, const rung_scheme *scheme, const rung_network *network,
                               const rung_rows *rows, bool notes_decisions, rung_outcome *outcomes, rung_error *error)
{
    rung_replay_call call = {.links = network != NULL ? network->links : NULL,
                             .speeds = network != NULL ? network->speeds : NULL,
                             .rows = rows->rows,
                             .num_rows = rows->count,
                             .notes_decisions = notes_decisions};
    return replay(study, scheme, call, outcomes, error);
}

/* Who reaches a level depends on the pools below it: from the user up. */
rung_status rung_scheme_fit(const rung_study *study, rung_scheme *scheme, rung_error *error)
{
    const rung_policy *policy = &scheme->policy;
    bool pools =
        !policy->raw_ensemble && (policy->weights == RUNG_WEIGHTS_FITTED || policy->weights == RUNG_WEIGHTS_ACCURACY);
    rung_status status = RUNG_OK;
    reset_pools(study, scheme);
    for (uint32_t level = 2; pools && status == RUNG_OK && level <= study->cascade->num_levels; level++) {
        uint32_t top = UINT32_C(1) << (level - 1);
        rung_replay_call call = {.rows = study->calibrate.rows,
                                 .num_rows = study->calibrate.count,
                                 .probabilities = study->fitted_probabilities};
        status = replay(study, scheme, call, study->outcomes, error);
        for (uint32_t set = top + 1; status == RUNG_OK && set < 2 * top; set++) {
            status = fit_set(study, set, level, &scheme->pools[set], error);
        }
    }
    return status;
}
