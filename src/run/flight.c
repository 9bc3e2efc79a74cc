/* flight.c: the path of one request through the levels, step by step (the paper's workflow, II-B). See flight.h. Decides nothing itself: it feeds the
 * state machine of src/cascade/request.c and does what the machine asks for. */
#include "run/flight.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cascade/exit.h"
#include "cascade/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t machine_doubles(const rung_cascade *cascade)
{
    return (size_t)(RUNG_MAX_LEVELS + 1) * cascade->num_classes;
}

rung_status rung_flight_init(rung_flight *flight, const rung_cascade *cascade, rung_error *error)
{
    size_t doubles = cascade->num_levels * machine_doubles(cascade) + 2 * (size_t)cascade->num_classes;
    *flight = (rung_flight){.cascade = cascade};
    flight->workspace = rung_alloc(doubles, sizeof(double), "request", error);
    flight->logits = rung_alloc(2 * (size_t)cascade->num_classes, sizeof(float), "request", error);
    if (flight->workspace == NULL || flight->logits == NULL) {
        rung_flight_deinit(flight);
        return RUNG_NO_MEMORY;
    }
    return RUNG_OK;
}

void rung_flight_deinit(rung_flight *flight)
{
    for (size_t i = 0; i < 2; i++) {
        rung_encoding_deinit(&flight->stage[i].tokens);
        free(flight->stage[i].memory[0]);
        free(flight->stage[i].memory[1]);
    }
    free(flight->workspace);
    free(flight->logits);
    free(flight->importance);
    free(flight->words);
    free(flight->keep);
    rung_buffer_deinit(&flight->body);
    *flight = (rung_flight){0};
}

static rung_stage *stage_at(rung_flight *flight, uint32_t level)
{
    return &flight->stage[level % 2];
}

static rung_request *machine_at(rung_flight *flight, uint32_t level)
{
    return &flight->machine[level - 1];
}

static const rung_cascade_level *level_at(const rung_flight *flight, uint32_t level)
{
    return &flight->cascade->level[level - 1];
}

/* Ends the flight with an error of its own, already in flight->error. Lack of memory is the whole call's. */
static rung_status refuse(rung_flight *flight, rung_error *error)
{
    flight->status = flight->error.code;
    flight->level = 0;
    if (flight->status == RUNG_NO_MEMORY) {
        return rung_fail(error, RUNG_NO_MEMORY, "%s", flight->error.message);
    }
    return RUNG_OK;
}

static rung_status check_text(const char *field, const char *text, size_t bytes, rung_error *error)
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

static void make_machine(rung_flight *flight, uint32_t level)
{
    const rung_cascade *cascade = flight->cascade;
    rung_request_init(machine_at(flight, level), flight->policy, &cascade->calibration, level, 1, flight->key,
                      flight->workspace + (level - 1) * machine_doubles(cascade));
    flight->did[level - 1] = (rung_level_answer){.level = level, .name = level_at(flight, level)->name};
}

rung_status rung_flight_ask(rung_flight *flight, const rung_policy *policy, const rung_input *input, size_t position,
                            rung_error *error)
{
    flight->policy = policy;
    flight->input = input;
    flight->status = RUNG_OK;
    flight->now_s = 0;
    flight->level = 1;
    flight->top_level = 1;
    bool has_pair = input->text_pair != NULL;
    if (check_text("text", input->text, input->text_bytes, &flight->error) != RUNG_OK ||
        (has_pair && check_text("text_pair", input->text_pair, input->text_pair_bytes, &flight->error) != RUNG_OK)) {
        return refuse(flight, error);
    }
    char position_id[24];
    snprintf(position_id, sizeof position_id, "%zu", position);
    const char *id = input->id != NULL ? input->id : position_id;
    flight->key = rung_request_key(policy->seed, id, strlen(id), input->text, input->text_bytes, input->text_pair,
                                   input->text_pair_bytes);
    rung_stage *stage = stage_at(flight, 1);
    stage->text[0] = (rung_text){input->text, input->text_bytes};
    stage->text[1] = (rung_text){input->text_pair, input->text_pair_bytes};
    stage->has_pair = has_pair;
    stage->tokens_arrived = false;
    make_machine(flight, 1);
    return RUNG_OK;
}

/* Time that this level itself took, at its speed. */
static void spend(rung_flight *flight, uint32_t level, double compute_s)
{
    double at_level_s = compute_s / level_at(flight, level)->speed;
    flight->now_s += at_level_s;
    flight->did[level - 1].compute_ms += at_level_s * 1e3;
}

/* Copies the results of levels first .. last from one level's machine to another's: the prior on the way up, the reply on the way
 * down. As in the messages, probabilities travel as floats: in one process and over a network the answers are the same bits. */
static void copy_results(rung_request *to, const rung_request *from, uint32_t first, uint32_t last,
                         uint32_t num_classes)
{
    for (uint32_t l = first - 1; l < last; l++) {
        double *probabilities = to->results[l].probabilities;
        to->results[l] = from->results[l];
        to->results[l].probabilities = probabilities;
        for (uint32_t c = 0; c < num_classes; c++) {
            probabilities[c] = (float)from->results[l].probabilities[c];
        }
    }
}

/* Counts and times the reply from `level` to the one below it. */
static rung_status send_reply(rung_flight *flight, uint32_t level, rung_error *error)
{
    const rung_cascade *cascade = flight->cascade;
    rung_buffer_clear(&flight->body);
    rung_message_reply(&flight->body, machine_at(flight, level), cascade->num_levels, cascade->num_classes);
    rung_status status = rung_buffer_check(&flight->body, "reply", error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_level_answer *did = &flight->did[level - 2];
    did->bytes_down = flight->body.length;
    rung_prng prng = rung_link_prng(flight->policy->seed, flight->key, level - 1);
    double link_s = rung_link_transfer_s(&level_at(flight, level)->link, &prng, did->bytes_up, did->bytes_down);
    did->link_ms = link_s * 1e3;
    flight->now_s += link_s;
    return RUNG_OK;
}

/* Down again: every level below gets the reply, or learns that there is none, and its machine answers in turn. */
static rung_status reply_down(rung_flight *flight, bool answered, rung_error *error)
{
    const rung_cascade *cascade = flight->cascade;
    for (uint32_t level = flight->level; level > 1; level--) {
        rung_request *upper = machine_at(flight, level);
        rung_request *lower = machine_at(flight, level - 1);
        rung_status status = send_reply(flight, level, error);
        if (status != RUNG_OK) {
            return status;
        }
        rung_event event = {.kind = answered ? RUNG_EVENT_UPSTREAM_REPLY : RUNG_EVENT_UPSTREAM_FAILED,
                            .now_s = flight->now_s,
                            .reason = upper->degraded};
        if (answered) {
            copy_results(lower, upper, level, cascade->num_levels, cascade->num_classes);
        }
        answered = (rung_request_step(lower, &event) & RUNG_ACTION_ANSWER) != 0;
    }
    flight->level = 0;
    if (!answered) {
        rung_fail(&flight->error, RUNG_INVALID, "no level has a result: the models' logits are not numbers");
        return refuse(flight, error);
    }
    return RUNG_OK;
}

static rung_status reserve_words(rung_flight *flight, size_t count, rung_error *error)
{
    void *words = flight->words;
    void *keep = flight->keep;
    rung_status status = rung_grow(&words, &flight->words_capacity, count, sizeof(rung_word), "words", error);
    flight->words = words;
    if (status == RUNG_OK) {
        status = rung_grow(&keep, &flight->keep_capacity, count, sizeof(bool), "words", error);
        flight->keep = keep;
    }
    return status;
}

/* flight->words of one text; a text of n bytes has at most (n + 1) / 2 words. */
static rung_status split(rung_flight *flight, rung_text text, size_t *num_words, rung_error *error)
{
    rung_status status = reserve_words(flight, text.bytes / 2 + 1, error);
    if (status == RUNG_OK) {
        *num_words = rung_split_words(text.data, text.bytes, flight->words, flight->words_capacity);
    }
    return status;
}

static rung_token_view view_tokens(const rung_flight *flight, const rung_encoding *tokens)
{
    return (rung_token_view){.count = tokens->length,
                             .begin = tokens->begin,
                             .end = tokens->end,
                             .special = tokens->special,
                             .sequence = tokens->sequence,
                             .importance = flight->importance};
}

/* Rules 2 and 3: the words of each text that stay, joined, become the next stage's text. */
static rung_status prune_to_words(rung_flight *flight, const rung_stage *from, rung_stage *to, rung_error *error)
{
    rung_level_answer *did = &flight->did[flight->level - 1];
    rung_token_view view = view_tokens(flight, &from->tokens);
    did->kept_words = 0;
    for (unsigned side = 0; side < (from->has_pair ? 2u : 1u); side++) {
        rung_text text = from->text[side];
        size_t num_words;
        rung_status status = split(flight, text, &num_words, error);
        void *memory = to->memory[side];
        if (status == RUNG_OK) {
            status = rung_grow(&memory, &to->memory_bytes[side], text.bytes + 1, 1, "pruned text", error);
            to->memory[side] = memory;
        }
        if (status != RUNG_OK) {
            return status;
        }
        did->kept_words +=
            rung_prune_words(&view, flight->policy->prune.alpha, (uint8_t)side, flight->words, num_words, flight->keep);
        size_t bytes = rung_join_words(text.data, flight->words, num_words, flight->keep, to->memory[side]);
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
static rung_status prune_to_tokens(rung_flight *flight, const rung_stage *from, rung_stage *to, rung_error *error)
{
    const rung_encoding *tokens = &from->tokens;
    bool *keep = rung_alloc(tokens->length, sizeof *keep, "tokens to keep", error);
    if (keep == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_token_view view = view_tokens(flight, tokens);
    rung_prune_tokens(&view, flight->policy->prune.alpha, keep);
    rung_status status = rung_encoding_filter(tokens, keep, &to->tokens, error);
    rung_level_answer *did = &flight->did[flight->level - 1];
    did->kept_words = 0;
    for (unsigned side = 0; status == RUNG_OK && !from->tokens_arrived && side < (from->has_pair ? 2u : 1u); side++) {
        size_t num_words;
        status = split(flight, from->text[side], &num_words, error);
        if (status == RUNG_OK) {
            did->kept_words += count_kept_words(tokens, keep, side, flight->words, num_words);
        }
    }
    to->tokens_arrived = true;
    free(keep);
    return status;
}

/* Token ids travel when all levels above read them alike, and none of the text was cut off: what the model never saw is
 * kept, and only text can say it. */
static bool sends_tokens(const rung_flight *flight, const rung_stage *stage)
{
    return stage->tokens_arrived ||
           (flight->policy->prune.unit != RUNG_PRUNE_WORD && level_at(flight, flight->level)->tokens_travel &&
            stage->tokens.truncated_tokens == 0);
}

/* What goes up from flight->level: pruned when this level has read the text, whole otherwise. */
static rung_status make_next_stage(rung_flight *flight, rung_error *error)
{
    const rung_stage *from = stage_at(flight, flight->level);
    rung_stage *to = stage_at(flight, flight->level + 1);
    to->has_pair = from->has_pair;
    to->tokens_arrived = from->tokens_arrived;
    if (rung_request_prunes(machine_at(flight, flight->level))) {
        return sends_tokens(flight, from) ? prune_to_tokens(flight, from, to, error)
                                          : prune_to_words(flight, from, to, error);
    }
    if (from->tokens_arrived) { /* there is no text here: the ids go on as they came */
        return rung_encoding_filter(&from->tokens, NULL, &to->tokens, error);
    }
    to->text[0] = from->text[0];
    to->text[1] = from->text[1];
    return RUNG_OK;
}

static rung_status send_up(rung_flight *flight, rung_error *error)
{
    double started_s = rung_thread_cpu_s();
    rung_status status = make_next_stage(flight, error);
    if (status != RUNG_OK) {
        return status;
    }
    uint32_t level = flight->level;
    const rung_stage *next = stage_at(flight, level + 1);
    rung_payload payload = {.text = next->text[0],
                            .pair = next->has_pair ? next->text[1] : (rung_text){0},
                            .tokens = next->tokens_arrived ? &next->tokens : NULL};
    rung_buffer_clear(&flight->body);
    rung_message_request(&flight->body, machine_at(flight, level), &payload, flight->cascade->num_classes);
    status = rung_buffer_check(&flight->body, "request", error);
    if (status != RUNG_OK) {
        return status;
    }
    flight->did[level - 1].bytes_up = flight->body.length;
    if (flight->did[level - 1].exit_layer > 0) { /* passing on costs a node nothing that is counted */
        spend(flight, level, rung_thread_cpu_s() - started_s);
    }
    flight->level = level + 1;
    flight->top_level = level + 1;
    make_machine(flight, level + 1);
    copy_results(machine_at(flight, level + 1), machine_at(flight, level), 1, level, flight->cascade->num_classes);
    return RUNG_OK;
}

static rung_status count_words(rung_flight *flight, const rung_stage *stage, rung_error *error)
{
    rung_level_answer *did = &flight->did[flight->level - 1];
    for (unsigned side = 0; !stage->tokens_arrived && side < (stage->has_pair ? 2u : 1u); side++) {
        size_t num_words;
        rung_status status = split(flight, stage->text[side], &num_words, error);
        if (status != RUNG_OK) {
            return status;
        }
        did->words += num_words;
    }
    did->kept_words = did->words;
    return RUNG_OK;
}

/* Tokens of this level's model: made from the text, unless they came from below. */
static rung_status read_tokens(rung_flight *flight, rung_stage *stage, rung_error *error)
{
    const rung_model *model = level_at(flight, flight->level)->model;
    if (stage->tokens_arrived) {
        return RUNG_OK; /* never longer than the level below read, and that is within this model's limit */
    }
    if (rung_tokenize(model->tokenizer, stage->text[0], stage->has_pair ? &stage->text[1] : NULL,
                      model->config.max_tokens, &stage->tokens, &flight->error) != RUNG_OK) {
        return refuse(flight, error);
    }
    return RUNG_OK;
}

static rung_status make_job(rung_flight *flight, const rung_stage *stage, rung_error *error)
{
    const rung_cascade *cascade = flight->cascade;
    const rung_encoding *tokens = &stage->tokens;
    void *importance = flight->importance;
    rung_status status =
        rung_grow(&importance, &flight->importance_capacity, tokens->length, sizeof(float), "importance", error);
    flight->importance = importance;
    if (status != RUNG_OK) {
        return status;
    }
    flight->job = (rung_job){.ids = tokens->ids,
                             .type_ids = tokens->type_ids,
                             .num_tokens = tokens->length,
                             .logits = flight->logits,
                             .importance = flight->importance};
    rung_exit_init(&flight->job.exit, &flight->policy->exit, &cascade->calibration.level[flight->level - 1],
                   cascade->num_classes, flight->workspace + cascade->num_levels * machine_doubles(cascade));
    rung_level_answer *did = &flight->did[flight->level - 1];
    did->tokens = tokens->length;
    did->truncated_tokens = stage->tokens_arrived ? 0 : tokens->truncated_tokens;
    did->layers = (uint32_t)level_at(flight, flight->level)->model->config.num_layers;
    return RUNG_OK;
}

rung_status rung_flight_arrive(rung_flight *flight, bool *compute, rung_error *error)
{
    rung_request *machine = machine_at(flight, flight->level);
    rung_stage *stage = stage_at(flight, flight->level);
    unsigned actions = rung_request_step(machine, &(rung_event){.kind = RUNG_EVENT_START, .now_s = flight->now_s});
    *compute = false;
    if (actions & RUNG_ACTION_SEND) {
        return send_up(flight, error);
    }
    double started_s = rung_thread_cpu_s();
    rung_status status = read_tokens(flight, stage, error);
    double read_s = rung_thread_cpu_s() - started_s;
    if (status == RUNG_OK && flight->level > 0) {
        status = count_words(flight, stage, error);
    }
    if (status == RUNG_OK && flight->level > 0) {
        status = make_job(flight, stage, error);
        spend(flight, flight->level, read_s);
        *compute = status == RUNG_OK;
    }
    return status;
}

rung_status rung_flight_computed(rung_flight *flight, rung_error *error)
{
    const rung_cascade *cascade = flight->cascade;
    const rung_cascade_level *level = level_at(flight, flight->level);
    const rung_job *job = &flight->job;
    float *ordered = flight->logits + cascade->num_classes;
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        ordered[level->class_of[c]] = job->logits[c];
    }
    spend(flight, flight->level, job->compute_s);
    flight->did[flight->level - 1].exit_layer = job->exit_layer;
    unsigned actions = rung_request_step(machine_at(flight, flight->level),
                                         &(rung_event){.kind = RUNG_EVENT_LOCAL_DONE,
                                                       .now_s = flight->now_s,
                                                       .exit_layer = job->exit_layer,
                                                       .num_layers = (uint32_t)level->model->config.num_layers,
                                                       .logits = ordered});
    if (actions & RUNG_ACTION_SEND) {
        return send_up(flight, error);
    }
    return reply_down(flight, (actions & RUNG_ACTION_ANSWER) != 0, error);
}

/* One block: levels, probabilities of the answer and of each level, error text. */
static void *answer_block(const rung_flight *flight, size_t num_levels, size_t error_bytes, rung_error *error)
{
    size_t classes = flight->cascade->num_classes;
    size_t bytes = num_levels * sizeof(rung_level_answer) + (num_levels + 1) * classes * sizeof(double) + error_bytes;
    return rung_alloc(bytes, 1, "answer", error);
}

static rung_status answer_refusal(const rung_flight *flight, rung_answer *answer, void **block, rung_error *error)
{
    size_t bytes = strlen(flight->error.message) + 1;
    char *text = answer_block(flight, 0, bytes, error);
    if (text == NULL) {
        return RUNG_NO_MEMORY;
    }
    memcpy(text, flight->error.message, bytes);
    *answer = (rung_answer){.status = flight->status, .error = text};
    *block = text;
    return RUNG_OK;
}

rung_status rung_flight_answer(const rung_flight *flight, rung_answer *answer, void **block, rung_error *error)
{
    if (flight->status != RUNG_OK) {
        return answer_refusal(flight, answer, block, error);
    }
    const rung_request *entry = &flight->machine[0];
    size_t classes = flight->cascade->num_classes;
    rung_level_answer *levels = answer_block(flight, flight->top_level, 0, error);
    if (levels == NULL) {
        return RUNG_NO_MEMORY;
    }
    double *probabilities = (double *)(levels + flight->top_level);
    memcpy(probabilities, entry->pooled, classes * sizeof *probabilities);
    memcpy(levels, flight->did, flight->top_level * sizeof *levels);
    for (uint32_t l = 0; l < flight->top_level; l++) {
        const rung_level_result *result = &entry->results[l];
        double *own = probabilities + (l + 1) * classes;
        if (result->visited) {
            memcpy(own, result->probabilities, classes * sizeof *own);
            levels[l].probabilities = own;
            levels[l].confidence = result->confidence;
            levels[l].weight = result->weight;
        }
    }
    *answer = (rung_answer){.status = RUNG_OK,
                            .label = flight->cascade->labels[entry->label],
                            .label_index = entry->label,
                            .score = entry->score,
                            .probabilities = probabilities,
                            .level = entry->answer_level,
                            .degraded = entry->degraded != RUNG_DEGRADED_NO,
                            .degraded_reason =
                                entry->degraded != RUNG_DEGRADED_NO ? rung_degraded_name(entry->degraded) : NULL,
                            .latency_ms = flight->now_s * 1e3,
                            .num_levels = flight->top_level,
                            .levels = levels};
    *block = levels;
    return RUNG_OK;
}
