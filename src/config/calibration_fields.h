/* calibration_fields.h: the fields of one object of calibration.json: their types and ranges, with messages that name the file, the field's path, its
 * value and the limit. Used by calibration_file.c. Knows no field by name. */
#ifndef RUNG_CONFIG_CALIBRATION_FIELDS_H
#define RUNG_CONFIG_CALIBRATION_FIELDS_H

#include "base/hash.h"
#include "base/status.h"

#include <jansson.h>

#define RUNG_FIELDS_PATH_BYTES 64

/* The object that is being read, and how messages call it. error is not NULL. */
typedef struct rung_fields {
    const json_t *json;
    const char *file;
    char path[RUNG_FIELDS_PATH_BYTES]; /* "levels[1].exits[0]", "" for the file itself */
    rung_error *error;
} rung_fields;

/* All of them leave their outputs untouched on failure, which is RUNG_FORMAT or RUNG_NO_MEMORY. */

/* No field but those of "a|b|c". */
rung_status rung_fields_known(const rung_fields *o, const char *known) RUNG_WARN_UNUSED;
rung_status rung_fields_number(const rung_fields *o, const char *key, double min, double max,
                               double *number) RUNG_WARN_UNUSED;
/* The list at `key`, `count` numbers. */
rung_status rung_fields_numbers(const rung_fields *o, const char *key, size_t count, double min, double max,
                                double *numbers) RUNG_WARN_UNUSED;
rung_status rung_fields_integer(const rung_fields *o, const char *key, double min, double max,
                                uint64_t *number) RUNG_WARN_UNUSED;
rung_status rung_fields_u32(const rung_fields *o, const char *key, uint32_t min, uint32_t max,
                            uint32_t *number) RUNG_WARN_UNUSED;

/* A string that is not empty and holds no NUL; *text is to be freed. path names `value` in messages. */
rung_status rung_fields_string(const rung_fields *o, const char *key, char **text) RUNG_WARN_UNUSED;
rung_status rung_fields_copy_string(const rung_fields *o, const char *path, const json_t *value,
                                    char **text) RUNG_WARN_UNUSED;

/* A string out of "a|b|c"; *index is which. */
rung_status rung_fields_choice(const rung_fields *o, const char *key, const char *choices,
                               uint32_t *index) RUNG_WARN_UNUSED;
rung_status rung_fields_sha256(const rung_fields *o, const char *key, char hex[RUNG_SHA256_HEX_BYTES]) RUNG_WARN_UNUSED;

/* `count` finite floats as base64 of little-endian 32-bit numbers; replaces *values, which is to be freed. */
rung_status rung_fields_floats(const rung_fields *o, const char *key, size_t count, float **values) RUNG_WARN_UNUSED;

rung_status rung_fields_object(const rung_fields *o, const char *key, rung_fields *inner) RUNG_WARN_UNUSED;
rung_status rung_fields_list(const rung_fields *o, const char *key, size_t min, size_t max,
                             const json_t **list) RUNG_WARN_UNUSED;

/* Entry `index` of the list of objects at `key`. */
rung_status rung_fields_entry(const rung_fields *o, const char *key, const json_t *list, size_t index,
                              rung_fields *inner) RUNG_WARN_UNUSED;

#endif
