/* unicode_tables.h: shapes of the generated tables of unicode_tables.c. Included by unicode.h and the tables only. */
#ifndef RUNG_MODEL_UNICODE_TABLES_H
#define RUNG_MODEL_UNICODE_TABLES_H

#include <stdint.h>

typedef struct rung_unicode_record {
    uint8_t flags;           /* RUNG_UNICODE_* */
    uint8_t combining_class; /* 0: a starter */
    uint8_t classes;         /* RUNG_UNICODE_LETTER and the others of regular expressions */
    uint8_t lower_number;    /* of rung_unicode_lower_deltas; 0: its own lower case */
} rung_unicode_record;

/* Three levels: an index of groups, groups of numbers of blocks, blocks of code points. Equal groups and equal blocks
 * stand once. */
#define RUNG_UNICODE_BLOCK_SHIFT 3 /* 8 code points */
#define RUNG_UNICODE_GROUP_SHIFT 6 /* 64 blocks */
#define RUNG_UNICODE_INDEX_SHIFT (RUNG_UNICODE_BLOCK_SHIFT + RUNG_UNICODE_GROUP_SHIFT)

extern const uint8_t rung_unicode_property_index[0x110000 >> RUNG_UNICODE_INDEX_SHIFT];
extern const uint16_t rung_unicode_property_groups[];
extern const uint8_t rung_unicode_property_blocks[];
extern const rung_unicode_record rung_unicode_records[];

/* What to add to a code point for the first one of its lower case. */
extern const int32_t rung_unicode_lower_deltas[];

/* Decompositions, of code points below 0x30000 that the flags say have one (not the Hangul syllables). A block has its
 * start in the pool and the number of its steps; a step is how far after the start the decomposition begins, times 4,
 * plus its length less 1. The groups say 0 for blocks without any. */
extern const uint8_t rung_unicode_nfd_index[0x30000 >> RUNG_UNICODE_INDEX_SHIFT];
extern const uint16_t rung_unicode_nfd_groups[];
extern const uint16_t rung_unicode_nfd_starts[];
extern const uint8_t rung_unicode_nfd_step_numbers[];
extern const uint8_t rung_unicode_nfd_steps[];
extern const uint32_t rung_unicode_nfd_pool[];

#endif
