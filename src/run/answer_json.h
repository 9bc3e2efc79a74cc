/* answer_json.h: an answer as one JSON object (docs/wire.md): a line of `rung classify --json`, and what a node answers. */
#ifndef RUNG_RUN_ANSWER_JSON_H
#define RUNG_RUN_ANSWER_JSON_H

#include "base/buffer.h"
#include "run/cascade.h"

/* Appends the object, without a newline. The answer's status is RUNG_OK; id is valid UTF-8. */
void rung_answer_json(rung_buffer *out, const rung_cascade *cascade, const char *id, size_t id_bytes,
                      const rung_answer *answer);

#endif
