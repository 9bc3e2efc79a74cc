/* prune.c: which tokens or words go up (Eq 10, rules 1-3). Called by src/run with a level's importances before it asks the next
 * level. Must not know about tokenizers beyond the spans that they give. Source: the paper, section III-B. See prune.h. */
#include "cascade/prune.h"

#include "base/utf8.h"

#include <string.h>

/* Unicode 15, property White_Space. */
static bool is_white_space(uint32_t code_point)
{
    return (code_point >= 0x09 && code_point <= 0x0D) || code_point == 0x20 || code_point == 0x85 ||
           code_point == 0xA0 || code_point == 0x1680 || (code_point >= 0x2000 && code_point <= 0x200A) ||
           code_point == 0x2028 || code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
           code_point == 0x3000;
}

size_t rung_split_words(const char *text, size_t bytes, rung_word *words, size_t capacity)
{
    size_t count = 0;
    bool inside = false;
    for (size_t offset = 0; offset < bytes;) {
        size_t begin = offset;
        bool space = is_white_space(rung_utf8_next(text, bytes, &offset));
        if (!space && !inside) {
            if (count < capacity) {
                words[count].begin = (uint32_t)begin;
            }
            count++;
        }
        inside = !space;
        if (inside && count <= capacity) {
            words[count - 1].end = (uint32_t)offset;
        }
    }
    return count;
}

double rung_prune_threshold(const rung_token_view *tokens, double alpha)
{
    double sum = 0;
    size_t candidates = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        if (!tokens->special[i]) {
            sum += (double)tokens->importance[i];
            candidates++;
        }
    }
    return candidates == 0 ? 0 : alpha * (sum / (double)candidates);
}

/* Eq 10. Written so that an importance that is no number keeps everything. */
static bool is_important(float importance, double threshold)
{
    return !((double)importance <= threshold);
}

/* Keeps the most important token of a side on which all would go; the first one on ties. */
static size_t keep_best_token(const rung_token_view *tokens, uint8_t sequence, bool *keep)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < tokens->count; i++) {
        if (tokens->special[i] || tokens->sequence[i] != sequence) {
            continue;
        }
        if (keep[i]) {
            return 0;
        }
        if (best == SIZE_MAX || tokens->importance[i] > tokens->importance[best]) {
            best = i;
        }
    }
    if (best == SIZE_MAX) {
        return 0;
    }
    keep[best] = true;
    return 1;
}

size_t rung_prune_tokens(const rung_token_view *tokens, double alpha, bool *keep)
{
    double threshold = rung_prune_threshold(tokens, alpha);
    size_t kept = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        keep[i] = tokens->special[i] || is_important(tokens->importance[i], threshold);
        kept += keep[i] && !tokens->special[i];
    }
    kept += keep_best_token(tokens, 0, keep);
    kept += keep_best_token(tokens, 1, keep);
    return kept;
}

/* The first word that ends behind `offset`; num_words when there is none. */
static size_t find_word(const rung_word *words, size_t num_words, uint32_t offset)
{
    size_t low = 0;
    size_t high = num_words;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (words[middle].end > offset) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* A candidate of text `sequence` that has bytes in it. */
static bool is_piece(const rung_token_view *tokens, size_t i, uint8_t sequence)
{
    return !tokens->special[i] && tokens->sequence[i] == sequence && tokens->begin[i] < tokens->end[i];
}

/* Sets keep of every word that token i has a byte in. */
static void mark_words(const rung_token_view *tokens, size_t i, const rung_word *words, size_t num_words, bool value,
                       bool *keep)
{
    for (size_t w = find_word(words, num_words, tokens->begin[i]); w < num_words && words[w].begin < tokens->end[i];
         w++) {
        keep[w] = value;
    }
}

/* The word of the most important token, the first word on ties. Called when every word has a token. */
static size_t find_best_word(const rung_token_view *tokens, uint8_t sequence, const rung_word *words, size_t num_words)
{
    size_t best_word = 0;
    float best = -1; /* importances are sums of probabilities */
    for (size_t i = 0; i < tokens->count; i++) {
        if (!is_piece(tokens, i, sequence)) {
            continue;
        }
        size_t w = find_word(words, num_words, tokens->begin[i]);
        float importance = tokens->importance[i];
        bool covers = w < num_words && words[w].begin < tokens->end[i];
        if (covers && (importance > best || (importance == best && w < best_word))) {
            best = importance;
            best_word = w;
        }
    }
    return best_word;
}

/* A word goes only when all its pieces go, so that one kept piece is enough: the same as the greatest importance of its pieces
 * deciding. Two passes need no memory for it: first every word with a token goes, then kept tokens bring theirs back. */
size_t rung_prune_words(const rung_token_view *tokens, double alpha, uint8_t sequence, const rung_word *words,
                        size_t num_words, bool *keep)
{
    double threshold = rung_prune_threshold(tokens, alpha);
    for (size_t w = 0; w < num_words; w++) {
        keep[w] = true;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < tokens->count; i++) {
            if (is_piece(tokens, i, sequence) && (pass == 0 || is_important(tokens->importance[i], threshold))) {
                mark_words(tokens, i, words, num_words, pass == 1, keep);
            }
        }
    }
    size_t kept = 0;
    for (size_t w = 0; w < num_words; w++) {
        kept += keep[w];
    }
    if (kept == 0 && num_words > 0) {
        keep[find_best_word(tokens, sequence, words, num_words)] = true;
        kept = 1;
    }
    return kept;
}

size_t rung_join_words(const char *text, const rung_word *words, size_t num_words, const bool *keep, char *out)
{
    size_t length = 0;
    for (size_t w = 0; w < num_words; w++) {
        if (!keep[w]) {
            continue;
        }
        if (length > 0) {
            out[length++] = ' ';
        }
        size_t bytes = words[w].end - words[w].begin;
        memcpy(out + length, text + words[w].begin, bytes);
        length += bytes;
    }
    out[length] = '\0';
    return length;
}
