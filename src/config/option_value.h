/* option_value.h: one value from text, by the option's row of the table. Used by options.c and option_text.c only. */
#ifndef RUNG_CONFIG_OPTION_VALUE_H
#define RUNG_CONFIG_OPTION_VALUE_H

#include "config/options.h"

/* Fills the fields of *value that the type asks for, and text. source, origin and directory are the caller's. `context` starts the
 * message. On failure *value is what it was. */
rung_status rung_option_value_parse(const rung_option_spec *spec, const char *context, const char *text,
                                    rung_option_value *value, rung_error *error) RUNG_WARN_UNUSED;

/* For RUNG_TYPE_MAP, from pairs [2 num_pairs]: names are unique and nothing is empty. */
rung_status rung_option_value_set_pairs(const char *context, size_t num_pairs, const char *const *pairs,
                                        rung_option_value *value, rung_error *error) RUNG_WARN_UNUSED;

rung_status rung_option_value_copy(const rung_option_value *value, rung_option_value *copy,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_option_value_deinit(rung_option_value *value);

/* "0 to 1", "above 0, at most 60s" ... of numbers; "" where there is no range to tell. */
#define RUNG_RANGE_BYTES 96
const char *rung_option_range(const rung_option_spec *spec, char range[RUNG_RANGE_BYTES]);

#define RUNG_FLAG_BYTES 128

/* "--policy.exit.tau" of a key or second name, "--levels.N.speed" of "levels[].speed". Returns flag. */
const char *rung_option_flag(const char *key, char flag[RUNG_FLAG_BYTES]);

/* True when name is one of the names in "a|b|c"; *index (may be NULL) is which. */
bool rung_find_choice(const char *choices, const char *name, uint32_t *index);

/* "a, b or c" of "a|b|c". */
void rung_append_choices(rung_buffer *out, const char *choices);

#endif
