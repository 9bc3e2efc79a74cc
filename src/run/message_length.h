/* message_length.h: how long the bodies of message.h are, without writing them: a replay counts them by the million (src/replay/walk.c). What a level found
 * is the dear part, and travels in several bodies: its length is asked for once. Must say what message.c writes. */
#ifndef RUNG_RUN_MESSAGE_LENGTH_H
#define RUNG_RUN_MESSAGE_LENGTH_H

#include "cascade/request.h"

/* Of `,"confidence":…,"probabilities":[…]`, which stands for a result in either body. confidence is a float. */
size_t rung_finding_length(double confidence, const double *probabilities, uint32_t num_classes);

/* Of the body of rung_message_request for an empty text, with the default policy. findings: [request->level] of rung_request_prior, by level - 1; those of
 * levels that were not visited are not read. */
size_t rung_request_length(const rung_request *request, const size_t *findings);

/* Of the body of rung_message_reply. did and num_did as there; findings: [num_levels] of request->results, by level - 1; those of
 * levels that were not visited are not read. */
size_t rung_reply_length(const rung_request *request, const rung_level_answer *did, size_t num_did,
                         const size_t *findings);

#endif
