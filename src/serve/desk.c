/* desk.c: see desk.h. */
#include "serve/desk.h"

#include <string.h>

void rung_desk_request_id(rung_desk *desk, const rung_exchange *exchange, char id[RUNG_REQUEST_ID_BYTES])
{
    const char *own = exchange != NULL ? rung_exchange_header(exchange, "x-request-id") : NULL;
    if (own != NULL && rung_request_id_valid(own)) {
        memcpy(id, own, strlen(own) + 1);
    } else {
        rung_request_id_make(desk->id_seed, ++desk->id_count, id);
    }
}

void rung_desk_answer(rung_desk *desk, rung_exchange *exchange, const char *request_id, unsigned http_status,
                      const char *type, const rung_http_header *headers, size_t num_headers, rung_buffer *body)
{
    rung_http_header all[RUNG_API_MAX_HEADERS + 2];
    size_t count = 0;
    all[count++] = (rung_http_header){"x-request-id", request_id};
    if (type != NULL) {
        all[count++] = (rung_http_header){"Content-Type", type};
    }
    for (size_t i = 0; headers != NULL && i < num_headers; i++) {
        all[count++] = headers[i];
    }
    rung_metrics_response(desk->metrics, http_status);
    rung_http_answer(exchange, http_status, all, count, body->data, body->length);
    *body = (rung_buffer){0};
}

void rung_desk_answer_error(rung_desk *desk, rung_exchange *exchange, const rung_api *api, const char *request_id,
                            rung_fault fault, const rung_http_header *header, const char *message)
{
    rung_buffer body = {0};
    unsigned http_status = api->http_status[fault];
    api->error(&body, fault, http_status, message);
    if (body.failed) { /* without memory for it: the status alone */
        rung_buffer_deinit(&body);
    }
    rung_desk_answer(desk, exchange, request_id, http_status, NULL, header, header != NULL ? 1 : 0, &body);
}
