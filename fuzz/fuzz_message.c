/* fuzz_message.c: any bytes as a request from a level below. What is accepted is inside the reader's limits, and what is refused has a message of one line. */
#include "base/utf8.h"
#include "net/message_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_content(const rung_message *message, const rung_message_reader *reader)
{
    size_t bad;
    require((message->text != NULL) != (message->ids != NULL));
    if (message->text != NULL) {
        require(message->text_bytes > 0 && rung_utf8_valid(message->text, message->text_bytes, &bad));
        require(message->pair_from == 0 && message->num_ids == 0);
    } else {
        require(message->num_ids > 0 && message->num_ids <= reader->max_tokens && message->pair == NULL);
        require(message->pair_from < message->num_ids);
    }
    for (size_t i = 0; i < message->num_ids; i++) {
        require(message->ids[i] >= 0);
    }
    require(message->pair == NULL || rung_utf8_valid(message->pair, message->pair_bytes, &bad));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rung_message_reader reader = {.level = 3, .num_levels = 4, .num_classes = 2, .max_tokens = 16};
    rung_message message = {0};
    rung_error error = {0};
    rung_status status = rung_message_parse((const char *)data, size, &reader, &message, &error);
    if (status != RUNG_OK) {
        require(error.code == status && error.message[0] != '\0' && strpbrk(error.message, "\r\n\t\x1b") == NULL);
        return 0;
    }
    check_content(&message, &reader);
    require(message.first_level == 0 ||
            (message.first_level > reader.level && message.first_level <= reader.num_levels));
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        const rung_level_result *result = &message.results[l];
        require(!result->visited || l + 1 < reader.level);
        require(!result->visited || (result->exit_layer >= 1 && result->exit_layer <= result->num_layers &&
                                     result->probabilities[0] >= 0 && result->probabilities[1] <= 1));
    }
    rung_message_deinit(&message);
    return 0;
}
