/* remote_client.h: asks a level's server (levels[].remote) many texts, several at a time, and waits for all of them: what a fit records of it. Runs a loop of
 * its own in the caller's thread. Called by src/fit; knows no cascade. The owner ignores SIGPIPE. */
#ifndef RUNG_NET_REMOTE_CLIENT_H
#define RUNG_NET_REMOTE_CLIENT_H

#include "base/progress.h"
#include "net/protocol.h"

#define RUNG_REMOTE_IN_FLIGHT 8
#define RUNG_REMOTE_FIT_DEADLINE_S 60.0 /* of one text: nobody waits for a fit's answers */

typedef struct rung_remote_client rung_remote_client;

/* Lent while the client is open. */
typedef struct rung_remote_client_options {
    const rung_remote_server *server;
    const char *name;          /* the level's, for messages and progress */
    rung_remote_reader reader; /* of its replies */
    double deadline_s;         /* of one text; 0: RUNG_REMOTE_FIT_DEADLINE_S */
} rung_remote_client_options;

/* Asks every address what model it has. RUNG_IO: one cannot be asked; RUNG_MISMATCH: two have different ones; RUNG_INVALID: a token would travel in the
 * clear. */
rung_status rung_remote_client_open(const rung_remote_client_options *options, rung_remote_client **client,
                                    rung_error *error) RUNG_WARN_UNUSED;
void rung_remote_client_close(rung_remote_client *client);

/* Of its model; lent. */
const rung_model_identity *rung_remote_client_identity(const rung_remote_client *client);

/* logits [count, num_classes] of rung_remote_logits, in the order of texts. A server that says that it is overloaded is asked again until the text's deadline,
 * and fewer texts at a time. The first failure ends it: RUNG_IO names the address and the position, RUNG_FORMAT
 * or RUNG_INVALID a reply that is none; logits then hold nothing to use, and
 * the client is only good for closing. position: of each text in messages; NULL: its index. */
rung_status rung_remote_client_ask(rung_remote_client *client, const rung_payload *texts, const size_t *position,
                                   size_t count, const rung_progress *progress, float *logits,
                                   rung_error *error) RUNG_WARN_UNUSED;

#endif
