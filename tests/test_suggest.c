/* test_suggest.c: edit distances worked out by hand, the limit of "near enough", and user text made fit for a message. */
#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void distances(void **state)
{
    (void)state;
    assert_int_equal(rung_edit_distance("", ""), 0);
    assert_int_equal(rung_edit_distance("", "abc"), 3);
    assert_int_equal(rung_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(rung_edit_distance("text", "etxt"), 1); /* a swap is one edit */
    assert_int_equal(rung_edit_distance("ca", "abc"), 3);    /* restricted form: no edit inside a swap */
    assert_int_equal(rung_edit_distance("threshold", "treshold"), 1);
}

static void nearest_within_the_limit(void **state)
{
    (void)state;
    char hint[RUNG_HINT_BYTES];
    assert_string_equal(rung_hint_of_choices("tex", "id|text|text_pair|label", hint), "; did you mean 'text'?");
    assert_string_equal(rung_hint_of_choices("lable", "id|text|text_pair|label", hint), "; did you mean 'label'?");
    assert_string_equal(rung_hint_of_choices("banana", "id|text|text_pair|label", hint), "");
    assert_string_equal(rung_hint_of_choices("xy", "ab|cd", hint), ""); /* two of two edits are too many */
    assert_string_equal(rung_hint_of_choices("", "a|b", hint), "; did you mean 'a'?");
    rung_suggestion first = {.name = "bit"};
    rung_suggest(&first, "big");
    rung_suggest(&first, "bin");
    assert_string_equal(first.best, "big"); /* the first of equals */
    rung_suggest(&first, "bit");
    assert_string_equal(first.best, "bit");
    rung_suggestion none = {.name = "zzz"};
    rung_suggest(&none, "policy");
    assert_string_equal(rung_suggestion_hint(&none, hint), "");
}

static void long_names_do_not_overflow(void **state)
{
    (void)state;
    char a[300];
    memset(a, 'a', sizeof a - 1);
    a[299] = '\0';
    char hint[RUNG_HINT_BYTES];
    assert_int_equal(rung_edit_distance(a, "b"), 64);
    rung_suggestion long_name = {.name = a};
    rung_suggest(&long_name, a);
    assert_true(strlen(rung_suggestion_hint(&long_name, hint)) < RUNG_HINT_BYTES);
    assert_string_equal(rung_hint_of_choices(a, a, hint), ""); /* such a choice does not exist */
}

static void shortened_text(void **state)
{
    (void)state;
    char out[RUNG_QUOTED_BYTES];
    assert_string_equal(rung_shorten("plain", 5, out), "plain");
    assert_string_equal(rung_shorten("a\nb\x1b\0c", 6, out), "a?b??c");
    assert_string_equal(rung_shorten("\xff\xfe", 2, out), "??");
    char text[100];
    memset(text, 'x', sizeof text);
    memcpy(text + 47, "\xc3\xa9", 2); /* the cut falls inside this character */
    rung_shorten(text, sizeof text, out);
    assert_int_equal(strlen(out), 50);
    assert_string_equal(out + 45, "xx...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(nearest_within_the_limit),
        cmocka_unit_test(long_names_do_not_overflow),
        cmocka_unit_test(shortened_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
