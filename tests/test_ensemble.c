/* test_ensemble.c: weights and pool (Eq 11-12) by hand, and their properties. */
#include "base/prng.h"
#include "cascade/ensemble.h"
#include "numbers.h"

static void by_hand(void **state)
{
    (void)state;
    rung_calibration calibration = {
        .num_levels = 3, .num_classes = 2, .level = {{.accuracy = 0.8}, {.accuracy = 0.9}, {.accuracy = 0.6}}};
    double weights[3];
    static const bool outer[3] = {true, false, true};
    /* .8 / 1.4 and .6 / 1.4: 4/7 and 3/7. */
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, &calibration, outer, weights);
    assert_near("by hand", weights[0], 4.0 / 7, 1e-15);
    assert_true(weights[1] == 0);
    assert_near("by hand", weights[2], 3.0 / 7, 1e-15);
    static const double first[2] = {0.7, 0.3};
    static const double third[2] = {0.35, 0.65};
    const double *probabilities[3] = {first, NULL, third}; /* what has no weight is not read */
    double pooled[2];
    rung_ensemble_pool(weights, probabilities, 3, 2, pooled);
    assert_near("by hand", pooled[0], (4 * 0.7 + 3 * 0.35) / 7, 1e-15);
    assert_near("by hand", pooled[1], (4 * 0.3 + 3 * 0.65) / 7, 1e-15);
    rung_ensemble_weights(RUNG_WEIGHTS_LAST, &calibration, outer, weights);
    assert_true(weights[0] == 0 && weights[1] == 0 && weights[2] == 1);
    static const bool one[3] = {true, false, false};
    rung_ensemble_weights(RUNG_WEIGHTS_LAST, &calibration, one, weights);
    assert_true(weights[0] == 1 && weights[1] == 0 && weights[2] == 0);
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, &calibration, one, weights);
    assert_true(weights[0] == 1);
}

static void accuracy_of_zero(void **state)
{
    (void)state;
    rung_calibration calibration = {.num_levels = 3, .num_classes = 2};
    static const bool two[3] = {true, true, false};
    double weights[3];
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, &calibration, two, weights);
    assert_true(weights[0] == 0.5 && weights[1] == 0.5 && weights[2] == 0);
    calibration.level[1].accuracy = 0.5;
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, &calibration, two, weights);
    assert_true(weights[0] == 0 && weights[1] == 1);
}

static void properties(void **state)
{
    (void)state;
    rung_prng prng = {5};
    for (int round = 0; round < 5000; round++) {
        rung_calibration calibration = {.num_levels = 1 + (uint32_t)rung_prng_below(&prng, RUNG_MAX_LEVELS),
                                        .num_classes = 1 + (uint32_t)rung_prng_below(&prng, 6)};
        uint32_t num_levels = calibration.num_levels;
        uint32_t n = calibration.num_classes;
        double rows[RUNG_MAX_LEVELS][6];
        const double *probabilities[RUNG_MAX_LEVELS];
        bool visited[RUNG_MAX_LEVELS];
        for (uint32_t l = 0; l < num_levels; l++) {
            calibration.level[l].accuracy = rung_prng_uniform(&prng);
            visited[l] = rung_prng_below(&prng, 2) == 0;
            double sum = 0;
            for (uint32_t c = 0; c < n; c++) {
                rows[l][c] = 1e-9 + rung_prng_uniform(&prng);
                sum += rows[l][c];
            }
            for (uint32_t c = 0; c < n; c++) {
                rows[l][c] /= sum;
            }
            probabilities[l] = rows[l];
        }
        visited[rung_prng_below(&prng, num_levels)] = true;
        double weights[RUNG_MAX_LEVELS];
        rung_ensemble_weights((rung_weights)rung_prng_below(&prng, 3), &calibration, visited, weights);
        double sum = 0;
        for (uint32_t l = 0; l < num_levels; l++) {
            assert_true(weights[l] >= 0 && (visited[l] || weights[l] == 0));
            sum += weights[l];
        }
        assert_true(fabs(sum - 1) <= 1e-15 * 8);
        double pooled[6];
        rung_ensemble_pool(weights, probabilities, num_levels, n, pooled);
        sum = 0;
        for (uint32_t c = 0; c < n; c++) {
            double low = 1;
            double high = 0;
            for (uint32_t l = 0; l < num_levels; l++) {
                low = visited[l] && rows[l][c] < low ? rows[l][c] : low;
                high = visited[l] && rows[l][c] > high ? rows[l][c] : high;
            }
            assert_true(pooled[c] >= low - 1e-15 && pooled[c] <= high + 1e-15); /* never outside what the levels say */
            sum += pooled[c];
        }
        assert_true(fabs(sum - 1) <= 1e-14);
    }
}

static void fitted_sets_and_others(void **state)
{
    (void)state;
    rung_calibration calibration = {.num_levels = 2, .num_classes = 3, .level = {{.accuracy = 0.8}, {.accuracy = 0.8}}};
    rung_pool pools[4];
    for (size_t set = 0; set < 4; set++) {
        pools[set] = (rung_pool){.accuracy_temperature = 3, .fitted_temperature = 4};
    }
    pools[3] = (rung_pool){.accuracy_temperature = 0.5, .fitted_temperature = 2, .fitted_weight = {0.1, 0.9}};
    static const bool both[2] = {true, true};
    static const bool one[2] = {false, true};
    double weights[2];
    rung_ensemble_weights(RUNG_WEIGHTS_FITTED, &calibration, both, weights); /* no pools at all */
    assert_true(weights[0] == 0.5 && weights[1] == 0.5);
    assert_true(rung_ensemble_temperature(RUNG_WEIGHTS_FITTED, &calibration, both) == 1);
    calibration.pools = pools;
    rung_ensemble_weights(RUNG_WEIGHTS_FITTED, &calibration, both, weights);
    assert_true(weights[0] == 0.1 && weights[1] == 0.9);
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, &calibration, both, weights);
    assert_true(weights[0] == 0.5);
    assert_true(rung_ensemble_temperature(RUNG_WEIGHTS_FITTED, &calibration, both) == 2);
    assert_true(rung_ensemble_temperature(RUNG_WEIGHTS_ACCURACY, &calibration, both) == 0.5);
    assert_true(rung_ensemble_temperature(RUNG_WEIGHTS_LAST, &calibration, both) == 1);
    rung_ensemble_weights(RUNG_WEIGHTS_FITTED, &calibration, one, weights);
    assert_true(weights[0] == 0 && weights[1] == 1);
    assert_true(rung_ensemble_temperature(RUNG_WEIGHTS_FITTED, &calibration, one) == 1);
}

static void tempers(void **state)
{
    (void)state;
    double p[3] = {0.64, 0.36, 0};
    rung_ensemble_temper(2, 3, p); /* square roots: .8 and .6 of 1.4 */
    assert_near("by hand", p[0], 4.0 / 7, 1e-15);
    assert_near("by hand", p[1], 3.0 / 7, 1e-15);
    assert_true(p[2] == 0);
    double same[2] = {0.3, 0.7};
    rung_ensemble_temper(1, 2, same);
    assert_true(same[0] == 0.3 && same[1] == 0.7);
    rung_prng prng = {9};
    for (int round = 0; round < 2000; round++) {
        double q[4];
        double sum = 0;
        for (size_t c = 0; c < 4; c++) {
            q[c] = round % 10 == 0 && c == 3 ? 0 : rung_prng_uniform(&prng);
            sum += q[c];
        }
        double tempered[4];
        for (size_t c = 0; c < 4; c++) {
            q[c] /= sum;
            tempered[c] = q[c];
        }
        double temperature = 0.05 + 5 * rung_prng_uniform(&prng);
        rung_ensemble_temper(temperature, 4, tempered);
        sum = 0;
        for (size_t c = 0; c < 4; c++) {
            assert_true(tempered[c] >= 0 && tempered[c] <= 1);
            sum += tempered[c];
            for (size_t d = 0; d < 4; d++) {
                assert_true(q[c] < q[d] || tempered[c] >= tempered[d] * (1 - 1e-12)); /* the order stays */
            }
        }
        assert_true(fabs(sum - 1) <= 1e-14);
    }
}

static void golden_ensembles(void **state)
{
    (void)state;
    json_t *cases = numbers_section("ensemble");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        double accuracy[RUNG_MAX_LEVELS];
        double expected[RUNG_MAX_LEVELS];
        uint8_t flags[RUNG_MAX_LEVELS];
        bool visited[RUNG_MAX_LEVELS];
        double rows[RUNG_MAX_LEVELS][4];
        const double *probabilities[RUNG_MAX_LEVELS];
        rung_calibration calibration = {0};
        json_t *matrix = json_object_get(one, "probabilities");
        calibration.num_levels = (uint32_t)numbers_doubles(json_object_get(one, "accuracy"), accuracy, RUNG_MAX_LEVELS);
        numbers_bytes(json_object_get(one, "visited"), flags, RUNG_MAX_LEVELS);
        for (uint32_t l = 0; l < calibration.num_levels; l++) {
            calibration.level[l].accuracy = accuracy[l];
            visited[l] = flags[l] != 0;
            calibration.num_classes = (uint32_t)numbers_doubles(json_array_get(matrix, l), rows[l], 4);
            probabilities[l] = rows[l];
        }
        bool last = strcmp(json_string_value(json_object_get(one, "weights_kind")), "last") == 0;
        double weights[RUNG_MAX_LEVELS];
        double pooled[4];
        rung_ensemble_weights(last ? RUNG_WEIGHTS_LAST : RUNG_WEIGHTS_ACCURACY, &calibration, visited, weights);
        numbers_doubles(json_object_get(one, "weights"), expected, RUNG_MAX_LEVELS);
        for (uint32_t l = 0; l < calibration.num_levels; l++) {
            assert_near(numbers_name(one), weights[l], expected[l], 1e-15);
        }
        rung_ensemble_pool(weights, probabilities, calibration.num_levels, calibration.num_classes, pooled);
        numbers_doubles(json_object_get(one, "pooled"), expected, RUNG_MAX_LEVELS);
        for (uint32_t c = 0; c < calibration.num_classes; c++) {
            assert_near(numbers_name(one), pooled[c], expected[c], 1e-15);
        }
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),    cmocka_unit_test(fitted_sets_and_others),
        cmocka_unit_test(tempers),    cmocka_unit_test(accuracy_of_zero),
        cmocka_unit_test(properties), cmocka_unit_test(golden_ensembles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
