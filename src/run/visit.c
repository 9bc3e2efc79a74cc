/* visit.c: one request at one level. See visit.h. Source: the paper's workflow, II-B; pruning rules: docs/architecture.md. */
#include "run/visit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "cascade/exit.h"
#include "cascade/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rung_stage_deinit(rung_stage *stage)
{
    rung_encoding_deinit(&stage->tokens);
    free(stage->memory[0]);
    free(stage->memory[1]);
    *stage = (rung_stage){0};
}

rung_status rung_stage_ask(rung_stage *stage, const rung_input *input, rung_error *error)
{
    rung_status status = rung_check_text("text", input->text, input->text_bytes, error);
    if (status == RUNG_OK && input->text_pair != NULL) {
        status = rung_check_text("text_pair", input->text_pair, input->text_pair_bytes, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    stage->text[0] = (rung_text){input->text, input->text_bytes};
    stage->text[1] = (rung_text){input->text_pair, input->text_pair_bytes};
    stage->has_pair = input->text_pair != NULL;
    stage->tokens_arrived = false;
    return RUNG_OK;
}

uint64_t rung_input_key(uint64_t seed, const rung_input *input, size_t position)
{
    char position_id[24];
    snprintf(position_id, sizeof position_id, "%zu", position);
    const char *id = input->id != NULL ? input->id : position_id;
    return rung_request_key(seed, id, strlen(id), input->text, input->text_bytes, input->text_pair,
                            input->text_pair_bytes);
}

rung_status rung_stage_take_ids(rung_stage *stage, const rung_model *model, const int32_t *ids, size_t count,
                                size_t pair_from, rung_error *error)
{
    if (count > model->config.max_tokens) {
        return rung_fail(error, RUNG_LIMIT, "tokens: %zu, the limit of this level's model is %zu", count,
                         model->config.max_tokens);
    }
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= model->config.vocab_size) {
            return rung_fail(error, RUNG_INVALID, "tokens: id %d at position %zu is outside 0..%zu", ids[i], i,
                             model->config.vocab_size - 1);
        }
    }
    rung_status status = rung_encoding_from_ids(model->tokenizer, ids, count, pair_from, &stage->tokens, error);
    if (status != RUNG_OK) {
        return status == RUNG_NO_MEMORY ? status : rung_fail_in(error, "tokens");
    }
    stage->has_pair = pair_from > 0;
    stage->tokens_arrived = true;
    return RUNG_OK;
}

static const rung_cascade_level *own_level(const rung_visit *visit)
{
    return &visit->cascade->level[visit->level - 1];
}

/* Parts of visit->workspace. */
static size_t machine_doubles(const rung_cascade *cascade)
{
    return (size_t)RUNG_REQUEST_WORKSPACE * cascade->num_classes;
}

static double *exit_workspace(const rung_visit *visit)
{
    return visit->workspace + machine_doubles(visit->cascade);
}

static double *learned_workspace(const rung_visit *visit)
{
    return exit_workspace(visit) + 2 * (size_t)visit->cascade->num_classes;
}

rung_status rung_visit_init(rung_visit *visit, const rung_cascade *cascade, uint32_t level, rung_error *error)
{
    size_t classes = cascade->num_classes;
    *visit = (rung_visit){.cascade = cascade, .level = level};
    visit->workspace = rung_alloc(machine_doubles(cascade) + 3 * classes, sizeof(double), "request", error);
    visit->logits = rung_alloc(3 * classes, sizeof(float), "request", error);
    visit->state = rung_alloc(2 * own_level(visit)->model->config.hidden_size, sizeof(float), "request", error);
    if (visit->workspace == NULL || visit->logits == NULL || visit->state == NULL) {
        rung_visit_deinit(visit);
        return RUNG_NO_MEMORY;
    }
    return RUNG_OK;
}

void rung_visit_deinit(rung_visit *visit)
{
    free(visit->workspace);
    free(visit->logits);
    free(visit->state);
    free(visit->importance);
    rung_windows_deinit(&visit->windows);
    free(visit->words);
    free(visit->keep);
    *visit = (rung_visit){0};
}

void rung_visit_begin(rung_visit *visit, const rung_policy *policy, uint32_t entry_level, uint64_t key)
{
    visit->policy = policy;
    visit->policy_name = NULL;
    visit->did = (rung_level_answer){.level = visit->level, .name = own_level(visit)->name};
    visit->windows.count = 0; /* of this request nothing has been read */
    rung_request_init(&visit->machine, policy, &visit->cascade->calibration, visit->level, entry_level, key,
                      visit->workspace);
}

rung_status rung_check_text(const char *field, const char *text, size_t bytes, rung_error *error)
{
    size_t bad;
    if (bytes == 0) {
        return rung_fail(error, RUNG_INVALID, "%s is empty: at least 1 byte is needed", field);
    }
    if (bytes > INT32_MAX) {
        return rung_fail(error, RUNG_LIMIT, "%s has %zu bytes: the limit is %d", field, bytes, INT32_MAX);
    }
    if (!rung_utf8_valid(text, bytes, &bad)) {
        return rung_fail(error, RUNG_INVALID, "%s is not valid UTF-8: byte 0x%02x at offset %zu", field,
                         (unsigned char)text[bad], bad);
    }
    return RUNG_OK;
}

/* Processor time of this level, at its speed. */
static void spend(rung_visit *visit, double compute_s)
{
    visit->did.compute_ms += compute_s / own_level(visit)->speed * 1e3;
}

static void copy_result(rung_request *to, uint32_t level, const rung_level_result *from)
{
    rung_level_result *result = &to->results[level - 1];
    double *probabilities = result->probabilities;
    *result = *from;
    result->probabilities = probabilities;
    for (uint32_t c = 0; c < to->calibration->num_classes; c++) {
        probabilities[c] = (float)from->probabilities[c];
    }
}

void rung_visit_pass_up(rung_request *to, const rung_request *from)
{
    for (uint32_t level = 1; level <= from->level; level++) {
        copy_result(to, level, rung_request_prior(from, level));
    }
    to->first_level = rung_request_skips_to(from);
}

void rung_visit_pass_down(rung_request *to, const rung_request *from)
{
    for (uint32_t level = from->level; level <= to->calibration->num_levels; level++) {
        copy_result(to, level, &from->results[level - 1]);
    }
}

static rung_status reserve_words(rung_visit *visit, size_t count, rung_error *error)
{
    void *words = visit->words;
    void *keep = visit->keep;
    rung_status status = rung_grow(&words, &visit->words_capacity, count, sizeof(rung_word), "words", error);
    visit->words = words;
    if (status == RUNG_OK) {
        status = rung_grow(&keep, &visit->keep_capacity, count, sizeof(bool), "words", error);
        visit->keep = keep;
    }
    return status;
}

/* visit->words of one text; a text of n bytes has at most (n + 1) / 2 words. */
static rung_status split(rung_visit *visit, rung_text text, size_t *num_words, rung_error *error)
{
    rung_status status = reserve_words(visit, text.bytes / 2 + 1, error);
    if (status == RUNG_OK) {
        *num_words = rung_split_words(text.data, text.bytes, visit->words, visit->words_capacity);
    }
    return status;
}

static rung_token_view view_tokens(const rung_visit *visit, const rung_encoding *tokens)
{
    return (rung_token_view){.count = tokens->length,
                             .begin = tokens->begin,
                             .end = tokens->end,
                             .special = tokens->special,
                             .sequence = tokens->sequence,
                             .importance = visit->importance};
}

/* Rules 2 and 3: the words of each text that stay, joined, become the next stage's text. */
static rung_status prune_to_words(rung_visit *visit, const rung_stage *from, rung_stage *to, rung_error *error)
{
    rung_level_answer *did = &visit->did;
    rung_token_view view = view_tokens(visit, &from->tokens);
    did->kept_words = 0;
    for (unsigned side = 0; side < (from->has_pair ? 2u : 1u); side++) {
        rung_text text = from->text[side];
        size_t num_words;
        rung_status status = split(visit, text, &num_words, error);
        void *memory = to->memory[side];
        if (status == RUNG_OK) {
            status = rung_grow(&memory, &to->memory_bytes[side], text.bytes + 1, 1, "pruned text", error);
            to->memory[side] = memory;
        }
        if (status != RUNG_OK) {
            return status;
        }
        did->kept_words +=
            rung_prune_words(&view, visit->policy->prune.alpha, (uint8_t)side, visit->words, num_words, visit->keep);
        size_t bytes = rung_join_words(text.data, visit->words, num_words, visit->keep, to->memory[side]);
        to->text[side] = (rung_text){to->memory[side], bytes};
    }
    to->tokens_arrived = false;
    return RUNG_OK;
}

/* How many words of a text have a kept token: what a reader of the pruned text would see. */
static size_t count_kept_words(const rung_encoding *tokens, const bool *keep, unsigned side, const rung_word *words,
                               size_t num_words)
{
    size_t kept = 0;
    size_t token = 0;
    for (size_t w = 0; w < num_words; w++) {
        bool any = false;
        for (; token < tokens->length; token++) {
            if (tokens->special[token] || tokens->sequence[token] != side) {
                continue;
            }
            if (tokens->begin[token] >= words[w].end) {
                break;
            }
            any = any || keep[token];
        }
        kept += any;
    }
    return kept;
}

/* Rule 1: the token ids that stay travel. */
static rung_status prune_to_tokens(rung_visit *visit, const rung_stage *from, rung_stage *to, rung_error *error)
{
    const rung_encoding *tokens = &from->tokens;
    bool *keep = rung_alloc(tokens->length, sizeof *keep, "tokens to keep", error);
    if (keep == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_token_view view = view_tokens(visit, tokens);
    rung_prune_tokens(&view, visit->policy->prune.alpha, keep);
    rung_status status = rung_encoding_filter(tokens, keep, &to->tokens, error);
    rung_level_answer *did = &visit->did;
    did->kept_words = 0;
    for (unsigned side = 0; status == RUNG_OK && !from->tokens_arrived && side < (from->has_pair ? 2u : 1u); side++) {
        size_t num_words;
        status = split(visit, from->text[side], &num_words, error);
        if (status == RUNG_OK) {
            did->kept_words += count_kept_words(tokens, keep, side, visit->words, num_words);
        }
    }
    to->tokens_arrived = true;
    free(keep);
    return status;
}

/* Token ids travel when all levels above read them alike, and none of the text was cut off: what the model never saw is
 * kept, and only text can say it. Nor do those of several windows: the next level takes the ids of one. */
static bool sends_tokens(const rung_visit *visit, const rung_stage *stage)
{
    if (visit->writer != NULL) {
        return false;
    }
    return stage->tokens_arrived || (visit->policy->prune.unit != RUNG_PRUNE_WORD && own_level(visit)->tokens_travel &&
                                     stage->tokens.truncated_tokens == 0 && visit->windows.count == 0);
}

/* What goes up: pruned when this level has read the text, whole otherwise. */
static rung_status make_next_stage(rung_visit *visit, rung_stage *from, rung_stage *to, rung_error *error)
{
    if (visit->windows.count > 0) {
        rung_windows_importance(&visit->windows, &from->tokens, visit->importance);
    }
    to->has_pair = from->has_pair;
    to->tokens_arrived = from->tokens_arrived;
    if (rung_request_prunes(&visit->machine)) {
        return sends_tokens(visit, from) ? prune_to_tokens(visit, from, to, error)
                                         : prune_to_words(visit, from, to, error);
    }
    if (from->tokens_arrived) { /* there is no text here: the ids go on as they came */
        return rung_encoding_filter(&from->tokens, NULL, &to->tokens, error);
    }
    to->text[0] = from->text[0];
    to->text[1] = from->text[1];
    return RUNG_OK;
}

rung_status rung_visit_send(rung_visit *visit, rung_stage *from, rung_stage *to, rung_buffer *body, rung_error *error)
{
    double started_s = rung_thread_cpu_s();
    if (visit->writer != NULL && from->tokens_arrived) {
        return rung_fail(
            error, RUNG_UNSUPPORTED,
            "token ids came, but the level above level %u (%s) reads text only; run rung fit again and use "
            "its calibration at every level",
            visit->level, own_level(visit)->name);
    }
    rung_status status = make_next_stage(visit, from, to, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_payload payload = {.text = to->text[0],
                            .pair = to->has_pair ? to->text[1] : (rung_text){0},
                            .tokens = to->tokens_arrived ? &to->tokens : NULL};
    size_t before = body->length;
    if (visit->writer != NULL) {
        visit->writer->write(visit->writer->context, &payload, body);
    } else {
        rung_message_request(body, &visit->machine, &payload, visit->cascade->num_classes, visit->policy_name);
    }
    status = rung_buffer_check(body, "request", error);
    if (status != RUNG_OK) {
        return status;
    }
    visit->did.bytes_up = body->length - before;
    if (visit->machine.watched.visited || visit->did.exit_layer > 0) { /* passing on costs nothing that is counted */
        spend(visit, rung_thread_cpu_s() - started_s);
    }
    return RUNG_OK;
}

static rung_status count_words(rung_visit *visit, const rung_stage *stage, rung_error *error)
{
    for (unsigned side = 0; !stage->tokens_arrived && side < (stage->has_pair ? 2u : 1u); side++) {
        size_t num_words;
        rung_status status = split(visit, stage->text[side], &num_words, error);
        if (status != RUNG_OK) {
            return status;
        }
        visit->did.words += num_words;
    }
    visit->did.kept_words = visit->did.words;
    return RUNG_OK;
}

static rung_status make_job(rung_visit *visit, const rung_stage *stage, rung_error *error)
{
    const rung_cascade *cascade = visit->cascade;
    const rung_encoding *tokens = &stage->tokens;
    size_t hidden = own_level(visit)->model->config.hidden_size;
    bool learned = visit->policy->defer == RUNG_DEFER_LEARNED;
    void *importance = visit->importance;
    rung_status status =
        rung_grow(&importance, &visit->importance_capacity, tokens->length, sizeof(float), "importance", error);
    visit->importance = importance;
    if (status != RUNG_OK) {
        return status;
    }
    visit->job = (rung_job){.ids = tokens->ids,
                            .type_ids = tokens->type_ids,
                            .num_tokens = tokens->length,
                            .watch_layer = rung_request_watches(&visit->machine),
                            .watch_logits = visit->logits + 2 * (size_t)cascade->num_classes,
                            .watch_state = learned ? visit->state + hidden : NULL,
                            .logits = visit->logits,
                            .state = learned ? visit->state : NULL,
                            .importance = visit->importance};
    rung_exit_init(&visit->job.exit, &visit->policy->exit, &cascade->calibration.level[visit->level - 1],
                   cascade->num_classes, exit_workspace(visit));
    if (visit->level < rung_policy_top_level(visit->policy, cascade->num_levels)) {
        visit->job.exit.early = visit->policy->offload.early[visit->level - 1];
    }
    visit->did.tokens = tokens->length;
    if (visit->windows.count > 0) {
        visit->job.parts = visit->windows.jobs;
        visit->job.num_parts = visit->windows.count;
        visit->did.tokens = visit->windows.num_tokens;
    }
    visit->did.truncated_tokens = stage->tokens_arrived ? 0 : tokens->truncated_tokens;
    visit->did.layers = (uint32_t)own_level(visit)->model->config.num_layers;
    return RUNG_OK;
}

/* A single text may be read as windows; token ids that arrived fit already. */
static rung_status tokenize(rung_visit *visit, rung_stage *stage, rung_error *error)
{
    const rung_model *model = own_level(visit)->model;
    const rung_cascade_config *config = &visit->cascade->config;
    size_t limit = model->config.max_tokens;
    bool windows = config->long_text == RUNG_LONG_TEXT_WINDOWS && !stage->has_pair;
    if (windows) {
        limit = rung_windows_limit(limit, config->window_overlap);
    }
    rung_status status = rung_tokenize(model->tokenizer, stage->text[0], stage->has_pair ? &stage->text[1] : NULL,
                                       limit, &stage->tokens, error);
    if (status == RUNG_OK && windows) {
        status = rung_windows_make(&visit->windows, &stage->tokens, &model->config, config->window_overlap,
                                   &visit->cascade->calibration.level[visit->level - 1], error);
    }
    return status;
}

rung_status rung_visit_read(rung_visit *visit, rung_stage *stage, rung_error *error)
{
    double started_s = rung_thread_cpu_s();
    rung_status status = RUNG_OK;
    if (!stage->tokens_arrived) {
        status = tokenize(visit, stage, error);
    }
    double read_s = rung_thread_cpu_s() - started_s;
    if (status == RUNG_OK) {
        status = count_words(visit, stage, error);
    }
    if (status == RUNG_OK) {
        status = make_job(visit, stage, error);
    }
    if (status == RUNG_OK) {
        spend(visit, read_s);
    }
    return status;
}

uint32_t rung_visit_importance_layers(const rung_cascade *cascade, const rung_policy *policy, uint32_t level)
{
    if (level >= rung_policy_top_level(policy, cascade->num_levels) || !policy->prune.enabled) {
        return 0;
    }
    const rung_model *model = cascade->level[level - 1].model;
    return rung_policy_importance_layers(policy, (uint32_t)model->config.num_layers);
}

/* What was learned for an exit; where nothing was, the exit's own confidence. logits are in the cascade's order, state [hidden_size]. */
static double learned_confidence(const rung_visit *visit, uint32_t exit_layer, const float *logits, const float *state)
{
    const rung_level_calibration *calibration = &visit->cascade->calibration.level[visit->level - 1];
    uint32_t n = visit->cascade->num_classes;
    double *probabilities = learned_workspace(visit);
    rung_calibrated_probabilities(calibration, exit_layer, logits, n, probabilities);
    if (calibration->deferral == NULL || calibration->deferral[exit_layer - 1].hidden_size == 0) {
        return (float)rung_confidence(probabilities, n, calibration->multi_label);
    }
    float scores[RUNG_DEFERRAL_SCORES];
    rung_deferral_scores(probabilities, n, visit->job.num_tokens, scores);
    return rung_deferral_confidence(&calibration->deferral[exit_layer - 1], state, scores);
}

/* Tells the machine of an exit; exit_layer 0: the job was cancelled before any. */
static unsigned feed_exit(rung_visit *visit, rung_event_kind kind, double now_s, uint32_t exit_layer,
                          const float *logits, const float *state)
{
    const rung_cascade_level *level = own_level(visit);
    float *ordered = visit->logits + visit->cascade->num_classes;
    for (uint32_t c = 0; c < visit->cascade->num_classes; c++) {
        ordered[level->class_of[c]] = logits[c];
    }
    rung_event event = {.kind = kind,
                        .now_s = now_s,
                        .exit_layer = exit_layer,
                        .num_layers = (uint32_t)level->model->config.num_layers,
                        .logits = ordered,
                        .early = kind == RUNG_EVENT_LOCAL_DONE && visit->job.early};
    if (visit->policy->defer == RUNG_DEFER_LEARNED && exit_layer > 0) {
        event.deferral = learned_confidence(visit, exit_layer, ordered, state);
    }
    return rung_request_step(&visit->machine, &event);
}

unsigned rung_visit_watched(rung_visit *visit, double now_s)
{
    const rung_job *job = &visit->job;
    return feed_exit(visit, RUNG_EVENT_EXIT, now_s, job->watch_layer, job->watch_logits, job->watch_state);
}

unsigned rung_visit_computed(rung_visit *visit, double now_s)
{
    const rung_job *job = &visit->job;
    spend(visit, job->compute_s);
    visit->did.exit_layer = job->exit_layer;
    return feed_exit(visit, RUNG_EVENT_LOCAL_DONE, now_s, job->exit_layer, job->logits, job->state);
}

/* One block: levels, probabilities of the answer and of each level. */
rung_status rung_answer_make(const rung_cascade *cascade, const rung_request *machine, const rung_level_answer *did,
                             size_t num_levels, double latency_ms, rung_answer *answer, void **block, rung_error *error)
{
    size_t classes = cascade->num_classes;
    size_t bytes = num_levels * sizeof *did + (num_levels + 1) * classes * sizeof(double);
    rung_level_answer *levels = rung_alloc(bytes, 1, "answer", error);
    if (levels == NULL) {
        return RUNG_NO_MEMORY;
    }
    double *probabilities = (double *)(levels + num_levels);
    memcpy(probabilities, machine->pooled, classes * sizeof *probabilities);
    memcpy(levels, did, num_levels * sizeof *levels);
    for (size_t i = 0; i < num_levels; i++) {
        const rung_level_result *result = &machine->results[levels[i].level - 1];
        double *own = probabilities + (i + 1) * classes;
        if (result->visited) {
            memcpy(own, result->probabilities, classes * sizeof *own);
            levels[i].probabilities = own;
            levels[i].confidence = result->confidence;
            levels[i].weight = result->weight;
        }
    }
    bool degraded = machine->degraded != RUNG_DEGRADED_NO;
    *answer = (rung_answer){.status = RUNG_OK,
                            .label = cascade->labels[machine->label],
                            .label_index = machine->label,
                            .score = machine->score,
                            .probabilities = probabilities,
                            .level = machine->answer_level,
                            .degraded = degraded,
                            .degraded_reason = degraded ? rung_degraded_name(machine->degraded) : NULL,
                            .latency_ms = latency_ms,
                            .num_levels = num_levels,
                            .levels = levels};
    *block = levels;
    return RUNG_OK;
}
