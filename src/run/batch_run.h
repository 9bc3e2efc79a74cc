/* batch_run.h: runs one level's model over a batch of jobs. The batch owns the layer loop: after each layer every row's exit is asked, and
 * rows that stop leave. Called by the driver (and by servers and fits later); knows no links, levels or clocks but the thread's own. */
#ifndef RUNG_RUN_BATCH_RUN_H
#define RUNG_RUN_BATCH_RUN_H

#include "cascade/exit.h"
#include "cascade/variant.h"
#include "model/encoder.h"

#include <stdatomic.h>

/* One tokenized request at one level. */
typedef struct rung_job {
    /* In; arrays are [num_tokens] and live until the run is over. */
    const int32_t *ids;
    const uint8_t *type_ids;
    size_t num_tokens;
    rung_exit_state exit;         /* initialised by the caller */
    const atomic_bool *cancelled; /* set by another thread: the job leaves after the layer that runs; NULL: never */
    /* Its exit is asked whatever the policy is, and what it says is handed out when the job does not stop there, while the layers behind it still run;
     * 0: none. importance_layers is at most as large. Not for a job of parts, nor with a variant. */
    uint32_t watch_layer;
    /* Called then by the thread that runs the batch, between two layers; NULL: nobody waits for it. Its time is not the job's. */
    void (*on_watch)(void *context, struct rung_job *job);
    void *watch_context;
    /* Out. */
    uint32_t exit_layer; /* 1-based; 0: cancelled */
    bool early;          /* it stopped to go up (RUNG_EXIT_OFFLOAD) */
    bool watched;        /* it passed the exit after watch_layer: what follows is filled, importance too */
    double watch_s;      /* compute_s until that exit */
    float *watch_logits; /* [num_labels] of that exit; needed when watch_layer is not 0 */
    float *watch_state;  /* [hidden_size] the [CLS] state at that exit, or NULL when not wanted */
    float *logits;       /* [num_labels] of that exit */
    float *state;        /* [hidden_size] the [CLS] state at that exit, or NULL when not wanted */
    float *importance;   /* [num_tokens] Eq 9, or NULL when not wanted */
    float *all_logits;   /* [num_layers, num_labels] of every exit that ran, or NULL when not wanted */
    float
        *all_states; /* [num_layers, hidden_size] the [CLS] state after every layer that ran, or NULL when not wanted */
    /* [num_layers, num_tokens] Eq 9 added up over the layers until each one, not divided, or NULL when not wanted; rows of the layers that ran and
     * add to the importance are filled. */
    float *all_importance;
    double
        *all_compute_s; /* [num_layers] compute_s until the exit after each layer that ran, or NULL when not wanted */
    /* Processor time, or what passes while threads share a layer; each layer's is divided among its rows by tokens. */
    double compute_s;
    /* Jobs that run in its place (windows of a long text), each with logits, state and importance of its own; NULL: it runs itself. Then logits and state
     * are the means of theirs, exit_layer is the least of theirs, importance stays with them, and the arrays of all layers are NULL. */
    struct rung_job *parts;
    size_t num_parts;
} rung_job;

/* Runs all jobs, as many at a time as fit into `batch` (in their order). importance_layers: how many of the first layers add to the
 * importance; 0 when no job wants it. A job's results do not depend on the others.
 * variant: of all these jobs; NULL: none. With one, no exit before the last is asked, whatever the jobs' policies are: the last layer always runs, and
 * exit_layer is its number. There is no importance then: importance_layers is 0, and importance and all_importance are left as they are. Of
 * all_logits only the last row is filled, of the other arrays of all layers the rows of those that run. */
void rung_batch_run(rung_batch *batch, rung_job *const *jobs, size_t num_jobs, uint32_t importance_layers,
                    const rung_variant *variant);

/* Called between two layers by the thread that runs the batch, which may run another one meanwhile: layers_left (>= 1) of all jobs that are in the batch are
 * still to come. True when it did: that time is not the jobs'. */
typedef struct rung_between {
    bool (*call)(void *context, uint32_t layers_left);
    void *context;
} rung_between;

/* The same; between may be NULL. */
void rung_batch_run_between(rung_batch *batch, rung_job *const *jobs, size_t num_jobs, uint32_t importance_layers,
                            const rung_variant *variant, const rung_between *between);

#endif
