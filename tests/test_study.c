/* test_study.c: what a study fits, against the live cascade and counts by hand; how schemes are replayed and summed up; studies that cannot be. */
#include "cascade/confidence.h"
#include "plan_fixture.h"

static plan_fixture fixture;

static int open_all(void **state)
{
    (void)state;
    plan_fixture_open(&fixture);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    plan_fixture_close(&fixture);
    return 0;
}

/* The study as its caller fills it, before it has begun. */
static rung_study unbegun(void)
{
    const rung_study *study = fixture.study;
    return (rung_study){.cascade = study->cascade,
                        .replay = study->replay,
                        .labels = study->labels,
                        .count = study->count,
                        .tune = study->tune,
                        .calibrate = study->calibrate,
                        .certify = study->certify,
                        .report = study->report};
}

/* What the level says of all inputs, live: release with rung_answers_free. */
static rung_answers *classify(const char *policy)
{
    rung_policy single;
    rung_answers *answers = NULL;
    assert_ok(rung_cascade_named_policy(fixture.cascade, policy, &single, error));
    assert_ok(rung_cascade_classify_policy(fixture.cascade, &single, fixture.evaluation.inputs,
                                           fixture.evaluation.count, NULL, &answers, error));
    return answers;
}

static void top_labels_are_the_top_levels(void **state)
{
    (void)state;
    const rung_study *study = fixture.study;
    const rung_rows *parts[] = {&study->tune, &study->calibrate, &study->certify, &study->report};
    rung_answers *answers = classify("single");
    size_t seen[RUNG_MAX_LEVELS] = {0};
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < parts[k]->count; i++) {
            size_t row = parts[k]->rows[i];
            assert_int_equal(study->top_labels[row], rung_answers_get(answers, row)->label_index);
            seen[study->top_labels[row]]++;
        }
    }
    assert_true(seen[0] + seen[1] + seen[2] == EVALUATION_ROWS && seen[0] < EVALUATION_ROWS &&
                seen[1] < EVALUATION_ROWS && seen[2] < EVALUATION_ROWS);
    rung_answers_free(answers);
}

static void accuracies_by_hand(void **state)
{
    (void)state;
    const rung_study *study = fixture.study;
    assert_int_equal(study->calibration.num_levels, 3);
    assert_int_equal(study->calibration.num_classes, PLAN_CLASSES);
    assert_null(study->calibration.pools);
    for (uint32_t l = 0; l < 3; l++) {
        char name[16];
        snprintf(name, sizeof name, "single(%u)", l + 1);
        rung_answers *answers = classify(name);
        size_t right[PLAN_CLASSES] = {0};
        size_t all[PLAN_CLASSES] = {0};
        size_t all_right = 0;
        for (size_t i = 0; i < study->calibrate.count; i++) {
            size_t row = study->calibrate.rows[i];
            uint32_t truth = study->labels[row];
            bool is_right = rung_answers_get(answers, row)->label_index == truth;
            all[truth]++;
            right[truth] += is_right;
            all_right += is_right;
        }
        const rung_level_calibration *level = &study->calibration.level[l];
        plan_near(name, level->accuracy, (double)all_right / (double)study->calibrate.count);
        for (uint32_t c = 0; c < PLAN_CLASSES; c++) {
            plan_near(name, level->class_accuracy[c], all[c] > 0 ? (double)right[c] / (double)all[c] : 0);
        }
        rung_answers_free(answers);
    }
}

/* Mean negative log likelihood of the calibration rows' labels at an exit. */
static double loss(const rung_level_calibration *calibration, uint32_t level, uint32_t layer)
{
    const rung_study *study = fixture.study;
    double sum = 0;
    for (size_t i = 0; i < study->calibrate.count; i++) {
        size_t row = study->calibrate.rows[i];
        rung_record_entry entry;
        float logits[PLAN_CLASSES];
        double probabilities[PLAN_CLASSES];
        assert_ok(rung_replay_whole(study->replay, row, level, &entry, error));
        for (uint32_t c = 0; c < PLAN_CLASSES; c++) {
            logits[fixture.cascade->level[level - 1].class_of[c]] = entry.logits[(layer - 1) * PLAN_CLASSES + c];
        }
        rung_calibrated_probabilities(calibration, layer, logits, PLAN_CLASSES, probabilities);
        sum -= log(probabilities[study->labels[row]]);
    }
    return sum / (double)study->calibrate.count;
}

static void every_exit_is_calibrated(void **state)
{
    (void)state;
    size_t better = 0;
    for (uint32_t l = 0; l < 3; l++) {
        const rung_level_calibration *level = &fixture.study->calibration.level[l];
        const rung_model *model = fixture.cascade->level[l].model;
        assert_int_equal(level->num_exits, model->config.num_layers);
        assert_ptr_equal(level->deferral, fixture.cascade->calibration.level[l].deferral);
        for (uint32_t e = 1; e <= level->num_exits; e++) {
            assert_true(level->temperature[e - 1] > 0 && level->shape[e - 1] > 0);
            if (!rung_model_has_exit(model, e - 1)) {
                assert_true(level->temperature[e - 1] == 1 && level->shape[e - 1] == 1);
                continue;
            }
            static const double one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
            rung_level_calibration raw = {.num_exits = level->num_exits, .temperature = one, .shape = one};
            double before = loss(&raw, l + 1, e);
            double after = loss(level, l + 1, e);
            assert_true(after <= before + 1e-12);
            better += after < before - 1e-6;
        }
    }
    assert_true(better > 0);
    rung_policy policy = plan_policy(&fixture, "rung");
    assert_ok(rung_policy_check(&policy, &fixture.study->calibration, error));
}

static void too_few_rows(void **state)
{
    (void)state;
    static const char *const wanted[] = {"19 rows to tune on; at least 20 are needed", "19 rows to calibrate on",
                                         "19 rows to certify on", "19 rows to report on"};
    for (size_t k = 0; k < 4; k++) {
        rung_study study = unbegun();
        rung_rows *parts[] = {&study.tune, &study.calibrate, &study.certify, &study.report};
        parts[k]->count = 19;
        assert_fails(rung_study_begin(&study, NULL, error), RUNG_INVALID, wanted[k]);
        assert_null(study.top_labels);
        assert_null(study.latencies);
    }
    rung_study study = unbegun();
    rung_rows *parts[] = {&study.tune, &study.calibrate, &study.certify, &study.report};
    for (size_t k = 0; k < 4; k++) {
        parts[k]->count = 20;
    }
    assert_ok(rung_study_begin(&study, NULL, error));
    assert_non_null(study.top_labels);
    rung_study_end(&study);
    assert_null(study.top_labels);
    assert_null(study.temperatures);
    rung_study_end(&study);
}

static void one_label_cannot_be_calibrated(void **state)
{
    (void)state;
    static const uint32_t labels[EVALUATION_ROWS] = {0};
    rung_study study = unbegun();
    study.labels = labels;
    assert_fails(rung_study_begin(&study, NULL, error), RUNG_INVALID, "calibration of level 1: all 24 inputs");
    assert_null(study.top_labels);
    assert_null(study.class_accuracy);
}

static void the_same_twice(void **state)
{
    (void)state;
    rung_study study = unbegun();
    size_t computed = rung_replay_computed(study.replay);
    assert_ok(rung_study_begin(&study, NULL, error));
    assert_int_equal(rung_replay_computed(study.replay), computed);
    assert_memory_equal(study.temperatures, fixture.study->temperatures, 2 * (3 + 2 + 3) * sizeof(double));
    assert_memory_equal(study.class_accuracy, fixture.study->class_accuracy, 3 * PLAN_CLASSES * sizeof(double));
    rung_study_end(&study);
}

/* The scheme of a policy by name, without pools. */
static rung_scheme scheme_of(const char *name)
{
    rung_scheme scheme = {.policy = plan_policy(&fixture, name)};
    assert_ok(rung_scheme_fit(fixture.study, &scheme, error));
    return scheme;
}

/* single(1) takes what the level computes, by its speed, and no link. */
static void a_level_alone_by_hand(void **state)
{
    (void)state;
    const rung_study *study = fixture.study;
    const rung_level_timing *timing = &fixture.evaluation.timing.level[0];
    static rung_outcome outcomes[EVALUATION_ROWS];
    rung_scheme scheme = scheme_of("single(1)");
    rung_answers *answers = classify("single(1)");
    double sum_ms = 0;
    size_t right = 0;
    size_t agreeing = 0;
    for (size_t i = 0; i < study->report.count; i++) {
        size_t row = study->report.rows[i];
        const rung_answer *answer = rung_answers_get(answers, row);
        double tokens = (double)answer->levels[0].tokens;
        sum_ms +=
            (timing->tokenize_ms_per_byte * (double)fixture.evaluation.inputs[row].text_bytes + 3 + 0.03 * tokens) /
            0.5;
        right += answer->label_index == study->labels[row];
        agreeing += answer->label_index == study->top_labels[row];
    }
    assert_ok(rung_scheme_replay(study, &scheme, NULL, &study->report, false, outcomes, error));
    rung_summary sums = rung_summarize(study, &study->report, outcomes);
    double n = (double)study->report.count;
    assert_int_equal(sums.n, study->report.count);
    if (fabs(sums.mean_ms - sum_ms / n) > 1e-5) {
        fail_msg("%.9g ms instead of %.9g", sums.mean_ms, sum_ms / n);
    }
    assert_true(fabs(sums.compute_ms - sums.mean_ms) < 1e-4);
    plan_near("accuracy", sums.accuracy, (double)right / n);
    plan_near("agreement", sums.agreement, (double)agreeing / n);
    assert_true(sums.visited[0] == 1 && sums.visited[1] == 0 && sums.visited[2] == 0);
    assert_true(sums.bytes_up == 0 && sums.bytes_down == 0);
    rung_answers_free(answers);
}

static void networks_change_the_time(void **state)
{
    (void)state;
    const rung_study *study = fixture.study;
    static rung_outcome outcomes[EVALUATION_ROWS];
    static rung_outcome others[EVALUATION_ROWS];
    size_t count = study->report.count;
    rung_scheme scheme = scheme_of("single(1)");
    const double fast[] = {1, 3, 5};
    rung_network network = {.name = "as it is"};
    assert_ok(rung_scheme_replay(study, &scheme, NULL, &study->report, false, outcomes, error));
    assert_ok(rung_scheme_replay(study, &scheme, &network, &study->report, false, others, error));
    double usual_ms = rung_summarize(study, &study->report, outcomes).mean_ms;
    assert_true(rung_summarize(study, &study->report, others).mean_ms == usual_ms);
    network.speeds = fast;
    assert_ok(rung_scheme_replay(study, &scheme, &network, &study->report, false, others, error));
    plan_near("twice the speed", rung_summarize(study, &study->report, others).mean_ms, usual_ms / 2);
    rung_scheme top = scheme_of("single(3)");
    rung_link slow[3] = {{.up_bps = INFINITY, .down_bps = INFINITY},
                         {.up_bps = INFINITY, .down_bps = INFINITY},
                         {.up_bps = INFINITY, .down_bps = INFINITY}};
    network.links = slow;
    assert_ok(rung_scheme_replay(study, &top, &network, &study->report, false, outcomes, error));
    slow[1].rtt_ms = 1000;
    slow[2].rtt_ms = 500;
    assert_ok(rung_scheme_replay(study, &top, &network, &study->report, false, others, error));
    for (size_t i = 0; i < count; i++) {
        plan_near("both round trips", others[i].latency_s - outcomes[i].latency_s, 1.5);
        assert_int_equal(others[i].label, outcomes[i].label);
        assert_int_equal(others[i].label, study->top_labels[study->report.rows[i]]);
    }
}

static void a_policy_out_of_range(void **state)
{
    (void)state;
    static rung_outcome outcomes[EVALUATION_ROWS];
    rung_scheme scheme = scheme_of("tangobert");
    scheme.policy.offload.threshold[1] = 1.5;
    assert_fails(rung_scheme_replay(fixture.study, &scheme, NULL, &fixture.study->report, false, outcomes, error),
                 RUNG_INVALID, "policy.offload.threshold of level 2 is 1.5");
    assert_int_equal(outcomes[0].visited, 0);
}

static void decisions_are_noted(void **state)
{
    (void)state;
    static rung_outcome outcomes[EVALUATION_ROWS];
    const rung_study *study = fixture.study;
    rung_scheme scheme = scheme_of("tangobert");
    rung_answers *answers = classify("single(1)");
    for (uint32_t l = 0; l < 3; l++) {
        scheme.policy.offload.threshold[l] = 1;
    }
    assert_ok(rung_scheme_replay(study, &scheme, NULL, &study->report, true, outcomes, error));
    for (size_t i = 0; i < study->report.count; i++) {
        const rung_answer *first = rung_answers_get(answers, study->report.rows[i]);
        assert_int_equal(outcomes[i].decided_label[0], first->label_index);
        assert_true(outcomes[i].decided_score[0] > 0 && outcomes[i].decided_score[0] <= 1);
        assert_int_equal(outcomes[i].visited, 7);
        assert_int_equal(outcomes[i].label, study->top_labels[study->report.rows[i]]);
    }
    rung_answers_free(answers);
}

static void sums_by_hand(void **state)
{
    (void)state;
    static const uint32_t labels[6] = {9, 0, 1, 2, 0, 9};
    uint32_t top_labels[6] = {9, 0, 1, 1, 1, 9};
    double latencies[6] = {0};
    size_t rows[4] = {1, 2, 3, 4};
    const rung_rows some = {.rows = rows, .count = 4};
    const rung_study study = {
        .cascade = fixture.cascade, .labels = labels, .top_labels = top_labels, .latencies = latencies, .count = 6};
    const rung_outcome outcomes[4] = {
        {.latency_s = 0.04, .label = 0, .computed = 1, .compute_s = {0.5F, 8}},
        {.latency_s = 0.01, .label = 1, .computed = 3, .compute_s = {0.25F}, .bytes_up = {100}, .bytes_down = {7}},
        {.latency_s = 0.03, .label = 1, .computed = 7, .bytes_up = {100, 40}, .bytes_down = {7, 5}},
        {.latency_s = 0.02, .label = 2, .computed = 5, .visited = 4, .compute_s = {0.25F}, .bytes_up = {0, 20}},
    };
    rung_summary sums = rung_summarize(&study, &some, outcomes);
    assert_int_equal(sums.n, 4);
    plan_near("mean", sums.mean_ms, 25);
    plan_near("median", sums.p50_ms, 30);
    plan_near("95 %", sums.p95_ms, 40);
    plan_near("accuracy", sums.accuracy, 0.5);
    plan_near("agreement", sums.agreement, 0.75);
    plan_near("compute", sums.compute_ms, 250);
    plan_near("up", sums.bytes_up, 65);
    plan_near("down", sums.bytes_down, 4.75);
    plan_near("level 1", sums.visited[0], 1);
    plan_near("level 2", sums.visited[1], 0.5);
    plan_near("level 3", sums.visited[2], 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_labels_are_the_top_levels),
        cmocka_unit_test(accuracies_by_hand),
        cmocka_unit_test(every_exit_is_calibrated),
        cmocka_unit_test(too_few_rows),
        cmocka_unit_test(one_label_cannot_be_calibrated),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(a_level_alone_by_hand),
        cmocka_unit_test(networks_change_the_time),
        cmocka_unit_test(a_policy_out_of_range),
        cmocka_unit_test(decisions_are_noted),
        cmocka_unit_test(sums_by_hand),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
