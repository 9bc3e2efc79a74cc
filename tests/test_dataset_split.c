/* test_dataset_split.c: parts share no row, follow from the seed alone, shrink in proportion, and wrong sizes are
 * refused. */
#include "fit/dataset.h"
#include "model_fixture.h"
#include "replay/dataset_split.h"

static rung_dataset_split draw(size_t num_rows, uint64_t seed, const rung_split_size *sizes, size_t num_sizes)
{
    rung_dataset_split split;
    assert_ok(rung_dataset_split_draw(num_rows, seed, sizes, num_sizes, &split, error));
    return split;
}

/* Every row is in at most one part; returns how many are in one. */
static size_t rows_are_distinct(const rung_dataset_split *split, size_t num_rows)
{
    bool *seen = calloc(num_rows + 1, sizeof *seen);
    size_t count = 0;
    for (size_t i = 0; i < split->num_parts; i++) {
        for (size_t j = 0; j < split->parts[i].count; j++) {
            size_t row = split->parts[i].rows[j];
            assert_true(row < num_rows && !seen[row]);
            seen[row] = true;
            count++;
        }
    }
    free(seen);
    return count;
}

static void test_rows_have_three_uses(void **state)
{
    (void)state;
    rung_dataset_split split = draw(12500, 1, rung_test_split, RUNG_TEST_SPLIT_PARTS);
    assert_int_equal(rows_are_distinct(&split, 12500), 12500);
    assert_int_equal(rung_dataset_split_find(&split, "calibrate")->count, 1250);
    assert_int_equal(rung_dataset_split_find(&split, "certify")->count, 5000);
    const rung_split_part *report = rung_dataset_split_find(&split, "report");
    assert_int_equal(report->count, 6250);
    assert_null(rung_dataset_split_find(&split, "other"));
    size_t low = 0; /* a draw, not a block */
    for (size_t i = 0; i < report->count; i++) {
        low += report->rows[i] < 6250;
    }
    assert_in_range(low, 2900, 3350);
    rung_dataset_split_deinit(&split);
    assert_null(split.rows);
}

static void seed_decides(void **state)
{
    (void)state;
    rung_dataset_split a = draw(12500, 7, rung_test_split, RUNG_TEST_SPLIT_PARTS);
    rung_dataset_split b = draw(12500, 7, rung_test_split, RUNG_TEST_SPLIT_PARTS);
    rung_dataset_split c = draw(12500, 8, rung_test_split, RUNG_TEST_SPLIT_PARTS);
    assert_memory_equal(a.rows, b.rows, 12500 * sizeof *a.rows);
    assert_memory_not_equal(a.rows, c.rows, 12500 * sizeof *a.rows);
    rung_dataset_split_deinit(&a);
    rung_dataset_split_deinit(&b);
    rung_dataset_split_deinit(&c);
    /* As on every machine: splitmix64 of seed 7, made by another implementation. */
    const rung_split_size all = {"all", 8};
    const size_t wanted[8] = {7, 4, 2, 6, 3, 5, 1, 0};
    rung_dataset_split few = draw(8, 7, &all, 1);
    assert_memory_equal(few.parts[0].rows, wanted, sizeof wanted);
    rung_dataset_split_deinit(&few);
}

static void counts_are(size_t num_rows, const size_t wanted[3], const rung_split_size *sizes)
{
    rung_dataset_split split = draw(num_rows, 3, sizes, 3);
    assert_int_equal(rows_are_distinct(&split, num_rows), wanted[0] + wanted[1] + wanted[2]);
    for (size_t i = 0; i < 3; i++) {
        if (split.parts[i].count != wanted[i]) {
            fail_msg("%zu rows: part %zu has %zu, wanted %zu", num_rows, i, split.parts[i].count, wanted[i]);
        }
    }
    rung_dataset_split_deinit(&split);
}

static void fewer_rows_shrink_all_parts(void **state)
{
    (void)state;
    const rung_split_size even[3] = {{"a", 10}, {"b", 10}, {"c", 10}};
    const rung_split_size gap[3] = {{"a", 3}, {"b", 0}, {"c", 1}};
    counts_are(20000, (const size_t[]){1250, 5000, 6250}, rung_test_split);
    counts_are(2500, (const size_t[]){250, 1000, 1250}, rung_test_split);
    counts_are(12499, (const size_t[]){1250, 5000, 6249}, rung_test_split);
    counts_are(11, (const size_t[]){1, 4, 6}, rung_test_split);
    counts_are(1, (const size_t[]){0, 0, 1}, rung_test_split);
    counts_are(0, (const size_t[]){0, 0, 0}, rung_test_split);
    counts_are(29, (const size_t[]){10, 10, 9}, even);
    counts_are(28, (const size_t[]){10, 9, 9}, even);
    counts_are(3, (const size_t[]){2, 0, 1}, gap);
    counts_are(9, (const size_t[]){3, 0, 1}, gap);
    const rung_split_size most[3] = {{"a", RUNG_DATASET_MAX_ROWS}, {"b", RUNG_DATASET_MAX_ROWS}, {"c", 0}};
    counts_are(101, (const size_t[]){51, 50, 0}, most);
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    rung_dataset_split split = {.num_parts = 77};
    const rung_split_size twice[2] = {{"a", 1}, {"a", 2}};
    const rung_split_size large[1] = {{"a", RUNG_DATASET_MAX_ROWS + 1}};
    const rung_split_size many[RUNG_SPLIT_MAX_PARTS + 1] = {{"a", 1}};
    assert_fails(rung_dataset_split_draw(5, 1, twice, 0, &split, error), RUNG_INVALID, "no part");
    assert_fails(rung_dataset_split_draw(5, 1, twice, 2, &split, error), RUNG_INVALID, "two parts are called \"a\"");
    assert_fails(rung_dataset_split_draw(5, 1, large, 1, &split, error), RUNG_LIMIT,
                 "part \"a\" asks for 10000001 rows, more than 10000000");
    assert_fails(rung_dataset_split_draw(5, 1, many, RUNG_SPLIT_MAX_PARTS + 1, &split, error), RUNG_LIMIT,
                 "17 parts are more than 16");
    assert_fails(rung_dataset_split_draw(10000001, 1, twice, 1, &split, error), RUNG_LIMIT,
                 "10000001 rows are more than 10000000");
    assert_int_equal(split.num_parts, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_have_three_uses),
        cmocka_unit_test(seed_decides),
        cmocka_unit_test(fewer_rows_shrink_all_parts),
        cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
