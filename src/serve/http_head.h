/* http_head.h: judges the head of a request (request line and header fields) as libmicrohttpd read it: what it lets through and a strict server must not.
 * Called by http.c before a byte of the body is taken. Does no I/O. Source: RFC 9112 (framing, sections 3, 5, 6), RFC 9110 (tokens, field values). */
#ifndef RUNG_SERVE_HTTP_HEAD_H
#define RUNG_SERVE_HTTP_HEAD_H

#include "serve/http.h"

#define RUNG_HTTP_MAX_HEADERS 64
extern const char rung_http_too_many_headers[]; /* the message of that limit */

/* The length of a request's target as it came (path and query), before anything was cut or decoded; 0 when it has a character that must be
 * escaped. */
size_t rung_http_target_bytes(const char *target);

/* The path of a target, which may be in absolute form (RFC 9112, 3.2.2). */
const char *rung_http_path_of(const char *target);

/* Strings are NUL-terminated and lent. */
typedef struct rung_http_head {
    const char *method;
    const char *target;
    size_t target_bytes; /* of rung_http_target_bytes; the string itself may be cut at its query by now */
    const char *version;
    size_t bytes;                    /* of the whole head, from the method to the empty line's end */
    const rung_http_header *headers; /* [num_headers] in the order of arrival */
    size_t num_headers;
    size_t max_bytes;
    size_t max_body_bytes;
    /* The strings lie in one buffer, as they came in, but that separators became NULs (libmicrohttpd 0.9): then a gap between them shows what it
     * cut off or joined: a NUL, a bare line feed, a folded line. */
    bool in_place;
} rung_http_head;

/* What is to be sent to refuse it: a status and a message for {"error":…}; 0 when it is good. */
typedef struct rung_http_verdict {
    unsigned status;
    const char *message; /* static */
} rung_http_verdict;

rung_http_verdict rung_http_judge(const rung_http_head *head);

#endif
