/* tweet_words.c: see tweet_words.h. A function for each alternative of the expression, tried in its order; each returns the end of
 * its match at `at`, or `at` when there is none. The alternatives' backtracking is worked out: where greedy runs have to give
 * something back is said in their comments. Case is ignored for ASCII letters. */
#include "model/tweet_words.h"

#include "base/utf8.h"
#include "model/unicode.h"

#include <stdint.h>
#include <string.h>

#define MIN_TLD 2
#define MAX_TLD 13

/* ASCII byte at `at`, 0 at the end and for other characters. */
static char byte_at(const rung_tweet_words *words, size_t at)
{
    return at < words->end && (uint8_t)words->text[at] < 0x80 ? words->text[at] : '\0';
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_letter(char c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static bool is_alnum(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static rung_unicode_record record_at(const rung_tweet_words *words, size_t at)
{
    return rung_unicode_get(rung_utf8_next(words->text, words->end, &at));
}

static size_t after(const rung_tweet_words *words, size_t at)
{
    rung_utf8_next(words->text, words->end, &at);
    return at;
}

static bool is_word(const rung_tweet_words *words, size_t at)
{
    return at < words->end && record_at(words, at).classes & RUNG_UNICODE_TWEET_WORD;
}

static bool is_digit(const rung_tweet_words *words, size_t at)
{
    return at < words->end && record_at(words, at).classes & RUNG_UNICODE_TWEET_DIGIT;
}

static bool is_space(const rung_tweet_words *words, size_t at)
{
    return record_at(words, at).flags & RUNG_UNICODE_SPACE;
}

/* [^\W\d_] */
static bool is_alpha(const rung_tweet_words *words, size_t at)
{
    return is_word(words, at) && !is_digit(words, at) && words->text[at] != '_';
}

static bool starts_with(const rung_tweet_words *words, size_t at, const char *lower)
{
    for (; *lower != '\0'; lower++, at++) {
        char c = byte_at(words, at);
        if ((is_letter(c) ? c | 0x20 : c) != *lower) {
            return false;
        }
    }
    return true;
}

/* \([^\s()]*?\([^\s()]+\)[^\s()]*?\) or else \([^\s]+?\) */
static size_t match_parens(rung_tweet_words *words, size_t at)
{
    if (byte_at(words, at) != '(' || at < words->no_paren) {
        return at;
    }
    static const char SHAPE[] = "(())";
    size_t shape = 0;
    size_t inner = 0; /* characters since the last parenthesis */
    size_t i = at;
    for (; i < words->end && shape < 4 && !is_space(words, i); i = after(words, i)) {
        char c = words->text[i];
        if (c != '(' && c != ')') {
            inner++;
        } else if (c != SHAPE[shape] || (shape == 2 && inner == 0)) {
            break;
        } else {
            shape++;
            inner = 0;
        }
    }
    if (shape == 4) {
        return i;
    }
    for (i = at + 1; i < words->end && !is_space(words, i); i = after(words, i)) {
        if (words->text[i] == ')' && i > at + 1) {
            return i + 1;
        }
    }
    words->no_paren = i;
    return at;
}

/* What a link may end with. */
static bool may_end_link(const rung_tweet_words *words, size_t at)
{
    static const uint32_t MARKS[] = {0xAB, 0xBB, 0x201C, 0x201D, 0x2018, 0x2019};
    char c = byte_at(words, at);
    if (c != '\0') {
        return !is_one_of(c, "`!()[]{};:'\".,<>?");
    }
    size_t next = at;
    uint32_t code_point = rung_utf8_next(words->text, words->end, &next);
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++) {
        if (code_point == MARKS[i]) {
            return false;
        }
    }
    return true;
}

/* The rest of a link, of which text[..from) is the part that must be there: one element or more, then an end. The elements take all
 * they can and give back what follows the last character that may end a link. */
static size_t match_link_body(rung_tweet_words *words, size_t at, size_t from)
{
    size_t best = at;
    size_t elements = 0;
    for (size_t i = from; i < words->end; elements++) {
        char c = byte_at(words, i);
        size_t next;
        if (c == '(') {
            next = match_parens(words, i);
            if (next == i) {
                break;
            }
            best = elements > 0 ? next : best;
        } else if (is_one_of(c, ")<>{}[]") || is_space(words, i)) {
            break;
        } else {
            next = after(words, i);
            best = elements > 0 && may_end_link(words, i) ? next : best;
        }
        i = next;
    }
    return best;
}

/* [a-z0-9.\-]+[.][a-z]{2,13}/ : where the slash must stand is where the run ends. */
static size_t domain_with_slash_end(rung_tweet_words *words, size_t at)
{
    size_t i = at;
    size_t dot = at;
    for (; is_alnum(byte_at(words, i)) || is_one_of(byte_at(words, i), ".-"); i++) {
        dot = words->text[i] == '.' ? i : dot;
    }
    bool fits = dot > at && i - dot - 1 >= MIN_TLD && i - dot - 1 <= MAX_TLD && byte_at(words, i) == '/';
    for (size_t j = dot + 1; j < i && fits; j++) {
        fits = is_letter(words->text[j]);
    }
    if (!fits) {
        words->no_slash = i;
        return at;
    }
    return i + 1;
}

static size_t match_link(rung_tweet_words *words, size_t at)
{
    size_t colon = starts_with(words, at, "https:") ? at + 6 : starts_with(words, at, "http:") ? at + 5 : at;
    if (colon > at) {
        char c = byte_at(words, colon);
        size_t end = c == '/' || c == '%' || is_alnum(c) ? match_link_body(words, at, colon + 1) : at;
        if (end > at) {
            return end;
        }
    }
    if (at < words->no_slash) {
        return at;
    }
    size_t slash = domain_with_slash_end(words, at);
    return slash > at ? match_link_body(words, at, slash) : at;
}

/* (?<!@)[a-z0-9]+(?:[.\-][a-z0-9]+)*[.][a-z]{2,13}\b/?(?!@) : the last group after a dot that is all letters and is followed by
 * nothing of a word. */
static size_t match_domain(rung_tweet_words *words, size_t at)
{
    if (at < words->no_domain || !is_alnum(byte_at(words, at)) || (at > 0 && words->text[at - 1] == '@')) {
        return at;
    }
    size_t best = at;
    size_t i = at;
    for (bool first = true, dot = false;; first = false) {
        size_t group = i;
        bool letters = true;
        for (; is_alnum(byte_at(words, i)); i++) {
            letters = letters && is_letter(words->text[i]);
        }
        if (i == group) {
            break;
        }
        if (!first && dot && letters && i - group >= MIN_TLD && i - group <= MAX_TLD && !is_word(words, i)) {
            bool slash = byte_at(words, i) == '/' && byte_at(words, i + 1) != '@';
            best = slash ? i + 1 : byte_at(words, i) != '@' ? i : best;
        }
        if (!is_one_of(byte_at(words, i), ".-")) {
            break;
        }
        dot = words->text[i] == '.';
        i++;
    }
    if (best == at) {
        words->no_domain = i;
    }
    return best;
}

static size_t skip_phone_marks(const rung_tweet_words *words, size_t at)
{
    while (is_one_of(byte_at(words, at), " *-.)")) {
        at++;
    }
    return at;
}

/* So many digits, or 0: no match. */
static size_t digits_end(const rung_tweet_words *words, size_t at, size_t count)
{
    for (; count > 0; count--) {
        if (!is_digit(words, at)) {
            return 0;
        }
        at = after(words, at);
    }
    return at;
}

/* \d{3}[ *\-.\)]*\d{4} ; 0: no match. */
static size_t exchange_end(const rung_tweet_words *words, size_t at)
{
    size_t exchange = digits_end(words, at, 3);
    return exchange == 0 ? 0 : digits_end(words, skip_phone_marks(words, exchange), 4);
}

/* (?:\(?\d{3}[ *\-.\)]*)? before an exchange; 0: no match. */
static size_t local_number_end(const rung_tweet_words *words, size_t at)
{
    size_t area = digits_end(words, at + (size_t)(byte_at(words, at) == '('), 3);
    size_t end = area == 0 ? 0 : exchange_end(words, skip_phone_marks(words, area));
    return end != 0 ? end : exchange_end(words, at);
}

static size_t match_phone(rung_tweet_words *words, size_t at)
{
    size_t code = at + (size_t)(byte_at(words, at) == '+');
    if (is_one_of(byte_at(words, code), "01")) {
        size_t end = local_number_end(words, skip_phone_marks(words, code + 1));
        if (end != 0) {
            return end;
        }
    }
    size_t end = local_number_end(words, at);
    return end != 0 ? end : at;
}

#define EYES ":;=8"
#define NOSES "-oO*'"
#define MOUTHS ")]([dDpP/:}{@|\\"

static size_t match_emoticon(rung_tweet_words *words, size_t at)
{
    size_t i = at + (size_t)is_one_of(byte_at(words, at), "<>");
    if (is_one_of(byte_at(words, i), EYES)) {
        size_t mouth = i + 1 + (size_t)is_one_of(byte_at(words, i + 1), NOSES);
        if (is_one_of(byte_at(words, mouth), MOUTHS)) {
            return mouth + 1;
        }
    }
    if (is_one_of(byte_at(words, at), MOUTHS)) {
        size_t eyes = at + 1 + (size_t)is_one_of(byte_at(words, at + 1), NOSES);
        if (is_one_of(byte_at(words, eyes), EYES)) {
            return eyes + 1 + (size_t)is_one_of(byte_at(words, eyes + 1), "<>");
        }
    }
    return starts_with(words, at, "<3") ? at + 2 : at;
}

/* <[^>\s]+> */
static size_t match_tag(rung_tweet_words *words, size_t at)
{
    if (byte_at(words, at) != '<' || at < words->no_tag) {
        return at;
    }
    size_t i = at + 1;
    while (i < words->end && words->text[i] != '>' && !is_space(words, i)) {
        i = after(words, i);
    }
    if (byte_at(words, i) == '>') {
        return i > at + 1 ? i + 1 : at;
    }
    words->no_tag = i;
    return at;
}

/* [\-]+>|<[\-]+ */
static size_t match_arrow(rung_tweet_words *words, size_t at)
{
    size_t i = at + (size_t)(byte_at(words, at) == '<');
    size_t first = i;
    while (byte_at(words, i) == '-') {
        i++;
    }
    if (i == first) {
        return at;
    }
    return first > at ? i : byte_at(words, i) == '>' ? i + 1 : at;
}

static size_t word_run_end(const rung_tweet_words *words, size_t at)
{
    while (is_word(words, at)) {
        at = after(words, at);
    }
    return at;
}

/* @[\w_]+ */
static size_t match_name(rung_tweet_words *words, size_t at)
{
    size_t end = byte_at(words, at) == '@' ? word_run_end(words, at + 1) : at;
    return end > at + 1 ? end : at;
}

/* \#+[\w_]+[\w\'_\-]*[\w_]+ : two word characters or more, the run gives back what follows the last. */
static size_t match_hashtag(rung_tweet_words *words, size_t at)
{
    size_t i = at;
    while (byte_at(words, i) == '#') {
        i++;
    }
    if (i == at || !is_word(words, i)) {
        return at;
    }
    size_t best = at;
    for (i = after(words, i); is_word(words, i) || is_one_of(byte_at(words, i), "'-");) {
        bool word = is_word(words, i);
        i = after(words, i);
        best = word ? i : best;
    }
    return best;
}

/* [\w.+-]+@[\w-]+\.(?:[\w-]\.?)+[\w-] */
static size_t match_mail(rung_tweet_words *words, size_t at)
{
    if (at < words->no_mail) {
        return at;
    }
    size_t i = at;
    while (is_word(words, i) || is_one_of(byte_at(words, i), ".+-")) {
        i = after(words, i);
    }
    size_t run_end = i;
    if (i > at && byte_at(words, i) == '@') {
        size_t host = ++i;
        while (is_word(words, i) || byte_at(words, i) == '-') {
            i = after(words, i);
        }
        if (i > host && byte_at(words, i) == '.') {
            size_t count = 0;
            size_t end = i;
            bool dot = true;
            for (i++; i < words->end;) {
                if (is_word(words, i) || words->text[i] == '-') {
                    end = i = after(words, i);
                    count++;
                    dot = false;
                } else if (words->text[i] == '.' && !dot) {
                    dot = true;
                    i++;
                } else {
                    break;
                }
            }
            if (count > 1) {
                return end;
            }
        }
    }
    words->no_mail = run_end;
    return at;
}

/* [^\W\d_](?:[^\W\d_]|['\-_])+[^\W\d_] : three characters or more, the run gives back what follows the last letter. */
static size_t match_joined_word(rung_tweet_words *words, size_t at)
{
    if (!is_alpha(words, at)) {
        return at;
    }
    size_t best = at;
    size_t count = 1;
    for (size_t i = after(words, at); is_alpha(words, i) || is_one_of(byte_at(words, i), "'-_"); count++) {
        bool alpha = is_alpha(words, i);
        i = after(words, i);
        best = alpha && count >= 2 ? i : best;
    }
    return best;
}

static size_t digit_run_end(const rung_tweet_words *words, size_t at)
{
    while (is_digit(words, at)) {
        at = after(words, at);
    }
    return at;
}

/* [+\-]?\d+[,/.:-]\d+[+\-]? */
static size_t match_number(rung_tweet_words *words, size_t at)
{
    size_t first = at + (size_t)is_one_of(byte_at(words, at), "+-");
    size_t mark = digit_run_end(words, first);
    if (mark == first || !is_one_of(byte_at(words, mark), ",/.:-")) {
        return at;
    }
    size_t end = digit_run_end(words, mark + 1);
    return end == mark + 1 ? at : end + (size_t)is_one_of(byte_at(words, end), "+-");
}

static size_t match_word(rung_tweet_words *words, size_t at)
{
    return word_run_end(words, at);
}

/* \.(?:\s*\.){1,} */
static size_t match_dots(rung_tweet_words *words, size_t at)
{
    if (byte_at(words, at) != '.') {
        return at;
    }
    size_t best = at;
    for (size_t i = at + 1; i < words->end && (words->text[i] == '.' || is_space(words, i));) {
        bool dot = words->text[i] == '.';
        i = after(words, i);
        best = dot ? i : best;
    }
    return best;
}

rung_tweet_words rung_tweet_words_start(const char *text, size_t bytes)
{
    return (rung_tweet_words){.text = text, .end = bytes};
}

bool rung_tweet_words_next(rung_tweet_words *words, size_t *begin, size_t *end)
{
    static size_t (*const alternatives[])(rung_tweet_words *, size_t) = {
        match_link,    match_domain, match_phone,       match_emoticon, match_tag,  match_arrow, match_name,
        match_hashtag, match_mail,   match_joined_word, match_number,   match_word, match_dots};
    while (words->at < words->end && is_space(words, words->at)) {
        words->at = after(words, words->at);
    }
    if (words->at == words->end) {
        return false;
    }
    *begin = words->at;
    for (size_t i = 0; i < sizeof alternatives / sizeof alternatives[0]; i++) {
        *end = alternatives[i](words, *begin);
        if (*end > *begin) {
            words->at = *end;
            return true;
        }
    }
    *end = after(words, *begin);
    words->at = *end;
    return true;
}
