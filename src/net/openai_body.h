/* openai_body.h: reads the bodies of POST /v1/moderations (OpenAI) and POST /classify (vLLM): {"input": …, "model": …}. Untrusted; fields that are not known
 * are ignored, as there. Called by src/serve; knows no HTTP and no model. */
#ifndef RUNG_NET_OPENAI_BODY_H
#define RUNG_NET_OPENAI_BODY_H

#include "net/classify_body.h"

/* "input": "t", ["t",…] or [{"type":"text","text":"t"},…]; each text of a list is an input of its own. `model` may be any string. *out untouched on
 * failure. RUNG_FORMAT: no JSON object; RUNG_NOT_FOUND: no text, or an empty one; RUNG_LIMIT: more than max_inputs; RUNG_UNSUPPORTED: images and token ids;
 * RUNG_INVALID: a field is wrong. Messages begin with the field ("input[3].text"). */
rung_status rung_openai_body_parse(const char *body, size_t bytes, size_t max_inputs, rung_classify_body *out,
                                   rung_error *error) RUNG_WARN_UNUSED;

#endif
