/* test_tweet_normalizer.c: each step on its own, and where what it writes came from. */
#include "model/tweet_normalizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void normalize(const char *text, rung_aligned_text *out)
{
    rung_aligned_text spare = {0};
    rung_error error;
    assert_int_equal(rung_tweet_normalize(text, 0, strlen(text), out, &spare, &error), RUNG_OK);
    rung_aligned_text_deinit(&spare);
}

static void assert_normal(const char *text, const char *expected)
{
    rung_aligned_text out = {0};
    normalize(text, &out);
    assert_int_equal(out.bytes, strlen(expected));
    assert_true(out.bytes == 0 || memcmp(out.text, expected, out.bytes) == 0);
    for (size_t i = 0; i < out.bytes; i++) {
        assert_true(out.begin[i] <= out.end[i] && out.end[i] <= strlen(text));
        assert_true(i == 0 || out.begin[i] >= out.begin[i - 1]);
    }
    rung_aligned_text_deinit(&out);
}

static void replaces_names_links_and_marks(void **state)
{
    (void)state;
    assert_normal("@me see http://a.b/c or WWW.x.org", "@USER see HTTPURL or HTTPURL");
    assert_normal("I don\u2019t know\u2026", "I do n't know ...");
    assert_normal("so!!!!!! coooool  ------>", "so ! ! ! coooool --->");
    assert_normal("", "");
    assert_normal("   ", "");
}

static void replaces_entities(void **state)
{
    (void)state;
    assert_normal("a &amp; b &lt;3 &eacute;t&eacute;", "a & b <3 \u00e9t\u00e9");
    assert_normal("&#65;&#x42; &#128; &hellip; &rsquo;", "AB \u20ac ... '");
    assert_normal("x&bogus;y &#129; &; &#; &x; &amp", "xy & ; & amp");
    assert_normal("&#xD800; &#1114112;", "\uFFFD");
}

static void separates_contractions(void **state)
{
    (void)state;
    assert_normal("I'm sure we're his dog's friends, I've said they'll go, he'd",
                  "I 'm sure we 're his dog 's friends , I 've said they 'll go , he'd");
    assert_normal("cannot go, can't go, ain't it", "can not go , can't go , ain't it");
    assert_normal("at 5 p.m. or a.m. x", "at 5  p.m. or a.m. x");
}

static void assert_from(const rung_aligned_text *out, const char *word, uint32_t begin, uint32_t end)
{
    const char *found = memmem(out->text, out->bytes, word, strlen(word));
    assert_non_null(found);
    size_t at = (size_t)(found - out->text);
    assert_int_equal(out->begin[at], begin);
    assert_int_equal(out->end[at + strlen(word) - 1], end);
}

static void says_where_words_came_from(void **state)
{
    (void)state;
    /*                          0         1         2         3 */
    static const char TEXT[] = "@me isn't &amp; http://a.b/c !!!!!";
    rung_aligned_text out = {0};
    normalize(TEXT, &out);
    assert_from(&out, "@USER", 0, 3);
    assert_from(&out, "is", 4, 6);
    assert_from(&out, "n't", 6, 9);
    assert_from(&out, "&", 10, 15);
    assert_from(&out, "HTTPURL", 16, 28);
    assert_from(&out, "! ! !", 29, 34);
    rung_aligned_text_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_names_links_and_marks),
        cmocka_unit_test(replaces_entities),
        cmocka_unit_test(separates_contractions),
        cmocka_unit_test(says_where_words_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
