/* unicode.c: see unicode.h. Hangul syllables decompose by arithmetic (Unicode 15, section 3.12); everything else is in
 * the generated tables. */
#include "model/unicode.h"

#define HANGUL_FIRST 0xAC00U
#define HANGUL_COUNT 11172U
#define HANGUL_L_FIRST 0x1100U
#define HANGUL_V_FIRST 0x1161U
#define HANGUL_T_BASE 0x11A7U
#define HANGUL_T_COUNT 28U
#define HANGUL_VT_COUNT 588U

/* The one code point whose lower case has two: its delta leads to the i, the dot above follows. */
#define I_WITH_DOT_ABOVE 0x130U
#define DOT_ABOVE 0x307U

size_t rung_unicode_decompose(uint32_t code_point, uint32_t out[RUNG_UNICODE_MAX_NFD])
{
    if (!(rung_unicode_get(code_point).flags & RUNG_UNICODE_HAS_NFD)) {
        out[0] = code_point;
        return 1;
    }
    uint32_t syllable = code_point - HANGUL_FIRST;
    if (syllable < HANGUL_COUNT) {
        out[0] = HANGUL_L_FIRST + syllable / HANGUL_VT_COUNT;
        out[1] = HANGUL_V_FIRST + syllable % HANGUL_VT_COUNT / HANGUL_T_COUNT;
        out[2] = HANGUL_T_BASE + syllable % HANGUL_T_COUNT;
        return out[2] == HANGUL_T_BASE ? 2 : 3;
    }
    uint32_t block = rung_unicode_block(rung_unicode_nfd_index, rung_unicode_nfd_groups, code_point);
    uint32_t step = rung_unicode_nfd_steps[rung_unicode_place(rung_unicode_nfd_step_numbers[block], code_point)];
    const uint32_t *from = rung_unicode_nfd_pool + rung_unicode_nfd_starts[block] + (step >> 2);
    size_t count = (step & 3) + 1;
    for (size_t i = 0; i < count; i++) {
        out[i] = from[i];
    }
    return count;
}

size_t rung_unicode_lower(uint32_t code_point, uint32_t out[RUNG_UNICODE_MAX_LOWER])
{
    out[0] = code_point + (uint32_t)rung_unicode_lower_deltas[rung_unicode_get(code_point).lower_number];
    if (code_point != I_WITH_DOT_ABOVE) {
        return 1;
    }
    out[1] = DOT_ABOVE;
    return 2;
}
