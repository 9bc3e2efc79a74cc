/* visit.h: one request at one level: what arrived, its tokens, the state machine, what the level did, and what goes up. The in-process driver chains
 * visits through all levels (flight.c); a node has one visit a request (src/serve). Decides nothing: it feeds src/cascade/request.c and does what
 * that asks for. One thread owns a visit at any time; all memory is reused from request to request. */
#ifndef RUNG_RUN_VISIT_H
#define RUNG_RUN_VISIT_H

#include "cascade/prune.h"
#include "cascade/request.h"
#include "run/batch_run.h"
#include "run/cascade.h"
#include "run/message.h"
#include "run/windows.h"

/* What arrives at a level: a text or pair, or token ids from a level that segments alike. */
typedef struct rung_stage {
    rung_text text[2]; /* text and pair: the user's own, or in `memory` */
    bool has_pair;
    bool tokens_arrived; /* `tokens` came from below; else they are made from the text here */
    rung_encoding tokens;
    char *memory[2];
    size_t memory_bytes[2];
} rung_stage;

void rung_stage_deinit(rung_stage *stage);

/* What arrives at the level where the user asks: the input's own text, lent. Errors as rung_check_text, which name text or text_pair. */
rung_status rung_stage_ask(rung_stage *stage, const rung_input *input, rung_error *error) RUNG_WARN_UNUSED;

/* rung_request_key of an input; one without an id has its position in the user's call as id. */
uint64_t rung_input_key(uint64_t seed, const rung_input *input, size_t position);

/* Token ids that came over a network: the template's tokens are found by their places, and every id is compared with the model. pair_from: the position of
 * the second text's first token, 0: none. RUNG_LIMIT, RUNG_INVALID: name the field. */
rung_status rung_stage_take_ids(rung_stage *stage, const rung_model *model, const int32_t *ids, size_t count,
                                size_t pair_from, rung_error *error) RUNG_WARN_UNUSED;

/* How a request is written for a next level that reads no message of ours: a server of another kind, which gets the text or pair and nothing else. */
typedef struct rung_text_writer {
    void (*write)(const void *context, const rung_payload *payload, rung_buffer *body);
    const void *context;
} rung_text_writer;

typedef struct rung_visit {
    const rung_cascade *cascade;
    const rung_text_writer *writer; /* lent; NULL: the next level reads run/message.h */
    const rung_policy *policy;
    const char *policy_name; /* travels with the request, lent; NULL: it asks for no policy of its own */
    uint32_t level;          /* 1-based */
    rung_request machine;
    rung_level_answer did;
    rung_job job;
    /* Memory. */
    double *workspace; /* the machine's, the exit state's, and [num_classes] for what is learned */
    float *logits;     /* [3, num_classes] the model's order, the cascade's, the model's at the watched exit */
    /* [2, hidden_size] the [CLS] state where the level stopped and at the exit that is watched, for learned deferral. */
    float *state;
    float *importance; /* [tokens] */
    size_t importance_capacity;
    rung_windows windows; /* of a text that is longer than the model reads */
    rung_word *words;
    size_t words_capacity;
    bool *keep;
    size_t keep_capacity;
} rung_visit;

/* level: 1-based, whose model is open. Release with rung_visit_deinit. */
rung_status rung_visit_init(rung_visit *visit, const rung_cascade *cascade, uint32_t level,
                            rung_error *error) RUNG_WARN_UNUSED;
void rung_visit_deinit(rung_visit *visit);

/* A new request that names no policy; then the caller may set policy_name, fill in what came with it (machine.results of the levels below,
 * machine.first_level) and feed RUNG_EVENT_START. */
void rung_visit_begin(rung_visit *visit, const rung_policy *policy, uint32_t entry_level, uint64_t key);

/* At RUNG_ACTION_COMPUTE: tokenizes where that is needed, counts words, and fills visit->job, which is then to be run with rung_visit_importance_layers. The
 * stage stays untouched until the request has left this level. RUNG_INVALID, RUNG_LIMIT: the text's fault. */
rung_status rung_visit_read(rung_visit *visit, rung_stage *stage, rung_error *error) RUNG_WARN_UNUSED;

/* Of the layers of this level, how many give the importance that requests leaving it are pruned by; 0: none. */
uint32_t rung_visit_importance_layers(const rung_cascade *cascade, const rung_policy *policy, uint32_t level);

/* The exit that the machine watches was passed (job.watched), whether the job still runs (job.on_watch) or not: feeds RUNG_EVENT_EXIT and returns the
 * actions. Before rung_visit_computed. */
unsigned rung_visit_watched(rung_visit *visit, double now_s);

/* The job has been run: feeds RUNG_EVENT_LOCAL_DONE and returns the actions. */
unsigned rung_visit_computed(rung_visit *visit, double now_s);

/* At RUNG_ACTION_SEND: makes what the next level gets out of what came here, pruned when this level has read it, and appends the message to body.
 * `to` borrows from `from` what is not pruned. RUNG_UNSUPPORTED: token ids came, and the next level reads text only. */
rung_status rung_visit_send(rung_visit *visit, rung_stage *from, rung_stage *to, rung_buffer *body,
                            rung_error *error) RUNG_WARN_UNUSED;

/* What goes with a message without being one: the prior on the way up (rung_request_prior) with the level that it is for (rung_request_skips_to), the
 * results of the levels above on the way down. As in the messages, probabilities travel as floats: in one process and over a network the answers
 * are the same bits. */
void rung_visit_pass_up(rung_request *to, const rung_request *from);
void rung_visit_pass_down(rung_request *to, const rung_request *from);

/* text (a field of that name) is 1 .. 2^31 - 1 bytes of UTF-8. */
rung_status rung_check_text(const char *field, const char *text, size_t bytes, rung_error *error) RUNG_WARN_UNUSED;

/* The answer at the entry level: label, probabilities and what each of did[0 .. num_levels) did; a level that found something has its result of
 * `machine` added. *block owns the memory: free() it. */
rung_status rung_answer_make(const rung_cascade *cascade, const rung_request *machine, const rung_level_answer *did,
                             size_t num_levels, double latency_ms, rung_answer *answer, void **block,
                             rung_error *error) RUNG_WARN_UNUSED;

#endif
