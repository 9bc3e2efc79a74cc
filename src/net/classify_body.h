/* classify_body.h: reads the body of POST /v1/classify, from a user or from a level below (docs/wire.md). Untrusted. Called by src/serve; knows no
 * sockets, and nothing of models beyond rung_message_reader. */
#ifndef RUNG_NET_CLASSIFY_BODY_H
#define RUNG_NET_CLASSIFY_BODY_H

#include "config/jsonl.h"
#include "net/message_parse.h"

/* Zero-initialise; release with rung_classify_body_deinit. */
typedef struct rung_classify_body {
    bool from_level;      /* a request of the level below: `message` holds it, and the rest is empty */
    rung_message message; /* from_level only */
    rung_line *inputs;    /* [num_inputs] owned; id is the position where none was given; no labels */
    size_t num_inputs;    /* >= 1 unless from_level */
    bool is_list;         /* "inputs" came: the answer is a list, also for one */
    char policy[32];      /* "": the node's own */
    bool truncate;        /* false: a text longer than the model is refused; true when nothing was said */
} rung_classify_body;

/* A body with the field "key" is from a level below, any other from a user. RUNG_FORMAT: no JSON object; RUNG_LIMIT: more than max_inputs inputs, too long an
 * id, too many tokens; RUNG_UNSUPPORTED: target; RUNG_INVALID: a field is wrong, missing or unknown, and the message names it ("inputs[3].text").
 * For the body of a level below the errors are those of rung_message_parse. */
rung_status rung_classify_body_parse(const char *body, size_t bytes, const rung_message_reader *reader,
                                     size_t max_inputs, rung_classify_body *out, rung_error *error) RUNG_WARN_UNUSED;
/* Room for `count` inputs of zeroes, for parsers of other APIs; body has none yet. */
rung_status rung_classify_body_reserve(rung_classify_body *body, size_t count, rung_error *error) RUNG_WARN_UNUSED;
/* The end of a parse, of this API or another: `out`, whose contents are released, takes `parsed`; after a failure `parsed` is released, and `out` stays. Returns status. */
rung_status rung_classify_body_end(rung_status status, rung_classify_body *parsed,
                                   rung_classify_body *out) RUNG_WARN_UNUSED;
void rung_classify_body_deinit(rung_classify_body *body);

#endif
