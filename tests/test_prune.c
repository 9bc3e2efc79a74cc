/* test_prune.c: words, Eq 10 and rules 1-3, by hand and against a slow version of the definition. */
#include "base/prng.h"
#include "base/utf8.h"
#include "cascade/prune.h"
#include "numbers.h"

#define MAX_TOKENS 64
#define MAX_WORDS 64

/* All 25 code points with the property White_Space (Unicode 15, PropList.txt). */
static const uint32_t white_space[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,   0xA0,   0x1680,
                                       0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                                       0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
#define NUM_WHITE_SPACE (sizeof white_space / sizeof white_space[0])

static void every_white_space(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        char text[8] = "a";
        size_t bytes = 1 + rung_utf8_put(c, text + 1);
        text[bytes++] = 'b';
        rung_word words[3];
        size_t count = rung_split_words(text, bytes, words, 3);
        if (count == 2) {
            assert_true(found < NUM_WHITE_SPACE && white_space[found] == c);
            assert_int_equal(words[0].end, 1);
            assert_int_equal(words[1].begin, bytes - 1);
            found++;
        } else {
            assert_int_equal(count, 1);
            assert_int_equal(words[0].end, bytes);
        }
    }
    assert_int_equal(found, NUM_WHITE_SPACE);
}

static void split_edges(void **state)
{
    (void)state;
    rung_word words[2];
    assert_int_equal(rung_split_words("", 0, words, 2), 0);
    assert_int_equal(rung_split_words(" \n\t ", 4, words, 2), 0);
    assert_int_equal(rung_split_words("  ab  c ", 8, words, 2), 2);
    assert_true(words[0].begin == 2 && words[0].end == 4 && words[1].begin == 6 && words[1].end == 7);
    words[1] = (rung_word){77, 78};
    assert_int_equal(rung_split_words("one two three", 13, words, 1), 3); /* counts all, writes one */
    assert_true(words[0].begin == 0 && words[0].end == 3 && words[1].begin == 77 && words[1].end == 78);
    assert_int_equal(rung_split_words("a b", 3, NULL, 0), 2);
}

/* A random text of words and white space, and its words put together independently. */
static void split_and_join_round_trip(void **state)
{
    (void)state;
    rung_prng prng = {3};
    static const uint32_t letters[] = {'a', 'Z', '.', 0xE9, 0x4E2D, 0x1F600, 0x200B, 0x0301};
    for (int round = 0; round < 2000; round++) {
        char text[2048];
        char expected[2048];
        size_t bytes = 0;
        size_t length = 0;
        size_t count = rung_prng_below(&prng, MAX_WORDS);
        for (size_t w = 0; w < count; w++) {
            for (size_t s = rung_prng_below(&prng, 3) + (w > 0); s > 0; s--) {
                bytes += rung_utf8_put(white_space[rung_prng_below(&prng, NUM_WHITE_SPACE)], text + bytes);
            }
            if (w > 0) {
                expected[length++] = ' ';
            }
            for (size_t l = 1 + rung_prng_below(&prng, 4); l > 0; l--) {
                size_t put = rung_utf8_put(letters[rung_prng_below(&prng, 8)], text + bytes);
                memcpy(expected + length, text + bytes, put);
                bytes += put;
                length += put;
            }
        }
        rung_word words[MAX_WORDS];
        bool keep[MAX_WORDS];
        char joined[2048];
        assert_int_equal(rung_split_words(text, bytes, words, MAX_WORDS), count);
        memset(keep, 1, sizeof keep);
        assert_int_equal(rung_join_words(text, words, count, keep, joined), length);
        assert_memory_equal(joined, expected, length);
        assert_int_equal(joined[length], 0);
        assert_true(length <= bytes);
        rung_word again[MAX_WORDS];
        assert_int_equal(rung_split_words(joined, length, again, MAX_WORDS), count);
        for (size_t w = 0; w < count; w++) {
            keep[w] = rung_prng_below(&prng, 2) == 0;
            assert_int_equal(again[w].end - again[w].begin, words[w].end - words[w].begin);
        }
        size_t kept = 0;
        for (size_t w = 0; w < count; w++) {
            kept += keep[w];
        }
        length = rung_join_words(text, words, count, keep, joined);
        assert_int_equal(rung_split_words(joined, length, again, MAX_WORDS), kept);
        for (size_t w = 0, k = 0; w < count; w++) { /* the kept words, in their order */
            if (keep[w]) {
                assert_memory_equal(joined + again[k].begin, text + words[w].begin, words[w].end - words[w].begin);
                k++;
            }
        }
    }
}

/* "[CLS] the film was un ##bear ##able [SEP]": importances .9 .2 .8 .1 .1 .6 .2 .5. */
static const uint32_t film_begin[] = {0, 0, 4, 9, 13, 15, 19, 0};
static const uint32_t film_end[] = {0, 3, 8, 12, 15, 19, 23, 0};
static const uint8_t film_special[] = {1, 0, 0, 0, 0, 0, 0, 1};
static const uint8_t film_sequence[8] = {0};
static const float film_importance[] = {0.9f, 0.2f, 0.8f, 0.1f, 0.1f, 0.6f, 0.2f, 0.5f};
static const rung_token_view film = {8, film_begin, film_end, film_special, film_sequence, film_importance};
static const char film_text[] = "the film was unbearable";

static void eq10_by_hand(void **state)
{
    (void)state;
    /* [CLS] and [SEP] do not count: (.2 + .8 + .1 + .1 + .6 + .2) / 6 = 2 / 6. */
    assert_true(fabs(rung_prune_threshold(&film, 0.5) - 0.5 / 3) < 1e-7);
    assert_true(fabs(rung_prune_threshold(&film, 1.5) - 0.5) < 1e-7);
    bool keep[8];
    static const bool half[8] = {1, 1, 1, 0, 0, 1, 1, 1}; /* above 1/6: .2 .8 .6 .2 */
    assert_int_equal(rung_prune_tokens(&film, 0.5, keep), 4);
    assert_memory_equal(keep, half, sizeof half);
    static const bool one_and_half[8] = {1, 0, 1, 0, 0, 1, 0, 1}; /* above 1/2: .8 .6 */
    assert_int_equal(rung_prune_tokens(&film, 1.5, keep), 2);
    assert_memory_equal(keep, one_and_half, sizeof one_and_half);
    static const bool best[8] = {1, 0, 1, 0, 0, 0, 0, 1}; /* above 100/3: none; the greatest stays */
    assert_int_equal(rung_prune_tokens(&film, 100, keep), 1);
    assert_memory_equal(keep, best, sizeof best);
    assert_int_equal(rung_prune_tokens(&film, 0, keep), 6);
}

static void rules_2_and_3_by_hand(void **state)
{
    (void)state;
    rung_word words[4];
    bool keep[4];
    char out[sizeof film_text];
    assert_int_equal(rung_split_words(film_text, sizeof film_text - 1, words, 4), 4);
    /* "was" goes; "unbearable" stays since "##bear" does. */
    assert_int_equal(rung_prune_words(&film, 0.5, 0, words, 4, keep), 3);
    assert_int_equal(rung_join_words(film_text, words, 4, keep, out), 19);
    assert_string_equal(out, "the film unbearable");
    assert_int_equal(rung_prune_words(&film, 1.5, 0, words, 4, keep), 2);
    rung_join_words(film_text, words, 4, keep, out);
    assert_string_equal(out, "film unbearable");
    assert_int_equal(rung_prune_words(&film, 100, 0, words, 4, keep), 1);
    rung_join_words(film_text, words, 4, keep, out);
    assert_string_equal(out, "film");
    /* Beyond the model's maximum: only the first two tokens were seen, so "was unbearable" stays. */
    rung_token_view cut = film;
    cut.count = 3;
    assert_int_equal(rung_prune_words(&cut, 1, 0, words, 4, keep), 3); /* ave .5: "the" goes */
    rung_join_words(film_text, words, 4, keep, out);
    assert_string_equal(out, "film was unbearable");
}

static void equality_goes_and_ties_keep_the_first(void **state)
{
    (void)state;
    static const uint32_t begin[] = {0, 2, 4};
    static const uint32_t end[] = {1, 3, 5};
    static const uint8_t zeros[3] = {0};
    static const float same[] = {0.1f, 0.1f, 0.1f};
    rung_token_view tokens = {3, begin, end, zeros, zeros, same};
    rung_word words[3] = {{0, 1}, {2, 3}, {4, 5}};
    bool keep[3];
    /* imp = ave everywhere: Eq 10 deletes all of them, and the first is brought back. */
    assert_int_equal(rung_prune_words(&tokens, 1, 0, words, 3, keep), 1);
    assert_true(keep[0] && !keep[1] && !keep[2]);
    assert_int_equal(rung_prune_tokens(&tokens, 1, keep), 1);
    assert_true(keep[0] && !keep[1] && !keep[2]);
    assert_int_equal(rung_prune_tokens(&tokens, 0.99, keep), 3);
    static const float broken[] = {0.1f, NAN, 0.1f};
    tokens.importance = broken;
    assert_int_equal(rung_prune_words(&tokens, 1, 0, words, 3, keep), 3); /* no number: nothing is lost */
    assert_int_equal(rung_prune_tokens(&tokens, 1, keep), 3);
}

static void tokens_and_words_need_not_match(void **state)
{
    (void)state;
    /* "abc d": an empty span inside "abc" is no piece of it, so the word counts as not seen. */
    static const uint32_t begin[] = {1, 4};
    static const uint32_t end[] = {1, 5};
    static const uint8_t zeros[2] = {0};
    static const float importance[] = {0, 1};
    rung_token_view tokens = {2, begin, end, zeros, zeros, importance};
    rung_word words[2] = {{0, 3}, {4, 5}};
    bool keep[2];
    assert_int_equal(rung_prune_words(&tokens, 1, 0, words, 2, keep), 2);
    /* A token over two words, as byte-level tokenizers make them, is a piece of both. */
    static const uint32_t wide_begin[] = {0, 2};
    static const uint32_t wide_end[] = {2, 5};
    rung_token_view wide = {2, wide_begin, wide_end, zeros, zeros, importance};
    assert_int_equal(rung_prune_words(&wide, 1, 0, words, 2, keep), 2);
}

static void nothing_to_prune(void **state)
{
    (void)state;
    rung_token_view none = {0};
    rung_word word = {0, 1};
    bool keep = false;
    assert_true(rung_prune_threshold(&none, 0.5) == 0);
    assert_int_equal(rung_prune_tokens(&none, 0.5, NULL), 0);
    assert_int_equal(rung_prune_words(&none, 0.5, 0, NULL, 0, NULL), 0);
    assert_int_equal(rung_prune_words(&none, 0.5, 0, &word, 1, &keep), 1); /* a word that the model never saw */
    assert_true(keep);
    char out[1];
    assert_int_equal(rung_join_words("", NULL, 0, NULL, out), 0);
    assert_string_equal(out, "");
    static const uint8_t special[2] = {1, 1};
    static const uint8_t zeros[2] = {0};
    static const uint32_t offsets[2] = {0};
    static const float importance[2] = {3, 4};
    rung_token_view specials = {2, offsets, offsets, special, zeros, importance};
    bool both[2];
    assert_true(rung_prune_threshold(&specials, 0.5) == 0);
    assert_int_equal(rung_prune_tokens(&specials, 0.5, both), 0);
    assert_true(both[0] && both[1]);
}

typedef struct random_case {
    size_t num_words[2];
    rung_word words[2][MAX_WORDS];
    uint32_t begin[MAX_TOKENS], end[MAX_TOKENS];
    uint8_t special[MAX_TOKENS], sequence[MAX_TOKENS];
    float importance[MAX_TOKENS];
    rung_token_view tokens;
} random_case;

static void add_token(random_case *made, uint32_t begin, uint32_t end, uint8_t special, uint8_t sequence,
                      float importance)
{
    size_t i = made->tokens.count++;
    made->begin[i] = begin;
    made->end[i] = end;
    made->special[i] = special;
    made->sequence[i] = sequence;
    made->importance[i] = importance;
}

/* Words of 1 to 4 bytes, each of 0 to 3 pieces; importances are multiples of 1/8, so that ties and equality happen. */
static void make_case(rung_prng *prng, random_case *made)
{
    memset(made, 0, sizeof *made);
    made->tokens = (rung_token_view){0, made->begin, made->end, made->special, made->sequence, made->importance};
    add_token(made, 0, 0, 1, 0, 1);
    for (uint8_t s = 0; s < 2; s++) {
        uint32_t offset = 0;
        made->num_words[s] = rung_prng_below(prng, 10);
        for (size_t w = 0; w < made->num_words[s]; w++) {
            uint32_t bytes = 1 + (uint32_t)rung_prng_below(prng, 4);
            made->words[s][w] = (rung_word){offset, offset + bytes};
            uint32_t pieces = (uint32_t)rung_prng_below(prng, 4);
            for (uint32_t i = 0; i < pieces && i < bytes; i++) {
                uint32_t end = i + 1 == pieces ? bytes : i + 1;
                add_token(made, offset + i, offset + end, 0, s, (float)rung_prng_below(prng, 9) / 8);
            }
            offset += bytes + 1;
        }
        add_token(made, 0, 0, 1, s, 1);
    }
}

/* The definition: for each word, the greatest importance of the tokens inside it. */
static size_t prune_words_slowly(const random_case *made, double alpha, uint8_t sequence, bool *keep)
{
    double threshold = rung_prune_threshold(&made->tokens, alpha);
    double greatest = -1;
    size_t best = 0;
    size_t kept = 0;
    for (size_t w = 0; w < made->num_words[sequence]; w++) {
        double importance = -1;
        for (size_t i = 0; i < made->tokens.count; i++) {
            bool inside = !made->special[i] && made->sequence[i] == sequence &&
                          made->begin[i] >= made->words[sequence][w].begin &&
                          made->end[i] <= made->words[sequence][w].end;
            importance = inside && (double)made->importance[i] > importance ? (double)made->importance[i] : importance;
        }
        keep[w] = importance < 0 || importance > threshold;
        kept += keep[w];
        if (importance > greatest) {
            greatest = importance;
            best = w;
        }
    }
    if (kept == 0 && made->num_words[sequence] > 0) {
        keep[best] = true;
        kept = 1;
    }
    return kept;
}

static void random_cases(void **state)
{
    (void)state;
    rung_prng prng = {11};
    for (int round = 0; round < 20000; round++) {
        random_case made;
        make_case(&prng, &made);
        double alpha = (double)rung_prng_below(&prng, 17) / 8;
        for (uint8_t s = 0; s < 2; s++) {
            bool keep[MAX_WORDS];
            bool expected[MAX_WORDS];
            size_t count = made.num_words[s];
            size_t kept = rung_prune_words(&made.tokens, alpha, s, made.words[s], count, keep);
            assert_int_equal(kept, prune_words_slowly(&made, alpha, s, expected));
            assert_memory_equal(keep, expected, count);
            assert_true(count == 0 || kept >= 1);
        }
    }
}

/* Any factor on all importances changes nothing (powers of two, so that no rounding comes in); a larger alpha never keeps more. */
static void scale_and_alpha(void **state)
{
    (void)state;
    rung_prng prng = {12};
    for (int round = 0; round < 5000; round++) {
        random_case made;
        make_case(&prng, &made);
        double alpha = 2 * rung_prng_uniform(&prng);
        bool keep[MAX_TOKENS];
        bool scaled[MAX_TOKENS];
        size_t kept = rung_prune_tokens(&made.tokens, alpha, keep);
        float factor = ldexpf(1, (int)rung_prng_below(&prng, 41) - 20);
        for (size_t i = 0; i < made.tokens.count; i++) {
            made.importance[i] *= factor;
        }
        assert_int_equal(rung_prune_tokens(&made.tokens, alpha, scaled), kept);
        assert_memory_equal(keep, scaled, made.tokens.count);
        assert_true(rung_prune_tokens(&made.tokens, alpha * 1.5, scaled) <= kept);
        size_t sides[2] = {0};
        size_t kept_sides[2] = {0};
        for (size_t i = 0; i < made.tokens.count; i++) {
            assert_true(!made.special[i] || scaled[i]);
            sides[made.sequence[i]] += !made.special[i];
            kept_sides[made.sequence[i]] += !made.special[i] && scaled[i];
        }
        assert_true((sides[0] == 0) == (kept_sides[0] == 0) && (sides[1] == 0) == (kept_sides[1] == 0));
    }
}

typedef struct golden_tokens {
    uint32_t begin[MAX_TOKENS], end[MAX_TOKENS];
    uint8_t special[MAX_TOKENS], sequence[MAX_TOKENS];
    float importance[MAX_TOKENS];
} golden_tokens;

static rung_token_view read_tokens(const json_t *one, golden_tokens *into)
{
    rung_token_view view = {0, into->begin, into->end, into->special, into->sequence, into->importance};
    view.count = numbers_floats(json_object_get(one, "importance"), into->importance, MAX_TOKENS);
    assert_int_equal(numbers_bytes(json_object_get(one, "special"), into->special, MAX_TOKENS), view.count);
    assert_int_equal(numbers_bytes(json_object_get(one, "sequence"), into->sequence, MAX_TOKENS), view.count);
    return view;
}

static void golden_rule_1(void **state)
{
    (void)state;
    json_t *cases = numbers_section("prune_tokens");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        golden_tokens into = {0};
        rung_token_view tokens = read_tokens(one, &into);
        double alpha = numbers_value(one, "alpha");
        bool keep[MAX_TOKENS];
        uint8_t expected[MAX_TOKENS];
        assert_near(numbers_name(one), rung_prune_threshold(&tokens, alpha), numbers_value(one, "threshold"), 1e-15);
        assert_int_equal(rung_prune_tokens(&tokens, alpha, keep), (size_t)numbers_value(one, "kept"));
        assert_int_equal(numbers_bytes(json_object_get(one, "keep"), expected, MAX_TOKENS), tokens.count);
        for (size_t t = 0; t < tokens.count; t++) {
            if (keep[t] != expected[t]) {
                fail_msg("%s: token %zu", numbers_name(one), t);
            }
        }
    }
    json_decref(cases);
}

static void check_side(const json_t *one, const rung_token_view *tokens, uint8_t sequence)
{
    json_t *side = json_array_get(json_object_get(one, "sides"), sequence);
    const char *text = json_string_value(json_object_get(side, "text"));
    json_t *expected_words = json_object_get(side, "words");
    rung_word words[MAX_WORDS];
    size_t count = rung_split_words(text, strlen(text), words, MAX_WORDS);
    assert_int_equal(count, json_array_size(expected_words));
    for (size_t w = 0; w < count; w++) {
        uint32_t span[2];
        numbers_u32(json_array_get(expected_words, w), span, 2);
        assert_int_equal(words[w].begin, span[0]);
        assert_int_equal(words[w].end, span[1]);
    }
    bool keep[MAX_WORDS];
    uint8_t expected[MAX_WORDS];
    size_t kept = rung_prune_words(tokens, numbers_value(one, "alpha"), sequence, words, count, keep);
    assert_int_equal(kept, (size_t)json_integer_value(json_object_get(side, "kept")));
    numbers_bytes(json_object_get(side, "keep"), expected, MAX_WORDS);
    for (size_t w = 0; w < count; w++) {
        if (keep[w] != expected[w]) {
            fail_msg("%s: side %u, word %zu", numbers_name(one), sequence, w);
        }
    }
    char joined[256];
    assert_true(strlen(text) < sizeof joined);
    rung_join_words(text, words, count, keep, joined);
    assert_string_equal(joined, json_string_value(json_object_get(side, "joined")));
}

static void golden_rules_2_and_3(void **state)
{
    (void)state;
    json_t *cases = numbers_section("prune_words");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        golden_tokens into = {0};
        rung_token_view tokens = read_tokens(one, &into);
        numbers_u32(json_object_get(one, "begin"), into.begin, MAX_TOKENS);
        numbers_u32(json_object_get(one, "end"), into.end, MAX_TOKENS);
        double threshold = rung_prune_threshold(&tokens, numbers_value(one, "alpha"));
        assert_near(numbers_name(one), threshold, numbers_value(one, "threshold"), 1e-15);
        for (size_t side = 0; side < json_array_size(json_object_get(one, "sides")); side++) {
            check_side(one, &tokens, (uint8_t)side);
        }
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_white_space),
        cmocka_unit_test(split_edges),
        cmocka_unit_test(split_and_join_round_trip),
        cmocka_unit_test(eq10_by_hand),
        cmocka_unit_test(rules_2_and_3_by_hand),
        cmocka_unit_test(equality_goes_and_ties_keep_the_first),
        cmocka_unit_test(tokens_and_words_need_not_match),
        cmocka_unit_test(nothing_to_prune),
        cmocka_unit_test(random_cases),
        cmocka_unit_test(scale_and_alpha),
        cmocka_unit_test(golden_rule_1),
        cmocka_unit_test(golden_rules_2_and_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
