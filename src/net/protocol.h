/* protocol.h: what a level's server speaks: a rung node's own messages (run/message.h, message_parse.h), or what a model server of another kind reads and
 * answers: Text Embeddings Inference (tei.c) and Open Inference Protocol V2 (open_inference.c). A table of functions for each; they know bytes, not
 * sockets. Replies are untrusted. Called by src/serve and remote_client.c. */
#ifndef RUNG_NET_PROTOCOL_H
#define RUNG_NET_PROTOCOL_H

#include "base/hash.h"
#include "config/cascade_config.h"
#include "run/message.h"

#define RUNG_REMOTE_LEAST_PROBABILITY 1e-7 /* whose logarithm stands for all below it */
#define RUNG_REMOTE_SUM_TOLERANCE 1e-3     /* of probabilities that were rounded on the way */
#define RUNG_MAX_IDENTITY_BYTES 1024

/* What the reader of a reply knows of its cascade. Lent. */
typedef struct rung_remote_reader {
    uint32_t num_classes;
    const char *const *labels; /* [num_classes] the cascade's */
    const char *const
        *columns; /* [num_classes] the labels of `probabilities` of V2 in their order, renamed; NULL: labels */
    const rung_cascade_config *names; /* renames the labels of replies; NULL: they stay */
} rung_remote_reader;

/* What a server says of the model that it has. Zero-initialise; release with rung_model_identity_deinit. */
typedef struct rung_model_identity {
    char *text; /* canonical JSON: equal models of equal names give equal bytes */
    char sha256[RUNG_SHA256_HEX_BYTES];
} rung_model_identity;

/* Paths after the address. */
#define RUNG_REMOTE_PATH_BYTES 192
typedef struct rung_protocol_paths {
    char ask[RUNG_REMOTE_PATH_BYTES];      /* POST */
    char probe[RUNG_REMOTE_PATH_BYTES];    /* GET, 200 when it can be asked */
    char identity[RUNG_REMOTE_PATH_BYTES]; /* GET; "": none */
} rung_protocol_paths;

struct json_t;

typedef struct rung_protocol {
    rung_protocol_id id;
    void (*paths)(const rung_remote *remote, rung_protocol_paths *paths);
    /* The functions below are NULL for a rung node, whose messages carry more than a text. */
    void (*write)(const rung_remote *remote, const rung_payload *payload, rung_buffer *body); /* appends the request */
    /* probabilities: [num_classes] in [0, 1], adding up to 1 but for RUNG_REMOTE_SUM_TOLERANCE; untouched on failure. RUNG_FORMAT: no JSON, no such field or
     * type; RUNG_INVALID: numbers that are no probabilities, labels that are not the cascade's; the message names the field. */
    rung_status (*parse)(const char *body, size_t bytes, const rung_remote_reader *reader, double *probabilities,
                         rung_error *error) RUNG_WARN_UNUSED;
    rung_status (*identify)(const struct json_t *object, rung_model_identity *identity,
                            rung_error *error) RUNG_WARN_UNUSED; /* of a parsed body; see rung_protocol_identify */
} rung_protocol;

const rung_protocol *rung_protocol_of(rung_protocol_id id);
extern const rung_protocol rung_protocol_tei;
extern const rung_protocol rung_protocol_v2;

/* What the body at the identity's path says of the model; untouched on failure. RUNG_FORMAT: no JSON object, no such field or type. */
rung_status rung_protocol_identify(const rung_protocol *protocol, const char *body, size_t bytes,
                                   rung_model_identity *identity, rung_error *error) RUNG_WARN_UNUSED;

void rung_model_identity_deinit(rung_model_identity *identity);

/* The logarithms, which serve as logits: those below RUNG_REMOTE_LEAST_PROBABILITY are set to its. */
void rung_remote_logits(const double *probabilities, size_t num_classes, float *logits);

/* For the protocols' own files. */

/* Takes the text over, which has at most RUNG_MAX_IDENTITY_BYTES, and hashes it. */
rung_status rung_model_identity_take(rung_buffer *text, rung_model_identity *identity,
                                     rung_error *error) RUNG_WARN_UNUSED;
/* JSON [{"label": "pos", "score": 0.9}, ...] of all classes in any order, each once; path: before the index in messages. A list of one, of two classes,
 * leaves the rest to the other where `rest` says so. */
rung_status rung_remote_read_scores(const struct json_t *list, const char *path, const rung_remote_reader *reader,
                                    bool rest, double *probabilities, rung_error *error) RUNG_WARN_UNUSED;
/* All of them are probabilities and add up to 1. path: of the list in messages. */
rung_status rung_remote_check_probabilities(const double *probabilities, size_t num_classes, const char *path,
                                            rung_error *error) RUNG_WARN_UNUSED;

#endif
