/* api.h: the APIs that a node speaks, as tables of functions: a body becomes texts, a finished ticket becomes an answer, and a failure an error in the form
 * that clients of that API read. One file an API (api_*.c); which path belongs to which is in routes.c. Called by the ticket and by the routes, on
 * the loop's thread. An API knows no sockets and decides nothing about a text. */
#ifndef RUNG_SERVE_API_H
#define RUNG_SERVE_API_H

#include "base/buffer.h"
#include "net/classify_body.h"
#include "serve/generation.h"
#include "serve/http.h"

struct rung_ticket;

/* What is wrong, whatever the API calls it. */
typedef enum rung_fault {
    RUNG_FAULT_FORMAT,      /* no JSON, or a header that cannot be read */
    RUNG_FAULT_EMPTY,       /* no text to classify */
    RUNG_FAULT_INVALID,     /* a field is wrong, missing or unknown */
    RUNG_FAULT_TOKENIZER,   /* a text that cannot be tokenized */
    RUNG_FAULT_TOKENS,      /* a text longer than the model that is not to be cut */
    RUNG_FAULT_LIMIT,       /* more than a limit of this node */
    RUNG_FAULT_MEDIA,       /* a body that came encoded */
    RUNG_FAULT_UNSUPPORTED, /* well formed, but not to be had here */
    RUNG_FAULT_PATH,        /* no such path, model or version */
    RUNG_FAULT_METHOD,      /* not with this method */
    RUNG_FAULT_OVERLOADED,  /* too much work waits */
    RUNG_FAULT_QUOTA,       /* the client has as many requests as it may have */
    RUNG_FAULT_DRAINING,    /* the node is about to end */
    RUNG_FAULT_EXPIRED,     /* the deadline passed */
    RUNG_FAULT_LOOP,        /* a level's request that was here before */
    RUNG_FAULT_MODEL,       /* the models gave no numbers */
    RUNG_FAULT_NO_MEMORY,
    RUNG_FAULT_IO,
    RUNG_FAULTS,
} rung_fault;

/* RUNG_NOT_FOUND counts as RUNG_FAULT_EMPTY: parsers say so of a list or text without content. */
rung_fault rung_fault_of(rung_status status);
/* For what the HTTP server refuses by itself. */
rung_fault rung_fault_of_http(unsigned http_status);

/* One call, lent while it is parsed. */
typedef struct rung_api_request {
    const rung_exchange *exchange;
    const rung_generation *generation;
    const char *body;
    size_t body_bytes;
} rung_api_request;

#define RUNG_API_MAX_HEADERS 10

typedef struct rung_api_answer {
    rung_buffer body;
    const char *content_type; /* static; NULL: application/json */
    rung_http_header headers[RUNG_API_MAX_HEADERS];
    char values[RUNG_API_MAX_HEADERS][24]; /* room for those of headers */
    size_t num_headers;
} rung_api_answer;

/* Appends the header `name: value`, which has at most 23 characters. name is static. */
void rung_api_answer_number(rung_api_answer *answer, const char *name, uint64_t value);

typedef enum rung_api_id {
    RUNG_API_RUNG,
    RUNG_API_TEI,
    RUNG_API_V2,
    RUNG_API_OPENAI,
    RUNG_API_VLLM,
    RUNG_APIS,
} rung_api_id;

typedef struct rung_api {
    rung_api_id id;
    const char *list_name;             /* how messages call the list of texts: "inputs" */
    uint16_t http_status[RUNG_FAULTS]; /* by fault */
    /* Appends the body of an error. */
    void (*error)(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message);
    /* Reads a call. *body: its texts. *form: what `write` needs besides, released with free_form; NULL: nothing. Both are released by the caller, also on
     * failure. */
    rung_status (*parse)(const rung_api_request *request, rung_classify_body *body, void **form, rung_error *error);
    /* Every errand of the ticket has its result. answer->body is the caller's, also on failure. */
    rung_status (*write)(struct rung_ticket *ticket, rung_api_answer *answer, rung_error *error);
    void (*free_form)(void *form); /* NULL: there is never a form */
    bool written_by_worker;        /* the errands' `out` is what write joins; otherwise it is left empty */
} rung_api;

extern const rung_api rung_api_rung;
extern const rung_api rung_api_tei;
extern const rung_api rung_api_v2;
extern const rung_api rung_api_openai;
extern const rung_api rung_api_vllm;

#endif
