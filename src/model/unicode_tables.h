/* unicode_tables.h: shapes of the generated tables of unicode_tables.c. Included by unicode.h and the tables only. */
#ifndef RUNG_MODEL_UNICODE_TABLES_H
#define RUNG_MODEL_UNICODE_TABLES_H

#include <stdint.h>

typedef struct rung_unicode_record {
    uint8_t flags;           /* RUNG_UNICODE_* */
    uint8_t combining_class; /* 0: a starter */
    uint8_t classes;         /* RUNG_UNICODE_LETTER and the others of regular expressions */
} rung_unicode_record;

#define RUNG_UNICODE_PROPERTY_SHIFT 7
#define RUNG_UNICODE_MAPPING_SHIFT 6

extern const uint8_t rung_unicode_property_index[0x110000 >> RUNG_UNICODE_PROPERTY_SHIFT];
extern const uint8_t rung_unicode_property_blocks[];
extern const rung_unicode_record rung_unicode_records[];

/* Offsets into the pool, for code points below 0x30000 that the flags say have a mapping. */
extern const uint8_t rung_unicode_nfd_index[0x30000 >> RUNG_UNICODE_MAPPING_SHIFT];
extern const uint16_t rung_unicode_nfd_blocks[];
extern const uint8_t rung_unicode_lower_index[0x30000 >> RUNG_UNICODE_MAPPING_SHIFT];
extern const uint16_t rung_unicode_lower_blocks[];

/* At each offset: a length, then that many code points. */
extern const uint32_t rung_unicode_pool[];

#endif
