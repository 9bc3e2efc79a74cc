/* message.h: the bodies that levels exchange, version 1 of the wire format (docs/wire.md): JSON. The in-process driver builds them to count
 * bytes; a node sends them. Knows no sockets. */
#ifndef RUNG_RUN_MESSAGE_H
#define RUNG_RUN_MESSAGE_H

#include "base/buffer.h"
#include "cascade/request.h"
#include "model/tokenizer.h"

/* What goes up: the text (or pair), or the token ids when both levels segment alike. */
typedef struct rung_payload {
    rung_text text;
    rung_text pair;              /* data NULL: none */
    const rung_encoding *tokens; /* NULL: the text travels */
} rung_payload;

/* Appends {"key":…,"text":…|"tokens16":…,"first_level":…,"prior":[…]}: prior has what rung_request_prior says of the levels visited so far, so that the
 * next one can pool; first_level is there when levels are to be passed by (rung_request_skips_to). policy: the name of the policy that the request
 * asks for; NULL: the default of whoever reads it. */
void rung_message_request(rung_buffer *body, const rung_request *request, const rung_payload *payload,
                          uint32_t num_classes, const char *policy);

/* Appends {"levels":[…],"wall_ms":…}: what this level and those above it did, with their results of `request`, and why it is degraded, if it
 * is. did: [num_did] levels rising; entries whose level is 0 are left out; name, confidence, probabilities and weight are not read. wall_ms: from
 * the request's arrival to this reply. */
void rung_message_reply(rung_buffer *body, const rung_request *request, const rung_level_answer *did, size_t num_did,
                        uint32_t num_classes, double wall_ms);

/* Appends text as a JSON string: only '"', '\\' and control characters are escaped. text is valid UTF-8. */
void rung_message_string(rung_buffer *body, const char *text, size_t bytes);

#endif
