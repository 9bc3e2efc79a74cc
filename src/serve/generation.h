/* generation.h: what a node serves between two reloads: its configuration, its level's model and the client of the next level. Immutable once made, but
 * for the number of its users. Made by a thread of its own at reload and swapped in by the loop; errands and workers that use an older generation
 * keep it until they are done. */
#ifndef RUNG_SERVE_GENERATION_H
#define RUNG_SERVE_GENERATION_H

#include "config/node_config.h"
#include "net/model_watch.h"
#include "net/upstream.h"
#include "run/cascade.h"
#include "run/visit.h"
#include "serve/log.h"

#include <stdatomic.h>

#define RUNG_MAX_POLICIES 16

typedef struct rung_generation {
    rung_node_config config;
    rung_cascade *cascade; /* only the own level's model is open */
    uint64_t serial;       /* differs between generations of one node */
    size_t num_policies;
    rung_policy policies[RUNG_MAX_POLICIES]; /* the configured one first, then those that a request may name */
    bool *flags;                             /* [num_classes] the labels that flag a text (moderation.flagged) */
    rung_upstream *upstream;                 /* NULL: none; made and used by the loop's thread only */
    const rung_protocol *protocol;           /* that the level above speaks */
    bool is_foreign;                         /* it is no rung node: it reads text, and answers with probabilities */
    rung_text_writer writer;                 /* its requests; is_foreign only, as the next two */
    rung_remote_reader reader;               /* of its replies */
    const char **columns;                    /* reader.columns lends it */
    rung_model_watch *watch;                 /* the loop's; NULL: the level above is a rung node, or there is none */
    uint32_t changed;                        /* the loop's: bit i: address i has another model than was fitted with */
    rung_log *log;                           /* the loop's; lent */
    atomic_size_t users;                     /* errands, workers, and the node while it is the current one */
    struct rung_generation *next;            /* the loop's list of those that were replaced */
} rung_generation;

/* Opens the model and checks everything that does not need the loop. Takes the configuration over, also on failure. The caller is its first user.
 * RUNG_MISMATCH: the level above speaks otherwise than when it was fitted. */
rung_status rung_generation_open(rung_node_config *config, const rung_open_options *options, uint64_t serial,
                                 rung_generation **generation, rung_error *error) RUNG_WARN_UNUSED;

/* The loop's part: the client of the next level, where there is one, and the watch of its model, which log hears of (WARN) when it is another one than was
 * fitted with. seed: of its back-off. */
rung_status rung_generation_connect(rung_generation *generation, rung_loop *loop, uint64_t seed, rung_log *log,
                                    rung_error *error) RUNG_WARN_UNUSED;

/* What the level above is asked with, NULL when it is a rung node. */
const rung_text_writer *rung_generation_writer(const rung_generation *generation);

/* Only when nobody uses it any more, from the loop's thread. */
void rung_generation_free(rung_generation *generation);

void rung_generation_use(rung_generation *generation);
/* From any thread. */
void rung_generation_leave(rung_generation *generation);

/* NULL: no policy of that name can be asked for. "" is the configured one. */
const rung_policy *rung_generation_policy(const rung_generation *generation, const char *name);

/* The same for any name of rung_policy_defaults, as "single(2)": one that is not in the list is made in *made, which lives as long as its request.
 * RUNG_NOT_FOUND, RUNG_INVALID, RUNG_MISMATCH: it cannot be asked for. */
rung_status rung_generation_find_policy(const rung_generation *generation, const char *name, rung_policy *made,
                                        const rung_policy **policy, rung_error *error) RUNG_WARN_UNUSED;

/* The share of the inputs that reach this level which it answers itself, by the calibration, under the configured policy; 0 where that says nothing of it: no
 * calibration, other thresholds than its, or a policy that sends up for other reasons. */
double rung_generation_expected_share(const rung_generation *generation);

/* Of the own level. The name is also what other APIs call the model. */
const rung_model *rung_generation_model(const rung_generation *generation);
const char *rung_generation_name(const rung_generation *generation);

#endif
