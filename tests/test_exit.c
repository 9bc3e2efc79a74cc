/* test_exit.c: early exit (Eq 13-14 and the rule that needs agreement) on sequences of exits worked out by hand. */
#include "base/prng.h"
#include "cascade/confidence.h"
#include "cascade/exit.h"
#include "numbers.h"

#define NUM_EXITS 8

static const double ones[NUM_EXITS] = {1, 1, 1, 1, 1, 1, 1, 1};

/* The layer at which a request with these logits [n][2] stops; 0: not within n. */
static uint32_t run(const rung_exit_policy *policy, const double *temperature, const float logits[][2], uint32_t n)
{
    rung_level_calibration calibration = {.num_exits = NUM_EXITS, .temperature = temperature};
    double workspace[4];
    rung_exit_state state;
    rung_exit_init(&state, policy, &calibration, 2, workspace);
    for (uint32_t layer = 1; layer <= n; layer++) {
        if (rung_exit_step(&state, layer, logits[layer - 1]) == RUNG_EXIT_STOP) {
            return layer;
        }
    }
    return 0;
}

/* ln 4: the softmax of (0, ln 4) is (.2, .8). */
#define LN4 1.3862944f
/* ln 19: (.05, .95). ln 24: (.04, .96). */
#define LN19 2.9444390f
#define LN24 3.1780538f

static void paper_counts(void **state)
{
    (void)state;
    rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER, .tau = 0.02, .patience = 1, .first_layer = 1};
    /* .8, .95, .96: |.95 - .8| = .15 is too much, |.96 - .95| = .01 < .02 counts: exit 3. */
    static const float rising[][2] = {{0, LN4}, {0, LN19}, {0, LN24}, {0, LN24}};
    assert_int_equal(run(&policy, ones, rising, 4), 3);
    policy.patience = 2;
    assert_int_equal(run(&policy, ones, rising, 4), 4);
    policy.tau = 0.2;
    assert_int_equal(run(&policy, ones, rising, 4), 3); /* .15 and .01 both count now */
    policy.tau = 0;
    policy.patience = 1;
    static const float same[][2] = {{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}};
    assert_int_equal(run(&policy, ones, same, 8), 8); /* tau = 0 never counts: the last layer */
    policy.tau = 1e-9;
    assert_int_equal(run(&policy, ones, same, 8), 2); /* the first comparison is at exit 2 */
    /* A large difference in between starts the count anew: differences 0, .15, 0, 0. */
    static const float broken[][2] = {{0, LN4}, {0, LN4}, {0, LN19}, {0, LN19}, {0, LN19}, {0, LN19}};
    policy.patience = 2;
    policy.tau = 0.02;
    assert_int_equal(run(&policy, ones, broken, 6), 5);
}

static void equality_resets(void **state)
{
    (void)state;
    /* (.5, .5), then (1, 0): the difference is exactly .5. */
    static const float half[][2] = {{0, 0}, {0, -INFINITY}};
    rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER, .tau = 0.5, .patience = 1, .first_layer = 1};
    assert_int_equal(run(&policy, ones, half, 2), 0);
    policy.tau = nextafter(0.5, 1);
    assert_int_equal(run(&policy, ones, half, 2), 2);
}

static void paper_is_blind_to_flips(void **state)
{
    (void)state;
    static const float flip[][2] = {{0, LN19}, {LN19, 0}, {LN19, 0}};
    rung_exit_policy policy = {
        .rule = RUNG_EXIT_PAPER, .tau = 1e-5, .patience = 1, .confidence = 0.9, .first_layer = 1};
    assert_int_equal(run(&policy, ones, flip, 3), 2);
    policy.rule = RUNG_EXIT_AGREE;
    assert_int_equal(run(&policy, ones, flip, 3), 3);
}

static void paper_takes_no_temperature(void **state)
{
    (void)state;
    static const double temperature[NUM_EXITS] = {1, 20, 1, 1, 1, 1, 1, 1};
    static const float same[][2] = {{0, LN19}, {0, LN19}};
    rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER, .tau = 1e-5, .patience = 1, .first_layer = 1};
    assert_int_equal(run(&policy, temperature, same, 2), 2);
    policy.rule = RUNG_EXIT_AGREE;
    policy.confidence = 0;
    assert_int_equal(run(&policy, temperature, same, 2), 0);
}

static void agree_needs_all_three(void **state)
{
    (void)state;
    rung_exit_policy policy = {
        .rule = RUNG_EXIT_AGREE, .tau = 0.02, .patience = 1, .confidence = 0.9, .first_layer = 1};
    static const float unsure[][2] = {{0, LN4}, {0, LN4}, {0, LN19}, {0, LN24}};
    /* Exit 2: .8 < .9. Exit 3: .95, but its divergence from exit 2: m = (.125, .875),
     * (.2 ln 1.6 + .8 ln(.8/.875) + .05 ln .4 + .95 ln(.95/.875)) / 2 = (.094001 - .071690 - .045815 + .078126) / 2 = .027311 > .02.
     * Exit 4: (.05, .95) and (.04, .96) are .00029 apart. */
    assert_int_equal(run(&policy, ones, unsure, 4), 4);
    policy.tau = 0.0274;
    assert_int_equal(run(&policy, ones, unsure, 4), 3);
    policy.tau = 0.0272;
    assert_int_equal(run(&policy, ones, unsure, 4), 4);
    policy.confidence = 0.97;
    assert_int_equal(run(&policy, ones, unsure, 4), 0);
    /* At T = 2 the square roots count: (0, ln 19) gives sqrt(19) / (1 + sqrt(19)) = .8134, below .9. */
    static const double twos[NUM_EXITS] = {2, 2, 2, 2, 2, 2, 2, 2};
    static const float sure[][2] = {{0, LN19}, {0, LN19}, {0, LN19}};
    policy.confidence = 0.9;
    assert_int_equal(run(&policy, twos, sure, 3), 0);
    policy.confidence = 0.81;
    assert_int_equal(run(&policy, twos, sure, 3), 2);
}

static void first_layer_and_off(void **state)
{
    (void)state;
    static const float same[][2] = {{0, 4}, {0, 4}, {0, 4}, {0, 4}, {0, 4}, {0, 4}, {0, 4}, {0, 4}};
    rung_exit_policy policy = {
        .rule = RUNG_EXIT_AGREE, .tau = 0.02, .patience = 1, .confidence = 0.5, .first_layer = 5};
    assert_int_equal(run(&policy, ones, same, 8), 5);
    policy.first_layer = 100;
    assert_int_equal(run(&policy, ones, same, 8), 8);
    policy.first_layer = 1;
    policy.rule = RUNG_EXIT_OFF;
    assert_int_equal(run(&policy, ones, same, 8), 8);
}

static void unusable_logits_reset(void **state)
{
    (void)state;
    static const float broken[][2] = {{0, 4}, {NAN, 4}, {0, 4}, {0, 4}};
    rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER, .tau = 0.02, .patience = 1, .first_layer = 1};
    assert_int_equal(run(&policy, ones, broken, 4), 4);
}

static void skipped_heads(void **state)
{
    (void)state;
    rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER, .tau = 0.02, .patience = 1, .first_layer = 1};
    rung_level_calibration calibration = {.num_exits = NUM_EXITS, .temperature = ones};
    double workspace[4];
    rung_exit_state exits;
    float logits[2] = {0, 4};
    rung_exit_init(&exits, &policy, &calibration, 2, workspace);
    assert_int_equal(rung_exit_step(&exits, 3, logits), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, 6, logits), RUNG_EXIT_STOP);
    assert_int_equal(exits.layer, 6);
}

/* Against the definition written out again over whole sequences, for any number of classes. */
static void random_sequences(void **state)
{
    (void)state;
    rung_prng prng = {7};
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 1 + (uint32_t)rung_prng_below(&prng, 5);
        rung_exit_policy policy = {.rule = RUNG_EXIT_PAPER + (rung_exit_rule)rung_prng_below(&prng, 2),
                                   .tau = 0.1 * rung_prng_uniform(&prng),
                                   .patience = 1 + (uint32_t)rung_prng_below(&prng, 3),
                                   .confidence = rung_prng_uniform(&prng),
                                   .first_layer = 1 + (uint32_t)rung_prng_below(&prng, 4)};
        double temperature[NUM_EXITS];
        float logits[NUM_EXITS][5];
        double p[NUM_EXITS][5];
        for (uint32_t e = 0; e < NUM_EXITS; e++) {
            temperature[e] = 0.5 + rung_prng_uniform(&prng);
            for (uint32_t c = 0; c < n; c++) {
                double last = e > 0 ? (double)logits[e - 1][c] : 0;
                logits[e][c] = (float)(last + (e == 0 ? 2 : 0.3) * rung_prng_normal(&prng));
            }
            rung_softmax(logits[e], n, policy.rule == RUNG_EXIT_PAPER ? 1 : temperature[e], p[e]);
        }
        uint32_t expected = NUM_EXITS;
        uint32_t in_a_row = 0;
        for (uint32_t e = 1; e + 1 < NUM_EXITS && expected == NUM_EXITS; e++) {
            uint32_t now = rung_argmax(p[e], n);
            uint32_t before = rung_argmax(p[e - 1], n);
            bool stable = policy.rule == RUNG_EXIT_PAPER ? fabs(p[e][now] - p[e - 1][before]) < policy.tau
                                                         : now == before && p[e][now] >= policy.confidence &&
                                                               rung_js_divergence(p[e - 1], p[e], n) < policy.tau;
            in_a_row = stable ? in_a_row + 1 : 0;
            if (in_a_row >= policy.patience && e + 1 >= policy.first_layer) {
                expected = e + 1;
            }
        }
        rung_level_calibration calibration = {.num_exits = NUM_EXITS, .temperature = temperature};
        double workspace[10];
        rung_exit_state exits;
        rung_exit_init(&exits, &policy, &calibration, n, workspace);
        uint32_t layer = 1;
        while (rung_exit_step(&exits, layer, logits[layer - 1]) == RUNG_EXIT_CONTINUE) {
            layer++;
        }
        assert_int_equal(layer, expected);
    }
}

/* Two exits agree when every label stays on its side of .5 and the least sure one is sure enough. */
static void several_labels(void **state)
{
    (void)state;
    const rung_level_calibration calibration = {.num_exits = NUM_EXITS, .temperature = ones, .multi_label = true};
    rung_exit_policy policy = {
        .rule = RUNG_EXIT_AGREE, .tau = 0.05, .patience = 1, .confidence = 0.9, .first_layer = 1};
    static const float logits[][2] = {
        {LN19, -LN19}, /* .95, .05 */
        {LN19, LN19},  /* the second label flips */
        {LN24, LN4},   /* no flip, but only .8 sure */
        {LN24, LN24},  /* .96 and sure, but the second label moved from .8: too far */
        {LN24, LN19},  /* .96, .95 */
    };
    double workspace[4];
    rung_exit_state exits;
    rung_exit_init(&exits, &policy, &calibration, 2, workspace);
    for (uint32_t layer = 1; layer <= 3; layer++) {
        assert_int_equal(rung_exit_step(&exits, layer, logits[layer - 1]), RUNG_EXIT_CONTINUE);
    }
    policy.tau = 0.02;
    assert_int_equal(rung_exit_step(&exits, 4, logits[3]), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, 5, logits[4]), RUNG_EXIT_STOP);
    policy.rule = RUNG_EXIT_PAPER; /* confidence .95 and .95, whatever the labels */
    rung_exit_init(&exits, &policy, &calibration, 2, workspace);
    assert_int_equal(rung_exit_step(&exits, 1, logits[0]), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, 2, logits[1]), RUNG_EXIT_STOP);
}

static void golden_exits(void **state)
{
    (void)state;
    json_t *cases = numbers_section("exit");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        const char *rule = json_string_value(json_object_get(one, "rule"));
        rung_exit_policy policy = {.rule = strcmp(rule, "off") == 0     ? RUNG_EXIT_OFF
                                           : strcmp(rule, "paper") == 0 ? RUNG_EXIT_PAPER
                                                                        : RUNG_EXIT_AGREE,
                                   .tau = numbers_value(one, "tau"),
                                   .patience = (uint32_t)numbers_value(one, "patience"),
                                   .confidence = numbers_value(one, "confidence"),
                                   .first_layer = (uint32_t)numbers_value(one, "first_layer")};
        double temperature[16];
        uint32_t counts[16];
        rung_level_calibration calibration = {.temperature = temperature};
        calibration.num_exits = (uint32_t)numbers_doubles(json_object_get(one, "temperature"), temperature, 16);
        numbers_u32(json_object_get(one, "counts"), counts, 16);
        double workspace[6];
        rung_exit_state exits;
        uint32_t layer = 0;
        rung_exit_verdict verdict = RUNG_EXIT_CONTINUE;
        while (verdict == RUNG_EXIT_CONTINUE) {
            float logits[3];
            json_t *row = json_array_get(json_object_get(one, "logits"), layer);
            uint32_t n = (uint32_t)numbers_floats(row, logits, 3);
            if (layer == 0) {
                rung_exit_init(&exits, &policy, &calibration, n, workspace);
            }
            layer++;
            verdict = rung_exit_step(&exits, layer, logits);
            if (policy.rule != RUNG_EXIT_OFF && layer < calibration.num_exits && exits.count != counts[layer - 1]) {
                fail_msg("%s: cnt %u after layer %u, not %u", numbers_name(one), exits.count, layer, counts[layer - 1]);
            }
        }
        if (layer != (uint32_t)numbers_value(one, "exit_layer")) {
            fail_msg("%s: stopped after layer %u", numbers_name(one), layer);
        }
    }
    json_decref(cases);
}

/* Exits .8, .95, .96 for class 1, then .96 for class 0. */
static const float turning[][2] = {{0, LN4}, {0, LN19}, {0, LN24}, {LN24, 0}, {LN24, 0}, {LN24, 0}};

static void pabee_looks_at_the_class(void **state)
{
    (void)state;
    rung_exit_policy policy = {.rule = RUNG_EXIT_PABEE, .patience = 2, .first_layer = 1};
    assert_int_equal(run(&policy, ones, turning, 6), 3);
    policy.patience = 3; /* the flip at exit 4 starts anew */
    assert_int_equal(run(&policy, ones, turning, 6), 0);
    policy.patience = 1;
    assert_int_equal(run(&policy, ones, turning, 6), 2);
    policy.first_layer = 4; /* at exit 4 it has just flipped */
    assert_int_equal(run(&policy, ones, turning, 6), 5);
}

static void entropy_looks_at_one_exit(void **state)
{
    (void)state;
    /* H(.8) = .5004, H(.95) = .1985, H(.96) = .1679 nats. */
    rung_exit_policy policy = {.rule = RUNG_EXIT_ENTROPY, .patience = 5, .first_layer = 1};
    for (uint32_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
        policy.entropy[e] = 0.18;
    }
    assert_int_equal(run(&policy, ones, turning, 6), 3);
    policy.entropy[1] = 0.2; /* a threshold of its own for exit 2 */
    assert_int_equal(run(&policy, ones, turning, 6), 2);
    policy.entropy[0] = 0.6;
    assert_int_equal(run(&policy, ones, turning, 6), 1);
    static const double twos[NUM_EXITS] = {2, 2, 2, 2, 2, 2, 2, 2};
    assert_int_equal(run(&policy, twos, turning, 6), 1); /* no temperature */
}

static void divergence_looks_at_two(void **state)
{
    (void)state;
    rung_exit_policy policy = {.rule = RUNG_EXIT_DIVERGENCE, .tau = 0.001, .patience = 1, .first_layer = 1};
    assert_int_equal(run(&policy, ones, turning, 6), 3); /* .95 and .96 */
    policy.patience = 2;
    assert_int_equal(run(&policy, ones, turning, 6), 6); /* the flip is far away, unlike for Eq 13 */
}

static void little_confidence_offloads_early(void **state)
{
    (void)state;
    rung_exit_policy policy = {.rule = RUNG_EXIT_OFF, .first_layer = 2};
    rung_level_calibration calibration = {.num_exits = NUM_EXITS, .temperature = ones};
    double workspace[4];
    rung_exit_state exits;
    rung_exit_init(&exits, &policy, &calibration, 2, workspace);
    exits.early = 0.8;
    static const float fifty[2] = {0, 0};
    static const float ninety_five[2] = {0, LN19};
    assert_int_equal(rung_exit_step(&exits, 1, fifty), RUNG_EXIT_CONTINUE); /* before first_layer */
    assert_int_equal(rung_exit_step(&exits, 2, ninety_five), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, 3, fifty), RUNG_EXIT_OFFLOAD);
    assert_int_equal(rung_exit_step(&exits, 4, (const float[2]){NAN, 0}), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, NUM_EXITS, fifty), RUNG_EXIT_STOP); /* the last one decides as ever */
    /* Beside a rule, whose comparison it leaves alone. */
    policy =
        (rung_exit_policy){.rule = RUNG_EXIT_AGREE, .tau = 0.02, .patience = 1, .confidence = 0.9, .first_layer = 2};
    rung_exit_init(&exits, &policy, &calibration, 2, workspace);
    exits.early = 0.8;
    assert_int_equal(rung_exit_step(&exits, 1, ninety_five), RUNG_EXIT_CONTINUE);
    assert_int_equal(rung_exit_step(&exits, 2, (const float[2]){0, LN24}), RUNG_EXIT_STOP);
}

/* Whoever has measured the exits before gets the same verdicts, whatever the rule. */
static void judging_measures_is_stepping(void **state)
{
    (void)state;
    rung_prng prng = {11};
    static const double temperature[NUM_EXITS] = {1, 0.5, 2, 1, 0.7, 1, 3, 1};
    for (int round = 0; round < 5000; round++) {
        rung_exit_policy policy = {.rule = (rung_exit_rule)rung_prng_below(&prng, RUNG_EXIT_DIVERGENCE + 1),
                                   .tau = pow(10, -4 * rung_prng_uniform(&prng)),
                                   .patience = 1 + (uint32_t)rung_prng_below(&prng, 3),
                                   .confidence = rung_prng_uniform(&prng),
                                   .first_layer = 1 + (uint32_t)rung_prng_below(&prng, 4),
                                   .entropy = {rung_prng_uniform(&prng)}};
        const rung_level_calibration calibration = {
            .num_exits = NUM_EXITS, .temperature = temperature, .multi_label = rung_prng_below(&prng, 3) == 0};
        bool reads_calibrated = rung_exit_reads_calibrated(policy.rule);
        double workspaces[2][4];
        double read[NUM_EXITS][2];
        const double *previous = NULL;
        rung_exit_state stepped;
        rung_exit_state judged;
        rung_exit_verdict verdict = RUNG_EXIT_CONTINUE;
        rung_exit_init(&stepped, &policy, &calibration, 2, workspaces[0]);
        rung_exit_init(&judged, &policy, &calibration, 2, workspaces[1]);
        stepped.early = judged.early = rung_prng_below(&prng, 2) == 0 ? rung_prng_uniform(&prng) : 0;
        for (uint32_t layer = 1; verdict == RUNG_EXIT_CONTINUE; layer++) {
            double *own = read[layer - 1];
            double calibrated[2] = {0, 0};
            const float logits[2] = {(float)rung_prng_normal(&prng),
                                     rung_prng_below(&prng, 9) == 0 ? NAN : 2 * (float)rung_prng_normal(&prng)};
            rung_exit_measures measures = {.usable = rung_logits_usable(logits, 2)};
            if (measures.usable) {
                rung_calibrated_probabilities(&calibration, layer, logits, 2, calibrated);
                rung_raw_probabilities(&calibration, logits, 2, own);
                if (reads_calibrated) {
                    memcpy(own, calibrated, sizeof calibrated);
                }
                measures = rung_exit_measure(own, previous, 2, calibration.multi_label);
            }
            previous = measures.usable ? own : NULL;
            verdict =
                rung_exit_judge(&judged, layer, &measures, rung_confidence(calibrated, 2, calibration.multi_label));
            assert_int_equal(rung_exit_step(&stepped, layer, logits), verdict);
            assert_int_equal(stepped.count, judged.count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paper_counts),
        cmocka_unit_test(equality_resets),
        cmocka_unit_test(paper_is_blind_to_flips),
        cmocka_unit_test(paper_takes_no_temperature),
        cmocka_unit_test(agree_needs_all_three),
        cmocka_unit_test(first_layer_and_off),
        cmocka_unit_test(unusable_logits_reset),
        cmocka_unit_test(skipped_heads),
        cmocka_unit_test(random_sequences),
        cmocka_unit_test(several_labels),
        cmocka_unit_test(golden_exits),
        cmocka_unit_test(pabee_looks_at_the_class),
        cmocka_unit_test(entropy_looks_at_one_exit),
        cmocka_unit_test(divergence_looks_at_two),
        cmocka_unit_test(little_confidence_offloads_early),
        cmocka_unit_test(judging_measures_is_stepping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
