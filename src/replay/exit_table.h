/* exit_table.h: what every exit of a level says of recorded texts under one calibration: probabilities, what exit rules look at, how long it is in a message.
 * Made of the record's logits when a row is asked for first, so that policies which differ in their thresholds and rules alone do not make it again: a search
 * replays the same rows a thousand times. Used by walk.c, kept by replay.c. */
#ifndef RUNG_REPLAY_EXIT_TABLE_H
#define RUNG_REPLAY_EXIT_TABLE_H

#include "cascade/exit.h"
#include "replay/store.h"

/* An exit's probabilities without temperature, and as the level is calibrated. */
enum { RUNG_EXIT_RAW, RUNG_EXIT_CALIBRATED, RUNG_EXIT_KINDS };

typedef struct rung_exit_said {
    rung_exit_measures measures[RUNG_EXIT_KINDS];
    uint32_t finding_length
        [RUNG_EXIT_KINDS]; /* of the calibrated confidence with either's probabilities: rung_finding_length */
} rung_exit_said;

/* What all exits of one level say of one text. Exits that the model lacks are not filled in. */
typedef struct rung_exit_row {
    const rung_exit_said *said;  /* [num_layers] */
    const double *probabilities; /* [num_layers, RUNG_EXIT_KINDS, num_classes] in the cascade's order of classes */
    const float *deferral;       /* [num_layers] rung_deferral_confidence; only where it was asked for */
} rung_exit_row;

static inline const double *rung_exit_row_probabilities(const rung_exit_row *row, uint32_t num_classes, uint32_t layer,
                                                        int kind)
{
    return row->probabilities + ((size_t)(layer - 1) * RUNG_EXIT_KINDS + (size_t)kind) * num_classes;
}

/* The level that a table is of; lent while it lives. */
typedef struct rung_exit_source {
    const rung_store *store;
    uint32_t num_layers;
    uint32_t num_classes;
    uint64_t exits;           /* set of the layers that have one: bit l is layer l + 1 */
    const uint32_t *class_of; /* [num_classes] the cascade's class of the model's class c */
} rung_exit_source;

typedef struct rung_exit_table rung_exit_table;

/* Copies what it needs of the calibration. learned: rows have deferral. */
rung_status rung_exit_table_create(const rung_exit_source *source, const rung_level_calibration *calibration,
                                   bool learned, rung_exit_table **table, rung_error *error) RUNG_WARN_UNUSED;
void rung_exit_table_free(rung_exit_table *table);

/* True when this calibration gives the same numbers. A table with deferral serves who does not ask for it, too. */
bool rung_exit_table_matches(const rung_exit_table *table, const rung_level_calibration *calibration, bool learned);

/* Room for all entries that the store has now. Not while rows are asked for. */
rung_status rung_exit_table_reserve(rung_exit_table *table, rung_error *error) RUNG_WARN_UNUSED;

/* What the exits say of the text of an entry (an index of the store). False: no memory. Thread-safe; valid until the table is freed. */
bool rung_exit_table_get(rung_exit_table *table, size_t entry, rung_exit_row *row) RUNG_WARN_UNUSED;

#endif
