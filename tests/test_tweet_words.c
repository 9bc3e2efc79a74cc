/* test_tweet_words.c: words of each kind, as the reference's expression has them, and growth. */
#include "model/tweet_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* `expected` has the words with one blank between them. */
static void assert_words(const char *text, const char *expected)
{
    char actual[512] = "";
    size_t length = 0;
    size_t begin, end;
    rung_tweet_words words = rung_tweet_words_start(text, strlen(text));
    while (rung_tweet_words_next(&words, &begin, &end)) {
        assert_true(length + (end - begin) + 2 < sizeof actual);
        if (length > 0) {
            actual[length++] = ' ';
        }
        memcpy(actual + length, text + begin, end - begin);
        length += end - begin;
    }
    actual[length] = '\0';
    assert_string_equal(actual, expected);
}

static void finds_links(void **state)
{
    (void)state;
    assert_words("http://t.co/abc, (https://a.b/c?d=e).", "http://t.co/abc , ( https://a.b/c?d=e ) .");
    assert_words("http://x/A_(b) http://x/(a(b)c)d!", "http://x/A_(b) http://x/(a(b)c)d !");
    assert_words("t.co/xy t.co/x", "t.co/xy t.co/ x");
    assert_words("http:// x http", "http :/ / x http");
    assert_words("www.a.com foo.bar-baz.org/ a@b.com", "www.a.com foo.bar-baz.org/ a@b.com");
}

static void finds_numbers(void **state)
{
    (void)state;
    assert_words("+1(555)123-4567 5551234 12345", "+1(555)123-4567 5551234 12345");
    assert_words("1/2 3,000 +5 -3.5 12:30pm", "1/2 3,000 + 5 -3.5 12:30 pm");
}

static void finds_signs(void **state)
{
    (void)state;
    assert_words(":-):( <3 >:( :)>x =D", ":-) :( <3 >:( :) > x =D");
    assert_words("<b>x</b> < b -> <-- ...", "<b> x </b> < b -> <-- ...");
    assert_words(". .. a", ". .. a");
}

static void finds_names_and_words(void **state)
{
    (void)state;
    assert_words("@user: #tag #t ##x #a-b- me@x.co.uk", "@user : #tag # t # # x #a-b - me@x.co.uk");
    assert_words("mother-in-law don't 'tis a_b- \xC3\xA9t\xC3\xA9",
                 "mother-in-law don't ' tis a_b - \xC3\xA9t\xC3\xA9");
    assert_words("", "");
    assert_words(" \n\t", "");
}

/* Every word costs what is its own: what was searched for in vain is not searched again. Quadratic time would be hours. */
static void hostile_texts_take_linear_time(void **state)
{
    (void)state;
    static const char *const UNITS[] = {"a.",   "a.b-", "<a", "(a",   "http:/a(", "a@",  "a+",
                                        ".\t ", "1-",   "#a", "a'-",  "@",        "a b", "<-",
                                        "()(",  "é.",   "1 ", "x.y/", "http",     "&",   "a.co@"};
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof UNITS / sizeof UNITS[0]; u++) {
        size_t unit = strlen(UNITS[u]);
        size_t bytes = 0;
        for (; bytes + unit <= BYTES; bytes += unit) {
            memcpy(text + bytes, UNITS[u], unit);
        }
        size_t begin, end;
        size_t last = 0;
        rung_tweet_words words = rung_tweet_words_start(text, bytes);
        while (rung_tweet_words_next(&words, &begin, &end)) {
            assert_true(begin >= last && end > begin && end <= bytes);
            last = end;
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_links),
        cmocka_unit_test(finds_numbers),
        cmocka_unit_test(finds_signs),
        cmocka_unit_test(finds_names_and_words),
        cmocka_unit_test(hostile_texts_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
