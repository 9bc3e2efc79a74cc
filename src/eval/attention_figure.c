/* attention_figure.c: the words of a text by importance. See attention_figure.h. */
#include "eval/attention_figure.h"

#include "base/memory.h"
#include "run/visit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text on its way up. */
typedef struct ascent {
    const rung_evaluation *evaluation;
    rung_recorder recorder; /* for the identities of the models */
    rung_policy policy;     /* sends everything up */
    rung_stage stage[RUNG_MAX_LEVELS];
    rung_visit visit[RUNG_MAX_LEVELS];
    size_t num_visits;
    rung_text shown; /* what the tokens' places refer to */
    rung_buffer body;
} ascent;

static void release(ascent *a)
{
    for (size_t l = 0; l < a->num_visits; l++) {
        rung_visit_deinit(&a->visit[l]);
    }
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        rung_stage_deinit(&a->stage[l]);
    }
    rung_buffer_deinit(&a->body);
}

/* What the record has of the text as it reached the level. */
static rung_status find_entry(const ascent *a, uint32_t level, rung_record_entry *entry, rung_error *error)
{
    const rung_cascade *cascade = a->evaluation->cascade;
    const rung_job *job = &a->visit[level - 1].job;
    rung_record_key key = rung_record_key_of(a->recorder.identity[level - 1], NULL, (int)cascade->precision,
                                             cascade->level[level - 1].model->config.max_tokens, job->ids,
                                             job->type_ids, job->num_tokens);
    size_t index = rung_store_find(a->evaluation->store, &key);
    if (index == SIZE_MAX) {
        return rung_fail(error, RUNG_NOT_FOUND, "the record has nothing of a text at level %u", level);
    }
    rung_store_get(a->evaluation->store, index, entry);
    return RUNG_OK;
}

static rung_token_view view_of(const ascent *a, uint32_t level)
{
    const rung_encoding *tokens = &a->stage[level - 1].tokens;
    return (rung_token_view){.count = tokens->length,
                             .begin = tokens->begin,
                             .end = tokens->end,
                             .special = tokens->special,
                             .sequence = tokens->sequence,
                             .importance = a->visit[level - 1].importance};
}

/* The token ids that went up from the level stay where they were in the text that is shown. */
static rung_status keep_places(ascent *a, uint32_t level, rung_error *error)
{
    rung_token_view view = view_of(a, level);
    rung_encoding *sent = &a->stage[level].tokens;
    bool *keep = rung_alloc(view.count, sizeof *keep, "figure", error);
    if (keep == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_prune_tokens(&view, a->policy.prune.alpha, keep);
    size_t kept = 0;
    for (size_t i = 0; i < view.count; i++) {
        if (keep[i]) {
            sent->begin[kept] = view.begin[i];
            sent->end[kept++] = view.end[i];
        }
    }
    free(keep);
    return RUNG_OK;
}

/* The level reads what arrived, and its model has said what the record has. */
static rung_status read_level(ascent *a, uint32_t level, rung_error *error)
{
    rung_visit *visit = &a->visit[level - 1];
    rung_record_entry entry;
    rung_status status = rung_visit_init(visit, a->evaluation->cascade, level, error);
    if (status != RUNG_OK) {
        return status;
    }
    a->num_visits = level;
    rung_visit_begin(visit, &a->policy, 1, 0);
    if (level > 1) {
        rung_visit_pass_up(&visit->machine, &a->visit[level - 2].machine);
    }
    rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START});
    status = rung_visit_read(visit, &a->stage[level - 1], error);
    if (status == RUNG_OK) {
        status = find_entry(a, level, &entry, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    uint32_t layers = rung_policy_importance_layers(&a->policy, entry.num_layers);
    memcpy(visit->job.logits, entry.logits + (size_t)(entry.num_layers - 1) * entry.num_classes,
           entry.num_classes * sizeof(float));
    visit->job.exit_layer = entry.num_layers;
    for (size_t i = 0; i < entry.num_tokens; i++) {
        visit->job.importance[i] = entry.importance[(size_t)(layers - 1) * entry.num_tokens + i] / (float)layers;
    }
    rung_visit_computed(visit, 0);
    rung_buffer_clear(&a->body);
    status = rung_visit_send(visit, &a->stage[level - 1], &a->stage[level], &a->body, error);
    return status == RUNG_OK && a->stage[level].tokens_arrived ? keep_places(a, level, error) : status;
}

/* Boxes of a figure: pieces of words that share a fate. */
typedef struct strip {
    const ascent *a;
    rung_token_view view;
    bool by_token;         /* of what went up from here */
    bool is_whole;         /* words without tokens were read as well */
    bool *keep;            /* [tokens] or [words] */
    rung_heat_word *words; /* [tokens + words] */
    size_t num_words;
} strip;

static void put_box(strip *s, uint32_t begin, uint32_t end, double importance, bool kept)
{
    s->words[s->num_words++] = (rung_heat_word){
        .text = s->a->shown.data + begin, .text_bytes = end - begin, .importance = importance, .struck = !kept};
}

/* The boxes of one word; *token is the first one that may belong to it. */
static void put_word(strip *s, const rung_word *word, size_t index, size_t *token)
{
    bool open = false; /* there is a box to add to */
    bool kept = false;
    uint32_t begin = word->begin;
    uint32_t end = begin;
    double importance = 0;
    for (; *token < s->view.count; (*token)++) {
        if (s->view.special[*token]) {
            continue;
        }
        if (s->view.begin[*token] >= word->end) {
            break;
        }
        bool stays = s->keep[s->by_token ? *token : index];
        if (open && stays != kept) {
            put_box(s, begin, end, importance, kept);
            open = false;
        }
        if (!open) {
            begin = s->view.begin[*token];
            importance = 0;
        }
        open = true;
        kept = stays;
        end = s->view.end[*token];
        importance = fmax(importance, (double)s->view.importance[*token]);
    }
    if (open) {
        put_box(s, begin, end, importance, kept);
    } else if (s->is_whole) {
        put_box(s, word->begin, word->end, NAN, true);
    }
}

static rung_status draw(rung_report *report, const strip *s, uint32_t level, size_t number, rung_error *error)
{
    const rung_cascade *cascade = s->a->evaluation->cascade;
    char name[64];
    char title[128];
    char note[128];
    char caption[256];
    snprintf(name, sizeof name, "fig6_text%zu_level%u", number, level);
    snprintf(title, sizeof title, "What level %u (%.32s) found important", level, cascade->level[level - 1].name);
    snprintf(note, sizeof note, "alpha = %g, %s", s->a->policy.prune.alpha,
             s->by_token ? "pruned by token" : "pruned by word");
    snprintf(caption, sizeof caption,
             "attention of level %u (%.32s) on a text of the report rows, Eq 9; struck: not sent to the next level, "
             "Eq 10 (the paper's Fig. 6)",
             level, cascade->level[level - 1].name);
    rung_heat_strip drawn = {.title = title,
                             .note = note,
                             .struck_legend = "not sent to the next level",
                             .words = s->words,
                             .num_words = s->num_words};
    return rung_report_strip(report, &drawn, name, caption, error);
}

static rung_status draw_level(const ascent *a, rung_report *report, uint32_t level, size_t number, rung_error *error)
{
    rung_text text = a->shown;
    size_t most = text.bytes / 2 + 1;
    strip s = {.a = a,
               .view = view_of(a, level),
               .by_token = a->stage[level].tokens_arrived,
               .is_whole = !a->stage[level - 1].tokens_arrived};
    rung_word *words = rung_alloc(most, sizeof *words, "words", error);
    s.keep = rung_alloc(most + s.view.count, sizeof *s.keep, "words", error);
    s.words = rung_alloc(most + s.view.count, sizeof *s.words, "words", error);
    rung_status status = words == NULL || s.keep == NULL || s.words == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        size_t count = rung_split_words(text.data, text.bytes, words, most);
        size_t token = 0;
        if (s.by_token) {
            rung_prune_tokens(&s.view, a->policy.prune.alpha, s.keep);
        } else {
            rung_prune_words(&s.view, a->policy.prune.alpha, 0, words, count, s.keep);
        }
        for (size_t w = 0; w < count; w++) {
            put_word(&s, &words[w], w, &token);
        }
        status = draw(report, &s, level, number, error);
    }
    free(words);
    free(s.keep);
    free(s.words);
    return status;
}

rung_status rung_attention_figures(const rung_evaluation *evaluation, rung_report *report, const rung_policy *policy,
                                   size_t row, size_t number, rung_error *error)
{
    const rung_cascade *cascade = evaluation->cascade;
    const rung_input *input = &evaluation->inputs[row];
    ascent *a = rung_alloc(1, sizeof *a, "figure", error);
    if (a == NULL) {
        return RUNG_NO_MEMORY;
    }
    *a = (ascent){.evaluation = evaluation,
                  .recorder = {.cascade = cascade},
                  .policy = *policy,
                  .shown = {input->text, input->text_bytes}};
    rung_recorder_identify(&a->recorder);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        a->policy.offload.threshold[l] = 1;
    }
    a->policy.offload.hard = true;
    a->stage[0].text[0] = a->shown;
    rung_status status = rung_replay_record(evaluation->replay, policy, &row, 1, NULL, error);
    for (uint32_t level = 1; status == RUNG_OK && level < cascade->num_levels; level++) {
        status = read_level(a, level, error);
        if (status == RUNG_OK) {
            status = draw_level(a, report, level, number, error);
        }
        if (status == RUNG_OK && !a->stage[level].tokens_arrived) {
            a->shown = a->stage[level].text[0];
        }
    }
    release(a);
    free(a);
    return status;
}
