/* trace_context.h: the headers by which a request is found again in the logs of all that it passed: x-request-id, and traceparent and tracestate of W3C
 * Trace Context (level 1, sections 3.2 and 3.3). Called by src/serve; knows header values, not HTTP. Untrusted input. */
#ifndef RUNG_NET_TRACE_CONTEXT_H
#define RUNG_NET_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNG_REQUEST_ID_BYTES 129   /* the longest request id, its NUL included */
#define RUNG_TRACE_ID_BYTES 33      /* 32 hexadecimal digits and a NUL */
#define RUNG_TRACE_PARENT_BYTES 257 /* the longest traceparent of a version to come that is taken */
#define RUNG_TRACE_STATE_BYTES 513

/* A client's own id: 1 to 128 printable ASCII characters. NULL is none. */
bool rung_request_id_valid(const char *header);

/* 16 hexadecimal digits that differ for all counters of one seed. */
void rung_request_id_make(uint64_t seed, uint64_t counter, char id[RUNG_REQUEST_ID_BYTES]);

/* Whether the traceparent may be passed on as it is, and then its trace id: version 00 with 55 characters, or a higher one but ff that begins in the same form;
 * lower-case hexadecimal, and no id of zeros only. NULL is none; trace_id is left alone then. */
bool rung_trace_parent_read(const char *header, char trace_id[RUNG_TRACE_ID_BYTES]);

/* Whether the tracestate may be passed on: 1 to 512 printable ASCII characters. NULL is none. */
bool rung_trace_state_valid(const char *header);

#endif
