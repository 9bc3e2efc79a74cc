/* demo.c: `rung demo`: the default cascade on real reviews, beside the plain threshold, Tabi and always-cloud. All levels run in this process, in
 * virtual time: measured compute divided by the level's speed, plus emulated links. */
#include "base/file.h"
#include "cli/answer_text.h"
#include "cli/cli.h"
#include "cli/demo_report.h"
#include "config/jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUM_RUNS 4
#define NUM_STORIES 5

typedef struct demo_session {
    rung_cascade *cascade;
    rung_dataset data;
    demo_run runs[NUM_RUNS]; /* the configured policy first, always the top last */
    const char *running;     /* title of the run in progress */
    cli_progress bar;
} demo_session;

/* The baselines: the plain threshold at our thresholds, Tabi as its paper sets it, and the top level alone. */
static rung_status choose_policies(demo_session *self, rung_error *error)
{
    static const char *const names[NUM_RUNS] = {NULL, "tangobert", "tabi", "single"};
    static const char *const titles[NUM_RUNS] = {NULL, "tangobert", "tabi", "always-cloud"};
    const rung_cascade *cascade = self->cascade;
    self->runs[0] = (demo_run){.name = cascade->policy.name, .policy = cascade->policy};
    for (size_t r = 1; r < NUM_RUNS; r++) {
        demo_run *run = &self->runs[r];
        run->name = titles[r];
        rung_status status = rung_cascade_config_policy(&cascade->config, names[r], &run->policy, error);
        if (status != RUNG_OK) {
            return status;
        }
        run->policy.seed = cascade->policy.seed;
        if (strcmp(names[r], "tangobert") == 0) {
            memcpy(run->policy.offload.threshold, cascade->policy.offload.threshold,
                   sizeof run->policy.offload.threshold);
        }
        status = rung_cascade_check_policy(cascade, &run->policy, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    demo_session *self = context;
    (void)what;
    if (self->bar.title != self->running) {
        cli_progress_end(&self->bar);
        self->bar = (cli_progress){.title = self->running, .total = total};
    }
    cli_progress_show(&self->bar, done);
}

static rung_status run_policies(demo_session *self, rung_error *error)
{
    rung_progress progress = {.report = show_progress, .context = self};
    for (size_t r = 0; r < NUM_RUNS; r++) {
        demo_run *run = &self->runs[r];
        self->running = run->name;
        rung_status status = rung_cascade_classify_policy(self->cascade, &run->policy, self->data.inputs,
                                                          self->data.count, &progress, &run->answers, error);
        for (size_t i = 0; status == RUNG_OK && i < self->data.count; i++) {
            const rung_answer *answer = rung_answers_get(run->answers, i);
            if (answer->status != RUNG_OK) {
                status = rung_fail(error, answer->status, "row %zu: %s", i, answer->error);
            }
        }
        cli_progress_end(&self->bar);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static void print_levels(const demo_session *self, rung_buffer *out)
{
    for (uint32_t l = 0; l < self->cascade->num_levels; l++) {
        const rung_cascade_level *level = &self->cascade->level[l];
        const rung_model_config *config = &level->model->config;
        rung_buffer_format(out, "  level %u %-6s %2zu layers x %zu, speed %.3g", l + 1, level->name, config->num_layers,
                           config->hidden_size, level->speed);
        if (l > 0) {
            rung_buffer_format(out, ", link %s: round trip %.3g ms, %.3g Mbit/s up", level->link.name,
                               level->link.rtt_ms, level->link.up_bps / 1e6);
        }
        rung_buffer_text(out, "\n");
    }
}

static rung_status print_summary(const demo_session *self, rung_buffer *out, rung_error *error)
{
    const rung_answers *reference = self->runs[NUM_RUNS - 1].answers;
    demo_figures figures[NUM_RUNS];
    for (size_t r = 0; r < NUM_RUNS; r++) {
        rung_status status = demo_figures_of(self->cascade, &self->data, &self->runs[r], reference, &figures[r], error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    rung_buffer_format(out, "%zu reviews, %s, kernels %s; time = measured compute / speed + links\n", self->data.count,
                       rung_precision_name(self->cascade->precision), self->cascade->kernels->name);
    print_levels(self, out);
    rung_buffer_text(out, "\n");
    demo_print_table(out, self->cascade, self->runs, figures, NUM_RUNS);
    rung_buffer_text(out, "\n");
    for (size_t r = 0; r < NUM_RUNS; r++) {
        rung_buffer_format(out, "%-13s ", self->runs[r].name);
        demo_print_parameters(out, self->cascade, &self->runs[r].policy);
    }
    return RUNG_OK;
}

static void print_story(const demo_session *self, rung_buffer *out, size_t row)
{
    const rung_line *line = &self->data.lines[row];
    demo_print_story(out, self->cascade, line->id, self->cascade->labels[self->data.labels[row]], line->text,
                     line->text_bytes, rung_answers_get(self->runs[0].answers, row));
}

/* The shortest review, not chosen yet, that `level` answered; data.count when there is none. */
static size_t shortest_answered_at(const demo_session *self, uint32_t level, const size_t *chosen, size_t num_chosen)
{
    size_t best = self->data.count;
    for (size_t i = 0; i < self->data.count; i++) {
        bool fits = rung_answers_get(self->runs[0].answers, i)->level == level;
        for (size_t c = 0; c < num_chosen; c++) {
            fits = fits && chosen[c] != i;
        }
        if (fits && (best == self->data.count || self->data.lines[i].text_bytes < self->data.lines[best].text_bytes)) {
            best = i;
        }
    }
    return best;
}

/* One review for each level from the user up, then again from the top down: short ones, so that they can be read. */
static void print_stories(const demo_session *self, rung_buffer *out)
{
    size_t chosen[NUM_STORIES];
    size_t count = 0;
    uint32_t num_levels = self->cascade->num_levels;
    for (uint32_t turn = 0; turn < NUM_STORIES * num_levels && count < NUM_STORIES; turn++) {
        uint32_t step = turn % (2 * num_levels);
        uint32_t level = step < num_levels ? step + 1 : 2 * num_levels - step;
        size_t row = shortest_answered_at(self, level, chosen, count);
        if (row < self->data.count) {
            chosen[count++] = row;
        }
    }
    rung_buffer_format(out, "\n%zu reviews, and what happened to them:\n", count);
    for (size_t i = 0; i < count; i++) {
        print_story(self, out, chosen[i]);
    }
}

/* Without --once, a person may type texts until the end of input. */
static rung_status answer_typed(const demo_session *self, rung_buffer *out, rung_error *error)
{
    rung_line_reader *reader = NULL;
    rung_status status = rung_line_reader_open("-", 0, &reader, error);
    uint64_t position = 0;
    while (status == RUNG_OK) {
        const char *text = NULL;
        size_t bytes = 0;
        fprintf(stderr, "\ntype a review (Ctrl-D ends): ");
        status = rung_line_reader_next(reader, &text, &bytes, error);
        if (status == RUNG_LIMIT) {
            fprintf(stderr, "rung: %s\n", error->message);
            status = RUNG_OK;
            continue;
        }
        if (status != RUNG_OK || text == NULL) {
            break;
        }
        rung_line line = {0};
        if (rung_line_from_text(text, bytes, position++, &line, error) != RUNG_OK) {
            fprintf(stderr, "rung: %s\n", error->message);
            continue;
        }
        rung_input input = {.id = line.id, .text = line.text, .text_bytes = line.text_bytes};
        rung_answers *answers = NULL;
        status = rung_cascade_classify(self->cascade, &input, 1, &answers, error);
        if (status == RUNG_OK) {
            const rung_answer *answer = rung_answers_get(answers, 0);
            if (answer->status == RUNG_OK) {
                demo_print_story(out, self->cascade, "you", NULL, line.text, line.text_bytes, answer);
                status = cli_print_buffer(out, error);
            } else {
                fprintf(stderr, "rung: %s\n", answer->error);
            }
        }
        rung_answers_free(answers);
        rung_line_deinit(&line);
    }
    rung_line_reader_close(reader);
    return status;
}

static rung_status read_reviews(demo_session *self, const rung_options *options, rung_error *error)
{
    const char *given = rung_options_text(options, RUNG_OPTION_DATA);
    char *path = given != NULL ? rung_path_join(NULL, given, error)
                               : rung_path_join(cli_data_directory(options), "examples/reviews.jsonl", error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_dataset_read(self->cascade, path, 0, &self->data, error);
    free(path);
    return status;
}

int cli_demo(const rung_options *options)
{
    rung_error error;
    demo_session self = {0};
    rung_buffer out = {0};
    rung_status status = cli_open_cascade(options, 1, &self.cascade, &error);
    if (status == RUNG_OK) {
        status = read_reviews(&self, options, &error);
    }
    if (status == RUNG_OK) {
        status = choose_policies(&self, &error);
    }
    if (status == RUNG_OK) {
        status = run_policies(&self, &error);
    }
    if (status == RUNG_OK) {
        status = print_summary(&self, &out, &error);
    }
    if (status == RUNG_OK) {
        print_stories(&self, &out);
        status = cli_print_buffer(&out, &error);
    }
    if (status == RUNG_OK && !rung_options_bool(options, RUNG_OPTION_ONCE) && isatty(STDIN_FILENO)) {
        status = answer_typed(&self, &out, &error);
    }
    for (size_t r = 0; r < NUM_RUNS; r++) {
        rung_answers_free(self.runs[r].answers);
    }
    rung_buffer_deinit(&out);
    rung_dataset_deinit(&self.data);
    rung_cascade_close(self.cascade);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
