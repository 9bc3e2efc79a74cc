/* test_table.c: tables written out, byte by byte. */
#include "eval/table.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const rung_column columns[] = {
    {.name = "policy"},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 3, .interval = true},
    {.name = "offloaded", .kind = RUNG_COLUMN_PERCENT},
};

static void assert_written(const rung_table *table, const char *markdown, const char *csv)
{
    rung_buffer out = {0};
    assert_int_equal(rung_table_markdown(table, &out, NULL), RUNG_OK);
    assert_string_equal(out.data, markdown);
    rung_buffer_clear(&out);
    assert_int_equal(rung_table_csv(table, &out, NULL), RUNG_OK);
    assert_string_equal(out.data, csv);
    rung_buffer_deinit(&out);
}

static void as_in_a_report(void **state)
{
    (void)state;
    rung_table table;
    rung_table_init(&table, columns, 4);
    rung_table_text(&table, "always top");
    rung_table_number(&table, 63.25);
    rung_table_interval(&table, (rung_interval){0.918, 0.9064, 0.93});
    rung_table_number(&table, 1);
    rung_table_text(&table, "Tabi, t = .7");
    rung_table_number(&table, 1228.44);
    rung_table_interval(&table, (rung_interval){1, 0.9925, 1});
    rung_table_number(&table, 0.245);
    rung_table_text(&table, "rung");
    rung_table_missing(&table);
    rung_table_text(&table, "not run");
    rung_table_number(&table, NAN);
    /* A decimal comma of the program's locale changes nothing. */
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    assert_written(&table,
                   "| policy       | mean (ms) |            accuracy | offloaded |\n"
                   "| ------------ | --------: | ------------------: | --------: |\n"
                   "| always top   |      63.2 |   .918 [.906, .930] |     100 % |\n"
                   "| Tabi, t = .7 |    1228.4 | 1.000 [.993, 1.000] |      24 % |\n"
                   "| rung         |         – |             not run |         – |\n",
                   "policy,mean (ms),accuracy,accuracy low,accuracy high,offloaded\r\n"
                   "always top,63.25,0.918,0.9064,0.93,1\r\n"
                   "\"Tabi, t = .7\",1228.44,1,0.9925,1,0.245\r\n"
                   "rung,,not run,,,\r\n");
    (void)setlocale(LC_ALL, "C");
    rung_table_deinit(&table);
}

static void markup_and_quotes_are_escaped(void **state)
{
    (void)state;
    static const rung_column two[] = {{.name = "a|b", .unit = "\"x\""}, {.name = "n", .kind = RUNG_COLUMN_NUMBER}};
    rung_table table;
    rung_table_init(&table, two, 2);
    rung_table_text(&table, "he said \"no\"\nand *left*");
    rung_table_number(&table, -0.2);
    rung_table_text(&table, "<b>\\ τ");
    rung_table_number(&table, INFINITY);
    rung_table_text(&table, NULL);
    rung_table_number(&table, -INFINITY);
    assert_written(&table,
                   "| a\\|b (\"x\")                |    n |\n"
                   "| ------------------------- | ---: |\n"
                   "| he said \"no\" and \\*left\\* |    0 |\n"
                   "| \\<b>\\\\ τ                  |  inf |\n"
                   "| –                         | -inf |\n",
                   "\"a|b (\"\"x\"\")\",n\r\n"
                   "\"he said \"\"no\"\"\nand *left*\",-0.2\r\n"
                   "<b>\\ τ,inf\r\n"
                   ",-inf\r\n");
    rung_table_deinit(&table);
}

static void numbers_of_each_kind(void **state)
{
    (void)state;
    static const rung_column kinds[] = {{.name = "n", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
                                        {.name = "s", .kind = RUNG_COLUMN_SHARE, .decimals = 2},
                                        {.name = "p", .kind = RUNG_COLUMN_PERCENT, .decimals = 1}};
    rung_table table;
    rung_table_init(&table, kinds, 3);
    rung_table_interval(&table, (rung_interval){-1.005, -INFINITY, 2});
    rung_table_number(&table, -0.056);
    rung_table_number(&table, -0.0312);
    rung_table_number(&table, 1.0 / 3); /* no interval known */
    rung_table_number(&table, 0);
    rung_table_number(&table, 0.0004);
    assert_written(&table,
                   "|                  n |    s |      p |\n"
                   "| -----------------: | ---: | -----: |\n"
                   "| -1.00 [-inf, 2.00] | -.06 | -3.1 % |\n"
                   "|               0.33 |  .00 |  0.0 % |\n",
                   "n,n low,n high,s,p\r\n"
                   "-1.005,-inf,2,-0.056,-0.0312\r\n"
                   "0.3333333333333333,,,0,0.0004\r\n");
    rung_table_deinit(&table);
}

static void no_rows(void **state)
{
    (void)state;
    rung_table table;
    rung_table_init(&table, columns, 2);
    assert_written(&table, "| policy | mean (ms) |\n| ------ | --------: |\n", "policy,mean (ms)\r\n");
    rung_table_deinit(&table);
    rung_table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_a_report),
        cmocka_unit_test(markup_and_quotes_are_escaped),
        cmocka_unit_test(numbers_of_each_kind),
        cmocka_unit_test(no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
