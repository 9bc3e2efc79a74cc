/* fuzz_reply.c: any bytes as the reply of the level above. What is accepted is inside the reader's cascade, and what is refused has a message of one
 * line. */
#include "net/message_parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_level(const rung_reply *reply, const rung_message_reader *reader, uint32_t level)
{
    const rung_level_result *result = &reply->results[level - 1];
    const rung_level_answer *did = &reply->did[level - 1];
    require(did->level == 0 || (did->level == level && level > reader->level && level <= reply->top_level));
    require(!result->visited || (did->level == level && result->exit_layer == did->exit_layer));
    require(isfinite(did->compute_ms) && isfinite(did->queue_ms) && isfinite(did->link_ms));
    require(did->name == NULL && did->probabilities == NULL);
    for (uint32_t c = 0; result->visited && c < reader->num_classes; c++) {
        require(result->probabilities[c] >= 0 && result->probabilities[c] <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rung_message_reader reader = {.level = 1, .num_levels = 3, .num_classes = 2, .max_tokens = 16};
    rung_reply reply = {0};
    rung_error error = {0};
    rung_status status = rung_reply_parse((const char *)data, size, &reader, &reply, &error);
    if (status != RUNG_OK) {
        require(error.code == status && error.message[0] != '\0' && strpbrk(error.message, "\r\n\t\x1b") == NULL);
        return 0;
    }
    require(reply.top_level <= reader.num_levels && isfinite(reply.wall_ms) && reply.wall_ms >= 0);
    require(strcmp(rung_degraded_name(reply.degraded), "unknown") != 0);
    for (uint32_t level = 1; level <= RUNG_MAX_LEVELS; level++) {
        check_level(&reply, &reader, level);
    }
    rung_reply_deinit(&reply);
    return 0;
}
