/* test_recorder.c: cells say what a live request meets on its way up, entries hold what its model said, whatever the threads; and records that are of
 * something else. Small enough for ThreadSanitizer. */
#include "replay/recorder.h"
#include "replay_fixture.h"
#include "store_fixture.h"

typedef struct scene {
    rung_cascade *cascade;
    char *directory; /* of the record */
    replay_texts texts;
    rung_recorder recorder;
    rung_policy policy; /* sends everything up, pruned */
    rung_tape tape;
} scene;

static replay_files files;

static int make_files(void **state)
{
    (void)state;
    replay_files_make(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    replay_files_remove(&files);
    return 0;
}

static void open_scene(scene *s, const char *levels, size_t threads)
{
    *s = (scene){.cascade = replay_open(&files, levels, false, threads, ""), .directory = fixture_directory()};
    char *path = fixture_join(s->directory, "record.rung");
    replay_texts_make(&s->texts, 3);
    s->recorder = (rung_recorder){.cascade = s->cascade, .inputs = s->texts.inputs};
    rung_recorder_identify(&s->recorder);
    assert_ok(rung_store_open(path, "test\n", false, &s->recorder.store, error));
    free(path);
    assert_ok(rung_policy_defaults("tabi", s->cascade->num_levels, &s->policy, error));
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        s->policy.offload.threshold[l] = 1;
    }
    s->policy.prune.alpha = 1;
    s->tape = (rung_tape){.reading = rung_reading_of(&s->policy), .num_cells = 1u << s->cascade->num_levels};
    s->tape.cells = calloc(REPLAY_TEXTS * s->tape.num_cells, sizeof *s->tape.cells);
    assert_non_null(s->tape.cells);
}

static void close_scene(scene *s)
{
    free(s->tape.cells);
    rung_store_close(s->recorder.store);
    fixture_remove(s->directory);
    rung_cascade_close(s->cascade);
}

/* Every cell of every text: a cell's lower ones are of lower levels, and come before it. */
static rung_status fill(scene *s, bool may_compute, rung_error *error)
{
    rung_wanted *wanted = calloc(REPLAY_TEXTS * s->tape.num_cells, sizeof *wanted);
    size_t count = 0;
    assert_non_null(wanted);
    for (uint32_t level = 1; level <= s->cascade->num_levels; level++) {
        for (uint32_t row = 0; row < REPLAY_TEXTS; row++) {
            for (uint32_t cell = 1u << (level - 1); cell < 1u << level; cell++) {
                wanted[count++] = (rung_wanted){.row = row, .cell = cell};
            }
        }
    }
    rung_status status = rung_recorder_fill(&s->recorder, &s->tape, wanted, count, may_compute, NULL, error);
    free(wanted);
    return status;
}

/* The levels of `set` compute, the others pass on; all is as a live request finds it. */
static void compare_with_live(const scene *s, uint32_t set)
{
    rung_policy policy = s->policy;
    rung_answers *answers = NULL;
    policy.members = set;
    assert_ok(rung_cascade_classify_policy(s->cascade, &policy, s->texts.inputs, REPLAY_TEXTS, NULL, &answers, error));
    for (size_t row = 0; row < REPLAY_TEXTS; row++) {
        const rung_answer *answer = rung_answers_get(answers, row);
        assert_int_equal(answer->status, RUNG_OK);
        assert_int_equal(answer->num_levels, rung_cell_level(set));
        for (uint32_t level = 1; level <= answer->num_levels; level++) {
            const rung_level_answer *did = &answer->levels[level - 1];
            const rung_cell *cell = rung_tape_cell(&s->tape, row, set & ((1u << level) - 1));
            if ((set >> (level - 1) & 1) == 0) {
                continue;
            }
            rung_record_entry entry;
            assert_true(cell->entry > 0);
            rung_store_get(s->recorder.store, cell->entry - 1, &entry);
            assert_int_equal(cell->num_tokens, did->tokens);
            assert_int_equal(entry.num_tokens, did->tokens);
            assert_int_equal(entry.num_layers, did->layers);
            assert_int_equal(cell->truncated, did->truncated_tokens);
            assert_int_equal(cell->words, did->words);
            if (level < answer->num_levels) {
                assert_int_equal(cell->kept_words, did->kept_words);
            }
        }
    }
    rung_answers_free(answers);
}

static void cells_are_what_live_requests_meet(void **state)
{
    (void)state;
    static const char *const cascades[] = {"013", "012", "301"};
    for (size_t i = 0; i < sizeof cascades / sizeof cascades[0]; i++) {
        scene s;
        open_scene(&s, cascades[i], 2);
        assert_ok(fill(&s, true, error));
        for (uint32_t set = 1; set < 8; set++) {
            compare_with_live(&s, set);
        }
        close_scene(&s);
    }
}

static bool same_cell(const rung_cell *a, const rung_cell *b)
{
    return a->num_tokens == b->num_tokens && a->truncated == b->truncated && a->text_bytes == b->text_bytes &&
           a->words == b->words && a->kept_words == b->kept_words && a->payload_bytes == b->payload_bytes;
}

/* Entries by what they say: their order is the threads'. */
static void threads_record_the_same(void **state)
{
    (void)state;
    scene one;
    scene four;
    open_scene(&one, "011", 1);
    open_scene(&four, "011", 4);
    assert_ok(fill(&one, true, error));
    assert_ok(fill(&four, true, error));
    assert_int_equal(rung_store_count(one.recorder.store), rung_store_count(four.recorder.store));
    for (size_t row = 0; row < REPLAY_TEXTS; row++) {
        for (uint32_t number = 0; number < 8; number++) {
            const rung_cell *a = rung_tape_cell(&one.tape, row, number);
            const rung_cell *b = rung_tape_cell(&four.tape, row, number);
            assert_true(same_cell(a, b));
            if (number == 0) {
                assert_int_equal(a->entry + b->entry, 0);
                continue;
            }
            rung_record_entry x, y;
            rung_store_get(one.recorder.store, a->entry - 1, &x);
            rung_store_get(four.recorder.store, b->entry - 1, &y);
            y.compute_s = x.compute_s; /* a measurement */
            assert_true(store_same(&x, &y));
        }
    }
    close_scene(&one);
    close_scene(&four);
}

/* Levels 2 and 3 run one model: an entry serves both, so that it has what the lower one needs, whoever made it. */
static void a_model_at_two_levels_has_entries_for_both(void **state)
{
    (void)state;
    scene s;
    rung_record_entry entry;
    open_scene(&s, "011", 1);
    assert_true(s.recorder.keeps_all[0] && s.recorder.keeps_all[1] && s.recorder.keeps_all[2]);
    const rung_wanted at_3 = {.row = 12, .cell = 4};
    const rung_wanted at_2 = {.row = 12, .cell = 2};
    assert_ok(rung_recorder_fill(&s.recorder, &s.tape, &at_3, 1, true, NULL, error));
    assert_ok(rung_recorder_fill(&s.recorder, &s.tape, &at_2, 1, false, NULL, error));
    assert_int_equal(rung_tape_cell(&s.tape, 12, 2)->entry, rung_tape_cell(&s.tape, 12, 4)->entry);
    rung_store_get(s.recorder.store, rung_tape_cell(&s.tape, 12, 2)->entry - 1, &entry);
    assert_int_equal(entry.importance_layers, 4);
    assert_true(entry.hidden_size > 0);
    close_scene(&s);
    open_scene(&s, "010", 1);
    assert_true(s.recorder.keeps_all[2]);
    close_scene(&s);
    open_scene(&s, "013", 1);
    assert_false(s.recorder.keeps_all[2]);
    close_scene(&s);
}

static void only_what_is_new_is_computed(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "01", 2);
    assert_fails(fill(&s, false, error), RUNG_NOT_FOUND, "the record has nothing of its text at level 1");
    assert_int_equal(s.recorder.computed, 0);
    assert_ok(fill(&s, true, error));
    size_t computed = s.recorder.computed;
    assert_true(computed >= rung_store_count(s.recorder.store)); /* two threads may compute one text */
    memset(s.tape.cells, 0, REPLAY_TEXTS * s.tape.num_cells * sizeof *s.tape.cells);
    assert_ok(fill(&s, false, error));
    assert_int_equal(s.recorder.computed, computed);
    close_scene(&s);
}

/* A file may say anything under a key. */
static void an_entry_of_another_model_is_refused(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "01", 1);
    assert_ok(fill(&s, true, error));
    rung_record_entry good;
    rung_store_get(s.recorder.store, rung_tape_cell(&s.tape, 0, 1)->entry - 1, &good);
    const rung_record_entry others[] = {
        {.num_tokens = good.num_tokens + 1,
         .num_layers = 3,
         .num_classes = 3,
         .hidden_size = 24,
         .importance_layers = 3},
        {.num_tokens = good.num_tokens, .num_layers = 4, .num_classes = 3, .hidden_size = 24, .importance_layers = 3},
        {.num_tokens = good.num_tokens, .num_layers = 3, .num_classes = 4, .hidden_size = 24, .importance_layers = 3},
        {.num_tokens = good.num_tokens, .num_layers = 3, .num_classes = 3, .hidden_size = 25, .importance_layers = 3},
        {.num_tokens = good.num_tokens, .num_layers = 3, .num_classes = 3, .hidden_size = 24, .importance_layers = 2},
    };
    float *values = calloc(4096, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        scene bad;
        open_scene(&bad, "01", 1);
        rung_encoding tokens = {0};
        const rung_input *input = &bad.texts.inputs[0];
        const rung_model *model = bad.cascade->level[0].model;
        assert_ok(rung_tokenize(model->tokenizer, (rung_text){input->text, input->text_bytes}, NULL,
                                model->config.max_tokens, &tokens, error));
        rung_record_key key = rung_record_key_of(bad.recorder.identity[0], NULL, (int)bad.cascade->precision,
                                                 model->config.max_tokens, tokens.ids, tokens.type_ids, tokens.length);
        rung_record_entry entry = others[i];
        entry.logits = entry.states = entry.importance = entry.compute_s = values;
        assert_ok(rung_store_add(bad.recorder.store, &key, &entry, NULL, error));
        assert_fails(fill(&bad, true, error), RUNG_MISMATCH,
                     "input 0: what the record has of its text at level 1 is of another model");
        rung_encoding_deinit(&tokens);
        close_scene(&bad);
    }
    free(values);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_what_live_requests_meet),          cmocka_unit_test(threads_record_the_same),
        cmocka_unit_test(a_model_at_two_levels_has_entries_for_both), cmocka_unit_test(only_what_is_new_is_computed),
        cmocka_unit_test(an_entry_of_another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
