/* test_gnuplot.c: the run of a program with stand-ins for gnuplot: what it is given, what it says, and every way to
 * end. */
#include "base/clock.h"
#include "base/file.h"
#include "eval/gnuplot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/rung-gnuplot-XXXXXX";
static char program[64];

static int make_directory(void **state)
{
    (void)state;
    snprintf(program, sizeof program, "%s/program", mkdtemp(directory));
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    char seen[64];
    snprintf(seen, sizeof seen, "%s/seen", directory);
    unlink(seen);
    unlink(program);
    return rmdir(directory);
}

/* Runs a shell script in gnuplot's place. */
static rung_status run(const char *lines, double limit_s, bool *found, rung_error *error)
{
    char text[512];
    int length = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", lines);
    assert_int_equal(rung_write_file(program, text, (size_t)length, NULL), RUNG_OK);
    assert_int_equal(chmod(program, 0755), 0);
    return rung_gnuplot_run(program, directory, "figure.gp", limit_s, found, error);
}

static void what_it_is_given(void **state)
{
    (void)state;
    rung_error error = {0};
    bool found = false;
    assert_int_equal(run("echo \"$# $1 $2\" >seen; pwd >>seen; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= "
                         ">>seen; cat >>seen",
                         30, &found, &error),
                     RUNG_OK);
    assert_true(found);
    char path[64];
    char expected[256];
    char *text;
    size_t size;
    snprintf(path, sizeof path, "%s/seen", directory);
    snprintf(expected, sizeof expected, "2 -d figure.gp\n%s\nLC_ALL=C.UTF-8\n", directory);
    assert_int_equal(rung_read_file(path, 1000, &text, &size, &error), RUNG_OK);
    assert_string_equal(text, expected);
    free(text);
}

static void failures_say_what_was_printed(void **state)
{
    (void)state;
    rung_error error = {0};
    bool found = false;
    assert_int_equal(
        run("printf 'plot x\\n\\n   ^\\n' >&2; echo 'line 0: undefined function'; exit 3", 30, &found, &error),
        RUNG_IO);
    assert_non_null(strstr(error.message, "figure.gp: ended with status 3: plot x ^ line 0: undefined function"));
    assert_int_equal(run("exit 1", 30, &found, &error), RUNG_IO);
    assert_non_null(strstr(error.message, "ended with status 1: it printed nothing"));
    assert_int_equal(run("kill -9 $$", 30, &found, &error), RUNG_IO);
    assert_non_null(strstr(error.message, "ended with signal 9"));
    assert_false(found);
}

/* More than a pipe holds: the program must not wait for its reader. */
static void long_output_is_cut(void **state)
{
    (void)state;
    rung_error error = {0};
    bool found = false;
    assert_int_equal(run("i=0; while [ $i -lt 4000 ]; do echo 'warning: 50 characters of no use to anybody at all ..'; "
                         "i=$((i+1)); done; exit 1",
                         30, &found, &error),
                     RUNG_IO);
    assert_in_range(strlen(error.message), 500, 800);
    assert_null(strchr(error.message, '\n'));
    assert_int_equal(run("i=0; while [ $i -lt 4000 ]; do echo 'warning: 50 characters of no use to anybody at all ..'; "
                         "i=$((i+1)); done",
                         30, &found, &error),
                     RUNG_OK);
    assert_true(found);
}

static void time_is_limited(void **state)
{
    (void)state;
    rung_error error = {0};
    bool found = false;
    double start_s = rung_clock_s();
    assert_int_equal(run("exec sleep 20", 0.2, &found, &error), RUNG_IO);
    assert_non_null(strstr(error.message, "did not end within 0.2 s and was killed"));
    assert_true(rung_clock_s() - start_s < 15 && !found);
}

static void what_is_not_there(void **state)
{
    (void)state;
    rung_error error = {0};
    bool found = true;
    assert_int_equal(rung_gnuplot_run("no-program-has-this-name", directory, "figure.gp", 30, &found, &error), RUNG_OK);
    assert_false(found);
    found = true;
    assert_int_equal(rung_gnuplot_run("/nonexistent/gnuplot", directory, "figure.gp", 30, &found, &error), RUNG_OK);
    assert_false(found);
    assert_int_equal(rung_gnuplot_run("/bin/true", "/nonexistent", "figure.gp", 30, &found, &error), RUNG_IO);
    assert_non_null(strstr(error.message, "cannot start it in /nonexistent: No such file or directory"));
    assert_int_equal(rung_gnuplot_run(directory, directory, "figure.gp", 30, &found, &error), RUNG_IO);
    assert_non_null(strstr(error.message, "Permission denied"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_is_given),   cmocka_unit_test(failures_say_what_was_printed),
        cmocka_unit_test(long_output_is_cut), cmocka_unit_test(time_is_limited),
        cmocka_unit_test(what_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
