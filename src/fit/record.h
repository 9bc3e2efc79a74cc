/* record.h: what one level's model says of every input at full text: the logits of every exit, or the states that heads read. Called by
 * fit_cascade.c and heads.c. */
#ifndef RUNG_FIT_RECORD_H
#define RUNG_FIT_RECORD_H

#include "base/progress.h"
#include "run/cascade.h"

/* logits: [count, layers of the model, num_classes] in the cascade's order of classes; exits that the model has not are 0. level is 1-based. An input that
 * cannot be tokenized fails the call with its position. */
rung_status rung_fit_record(const rung_cascade *cascade, uint32_t level, const rung_input *inputs, size_t count,
                            const rung_progress *progress, float *logits, rung_error *error) RUNG_WARN_UNUSED;

/* The same, and also the [CLS] states after every layer, states [count, layers, hidden_size], for heads to be fitted on. logits may be NULL. */
rung_status rung_fit_record_states(const rung_cascade *cascade, uint32_t level, const rung_input *inputs, size_t count,
                                   const rung_progress *progress, float *logits, float *states,
                                   rung_error *error) RUNG_WARN_UNUSED;

#endif
