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
 * A level that was only to pass the request on (policy->first_compute_level, or a request that skips it) computes after all when the upstream fails.
 * A policy that speculates at a level sends there what was known at exit.first_layer (EXIT), at once or once the result is known and not enough; so
 * what the levels above say does not depend on which it was. */
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
    RUNG_EVENT_EXIT, /* the exit that rung_request_watches was passed, and the level computes on; its exit_layer and logits */
    RUNG_EVENT_LOCAL_DONE, /* exit_layer and logits of the exit at which the level stopped */
    RUNG_EVENT_UPSTREAM_REPLY, /* results of the levels above lie in request->results already; reason: theirs, if degraded */
    RUNG_EVENT_UPSTREAM_FAILED, /* with a reason */
    RUNG_EVENT_TIMER,           /* the deadline passed */
    RUNG_EVENT_CANCEL,          /* nobody waits any more */
} rung_event_kind;

typedef struct rung_event {
    rung_event_kind kind;
    double now_s;
    uint32_t exit_layer; /* LOCAL_DONE */
    uint32_t num_layers; /* LOCAL_DONE */
    const float *logits; /* LOCAL_DONE, EXIT: [num_classes]; NULL: the model failed */
    /* LOCAL_DONE, EXIT, by who has made them of the logits already, which are not read then: [num_classes] the probabilities as the level is calibrated, and
     * without temperature, for raw_ensemble. NULL: the machine makes them. */
    const double *calibrated;
    const double *raw;
    bool early;           /* LOCAL_DONE: it stopped to go up (RUNG_EXIT_OFFLOAD) */
    double deferral;      /* LOCAL_DONE and EXIT, where the policy defers as it learned: rung_deferral_confidence */
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
    uint32_t
        first_level; /* levels below it pass the request on: 0 at first; the caller sets what came with the request */
    uint64_t key;    /* rung_request_key */
    rung_local_state local;
    rung_upstream_state upstream;
    bool finished; /* answered, failed or cancelled */
    double started_s, finished_s;
    double
        offload_probability; /* p of Eq 7 at this level, once known; 0 at the top, 1 at a level that only passes on */
    rung_degraded degraded;
    rung_level_result
        watched; /* own result at the exit that was watched (RUNG_EVENT_EXIT): visited once there is one */
    rung_level_result results[RUNG_MAX_LEVELS]; /* by level - 1: lower levels' (prior), own, upper levels' (reply) */
    /* The answer, valid after RUNG_ACTION_ANSWER; all but answer_level only at the entry level. */
    double *pooled;        /* [num_classes] */
    uint32_t label;        /* the most probable */
    double score;          /* pooled[label] */
    uint32_t answer_level; /* highest level visited */
} rung_request;

/* Doubles of workspace for each class. */
#define RUNG_REQUEST_WORKSPACE (RUNG_MAX_LEVELS + 2)

/* workspace: RUNG_REQUEST_WORKSPACE * num_classes doubles that live as long as the request. 1 <= entry_level <= level <=
 * calibration->num_levels; the policy passed rung_policy_check. Afterwards, and before RUNG_EVENT_START, the caller fills in the results of
 * the lower levels that came with the request (prior): visited, confidence and the numbers behind probabilities. */
void rung_request_init(rung_request *request, const rung_policy *policy, const rung_calibration *calibration,
                       uint32_t level, uint32_t entry_level, uint64_t key, double *workspace);

/* Feeds one event; returns rung_action bits. Late, repeated or impossible events change nothing and return 0. Before
 * RUNG_EVENT_UPSTREAM_REPLY the caller writes the results of the levels above, and it does so only while rung_request_waits: what comes
 * later, or twice, is dropped unread. A reply without a visited level, or with a number that is no probability, counts as failed. */
unsigned rung_request_step(rung_request *request, const rung_event *event);

/* Before RUNG_EVENT_UPSTREAM_REPLY: writes the result of the level above, which is the top and says nothing but logits [num_classes], as that level would have
 * made it of them: its one exit, as calibrated, in floats. False: the logits are of no use, and nothing is visited. */
bool rung_request_take_logits(rung_request *request, const float *logits);

/* True while a reply from above would be taken. */
bool rung_request_waits(const rung_request *request);

/* The layer whose exit RUNG_EVENT_EXIT is to be fed for, when the level does not stop there; 0: none is watched. */
uint32_t rung_request_watches(const rung_request *request);

/* At RUNG_ACTION_SEND: what goes up with the request as the result of `level`, this one or one below: the watched one, where the policy speculates. */
const rung_level_result *rung_request_prior(const rung_request *request, uint32_t level);

/* At RUNG_ACTION_SEND: the lowest level that is to compute, when it is not simply the next one; else 0. It goes up with the request. */
uint32_t rung_request_skips_to(const rung_request *request);

/* At RUNG_ACTION_SEND: true when the text that goes up is pruned, false when all of it goes. */
bool rung_request_prunes(const rung_request *request);

#endif
