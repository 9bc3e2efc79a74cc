/* policy_options.h: which option is which field of a policy, both ways. The keys RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL to
 * RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX; the name and the seed, which say where the others start, are not among them. Called by cascade_config.c and
 * policy_yaml.c. Knows no file. */
#ifndef RUNG_CONFIG_POLICY_OPTIONS_H
#define RUNG_CONFIG_POLICY_OPTIONS_H

#include "base/buffer.h"
#include "config/options.h"

#define RUNG_FIRST_POLICY_OPTION RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL
#define RUNG_LAST_POLICY_OPTION RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX

/* Puts a value of the option into its field. What does not fit a cascade of num_levels is RUNG_INVALID; the message begins with the value's origin. */
rung_status rung_policy_option_take(rung_option_id id, const rung_option_value *value, uint32_t num_levels,
                                    rung_policy *policy, rung_error *error) RUNG_WARN_UNUSED;

/* The field as the option reads it back, to the same bits: "0.8", "0.8, 0.7", "off". Of what there is by level the first num_levels are printed: one number
 * where they are equal. */
void rung_policy_option_print(rung_option_id id, const rung_policy *policy, uint32_t num_levels, rung_buffer *out);

#endif
