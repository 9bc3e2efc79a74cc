/* windows.h: a text that is longer than its model reads, as several windows that overlap: each is read as a text of its own, with the template's
 * special tokens, and the results are the mean of theirs. Called by visit.c; knows no levels. */
#ifndef RUNG_RUN_WINDOWS_H
#define RUNG_RUN_WINDOWS_H

#include "run/batch_run.h"

/* A text of more windows than about this many is cut. */
#define RUNG_MAX_WINDOWS 64

/* Zero-initialise; reused from text to text; release with rung_windows_deinit. One owner at a time. */
typedef struct rung_windows {
    rung_job *jobs;               /* [count] one each, in order of the text */
    size_t count;                 /* 0: the text fits */
    size_t *first;                /* [count] the text's token that the window's own tokens begin with */
    size_t num_tokens;            /* of all windows, special ones included */
    size_t num_before, num_after; /* special tokens around each window */
    int32_t *ids;                 /* [num_tokens] window behind window, as type_ids and importance */
    uint8_t *type_ids;
    float *importance;
    float *logits; /* [count, num_labels] */
    float *states; /* [count, hidden_size] */
    double *exits; /* [2, num_labels] for the exit states, which share it: none is asked */
    size_t jobs_capacity, first_capacity, ids_capacity, type_ids_capacity, importance_capacity, logits_capacity,
        states_capacity, exits_capacity;
} rung_windows;

void rung_windows_deinit(rung_windows *windows);

/* How many tokens of a text, special ones included, are read as windows of max_tokens. */
size_t rung_windows_limit(size_t max_tokens, size_t overlap);

/* Cuts one text's tokens, as rung_tokenize gives them with a large limit, into windows of max_tokens each that share `overlap` tokens with the one before; the
 * last one ends with the text and is as long as the others. count is 0 when the tokens fit or there is no room for a token of their own. An overlap of more
 * than half of a window's own tokens counts as that half. All windows run all layers: their exits are not asked. */
rung_status rung_windows_make(rung_windows *windows, const rung_encoding *tokens, const rung_model_config *config,
                              size_t overlap, const rung_level_calibration *calibration,
                              rung_error *error) RUNG_WARN_UNUSED;

/* The windows have run: importance [tokens->length] of the text's tokens, the mean over the windows that read the token; 0 for special
 * ones. */
void rung_windows_importance(const rung_windows *windows, const rung_encoding *tokens, float *importance);

#endif
