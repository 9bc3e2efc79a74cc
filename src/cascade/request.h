/* request.h: the life of one request at one level, as a state machine. Events in, actions out; time comes in with each event.
 * The node (issue: server), the in-process driver, the simulator and the replay feed the same machine. It does no I/O, knows no clock
 * and no model, and allocates nothing.
 *
 *   START ──► compute? ──► COMPUTE ── LOCAL_DONE ──► confidence, offload? ──► SEND ── REPLY ──► ANSWER
 *                │ no: SEND at once                        │ no: ANSWER          └ FAILED, TIMER ► ANSWER (degraded)
 *
 * Local and upstream are two sub-states that may overlap (speculation sends before LOCAL_DONE). A reply that comes first waits for the
 * local result, which alone decides whether it is used: answers do not depend on which of the two was faster.
 * A level answers with its own result and those from above it; the level at which the request entered pools them.
 * A level that was only to pass the request on (policy->first_compute_level) computes after all when the upstream fails. */
#ifndef RUNG_CASCADE_REQUEST_H
#define RUNG_CASCADE_REQUEST_H

#include "cascade/policy.h"

/* What one level found. Counters are the caller's; the machine reads and writes only the fields marked *. */
typedef struct rung_level_result {
    bool visited;        /* * computed here */
    uint32_t exit_layer; /* 1-based */
    uint32_t num_layers;
    double confidence;     /* * Eq 6: with temperature; a float, as it travels */
    double weight;         /* * Eq 12, set when the request is answered */
    double *probabilities; /* * [num_classes] what Eq 11 adds up */
} rung_level_result;

typedef enum rung_degraded {
    RUNG_DEGRADED_NO,
    RUNG_DEGRADED_UNREACHABLE,
    RUNG_DEGRADED_DEADLINE,
    RUNG_DEGRADED_BAD_REPLY,
    RUNG_DEGRADED_OVERLOADED,
    RUNG_DEGRADED_LOOP,
    RUNG_DEGRADED_MODEL, /* this level's own model gave no usable logits */
} rung_degraded;

const char *rung_degraded_name(rung_degraded reason); /* "no", "unreachable", "deadline", ... */

typedef enum rung_event_kind {
    RUNG_EVENT_START,
    RUNG_EVENT_LOCAL_DONE, /* exit_layer and logits of the exit at which the level stopped */
    RUNG_EVENT_UPSTREAM_REPLY, /* results of the levels above lie in request->results already; reason: theirs, if degraded */
    RUNG_EVENT_UPSTREAM_FAILED, /* with a reason */
    RUNG_EVENT_TIMER,           /* the deadline passed */
    RUNG_EVENT_CANCEL,          /* nobody waits any more */
} rung_event_kind;

typedef struct rung_event {
    rung_event_kind kind;
    double now_s;
    uint32_t exit_layer;  /* LOCAL_DONE */
    uint32_t num_layers;  /* LOCAL_DONE */
    const float *logits;  /* LOCAL_DONE: [num_classes]; NULL: the model failed */
    double deferral;      /* LOCAL_DONE, where the policy defers as it learned: rung_deferral_confidence */
    rung_degraded reason; /* UPSTREAM_FAILED, UPSTREAM_REPLY */
} rung_event;

/* Bits: what the caller must do now, in this order. */
typedef enum rung_action {
    RUNG_ACTION_NONE = 0,
    RUNG_ACTION_COMPUTE = 1, /* run the local model */
    RUNG_ACTION_SEND = 2,    /* ask the next level: with the pruned text if rung_request_prunes, else all of it */
    RUNG_ACTION_CANCEL_LOCAL = 4,
    RUNG_ACTION_CANCEL_UPSTREAM = 8,
    RUNG_ACTION_ANSWER = 16, /* request->answer_* hold the result */
    RUNG_ACTION_FAIL = 32,   /* nothing to answer with; request->degraded says why */
} rung_action;

typedef enum rung_local_state {
    RUNG_LOCAL_IDLE,
    RUNG_LOCAL_RUNNING,
    RUNG_LOCAL_DONE,
    RUNG_LOCAL_SKIPPED,
    RUNG_LOCAL_CANCELLED
} rung_local_state;
typedef enum rung_upstream_state {
    RUNG_UPSTREAM_IDLE,
    RUNG_UPSTREAM_WAITING,
    RUNG_UPSTREAM_DONE,
    RUNG_UPSTREAM_FAILED,
    RUNG_UPSTREAM_CANCELLED
} rung_upstream_state;

typedef struct rung_request {
    const rung_policy *policy;
    const rung_calibration *calibration;
    uint32_t level;       /* this level, 1-based */
    uint32_t entry_level; /* where the user asked: it pools */
    uint64_t key;         /* rung_request_key */
    rung_local_state local;
    rung_upstream_state upstream;
    bool finished; /* answered, failed or cancelled */
    double started_s, finished_s;
    double
        offload_probability; /* p of Eq 7 at this level, once known; 0 at the top, 1 at a level that only passes on */
    rung_degraded degraded;
    rung_level_result results[RUNG_MAX_LEVELS]; /* by level - 1: lower levels' (prior), own, upper levels' (reply) */
    /* The answer, valid after RUNG_ACTION_ANSWER; all but answer_level only at the entry level. */
    double *pooled;        /* [num_classes] */
    uint32_t label;        /* the most probable */
    double score;          /* pooled[label] */
    uint32_t answer_level; /* highest level visited */
} rung_request;

/* workspace: (RUNG_MAX_LEVELS + 1) * num_classes doubles that live as long as the request. 1 <= entry_level <= level <=
 * calibration->num_levels; the policy passed rung_policy_check. Afterwards, and before RUNG_EVENT_START, the caller fills in the results of
 * the lower levels that came with the request (prior): visited, confidence and the numbers behind probabilities. */
void rung_request_init(rung_request *request, const rung_policy *policy, const rung_calibration *calibration,
                       uint32_t level, uint32_t entry_level, uint64_t key, double *workspace);

/* Feeds one event; returns rung_action bits. Late, repeated or impossible events change nothing and return 0. Before
 * RUNG_EVENT_UPSTREAM_REPLY the caller writes the results of the levels above, and it does so only while rung_request_waits: what comes
 * later, or twice, is dropped unread. A reply without a visited level, or with a number that is no probability, counts as failed. */
unsigned rung_request_step(rung_request *request, const rung_event *event);

/* True while a reply from above would be taken. */
bool rung_request_waits(const rung_request *request);

/* At RUNG_ACTION_SEND: true when the text that goes up is pruned, false when all of it goes. */
bool rung_request_prunes(const rung_request *request);

#endif
