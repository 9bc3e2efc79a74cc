/* test_heat_strip.c: what stands in the SVG of a text, that it is well-formed for any bytes, and where lines break. */
#include "base/file.h"
#include "eval/heat_strip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static rung_heat_word word_of(const char *text, double importance, bool struck)
{
    return (rung_heat_word){text, strlen(text), importance, struck};
}

static char *svg_of(const rung_heat_word *words, size_t count)
{
    rung_heat_strip strip = {"A \"title\" & more", "note <1>", "not sent", words, count};
    rung_buffer out = {0};
    rung_error error = {0};
    assert_int_equal(rung_heat_strip_svg(&strip, &out, &error), RUNG_OK);
    return out.data;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* Every '<' begins a tag of those written here, every '&' an entity; no byte that XML refuses. */
static void assert_well_formed(const char *svg)
{
    static const char *const tags[] = {"<svg ", "</svg>", "<rect ", "<text ", "</text>", "<path "};
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
    for (const char *at = svg; *at != '\0'; at++) {
        bool fine = *at != '<' && *at != '&';
        for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
            fine |= strncmp(at, tags[i], strlen(tags[i])) == 0;
        }
        for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
            fine |= strncmp(at, entities[i], strlen(entities[i])) == 0;
        }
        assert_true(fine && ((unsigned char)*at >= ' ' || *at == '\n'));
    }
    assert_int_equal(count_of(svg, "<text "), count_of(svg, "</text>"));
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
}

static void words_and_legend(void **state)
{
    (void)state;
    const rung_heat_word words[] = {word_of("a", 0, true), word_of("great", 2, false), word_of("R&B", 1, false),
                                    word_of("unread", NAN, false)};
    char *svg = svg_of(words, 4);
    assert_well_formed(svg);
    assert_non_null(strstr(svg, ">A &quot;title&quot; &amp; more</text>"));
    assert_non_null(strstr(svg, ">note &lt;1&gt;</text>"));
    assert_non_null(strstr(svg, "fill=\"#ffffff\">great</text>")); /* white on the darkest shade */
    assert_non_null(strstr(svg, "fill=\"#111111\">R&amp;B</text>"));
    assert_int_equal(count_of(svg, "<path "), 2); /* of the struck word and of the legend */
    assert_int_equal(count_of(svg, "stroke-dasharray"), 1);
    assert_non_null(strstr(svg, ">2 and more; dashed: the model did not read it</text>"));
    assert_non_null(strstr(svg, ">not sent</text>"));
    assert_non_null(strstr(svg, "#084594")); /* the end of the scale */
    free(svg);
}

/* Of the 100 words 95 are at most 1: the scale ends there, and the words beyond it look the same. */
static void few_great_words_do_not_pale_the_others(void **state)
{
    (void)state;
    rung_heat_word words[100];
    for (size_t i = 0; i < 100; i++) {
        words[i] = word_of("w", i < 96 ? 1 : 50, false);
    }
    char *svg = svg_of(words, 100);
    assert_non_null(strstr(svg, ">1 and more</text>"));
    assert_int_equal(count_of(svg, "#084594"), 101);
    free(svg);
}

static void lines_break(void **state)
{
    (void)state;
    char long_word[201];
    memset(long_word, 'x', 200);
    long_word[200] = '\0';
    const rung_heat_word words[] = {word_of("first", 1, false), word_of(long_word, 1, true), word_of("last", 1, false),
                                    word_of("\xe6\x98\xa0\xe7\x94\xbb", 1, false), word_of("e\xcc\x81", 1, false)};
    char *svg = svg_of(words, 5);
    assert_well_formed(svg);
    assert_int_equal(count_of(svg, "x</text>"), 3);           /* 83 + 83 + 34 */
    assert_int_equal(count_of(svg, "<path "), 4);             /* each part is struck */
    assert_non_null(strstr(svg, "<rect x=\"20\" y=\"96\" ")); /* the second line, 30 px below the first */
    assert_null(strstr(svg, "y=\"186\" width"));              /* four lines in all */
    assert_non_null(strstr(svg, "textLength=\"36\" "));       /* two wide characters */
    assert_non_null(strstr(svg, "textLength=\"9\" "));        /* a letter and its mark */
    for (const char *at = strstr(svg, "<rect x="); at != NULL; at = strstr(at + 1, "<rect x=")) {
        assert_true(strtod(strstr(at, "x=\"") + 3, NULL) + strtod(strstr(at, "width=\"") + 7, NULL) <= 780);
    }
    free(svg);
}

static void any_bytes(void **state)
{
    (void)state;
    char bytes[256];
    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    const rung_heat_word words[] = {
        {bytes, 256, 1, false}, {"\xf0\x9f", 2, 1, false}, {"\xef\xbf\xbf", 3, 1, false}, {"", 0, 1, false}};
    char *svg = svg_of(words, 4);
    assert_well_formed(svg);
    assert_int_equal(count_of(svg, "\xef\xbf\xbd"), 32 + 1 + 128 + 2 + 1);
    assert_int_equal(count_of(svg, "\xef\xbf\xbf"), 0);
    free(svg);
}

static void no_words_and_no_scale(void **state)
{
    (void)state;
    char *svg = svg_of(NULL, 0);
    assert_well_formed(svg);
    free(svg);
    const rung_heat_word words[] = {word_of("zero", 0, false), word_of("none", NAN, false)};
    svg = svg_of(words, 2);
    assert_well_formed(svg);
    assert_null(strstr(svg, "nan"));
    assert_non_null(strstr(svg, ">0 and more; dashed"));
    free(svg);
}

static void refused(void **state)
{
    (void)state;
    static const double wrong[] = {-1, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const rung_heat_word words[] = {word_of("a", 1, false), word_of("b", wrong[i], false)};
        rung_heat_strip strip = {"t", NULL, NULL, words, 2};
        rung_buffer out = {0};
        rung_error error = {0};
        assert_int_equal(rung_heat_strip_svg(&strip, &out, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, "word 1 of a heat strip has the importance"));
        assert_int_equal(out.length, 0);
    }
}

static void into_a_file(void **state)
{
    (void)state;
    const rung_heat_word words[] = {word_of("a", 1, false)};
    rung_heat_strip strip = {"t", NULL, NULL, words, 1};
    rung_error error = {0};
    char path[64];
    snprintf(path, sizeof path, "/tmp/rung-heat-%ld.svg", (long)getpid());
    assert_int_equal(rung_heat_strip_write(&strip, path, &error), RUNG_OK);
    char *text;
    size_t size;
    assert_int_equal(rung_read_file(path, 100000, &text, &size, &error), RUNG_OK);
    assert_well_formed(text);
    free(text);
    unlink(path);
    assert_int_equal(rung_heat_strip_write(&strip, "/nonexistent/heat.svg", &error), RUNG_NOT_FOUND);
    assert_non_null(strstr(error.message, "/nonexistent/heat.svg: cannot create"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_legend),      cmocka_unit_test(few_great_words_do_not_pale_the_others),
        cmocka_unit_test(lines_break),           cmocka_unit_test(any_bytes),
        cmocka_unit_test(no_words_and_no_scale), cmocka_unit_test(refused),
        cmocka_unit_test(into_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
