/* message_parse.h: reads the bodies that levels exchange (docs/wire.md, version 1; written by run/message.c). Both come over a network and are
 * untrusted: every number is checked against the reader's own cascade. Called by src/serve; knows no sockets. */
#ifndef RUNG_NET_MESSAGE_PARSE_H
#define RUNG_NET_MESSAGE_PARSE_H

#include "cascade/request.h"
#include "rung.h"

/* What the reader knows of its cascade. */
typedef struct rung_message_reader {
    uint32_t level; /* the reader's own, 1-based */
    uint32_t num_levels;
    uint32_t num_classes;
    bool multi_label;  /* probabilities need not add up to 1 */
    size_t max_tokens; /* that the reader's model takes */
} rung_message_reader;

/* A request from the level below. Zero-initialise; release with rung_message_deinit. Exactly one of text and ids is set. */
typedef struct rung_message {
    uint64_t key;
    char policy[32];      /* "": the reader's own */
    uint32_t first_level; /* lowest level that is to compute, above the reader's; 0: the reader's own */
    char *text;           /* UTF-8, owned */
    size_t text_bytes;
    char *pair; /* NULL: none */
    size_t pair_bytes;
    int32_t *ids; /* [num_ids] >= 0; not yet compared with a vocabulary */
    size_t num_ids;
    size_t pair_from;                           /* position of the pair's first token; 0: no pair */
    rung_level_result results[RUNG_MAX_LEVELS]; /* prior: visited only below reader.level */
    double *probabilities;                      /* [RUNG_MAX_LEVELS, num_classes] owned; results[] point into it */
} rung_message;

/* RUNG_FORMAT: no JSON, wrong types, missing or unknown fields; RUNG_LIMIT: more than a stated limit; RUNG_INVALID: well formed but impossible (a level that is
 * not below the reader, numbers that are no probabilities, both text and ids, ...). Messages begin with the field's name. */
rung_status rung_message_parse(const char *body, size_t bytes, const rung_message_reader *reader, rung_message *message,
                               rung_error *error) RUNG_WARN_UNUSED;
/* The same for a body that was parsed already (rung_json_body). */
struct json_t;
rung_status rung_message_from_json(const struct json_t *json, const rung_message_reader *reader, rung_message *message,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_message_deinit(rung_message *message);

/* A reply from the level above: what each level did and found, fields that are not known here left out. Zero-initialise; release with rung_reply_deinit. */
typedef struct rung_reply {
    rung_level_result results[RUNG_MAX_LEVELS]; /* visited only above reader.level */
    rung_level_answer did[RUNG_MAX_LEVELS];     /* counters and times; name and probabilities are NULL */
    uint32_t top_level; /* highest level that is named, 0: none; levels between that did nothing have did[].level 0 */
    rung_degraded degraded;
    double wall_ms; /* from the request's arrival there to its reply */
    double *probabilities;
} rung_reply;

/* As rung_message_parse. A reply without any result is well formed. */
rung_status rung_reply_parse(const char *body, size_t bytes, const rung_message_reader *reader, rung_reply *reply,
                             rung_error *error) RUNG_WARN_UNUSED;
void rung_reply_deinit(rung_reply *reply);

#endif
