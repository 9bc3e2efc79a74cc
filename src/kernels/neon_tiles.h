/* neon_tiles.h: the functions of a set of int8 tiles, one for each number of rows. Included by the files of the tables
 * for arm64, which define tile_s8_body for their instruction. */
#ifndef RUNG_KERNELS_NEON_TILES_H
#define RUNG_KERNELS_NEON_TILES_H

#include "kernels/neon.h"

#define TILE_S8(rows)                                                                                                  \
    NEVER_INLINE void tile_s8_##rows(const uint8_t *a, size_t a_stride, const int8_t *b, size_t steps, bool add,       \
                                     int32_t *out, size_t out_stride)                                                  \
    {                                                                                                                  \
        tile_s8_body(rows, a, a_stride, b, steps, add, out, out_stride);                                               \
    }

#endif
