/* tape.h: what each level's model says of a data set's texts as they reach it under one reading (how texts are pruned on the way, and which variant of the
 * models runs), as references into the record. Made by replay.c, filled by recorder.c, read by walk.c.
 *
 * What a level reads depends on which levels below it computed, since each of those prunes. So a request has one cell for every set of levels: bit l of
 * its number is level l + 1, the highest bit is the level that reads, and the others are those that computed before it. Cell 0 is the text as it was asked. */
#ifndef RUNG_REPLAY_TAPE_H
#define RUNG_REPLAY_TAPE_H

#include "cascade/policy.h"

#define RUNG_TAPE_LIMIT_LEVELS 6 /* 2^levels cells a request */

/* How texts are read and pruned: what a policy's cells depend on. */
typedef struct rung_reading {
    rung_prune_policy prune;    /* alpha and unit are those of a disabled one's default */
    uint32_t importance_layers; /* Eq 9 over so many of the first layers; 0: over all, or not pruned */
    rung_variant variant;
} rung_reading;

typedef struct rung_cell {
    uint32_t entry;      /* of the record, from 1; 0: not known yet */
    uint32_t num_tokens; /* that the level's model reads */
    uint32_t truncated;  /* tokens beyond its length */
    uint32_t text_bytes; /* that it tokenizes; 0: token ids arrived */
    uint32_t words;      /* of the text; 0: token ids arrived */
    uint32_t kept_words; /* of them in what goes up pruned */
    uint32_t
        payload_bytes; /* of what goes up from here, above those of an empty text; of cell 0: the text as it was asked */
} rung_cell;

typedef struct rung_tape {
    rung_reading reading;
    uint32_t num_cells; /* 1 << num_levels */
    rung_cell *cells;   /* [count, num_cells] */
    struct rung_tape *next;
} rung_tape;

/* The reading of a policy. */
rung_reading rung_reading_of(const rung_policy *policy);

bool rung_reading_equal(const rung_reading *a, const rung_reading *b);

/* The level that reads a cell, 1-based; 0 for cell 0. */
uint32_t rung_cell_level(uint32_t cell);

static inline rung_cell *rung_tape_cell(const rung_tape *tape, size_t row, uint32_t cell)
{
    return &tape->cells[row * tape->num_cells + cell];
}

#endif
