/* metrics.h: what a node counts, and its page in Prometheus' text format 0.0.4. Every series is there from the start, at zero. Owned by the loop's
 * thread. Meanings: docs/node.md. */
#ifndef RUNG_SERVE_METRICS_H
#define RUNG_SERVE_METRICS_H

#include "base/buffer.h"
#include "cascade/request.h"
#include "net/upstream.h"
#include "run/cascade.h"
#include "serve/api.h"

typedef struct rung_metrics rung_metrics;

/* What became of a call to classify, of any API. */
typedef enum rung_outcome {
    RUNG_OUTCOME_OK,
    RUNG_OUTCOME_DEGRADED,
    RUNG_OUTCOME_REFUSED, /* the client's fault, or overload */
    RUNG_OUTCOME_EXPIRED, /* the deadline came first */
    RUNG_OUTCOME_FAILED,
    RUNG_OUTCOME_GONE, /* the client left */
    RUNG_OUTCOMES,
} rung_outcome;

/* How things stand when the page is made. */
typedef struct rung_metrics_now {
    size_t connections;
    size_t requests_in_flight;
    size_t queue_length;
    double queue_s; /* estimated work that waits */
    bool draining;
    rung_upstream_health upstream; /* zeros without one */
    bool model_changed;            /* an address of it has another model than was fitted with */
} rung_metrics_now;

/* For the level (1-based) of a cascade of which at least that level is open. */
rung_status rung_metrics_create(const rung_cascade *cascade, uint32_t level, rung_metrics **metrics,
                                rung_error *error) RUNG_WARN_UNUSED;
void rung_metrics_free(rung_metrics *metrics);

/* A call to classify came, in the form of this API. */
void rung_metrics_api(rung_metrics *metrics, rung_api_id api);
void rung_metrics_request(rung_metrics *metrics, rung_outcome outcome);
void rung_metrics_response(rung_metrics *metrics, unsigned http_status);
void rung_metrics_request_time(rung_metrics *metrics, double seconds);
/* One input answered: the highest level that has a result, and why it is degraded. */
void rung_metrics_answer(rung_metrics *metrics, uint32_t answer_level, rung_degraded degraded);
/* What this level did for it. text_bytes: of what came here; sent: the next level was asked. */
void rung_metrics_visit(rung_metrics *metrics, const rung_level_answer *did, size_t text_bytes, bool sent);
/* The share of its inputs that the level is to answer itself, by its calibration, from now on; 0: unknown (rung_generation_expected_share). */
void rung_metrics_expect(rung_metrics *metrics, double share);
/* Under the policy that was calibrated: whether the level kept an input that it computed, or wanted it to go up. */
void rung_metrics_decision(rung_metrics *metrics, bool kept);
void rung_metrics_call(rung_metrics *metrics, rung_call_outcome outcome);
void rung_metrics_reload(rung_metrics *metrics, bool ok);

/* The page; check out with rung_buffer_check. */
void rung_metrics_print(const rung_metrics *metrics, const rung_metrics_now *now, rung_buffer *out);

#endif
