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

static uint32_t mapping_offset(const uint8_t *index, const uint16_t *blocks, uint32_t code_point)
{
    uint32_t block = index[code_point >> RUNG_UNICODE_MAPPING_SHIFT];
    return blocks[(block << RUNG_UNICODE_MAPPING_SHIFT) + (code_point & ((1U << RUNG_UNICODE_MAPPING_SHIFT) - 1))];
}

static size_t copy_sequence(uint32_t pool_offset, uint32_t *out)
{
    size_t count = rung_unicode_pool[pool_offset];
    for (size_t i = 0; i < count; i++) {
        out[i] = rung_unicode_pool[pool_offset + 1 + i];
    }
    return count;
}

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
    return copy_sequence(mapping_offset(rung_unicode_nfd_index, rung_unicode_nfd_blocks, code_point), out);
}

size_t rung_unicode_lower(uint32_t code_point, uint32_t out[RUNG_UNICODE_MAX_LOWER])
{
    if (!(rung_unicode_get(code_point).flags & RUNG_UNICODE_HAS_LOWER)) {
        out[0] = code_point;
        return 1;
    }
    return copy_sequence(mapping_offset(rung_unicode_lower_index, rung_unicode_lower_blocks, code_point), out);
}
