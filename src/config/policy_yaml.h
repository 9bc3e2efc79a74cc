/* policy_yaml.h: a policy as the block that cascade.yaml has for it. Called by what finds policies and writes them for others to run. */
#ifndef RUNG_CONFIG_POLICY_YAML_H
#define RUNG_CONFIG_POLICY_YAML_H

#include "base/buffer.h"
#include "cascade/policy.h"

/* Appends "policy:" with the name, the thresholds, and the keys whose values differ from `defaults`, which rung_policy_defaults made for that name and a
 * cascade of num_levels. A file of num_levels levels that ends with it reads back to the same policy, bit by bit, whatever thresholds its calibration has, if
 * the fields lie inside the ranges of their options. Fields without effect are not written: what there is by level beyond num_levels, k with hard, the share
 * without at_random, the amount of no variant. */
void rung_cascade_config_put_policy(rung_buffer *out, const rung_policy *policy, const rung_policy *defaults,
                                    uint32_t num_levels);

#endif
