/* windows.c: a long text as overlapping windows. See windows.h. Called by visit.c. */
#include "run/windows.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const rung_exit_policy ALL_LAYERS = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1};

void rung_windows_deinit(rung_windows *windows)
{
    free(windows->jobs);
    free(windows->first);
    free(windows->ids);
    free(windows->type_ids);
    free(windows->importance);
    free(windows->logits);
    free(windows->states);
    free(windows->exits);
    *windows = (rung_windows){0};
}

/* From one window to the next, in tokens of the text; room: of a window without the special ones, at least 1. */
static size_t step_of(size_t room, size_t overlap)
{
    size_t shared = overlap < room / 2 ? overlap : room / 2;
    return room - shared;
}

size_t rung_windows_limit(size_t max_tokens, size_t overlap)
{
    return max_tokens + (RUNG_MAX_WINDOWS - 1) * step_of(max_tokens, overlap);
}

static rung_status reserve(rung_windows *windows, size_t count, size_t num_tokens, const rung_model_config *config,
                           rung_error *error)
{
    const struct {
        void **items;
        size_t *capacity;
        size_t needed, size;
    } arrays[] = {
        {(void **)&windows->jobs, &windows->jobs_capacity, count, sizeof *windows->jobs},
        {(void **)&windows->first, &windows->first_capacity, count, sizeof *windows->first},
        {(void **)&windows->ids, &windows->ids_capacity, num_tokens, sizeof *windows->ids},
        {(void **)&windows->type_ids, &windows->type_ids_capacity, num_tokens, sizeof *windows->type_ids},
        {(void **)&windows->importance, &windows->importance_capacity, num_tokens, sizeof *windows->importance},
        {(void **)&windows->logits, &windows->logits_capacity, count * config->num_labels, sizeof *windows->logits},
        {(void **)&windows->states, &windows->states_capacity, count * config->hidden_size, sizeof *windows->states},
        {(void **)&windows->exits, &windows->exits_capacity, 2 * config->num_labels, sizeof *windows->exits},
    };
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0] && status == RUNG_OK; i++) {
        status = rung_grow(arrays[i].items, arrays[i].capacity, arrays[i].needed, arrays[i].size, "windows", error);
    }
    return status;
}

/* The special tokens before and behind the text's own. */
static void count_special(const rung_encoding *tokens, size_t *before, size_t *after)
{
    *before = 0;
    *after = 0;
    while (*before < tokens->length && tokens->special[*before]) {
        (*before)++;
    }
    while (*before + *after < tokens->length && tokens->special[tokens->length - 1 - *after]) {
        (*after)++;
    }
}

/* Copies the tokens [from, from + count) to the end of the windows'. */
static void append(rung_windows *windows, const rung_encoding *tokens, size_t from, size_t count)
{
    memcpy(windows->ids + windows->num_tokens, tokens->ids + from, count * sizeof *tokens->ids);
    memcpy(windows->type_ids + windows->num_tokens, tokens->type_ids + from, count);
    windows->num_tokens += count;
}

/* Fills window `index`, whose own tokens are [first, first + room) of the text's encoding. */
static void fill_window(rung_windows *windows, const rung_encoding *tokens, size_t index, size_t first, size_t room,
                        const rung_model_config *config, const rung_level_calibration *calibration)
{
    size_t start = windows->num_tokens;
    append(windows, tokens, 0, windows->num_before);
    append(windows, tokens, first, room);
    append(windows, tokens, tokens->length - windows->num_after, windows->num_after);
    windows->first[index] = first;
    rung_job *job = &windows->jobs[index];
    *job = (rung_job){.ids = windows->ids + start,
                      .type_ids = windows->type_ids + start,
                      .num_tokens = windows->num_tokens - start,
                      .logits = windows->logits + index * config->num_labels,
                      .state = windows->states + index * config->hidden_size,
                      .importance = windows->importance + start};
    rung_exit_init(&job->exit, &ALL_LAYERS, calibration, (uint32_t)config->num_labels, windows->exits);
}

rung_status rung_windows_make(rung_windows *windows, const rung_encoding *tokens, const rung_model_config *config,
                              size_t overlap, const rung_level_calibration *calibration, rung_error *error)
{
    size_t before, after;
    count_special(tokens, &before, &after);
    size_t own = tokens->length - before - after;
    size_t room = config->max_tokens > before + after ? config->max_tokens - before - after : 0;
    windows->count = 0;
    if (tokens->length <= config->max_tokens || room == 0) {
        return RUNG_OK;
    }
    size_t step = step_of(room, overlap);
    size_t count = 1 + (own - room + step - 1) / step;
    rung_status status = reserve(windows, count, count * config->max_tokens, config, error);
    if (status != RUNG_OK) {
        return status;
    }
    windows->num_before = before;
    windows->num_after = after;
    windows->num_tokens = 0;
    windows->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t first = i + 1 < count ? i * step : own - room;
        fill_window(windows, tokens, i, before + first, room, config, calibration);
    }
    return RUNG_OK;
}

void rung_windows_importance(const rung_windows *windows, const rung_encoding *tokens, float *importance)
{
    memset(importance, 0, tokens->length * sizeof *importance);
    for (size_t i = windows->num_before; i < tokens->length - windows->num_after; i++) {
        size_t readers = 0;
        for (size_t w = 0; w < windows->count && windows->first[w] <= i; w++) {
            const rung_job *job = &windows->jobs[w];
            size_t at = windows->num_before + i - windows->first[w];
            if (at < job->num_tokens - windows->num_after) {
                importance[i] += job->importance[at];
                readers++;
            }
        }
        importance[i] /= (float)readers;
    }
}
