/* unicode.h: what the reference tokenizer (Hugging Face tokenizers) thinks of a code point: control, white space,
 * punctuation, CJK, mark, word character, letter, number; canonical decomposition, combining class and lower case. Its tables come from
 * several Unicode versions, so no Unicode library may stand in. Called by the normaliser and the tokenizer; knows
 * nothing of either. Pure functions of their argument, safe from any thread. */
#ifndef RUNG_MODEL_UNICODE_H
#define RUNG_MODEL_UNICODE_H

#include "model/unicode_tables.h"

#include <stddef.h>

#define RUNG_UNICODE_CONTROL 1     /* removed by clean_text: Cc, Cf, Co, NUL and U+FFFD, but not \t \n \r */
#define RUNG_UNICODE_SPACE 2       /* White_Space; some are control characters as well */
#define RUNG_UNICODE_PUNCTUATION 4 /* a word of its own */
#define RUNG_UNICODE_CJK 8         /* an ideograph in the ranges that BERT separates */
#define RUNG_UNICODE_MARK 16       /* Mn, removed by strip_accents */
#define RUNG_UNICODE_WORD 32       /* \w of the reference's regular expressions */
#define RUNG_UNICODE_HAS_NFD 64    /* its canonical decomposition differs from it */
#define RUNG_UNICODE_HAS_LOWER 128 /* its lower case differs from it */

/* Of rung_unicode_record.classes. */
#define RUNG_UNICODE_LETTER 1      /* \p{L} of the regular expression that splits byte-level BPE's text */
#define RUNG_UNICODE_NUMBER 2      /* its \p{N}; its \s is RUNG_UNICODE_SPACE */
#define RUNG_UNICODE_TWEET_WORD 4  /* \w of the one that splits tweets */
#define RUNG_UNICODE_TWEET_DIGIT 8 /* its \d */

#define RUNG_UNICODE_MAX_NFD 4
#define RUNG_UNICODE_MAX_LOWER 2

/* The number of a code point's block, through the two upper levels. */
static inline uint32_t rung_unicode_block(const uint8_t *index, const uint16_t *groups, uint32_t code_point)
{
    uint32_t group = index[code_point >> RUNG_UNICODE_INDEX_SHIFT];
    uint32_t within = (code_point >> RUNG_UNICODE_BLOCK_SHIFT) & ((1U << RUNG_UNICODE_GROUP_SHIFT) - 1);
    return groups[(group << RUNG_UNICODE_GROUP_SHIFT) + within];
}

/* Where a code point stands in an array of blocks. */
static inline uint32_t rung_unicode_place(uint32_t block, uint32_t code_point)
{
    return (block << RUNG_UNICODE_BLOCK_SHIFT) + (code_point & ((1U << RUNG_UNICODE_BLOCK_SHIFT) - 1));
}

/* code_point <= 0x10FFFF. */
static inline rung_unicode_record rung_unicode_get(uint32_t code_point)
{
    uint32_t block = rung_unicode_block(rung_unicode_property_index, rung_unicode_property_groups, code_point);
    return rung_unicode_records[rung_unicode_property_blocks[rung_unicode_place(block, code_point)]];
}

/* The full canonical decomposition (the code point itself when it has none); returns how many were written.
 * Starters come first, then marks in canonical order. */
size_t rung_unicode_decompose(uint32_t code_point, uint32_t out[RUNG_UNICODE_MAX_NFD]);

/* The lower case without context (a final sigma stays a plain one); returns how many were written. */
size_t rung_unicode_lower(uint32_t code_point, uint32_t out[RUNG_UNICODE_MAX_LOWER]);

#endif
