/* fuzz_remote_reply.h: any bytes as what a model server of one protocol answers: as the reply to a text, and as what it says of its model. What is accepted are
 * probabilities, and what is refused has a message of one line and leaves its outputs alone. For fuzz_tei_reply.c and fuzz_v2_reply.c. */
#ifndef RUNG_FUZZ_FUZZ_REMOTE_REPLY_H
#define RUNG_FUZZ_FUZZ_REMOTE_REPLY_H

#include "net/protocol.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_error(rung_status status, const rung_error *error)
{
    require(error->code == status && error->message[0] != '\0' && strpbrk(error->message, "\r\n\t\x1b") == NULL);
}

static void check_reply(const rung_protocol *protocol, const rung_remote_reader *reader, const char *body, size_t bytes)
{
    double probabilities[3] = {7, 7, 7};
    float logits[3];
    double sum = 0;
    rung_error error = {0};
    rung_status status = protocol->parse(body, bytes, reader, probabilities, &error);
    for (uint32_t c = 0; c < reader->num_classes; c++) {
        require(status == RUNG_OK ? probabilities[c] >= 0 && probabilities[c] <= 1 : probabilities[c] == 7);
        sum += probabilities[c];
    }
    if (status != RUNG_OK) {
        check_error(status, &error);
        return;
    }
    require(fabs(sum - 1) <= 2 * RUNG_REMOTE_SUM_TOLERANCE);
    rung_remote_logits(probabilities, reader->num_classes, logits);
    for (uint32_t c = 0; c < reader->num_classes; c++) {
        require(isfinite(logits[c]) && logits[c] <= 0);
    }
}

static inline int fuzz_remote_reply(const rung_protocol *protocol, const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"neg", "pos", "so"};
    static const char *const columns[] = {"so", "neg", "pos"};
    const rung_remote_reader two = {.num_classes = 2, .labels = labels};
    const rung_remote_reader three = {.num_classes = 3, .labels = labels, .columns = columns};
    const char *body = (const char *)data;
    rung_error error = {0};
    rung_model_identity identity = {0};
    check_reply(protocol, &two, body, size);
    check_reply(protocol, &three, body, size);
    rung_status status = rung_protocol_identify(protocol, body, size, &identity, &error);
    if (status != RUNG_OK) {
        check_error(status, &error);
        require(identity.text == NULL);
    } else {
        require(strlen(identity.text) <= RUNG_MAX_IDENTITY_BYTES && strlen(identity.sha256) == 64);
    }
    rung_model_identity_deinit(&identity);
    return 0;
}

#endif
