/* http_error.c: the JSON of an error. See rung_http_answer_error in http.h. */
#include "base/buffer.h"
#include "run/message.h"
#include "serve/http.h"

#include <string.h>

void rung_http_answer_error_with(rung_exchange *e, unsigned status, const rung_http_header *header, const char *message)
{
    rung_buffer body = {0};
    rung_buffer_text(&body, "{\"error\":");
    rung_message_string(&body, message, strlen(message));
    rung_buffer_text(&body, "}");
    if (body.failed) {
        rung_buffer_deinit(&body);
    }
    rung_http_answer(e, status, header, header != NULL ? 1 : 0, body.data, body.length);
}

void rung_http_answer_error(rung_exchange *e, unsigned status, const char *message)
{
    rung_http_answer_error_with(e, status, NULL, message);
}
