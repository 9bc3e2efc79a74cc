/* classify.c: `rung classify`: texts in (arguments, lines or JSON lines), answers out in the order of input. A bad line costs only itself. */
#include "base/memory.h"
#include "cli/answer_text.h"
#include "cli/cli.h"
#include "config/jsonl.h"
#include "run/answer_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_PER_THREAD 64 /* lines read before they are classified together */

/* A line as it was read: an input, or what is wrong with it. */
typedef struct line_entry {
    uint64_t number;
    rung_status status;
    char *message; /* status != RUNG_OK */
    rung_line line;
    size_t answer;  /* index among the chunk's answers */
    uint32_t truth; /* class, when line.has_label */
} line_entry;

typedef struct classify_session {
    const rung_cascade *cascade;
    bool json;
    const char *source;  /* of the lines, for messages; NULL: arguments */
    line_entry *entries; /* [chunk] */
    rung_input *inputs;  /* [chunk] */
    size_t chunk;
    uint64_t inputs_seen;
    uint64_t bad_lines;
    uint64_t cut_texts; /* longer than a level reads */
    uint64_t labelled, right;
    rung_buffer out;
} classify_session;

static rung_status refuse_entry(line_entry *bad, const rung_error *why, rung_error *error)
{
    bad->status = why->code;
    bad->message = rung_copy_text(why->message, strlen(why->message), "message", error);
    return bad->message != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

static rung_status parse_entry(classify_session *session, line_entry *entry, const char *text, size_t bytes,
                               rung_error *error)
{
    rung_error why;
    rung_status status = session->json && session->source != NULL
                             ? rung_line_parse(text, bytes, session->inputs_seen, &entry->line, &why)
                             : rung_line_from_text(text, bytes, session->inputs_seen, &entry->line, &why);
    if (status == RUNG_OK && entry->line.has_label) {
        status =
            rung_cascade_find_label(session->cascade, entry->line.label, entry->line.label_index, &entry->truth, &why);
    }
    session->inputs_seen++;
    entry->status = status;
    return status == RUNG_OK ? RUNG_OK : refuse_entry(entry, &why, error);
}

/* "name:12: " for lines, "text 2: " for arguments. */
static void complain(const classify_session *session, const line_entry *entry, const char *kind, const char *message)
{
    if (session->source != NULL) {
        fprintf(stderr, "rung: %s:%" PRIu64 ": %s%s\n", session->source, entry->number, kind, message);
    } else {
        fprintf(stderr, "rung: text %" PRIu64 ": %s%s\n", entry->number, kind, message);
    }
}

static void report_bad(classify_session *session, const line_entry *entry, const char *message)
{
    session->bad_lines++;
    complain(session, entry, "", message);
    if (session->json) {
        cli_error_json(&session->out, entry->number, message);
    }
}

/* Names the first level that could not read all of the text. */
static void report_cut(classify_session *session, const line_entry *entry, const rung_answer *answer)
{
    size_t l = 0;
    while (l < answer->num_levels && answer->levels[l].truncated_tokens == 0) {
        l++;
    }
    if (l == answer->num_levels) {
        return;
    }
    session->cut_texts++;
    if (!session->json) { /* JSON lines say it in truncated_tokens */
        const rung_level_answer *level = &answer->levels[l];
        char message[160];
        snprintf(message, sizeof message,
                 "the text has %zu tokens more than level %" PRIu32 " (%s) reads, %zu: they were cut",
                 level->truncated_tokens, level->level, level->name, level->tokens);
        complain(session, entry, "note: ", message);
    }
}

static void report_answer(classify_session *session, const line_entry *entry, const rung_answer *answer)
{
    const rung_line *line = &entry->line;
    report_cut(session, entry, answer);
    if (line->has_label && !rung_cascade_is_multi_label(session->cascade)) { /* a line names one label */
        session->labelled++;
        session->right += answer->label_index == entry->truth;
    }
    if (session->json) {
        rung_answer_json(&session->out, session->cascade, line->id, line->id_bytes, answer);
        rung_buffer_text(&session->out, "\n");
    } else {
        cli_answer_line(&session->out, session->cascade, answer, line->text, line->text_bytes);
    }
}

/* Classifies the good ones of entries[0..count) and prints all in order. */
static rung_status run_chunk(classify_session *session, size_t count, rung_error *error)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        line_entry *entry = &session->entries[i];
        if (entry->status == RUNG_OK) {
            const rung_line *line = &entry->line;
            entry->answer = good;
            session->inputs[good++] = (rung_input){.id = line->id,
                                                   .text = line->text,
                                                   .text_bytes = line->text_bytes,
                                                   .text_pair = line->text_pair,
                                                   .text_pair_bytes = line->text_pair_bytes};
        }
    }
    rung_answers *answers = NULL;
    rung_status status = rung_cascade_classify(session->cascade, session->inputs, good, &answers, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        const line_entry *entry = &session->entries[i];
        const rung_answer *answer = entry->status == RUNG_OK ? rung_answers_get(answers, entry->answer) : NULL;
        if (answer != NULL && answer->status == RUNG_OK) {
            report_answer(session, entry, answer);
        } else {
            report_bad(session, entry, answer != NULL ? answer->error : entry->message);
        }
    }
    rung_answers_free(answers);
    return cli_print_buffer(&session->out, error);
}

static void clear_entries(classify_session *session)
{
    for (size_t i = 0; i < session->chunk; i++) {
        rung_line_deinit(&session->entries[i].line);
        free(session->entries[i].message);
        session->entries[i] = (line_entry){0};
    }
}

/* Reads up to a chunk of lines; *count is 0 at the end. */
static rung_status read_chunk(classify_session *session, rung_line_reader *reader, size_t *count, rung_error *error)
{
    *count = 0;
    while (*count < session->chunk) {
        const char *text;
        size_t bytes;
        rung_error why;
        rung_status status = rung_line_reader_next(reader, &text, &bytes, &why);
        if (status != RUNG_OK && status != RUNG_LIMIT) {
            *error = why;
            return status;
        }
        if (status == RUNG_OK && text == NULL) {
            return RUNG_OK;
        }
        line_entry *entry = &session->entries[(*count)++];
        entry->number = rung_line_reader_number(reader);
        session->inputs_seen += status == RUNG_LIMIT;
        status =
            status == RUNG_LIMIT ? refuse_entry(entry, &why, error) : parse_entry(session, entry, text, bytes, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status classify_lines(classify_session *session, size_t max_line_bytes, rung_error *error)
{
    rung_line_reader *reader = NULL;
    rung_status status = rung_line_reader_open("-", max_line_bytes, &reader, error);
    if (status != RUNG_OK) {
        return status;
    }
    session->source = rung_line_reader_name(reader);
    for (size_t count = 1; status == RUNG_OK && count > 0;) {
        status = read_chunk(session, reader, &count, error);
        rung_error stream = *error; /* a broken stream still leaves what was read before */
        if (count > 0 && status != RUNG_NO_MEMORY) {
            rung_status ran = run_chunk(session, count, error);
            if (status != RUNG_OK) {
                *error = stream;
            } else {
                status = ran;
            }
        }
        clear_entries(session);
    }
    rung_line_reader_close(reader);
    return status;
}

/* Texts given as arguments: each must be good, or none is answered. */
static rung_status classify_arguments(classify_session *session, const rung_options *options, rung_error *error)
{
    size_t total = rung_options_num_arguments(options);
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < total; i++) {
        const char *text = rung_options_argument(options, i);
        rung_line line = {0};
        status = rung_line_from_text(text, strlen(text), i, &line, error);
        rung_line_deinit(&line);
        if (status != RUNG_OK) {
            rung_fail_in(error, "text %zu", i + 1);
        }
    }
    for (size_t first = 0; status == RUNG_OK && first < total; first += session->chunk) {
        size_t count = total - first < session->chunk ? total - first : session->chunk;
        for (size_t i = 0; status == RUNG_OK && i < count; i++) {
            const char *text = rung_options_argument(options, first + i);
            session->entries[i].number = first + i + 1;
            status = parse_entry(session, &session->entries[i], text, strlen(text), error);
        }
        if (status == RUNG_OK) {
            status = run_chunk(session, count, error);
        }
        clear_entries(session);
    }
    return status;
}

static rung_status open_session(classify_session *session, const rung_options *options, rung_cascade **cascade,
                                rung_error *error)
{
    rung_status status = cli_open_cascade(options, 0, cascade, error);
    if (status != RUNG_OK) {
        return status;
    }
    session->cascade = *cascade;
    session->json = rung_options_bool(options, RUNG_OPTION_JSON);
    session->chunk = CHUNK_PER_THREAD * (*cascade)->threads;
    session->entries = rung_alloc(session->chunk, sizeof *session->entries, "lines", error);
    session->inputs = rung_alloc(session->chunk, sizeof *session->inputs, "lines", error);
    return session->entries == NULL || session->inputs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

int cli_classify(const rung_options *options)
{
    rung_error error = {0};
    rung_cascade *cascade = NULL;
    classify_session session = {0};
    rung_status status = open_session(&session, options, &cascade, &error);
    if (status == RUNG_OK) {
        size_t max_line = (size_t)rung_options_integer(options, RUNG_OPTION_MAX_LINE);
        status = rung_options_num_arguments(options) > 0 ? classify_arguments(&session, options, &error)
                                                         : classify_lines(&session, max_line, &error);
    }
    int code = status != RUNG_OK ? cli_fail(&error) : session.bad_lines > 0 ? CLI_FAILED : CLI_OK;
    if (session.labelled > 0) {
        fprintf(stderr, "accuracy %.4f (%" PRIu64 " of %" PRIu64 ")\n",
                (double)session.right / (double)session.labelled, session.right, session.labelled);
    }
    if (session.json && session.cut_texts > 0) {
        fprintf(stderr,
                "rung: note: %" PRIu64
                " of the texts were longer than a level reads and were cut: see truncated_tokens\n",
                session.cut_texts);
    }
    if (session.bad_lines > 0) {
        fprintf(stderr, "rung: %" PRIu64 " of %" PRIu64 " inputs were refused\n", session.bad_lines,
                session.inputs_seen);
    }
    free(session.entries);
    free(session.inputs);
    rung_buffer_deinit(&session.out);
    rung_cascade_close(cascade);
    return code;
}
