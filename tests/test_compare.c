/* test_compare.c: all figures of made-up contenders against the single bootstraps, quantiles and oracles that they are made of. */
#include "base/order.h"
#include "base/prng.h"
#include "eval/compare.h"
#include "model_fixture.h"

#define N 60
#define COUNT 3

enum { TOP, OTHER, OURS };

static const rung_bootstrap BOOTSTRAP = {.resamples = 80, .confidence = 0.9, .seed = 4};

static rung_measured make_measured(rung_prng *prng, double scale_ms)
{
    rung_measured made = {.n = N};
    made.latency_ms = calloc(N, sizeof(double));
    made.right = calloc(N, sizeof(double));
    made.agrees = calloc(N, sizeof(double));
    made.bytes = calloc(N, sizeof(double));
    for (size_t i = 0; i < N; i++) {
        made.latency_ms[i] = scale_ms * (1 + (double)rung_prng_below(prng, 1000) / 500);
        made.right[i] = rung_prng_below(prng, 10) > 0;
        made.agrees[i] = rung_prng_below(prng, 20) > 0;
        made.bytes[i] = (double)rung_prng_below(prng, 900) * scale_ms;
        made.summary.mean_ms += made.latency_ms[i] / N;
        made.summary.accuracy += made.right[i] / N;
        made.summary.agreement += made.agrees[i] / N;
    }
    return made;
}

/* Every request may be right and agree for a millisecond more than the cheapest, whose time differs. */
static rung_oracle make_oracle(void)
{
    rung_oracle made = {.n = N};
    made.cheapest_ms = calloc(N, sizeof(double));
    made.extra_right = calloc(N, sizeof(double));
    made.extra_agrees = calloc(N, sizeof(double));
    made.right_request = calloc(N, sizeof(uint32_t));
    made.agrees_request = calloc(N, sizeof(uint32_t));
    for (uint32_t i = 0; i < N; i++) {
        made.cheapest_ms[i] = 0.1 + 0.001 * i;
        made.mean_cheapest_ms += made.cheapest_ms[i] / N;
        made.extra_right[i] = i < 58 ? 0.01 * i : INFINITY;
        made.extra_agrees[i] = 0.02 * i;
        made.right_request[i] = N - 1 - i;
        made.agrees_request[i] = (i + 7) % N;
    }
    return made;
}

static void near(double value, double expected)
{
    if (!(value == expected || fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected)))) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void same_interval(rung_interval a, rung_interval b)
{
    near(a.value, b.value);
    near(a.low, b.low);
    near(a.high, b.high);
}

static void check_contender(const rung_contender *items, size_t k)
{
    const rung_measured *own = &items[k].measured;
    const rung_measured *ours = &items[OURS].measured;
    const rung_measured *top = &items[TOP].measured;
    rung_interval interval;
    assert_ok(rung_bootstrap_ratio(&BOOTSTRAP, top->latency_ms, own->latency_ms, N, &interval, error));
    same_interval(items[k].times_faster, interval);
    assert_ok(rung_bootstrap_ratio(&BOOTSTRAP, own->latency_ms, ours->latency_ms, N, &interval, error));
    same_interval(items[k].ours_faster, interval);
    assert_ok(rung_bootstrap_ratio(&BOOTSTRAP, own->bytes, top->bytes, N, &interval, error));
    same_interval(items[k].bytes_share, interval);
    assert_ok(rung_bootstrap_difference(&BOOTSTRAP, ours->right, own->right, N, &interval, error));
    same_interval(items[k].ours_accuracy, interval);
    same_interval(items[k].accuracy, rung_wilson(rint(own->summary.accuracy * N), N, 0.9));
    near(items[k].mean_ms.value, own->summary.mean_ms);
    double sorted[N];
    memcpy(sorted, own->latency_ms, sizeof sorted);
    rung_sort(sorted, N);
    near(items[k].p95_ms.value, rung_quantile(sorted, N, 0.95));
    assert_true(items[k].p95_ms.low <= items[k].p95_ms.value && items[k].p95_ms.value <= sorted[N - 1]);
}

static void figures_are_those_of_single_bootstraps(void **state)
{
    (void)state;
    static const char *const names[COUNT] = {"top", "other", "ours"};
    static const double scales[COUNT] = {8, 3, 1};
    rung_prng prng = {.state = 9};
    rung_contender items[COUNT] = {{.name = NULL}};
    for (size_t k = 0; k < COUNT; k++) {
        items[k] = (rung_contender){.name = names[k], .measured = make_measured(&prng, scales[k])};
    }
    rung_oracle oracle = make_oracle();
    for (int by_agreement = 0; by_agreement < 2; by_agreement++) {
        rung_comparison comparison = {.items = items,
                                      .count = COUNT,
                                      .top = TOP,
                                      .ours = OURS,
                                      .oracle = &oracle,
                                      .by_agreement = by_agreement == 1};
        assert_ok(rung_compare(&BOOTSTRAP, &comparison, error));
        for (size_t k = 0; k < COUNT; k++) {
            check_contender(items, k);
        }
        const rung_summary *ours = &items[OURS].measured.summary;
        double oracle_ms = by_agreement ? rung_oracle_agreeing_ms(&oracle, ours->agreement)
                                        : rung_oracle_accurate_ms(&oracle, ours->accuracy);
        near(rung_comparison_oracle_ms(&comparison), oracle_ms);
        near(items[OTHER].gap_closed.value,
             rung_gap_closed(items[OTHER].mean_ms.value, items[OURS].mean_ms.value, oracle_ms));
        assert_true(isnan(items[OURS].gap_closed.value));
        comparison.oracle = NULL;
        assert_ok(rung_compare(&BOOTSTRAP, &comparison, error));
        assert_true(isnan(items[OTHER].gap_closed.value));
    }
    for (size_t k = 0; k < COUNT; k++) {
        rung_contender_deinit(&items[k]);
    }
    rung_oracle_deinit(&oracle);
}

static void an_oracle_on_a_resample(void **state)
{
    (void)state;
    rung_oracle oracle = make_oracle();
    uint32_t times[N];
    for (size_t i = 0; i < N; i++) {
        times[i] = 1;
    }
    for (size_t needed = 0; needed <= N; needed++) {
        double share = (double)needed / N;
        near(rung_oracle_resampled_ms(&oracle, true, share, times), rung_oracle_agreeing_ms(&oracle, share));
        if (needed <= 58) {
            near(rung_oracle_resampled_ms(&oracle, false, share, times), rung_oracle_accurate_ms(&oracle, share));
        } else {
            assert_true(isinf(rung_oracle_resampled_ms(&oracle, false, share, times)));
        }
    }
    /* Request 7 alone, N times: it agrees for nothing. */
    memset(times, 0, sizeof times);
    times[7] = N;
    near(rung_oracle_resampled_ms(&oracle, true, 1, times), oracle.cheapest_ms[7]);
    near(rung_oracle_resampled_ms(&oracle, false, 0.5, times), INFINITY);
    rung_oracle_deinit(&oracle);
}

static void no_sign_before_zero(void **state)
{
    (void)state;
    assert_false(signbit(rung_whole_percent(-0.001)));
    assert_true(rung_whole_percent(-0.126) == -13 && rung_whole_percent(0.5) == 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_single_bootstraps),
        cmocka_unit_test(an_oracle_on_a_resample),
        cmocka_unit_test(no_sign_before_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
