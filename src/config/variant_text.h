/* variant_text.h: the name of a variant, as policies and options have it. */
#ifndef RUNG_CONFIG_VARIANT_TEXT_H
#define RUNG_CONFIG_VARIANT_TEXT_H

#include "cascade/policy.h"

/* "none", "layer-skip(2)", "power-bert(0.5)"; the amount of "none" is 1, as in policies by name. RUNG_INVALID: an unknown name, a number that is missing, is none or lies outside the range
 * above, or one behind "none"; the message has the text and the range. */
rung_status rung_variant_parse(const char *text, rung_variant *variant, rung_error *error) RUNG_WARN_UNUSED;

#define RUNG_VARIANT_BYTES 48

/* As rung_variant_parse reads it, back to the same bits. Returns out. */
const char *rung_variant_format(const rung_variant *variant, char out[RUNG_VARIANT_BYTES]);

#endif
