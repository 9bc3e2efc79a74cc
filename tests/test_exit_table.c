/* test_exit_table.c: rows say what src/cascade says of the record's logits, are made once, and are the same for all threads. Small enough for
 * ThreadSanitizer. */
#include "base/parallel.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "replay/exit_table.h"
#include "run/message_length.h"
#include "store_fixture.h"

#define ENTRIES 300
#define LAYERS 4
#define CLASSES 3
#define HIDDEN 5
#define EXITS 0xdu /* not after layer 2 */

static const uint32_t class_of[CLASSES] = {2, 0, 1};
static const double temperature[LAYERS] = {0.5, 1, 2, 1};
static const double shape[LAYERS] = {0.7, 1, 1, 1.2};

typedef struct scene {
    char *directory;
    rung_store *store;
    rung_exit_source source;
    rung_level_calibration calibration;
    rung_deferral deferral[LAYERS];
    float weights[HIDDEN + RUNG_DEFERRAL_SCORES];
} scene;

/* Logits of entry 7 are no numbers after layer 1 and infinite after the last, those of entry 8 say all for one class. */
static void add(scene *s, uint64_t number)
{
    const rung_record_entry sizes = {
        .num_tokens = 4, .num_layers = LAYERS, .num_classes = CLASSES, .hidden_size = number % 5 > 0 ? HIDDEN : 0};
    made_entry made = store_entry_of(number, sizes);
    float *logits = made.values;
    for (size_t i = 0; i < LAYERS * CLASSES; i++) {
        logits[i] = 20 * fixture_value("logit", number * 100 + i);
    }
    if (number == 7) {
        logits[1] = NAN;
        logits[(LAYERS - 1) * CLASSES] = INFINITY;
    }
    if (number == 8) {
        logits[0] = -INFINITY;
        logits[1] = -INFINITY;
    }
    size_t index;
    assert_ok(rung_store_add(s->store, &made.key, &made.entry, &index, error));
    assert_int_equal(index, number);
    free(made.values);
}

static void open_scene(scene *s)
{
    *s = (scene){.directory = fixture_directory()};
    char *path = fixture_join(s->directory, "record.rung");
    assert_ok(rung_store_open(path, STORE_ORIGIN, false, &s->store, error));
    free(path);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        add(s, i);
    }
    for (size_t i = 0; i < HIDDEN + RUNG_DEFERRAL_SCORES; i++) {
        s->weights[i] = fixture_value("weight", i);
    }
    for (size_t e = 0; e < LAYERS; e++) {
        s->deferral[e] =
            (rung_deferral){.hidden_size = e == 2 ? 0 : HIDDEN, .weight = s->weights, .bias = 0.1 * (double)e};
    }
    s->source = (rung_exit_source){
        .store = s->store, .num_layers = LAYERS, .num_classes = CLASSES, .exits = EXITS, .class_of = class_of};
    s->calibration = (rung_level_calibration){
        .num_exits = LAYERS, .temperature = temperature, .shape = shape, .accuracy = 1, .deferral = s->deferral};
}

static void close_scene(scene *s)
{
    rung_store_close(s->store);
    fixture_remove(s->directory);
}

static rung_exit_table *create(const scene *s, bool learned)
{
    rung_exit_table *table = NULL;
    assert_ok(rung_exit_table_create(&s->source, &s->calibration, learned, &table, error));
    assert_ok(rung_exit_table_reserve(table, error));
    return table;
}

static rung_exit_row get(rung_exit_table *table, size_t entry)
{
    rung_exit_row row;
    assert_true(rung_exit_table_get(table, entry, &row));
    return row;
}

static double expected_deferral(const scene *s, const rung_record_entry *entry, uint32_t layer,
                                const double *calibrated)
{
    const rung_deferral *learned = &s->deferral[layer - 1];
    if (learned->hidden_size == 0 || entry->states == NULL) {
        return (float)rung_confidence(calibrated, CLASSES, s->calibration.multi_label);
    }
    float scores[RUNG_DEFERRAL_SCORES];
    rung_deferral_scores(calibrated, CLASSES, entry->num_tokens, scores);
    return rung_deferral_confidence(learned, entry->states + (layer - 1) * HIDDEN, scores);
}

static void check_row(const scene *s, rung_exit_table *table, size_t number)
{
    rung_record_entry entry;
    double previous[RUNG_EXIT_KINDS][CLASSES];
    bool has_previous = false;
    rung_exit_row row = get(table, number);
    rung_store_get(s->store, number, &entry);
    for (uint32_t layer = 1; layer <= LAYERS; layer++) {
        float logits[CLASSES];
        double expected[RUNG_EXIT_KINDS][CLASSES];
        if ((EXITS >> (layer - 1) & 1) == 0) {
            continue;
        }
        for (size_t c = 0; c < CLASSES; c++) {
            logits[class_of[c]] = entry.logits[(layer - 1) * CLASSES + c];
        }
        const rung_exit_said *said = &row.said[layer - 1];
        bool usable = rung_logits_usable(logits, CLASSES);
        assert_int_equal(said->measures[RUNG_EXIT_RAW].usable, usable);
        assert_int_equal(said->measures[RUNG_EXIT_CALIBRATED].usable, usable);
        for (int kind = 0; usable && kind < RUNG_EXIT_KINDS; kind++) {
            if (kind == RUNG_EXIT_RAW) {
                rung_raw_probabilities(&s->calibration, logits, CLASSES, expected[kind]);
            } else {
                rung_calibrated_probabilities(&s->calibration, layer, logits, CLASSES, expected[kind]);
            }
            assert_memory_equal(rung_exit_row_probabilities(&row, CLASSES, layer, kind), expected[kind],
                                sizeof expected[kind]);
            rung_exit_measures measures = rung_exit_measure(expected[kind], has_previous ? previous[kind] : NULL,
                                                            CLASSES, s->calibration.multi_label);
            assert_true(said->measures[kind].confidence == measures.confidence);
            assert_true(said->measures[kind].divergence == measures.divergence);
            assert_true(said->measures[kind].entropy == measures.entropy);
            assert_int_equal(said->measures[kind].same_decision, measures.same_decision);
            memcpy(previous[kind], expected[kind], sizeof previous[kind]);
        }
        has_previous = usable;
        for (int kind = 0; usable && kind < RUNG_EXIT_KINDS; kind++) {
            double confidence = rung_confidence(expected[RUNG_EXIT_CALIBRATED], CLASSES, s->calibration.multi_label);
            assert_int_equal(said->finding_length[kind], rung_finding_length(confidence, expected[kind], CLASSES));
        }
        if (usable && row.deferral != NULL) {
            assert_true(row.deferral[layer - 1] == expected_deferral(s, &entry, layer, expected[RUNG_EXIT_CALIBRATED]));
        }
    }
}

static void rows_say_what_the_logits_do(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    for (int kind = 0; kind < 4; kind++) {
        s.calibration.multi_label = kind % 2 != 0;
        s.calibration.shape = kind == 3 ? NULL : shape;
        rung_exit_table *table = create(&s, kind >= 2);
        for (size_t i = 0; i < ENTRIES; i++) {
            check_row(&s, table, i * 7 % ENTRIES);
        }
        assert_int_equal(get(table, 3).deferral != NULL, kind >= 2);
        rung_exit_table_free(table);
    }
    close_scene(&s);
}

static void calibrations_are_told_apart_by_what_they_hold(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_exit_table *plain = create(&s, false);
    rung_exit_table *learned = create(&s, true);
    double other[LAYERS];
    memcpy(other, temperature, sizeof other);
    rung_level_calibration copy = s.calibration;
    copy.temperature = other;
    assert_true(rung_exit_table_matches(plain, &copy, false));
    assert_false(rung_exit_table_matches(plain, &copy, true)); /* it has no deferral */
    assert_true(rung_exit_table_matches(learned, &copy, true));
    assert_true(rung_exit_table_matches(learned, &copy, false));
    copy.accuracy = 0.5; /* no exit says otherwise for it */
    assert_true(rung_exit_table_matches(plain, &copy, false));
    other[1] = 3;
    assert_false(rung_exit_table_matches(plain, &copy, false));
    copy = s.calibration;
    copy.shape = NULL;
    assert_false(rung_exit_table_matches(plain, &copy, false));
    copy = s.calibration;
    copy.multi_label = true;
    assert_false(rung_exit_table_matches(plain, &copy, false));
    copy = s.calibration;
    copy.deferral = NULL;
    assert_true(rung_exit_table_matches(plain, &copy, false));
    assert_true(rung_exit_table_matches(learned, &copy, false));
    assert_false(rung_exit_table_matches(learned, &copy, true));
    float weights[HIDDEN + RUNG_DEFERRAL_SCORES];
    rung_deferral deferral[LAYERS];
    memcpy(weights, s.weights, sizeof weights);
    memcpy(deferral, s.deferral, sizeof deferral);
    copy.deferral = deferral;
    for (size_t e = 0; e < LAYERS; e++) {
        deferral[e].weight = weights;
    }
    assert_true(rung_exit_table_matches(learned, &copy, true));
    weights[1] += 1;
    assert_false(rung_exit_table_matches(learned, &copy, true));
    assert_true(rung_exit_table_matches(learned, &copy, false));
    weights[1] = s.weights[1];
    deferral[3].bias = 9;
    assert_false(rung_exit_table_matches(learned, &copy, true));
    rung_exit_table_free(plain);
    rung_exit_table_free(learned);
    rung_exit_table_free(NULL);
    close_scene(&s);
}

static void rows_stay_while_the_record_grows(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_exit_table *table = create(&s, true);
    rung_exit_row first = get(table, 0);
    for (uint64_t i = ENTRIES; i < 3 * ENTRIES; i++) {
        add(&s, i);
    }
    assert_ok(rung_exit_table_reserve(table, error));
    assert_ptr_equal(get(table, 0).said, first.said);
    assert_ptr_equal(get(table, 0).probabilities, first.probabilities);
    check_row(&s, table, 0);
    check_row(&s, table, 3 * ENTRIES - 1);
    rung_exit_table_free(table);
    close_scene(&s);
}

static void ask_for_all(void *context, size_t index)
{
    rung_exit_table *table = context;
    rung_exit_row row;
    for (size_t i = 0; i < ENTRIES; i++) {
        size_t entry = index % 2 == 0 ? i : ENTRIES - 1 - i;
        if (!rung_exit_table_get(table, entry, &row) ||
            (row.said[0].measures[RUNG_EXIT_RAW].usable && row.probabilities[0] + row.probabilities[1] == 0)) {
            abort();
        }
    }
}

static void threads_ask_for_the_same_rows(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_exit_table *table = create(&s, true);
    rung_parallel(4, ask_for_all, table);
    for (size_t i = 0; i < ENTRIES; i++) {
        check_row(&s, table, i);
    }
    rung_exit_table_free(table);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_the_logits_do),
        cmocka_unit_test(calibrations_are_told_apart_by_what_they_hold),
        cmocka_unit_test(rows_stay_while_the_record_grows),
        cmocka_unit_test(threads_ask_for_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
