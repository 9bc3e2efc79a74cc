/* test_variant.c: names of variants, the layers that are skipped, and the tokens that stay. */
#include "cascade/variant.h"
#include "skip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAYERS 128

static void assert_kept(uint32_t num_layers, double speedup, const char *expected)
{
    bool keep[MAX_LAYERS];
    memset(keep, 2, sizeof keep);
    rung_layer_skip(num_layers, speedup, keep);
    for (uint32_t i = 0; i < num_layers; i++) {
        if (keep[i] != (expected[i] == 'x')) {
            fail_msg("%u layers, speedup %g: layer %u", num_layers, speedup, i);
        }
    }
}

static void layers_of_the_example(void **state)
{
    (void)state;
    assert_kept(12, 2, "x.x.x.x.x..x");
    assert_kept(12, 1.5, "xxxxxxx....x"); /* 8 layers, one by one from the first on */
    assert_kept(12, 3, "x...x...x..x");
    assert_kept(12, 4, "x.....x....x");
    assert_kept(6, 2, "x..x.x");
}

static void without_a_variant_the_amount_says_nothing(void **state)
{
    (void)state;
    const rung_variant none = {.amount = 1};
    const rung_variant also_none = {.amount = 2};
    const rung_variant skip = {RUNG_VARIANT_LAYER_SKIP, 2};
    const rung_variant skip_more = {RUNG_VARIANT_LAYER_SKIP, 3};
    const rung_variant power = {RUNG_VARIANT_POWER_BERT, 2};
    assert_true(rung_variant_equal(&none, &also_none));
    assert_true(rung_variant_equal(&skip, &skip));
    assert_false(rung_variant_equal(&skip, &skip_more));
    assert_false(rung_variant_equal(&skip, &power));
    assert_false(rung_variant_equal(&none, &power));
}

/* R = 2, 1 and 0, and models too small to skip anything. */
static void the_first_and_the_last_always_run(void **state)
{
    (void)state;
    assert_kept(12, 6, "x..........x");
    assert_kept(12, 12, "x..........x");
    assert_kept(12, 13, "x..........x");
    assert_kept(12, 1e300, "x..........x");
    assert_kept(12, INFINITY, "x..........x");
    assert_kept(1, 2, "x");
    assert_kept(1, nextafter(1, 2), "x");
    assert_kept(2, 2, "xx");
    assert_kept(2, 100, "xx");
}

static void a_speedup_near_one_skips_one_layer(void **state)
{
    (void)state;
    assert_kept(12, 1.01, "xxxxxxxxxx.x");
    assert_kept(12, nextafter(1, 2), "xxxxxxxxxx.x");
    assert_kept(3, 1.01, "x.x");
    assert_kept(4, 1.01, "x.xx"); /* interval int(4 / 2) */
}

/* Every R that a model can have: that many layers, the first multiples of one interval and the last. */
static void as_many_layers_as_asked(void **state)
{
    (void)state;
    for (uint32_t layers = 2; layers <= MAX_LAYERS; layers++) {
        for (uint32_t wanted = 2; wanted < layers; wanted++) {
            bool keep[MAX_LAYERS];
            rung_layer_skip(layers, layers / (wanted + 0.5), keep);
            uint32_t interval = layers / (wanted - 1);
            uint32_t kept = 0;
            for (uint32_t i = 0; i < layers; i++) {
                bool expected = i + 1 == layers || (i % interval == 0 && kept < wanted - 1);
                assert_int_equal(keep[i], expected);
                kept += keep[i];
            }
            assert_int_equal(kept, wanted);
        }
    }
}

static void tokens_by_layer(void **state)
{
    (void)state;
    static const size_t half_of_100[] = {100, 88, 75, 63, 50}; /* 87.5 and 62.5 are rounded up */
    for (uint32_t layer = 0; layer <= 4; layer++) {
        assert_int_equal(rung_power_keep(100, layer, 4, 0.5), half_of_100[layer]);
    }
    assert_int_equal(rung_power_keep(10, 1, 1, 0.3), 3); /* 1 - 0.7 is a little more than 0.3 */
    assert_int_equal(rung_power_keep(10, 3, 3, 0.9), 9);
    assert_int_equal(rung_power_keep(10, 7, 7, 0.1), 1);
    assert_int_equal(rung_power_keep(512, 12, 12, 1e-300), 1);
    assert_int_equal(rung_power_keep(1, 1, 1, 0.01), 1);
}

static void tokens_never_rise(void **state)
{
    (void)state;
    static const double shares[] = {1e-9, 0.1, 0.25, 0.3, 1.0 / 3, 0.5, 0.7, 0.99, 1};
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        for (uint32_t layers = 1; layers <= 24; layers++) {
            for (size_t tokens = 1; tokens <= 512; tokens += 7) {
                size_t before = tokens;
                for (uint32_t layer = 1; layer <= layers; layer++) {
                    size_t count = rung_power_keep(tokens, layer, layers, shares[s]);
                    assert_true(count >= 1 && count <= before);
                    assert_true(shares[s] < 1 || count == tokens);
                    before = count;
                }
                double end = (double)tokens * shares[s];
                assert_true((double)before > end - 1e-6 && (double)before < end + 1);
            }
        }
    }
}

static void assert_marked(const float *sums, size_t num_tokens, size_t count, const char *expected)
{
    bool keep[16];
    rung_power_mark(sums, num_tokens, count, keep);
    for (size_t i = 0; i < num_tokens; i++) {
        if (keep[i] != (expected[i] == 'x')) {
            fail_msg("%zu of %zu tokens: token %zu", count, num_tokens, i);
        }
    }
}

static void the_least_important_tokens_go(void **state)
{
    (void)state;
    const float sums[] = {0, 3, 1, 5, 2, 4}; /* the first has least and stays */
    assert_marked(sums, 6, 6, "xxxxxx");
    assert_marked(sums, 6, 5, "xx.xxx");
    assert_marked(sums, 6, 4, "xx.x.x");
    assert_marked(sums, 6, 3, "x..x.x");
    assert_marked(sums, 6, 2, "x..x..");
    assert_marked(sums, 6, 1, "x.....");
    assert_marked(sums, 1, 1, "x");
    const float equal[] = {1, 1, 1, 1, 2, 1};
    assert_marked(equal, 6, 4, "xxx.x.");
    assert_marked(equal, 6, 2, "x...x.");
    const float none[] = {NAN, NAN, 1, NAN, INFINITY, NAN};
    for (size_t count = 1; count <= 6; count++) {
        bool keep[6];
        size_t kept = 0;
        rung_power_mark(none, 6, count, keep);
        for (size_t i = 0; i < 6; i++) {
            kept += keep[i];
        }
        assert_true(keep[0]);
        assert_int_equal(kept, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_of_the_example),
        cmocka_unit_test(without_a_variant_the_amount_says_nothing),
        cmocka_unit_test(the_first_and_the_last_always_run),
        cmocka_unit_test(a_speedup_near_one_skips_one_layer),
        cmocka_unit_test(as_many_layers_as_asked),
        cmocka_unit_test(tokens_by_layer),
        cmocka_unit_test(tokens_never_rise),
        cmocka_unit_test(the_least_important_tokens_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
