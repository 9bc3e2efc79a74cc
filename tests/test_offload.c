/* test_offload.c: the offload probability (Eq 7-8), the request key and the coin, by hand, golden and by their properties. */
#include "base/prng.h"
#include "cascade/offload.h"
#include "numbers.h"

static rung_offload_policy with_threshold(double t, double k)
{
    rung_offload_policy policy = {.k = k};
    for (int l = 0; l < RUNG_MAX_LEVELS; l++) {
        policy.threshold[l] = t;
    }
    return policy;
}

static void by_hand(void **state)
{
    (void)state;
    rung_offload_policy policy = with_threshold(0.7, 10); /* the curve of the paper's figure 4 */
    assert_true(rung_offload_probability(&policy, 1, 0.2) == 1);
    assert_true(rung_offload_probability(&policy, 1, 0.7) == 1);
    /* .85 is half way: norm = .15/.3 - 1/2 = 0, p = 1/2. */
    assert_near("middle", rung_offload_probability(&policy, 1, 0.85), 0.5, 1e-14);
    /* .775: norm = .075/.3 - 1/2 = -1/4, p = 1 / (1 + e^-2.5), e^-2.5 = 0.0820849986238988. */
    assert_near("quarter", rung_offload_probability(&policy, 1, 0.775), 1 / 1.0820849986238988, 1e-14);
    /* 1: norm = 1/2, p = 1 / (1 + e^5), e^5 = 148.4131591025766: the 0.67 % of the method page. */
    assert_near("end", rung_offload_probability(&policy, 1, 1), 1 / 149.4131591025766, 1e-15);
    policy.k = 4; /* e^2 = 7.38905609893065: 11.9 % */
    assert_near("k 4", rung_offload_probability(&policy, 1, 1), 1 / 8.38905609893065, 1e-15);
    policy.hard = true;
    assert_true(rung_offload_probability(&policy, 1, 0.71) == 0);
    assert_true(rung_offload_probability(&policy, 1, 0.7) == 1);
    policy.threshold[2] = 0.9;
    assert_true(rung_offload_probability(&policy, 3, 0.85) == 1);
    assert_true(rung_offload_probability(&policy, 2, 0.85) == 0);
    assert_true(rung_offload_probability(&policy, 1, NAN) == 1);
}

static void probability_properties(void **state)
{
    (void)state;
    rung_prng prng = {1};
    for (int round = 0; round < 20000; round++) {
        double t = rung_prng_below(&prng, 8) == 0 ? 1 : rung_prng_uniform(&prng);
        rung_offload_policy policy =
            with_threshold(t, rung_prng_below(&prng, 8) == 0 ? 1e6 : 0.01 + 20 * rung_prng_uniform(&prng));
        policy.hard = rung_prng_below(&prng, 4) == 0;
        double low = rung_prng_uniform(&prng);
        double high = low + (1 - low) * rung_prng_uniform(&prng);
        double p_low = rung_offload_probability(&policy, 1, low);
        double p_high = rung_offload_probability(&policy, 1, high);
        assert_true(p_low >= 0 && p_low <= 1 && p_high >= 0 && p_high <= 1);
        assert_true(p_high <= p_low);
        if (t == 1) {
            assert_true(p_low == 1 && p_high == 1 && rung_offload_probability(&policy, 1, 1) == 1);
        }
        assert_true(rung_offload_decide(&policy, 1, t * low, rung_prng_next(&prng))); /* not above t: always */
    }
}

static void coins_follow_the_probability(void **state)
{
    (void)state;
    rung_offload_policy policy = with_threshold(0.7, 4);
    double p = rung_offload_probability(&policy, 2, 0.9);
    int offloaded = 0;
    int both = 0;
    for (int i = 0; i < 20000; i++) {
        char id[16];
        int length = snprintf(id, sizeof id, "%d", i);
        uint64_t key = rung_request_key(1, id, (size_t)length, "same text", 9, NULL, 0);
        bool here = rung_offload_decide(&policy, 2, 0.9, key);
        assert_true(here == (rung_offload_coin(key, 2) < p));
        assert_true(here == rung_offload_decide(&policy, 2, 0.9, key));
        offloaded += here;
        both += here && rung_offload_decide(&policy, 3, 0.9, key);
    }
    double deviation = sqrt(p * (1 - p) / 20000);
    assert_true(fabs(offloaded / 20000.0 - p) < 4 * deviation);
    assert_true(fabs(both / 20000.0 - p * p) < 4 * sqrt(p * p * (1 - p * p) / 20000)); /* levels are independent */
}

static void keys_tell_requests_apart(void **state)
{
    (void)state;
    uint64_t key = rung_request_key(1, "7", 1, "ab", 2, NULL, 0);
    assert_true(key == rung_request_key(1, "7", 1, "ab", 2, NULL, 0));
    assert_true(key != rung_request_key(2, "7", 1, "ab", 2, NULL, 0));
    assert_true(key != rung_request_key(1, "8", 1, "ab", 2, NULL, 0));
    assert_true(key != rung_request_key(1, "7", 1, "ab", 2, "", 0));
    assert_true(key != rung_request_key(1, "7a", 2, "b", 1, NULL, 0));
    assert_true(rung_request_key(1, "7", 1, "a", 1, "b", 1) != rung_request_key(1, "7", 1, "ab", 2, "", 0));
    assert_true(rung_request_key(1, NULL, 0, "a", 1, NULL, 0) == rung_request_key(1, "", 0, "a", 1, NULL, 0));
}

static void golden_probabilities(void **state)
{
    (void)state;
    json_t *cases = numbers_section("offload_probability");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        rung_offload_policy policy = with_threshold(numbers_value(one, "threshold"), numbers_value(one, "k"));
        policy.hard = numbers_value(one, "hard") != 0;
        double p = rung_offload_probability(&policy, 1, numbers_value(one, "confidence"));
        /* (conf - t) / (1 - t) loses digits in double when t is near 1, and k multiplies what is lost. */
        assert_near(numbers_name(one), p, numbers_value(one, "p"), 1e-10);
    }
    json_decref(cases);
}

static void golden_keys(void **state)
{
    (void)state;
    json_t *cases = numbers_section("request_key");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        const char *text = json_string_value(json_object_get(one, "text"));
        const char *pair = json_string_value(json_object_get(one, "pair"));
        uint64_t key = rung_request_key(numbers_hex(one, "seed"), id, strlen(id), text, strlen(text), pair,
                                        pair == NULL ? 0 : strlen(pair));
        if (key != numbers_hex(one, "key")) {
            fail_msg("%s: key %016llx", numbers_name(one), (unsigned long long)key);
        }
        double coins[3];
        assert_int_equal(numbers_doubles(json_object_get(one, "coins"), coins, 3), 3);
        for (uint32_t level = 1; level <= 3; level++) {
            assert_true(rung_offload_coin(key, level) == coins[level - 1]);
        }
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(probability_properties),
        cmocka_unit_test(coins_follow_the_probability),
        cmocka_unit_test(keys_tell_requests_apart),
        cmocka_unit_test(golden_probabilities),
        cmocka_unit_test(golden_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
