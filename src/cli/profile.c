/* profile.c: `rung profile`: prints what fit/profile.c measures of a cascade's levels, as a table or as the JSON of docs/profile.md. */
#include "fit/profile.h"

#include "cli/cli.h"
#include "run/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE_VERSION 1

/* What is printed beside the measurements. */
typedef struct subject {
    const rung_cascade *cascade;
    const rung_profile *profile;
    const rung_dataset *data; /* NULL: no scores */
    const char *data_name;
    size_t repeats;
    char machine[CLI_MACHINE_BYTES];
} subject;

static void append_string(rung_buffer *out, const char *text)
{
    rung_message_string(out, text, strlen(text));
}

static void append_scores(rung_buffer *out, const char *key, const rung_scores *scores)
{
    rung_buffer_format(out, "\"%s\":{\"nll\":%.6g,\"brier\":%.6g,\"ece\":%.6g}", key, scores->nll, scores->brier,
                       scores->ece);
}

static void append_exit(rung_buffer *out, const rung_profile_level *level, const rung_profile_exit *exit)
{
    static const char *const keys[] = {"median_ms", "p10_ms", "p90_ms"};
    rung_buffer_format(out, "{\"layer\":%u", exit->layer);
    for (size_t k = 0; k < 3; k++) {
        rung_buffer_format(out, ",\"%s\":[", keys[k]);
        for (size_t l = 0; l < level->num_lengths; l++) {
            const rung_profile_time *time = &exit->times[l];
            double value = k == 0 ? time->median_ms : k == 1 ? time->p10_ms : time->p90_ms;
            rung_buffer_format(out, "%s%.5g", l > 0 ? "," : "", value);
        }
        rung_buffer_text(out, "]");
    }
    rung_buffer_format(out,
                       ",\"curve\":{\"a_ms\":%.6g,\"b_ms_per_token\":%.6g,\"c_ms_per_token2\":%.6g,\"max_error\":%.4g,"
                       "\"mean_error\":%.4g}",
                       exit->curve.a_ms, exit->curve.b_ms_per_token, exit->curve.c_ms_per_token2, exit->curve.max_error,
                       exit->curve.mean_error);
    if (exit->has_scores) {
        rung_buffer_format(out, ",\"scores\":{\"accuracy\":%.6g,", exit->raw.accuracy);
        append_scores(out, "raw", &exit->raw);
        rung_buffer_format(out, ",\"temperature\":%.6g,", exit->temperature);
        append_scores(out, "calibrated", &exit->calibrated);
        rung_buffer_text(out, "}");
    }
    rung_buffer_text(out, "}");
}

static void append_level(rung_buffer *out, const subject *of, uint32_t index)
{
    const rung_cascade_level *at = &of->cascade->level[index];
    const rung_profile_level *level = &of->profile->levels[index];
    const rung_model_config *config = &at->model->config;
    rung_buffer_text(out, "{\"name\":");
    append_string(out, at->name);
    rung_buffer_text(out, ",\"model\":");
    append_string(out, at->model->path);
    rung_buffer_format(out,
                       ",\"model_sha256\":\"%s\",\"speed\":%.6g,\"layers\":%zu,\"hidden_size\":%zu,\"max_tokens\":%zu,"
                       "\"load_ms\":%.5g,\"weight_bytes\":%zu,\"scratch_bytes\":%zu,\"resident_bytes\":%zu,"
                       "\"tokenize_ms_per_1000_bytes\":%.5g,\"lengths\":[",
                       at->model->hash, at->speed, config->num_layers, config->hidden_size, config->max_tokens,
                       level->load_ms, level->weight_bytes, level->scratch_bytes, level->resident_bytes,
                       level->tokenize_ms);
    for (size_t l = 0; l < level->num_lengths; l++) {
        rung_buffer_format(out, "%s%zu", l > 0 ? "," : "", level->lengths[l]);
    }
    rung_buffer_text(out, "],\"exits\":[");
    for (size_t e = 0; e < level->num_exits; e++) {
        rung_buffer_text(out, e > 0 ? "," : "");
        append_exit(out, level, &level->exits[e]);
    }
    rung_buffer_text(out, "]}");
}

static void append_json(rung_buffer *out, const subject *of)
{
    rung_buffer_format(out, "{\"format\":\"rung-profile\",\"version\":%d,\"machine\":{\"processor\":", PROFILE_VERSION);
    append_string(out, of->machine);
    rung_buffer_format(
        out,
        ",\"processors\":%zu},\"isa\":\"%s\",\"precision\":\"%s\",\"threads\":1,\"batch\":1,\"repeats\":%zu,"
        "\"clock\":\"thread_cpu\",\"data\":",
        rung_processor_count(), of->cascade->kernels->name, rung_precision_name(of->cascade->precision), of->repeats);
    if (of->data == NULL) {
        rung_buffer_text(out, "null");
    } else {
        rung_buffer_text(out, "{\"name\":");
        append_string(out, of->data_name);
        rung_buffer_format(out, ",\"sha256\":\"%s\",\"rows\":%zu}", of->data->sha256, of->data->count);
    }
    rung_buffer_text(out, ",\"levels\":[");
    for (uint32_t l = 0; l < of->profile->num_levels; l++) {
        rung_buffer_text(out, l > 0 ? "," : "");
        append_level(out, of, l);
    }
    rung_buffer_text(out, "]}\n");
}

static void append_latency_table(rung_buffer *out, const rung_profile_level *level)
{
    rung_buffer_format(out, "  %-6s", "exit");
    for (size_t l = 0; l < level->num_lengths; l++) {
        rung_buffer_format(out, "%9zu", level->lengths[l]);
    }
    rung_buffer_text(out, "  tokens | a + b n + c n^2: a ms   b us/token  c ns/token^2  error mean    max\n");
    for (size_t e = 0; e < level->num_exits; e++) {
        const rung_profile_exit *exit = &level->exits[e];
        rung_buffer_format(out, "  %-6u", exit->layer);
        for (size_t l = 0; l < level->num_lengths; l++) {
            rung_buffer_format(out, "%9.3f", exit->times[l].median_ms);
        }
        rung_buffer_format(out, "  ms     | %22.4g %12.4g %13.4g %10.1f%% %5.1f%%\n", exit->curve.a_ms,
                           exit->curve.b_ms_per_token * 1e3, exit->curve.c_ms_per_token2 * 1e6,
                           100 * exit->curve.mean_error, 100 * exit->curve.max_error);
    }
}

static void append_score_table(rung_buffer *out, const rung_profile_level *level)
{
    rung_buffer_format(out, "  %-6s %8s | at T = 1: %8s %8s %8s | calibrated: %8s %8s %8s %8s\n", "exit", "accuracy",
                       "nll", "brier", "ece", "T", "nll", "brier", "ece");
    for (size_t e = 0; e < level->num_exits; e++) {
        const rung_profile_exit *exit = &level->exits[e];
        rung_buffer_format(out, "  %-6u %8.4f | %18.4f %8.4f %8.4f | %20.4f %8.4f %8.4f %8.4f\n", exit->layer,
                           exit->raw.accuracy, exit->raw.nll, exit->raw.brier, exit->raw.ece, exit->temperature,
                           exit->calibrated.nll, exit->calibrated.brier, exit->calibrated.ece);
    }
}

static void append_tables(rung_buffer *out, const subject *of)
{
    static const double mib = 1024.0 * 1024.0;
    rung_buffer_format(out, "%s, %s, %s; one thread, one text, median of %zu runs, processor time\n", of->machine,
                       of->cascade->kernels->name, rung_precision_name(of->cascade->precision), of->repeats);
    for (uint32_t l = 0; l < of->profile->num_levels; l++) {
        const rung_profile_level *level = &of->profile->levels[l];
        const rung_cascade_level *at = &of->cascade->level[l];
        rung_buffer_format(out, "\nlevel %u %s: %s, %zu layers x %zu\n", l + 1, at->name, at->model->path,
                           at->model->config.num_layers, at->model->config.hidden_size);
        rung_buffer_format(
            out,
            "  loads in %.1f ms; weights %.1f MiB, scratch %.1f MiB, resident %.1f MiB; tokenizing %.3f ms "
            "per 1,000 bytes\n",
            level->load_ms, (double)level->weight_bytes / mib, (double)level->scratch_bytes / mib,
            (double)level->resident_bytes / mib, level->tokenize_ms);
        append_latency_table(out, level);
        if (of->data != NULL) {
            append_score_table(out, level);
        }
    }
    if (of->data != NULL) {
        rung_buffer_format(out, "\nscores on %zu rows of %s\n", of->data->count, of->data_name);
    }
}

static rung_status print_profile(const subject *of, bool json, rung_error *error)
{
    rung_buffer text = {0};
    if (json) {
        append_json(&text, of);
    } else {
        append_tables(&text, of);
    }
    rung_status status = cli_print_buffer(&text, error);
    rung_buffer_deinit(&text);
    return status;
}

int cli_profile(const rung_options *options)
{
    rung_error error;
    rung_cascade *cascade = NULL;
    rung_dataset data = {0};
    rung_profile profile = {0};
    cli_progress bar = {0};
    rung_progress progress = {.report = cli_progress_report, .context = &bar};
    const char *data_path = rung_options_text(options, RUNG_OPTION_DATA);
    size_t repeats = (size_t)rung_options_integer(options, RUNG_OPTION_REPEATS);
    rung_status status = cli_open_cascade(options, 0, &cascade, &error);
    if (status == RUNG_OK && rung_cascade_is_multi_label(cascade) && data_path != NULL) {
        status = rung_fail(&error, RUNG_UNSUPPORTED,
                           "--data: rung profile compares one label a text; these models have problem_type "
                           "multi_label_classification");
    }
    if (status == RUNG_OK && data_path != NULL) {
        status = rung_dataset_read(cascade, data_path, (size_t)rung_options_integer(options, RUNG_OPTION_MAX_LINE),
                                   &data, &error);
    }
    if (status == RUNG_OK) {
        status = rung_profile_measure(cascade, repeats, data_path != NULL ? &data : NULL, &progress, &profile, &error);
        cli_progress_end(&bar);
    }
    if (status == RUNG_OK) {
        subject of = {.cascade = cascade,
                      .profile = &profile,
                      .data = data_path != NULL ? &data : NULL,
                      .data_name = data_path != NULL ? cli_base_name(data_path) : NULL,
                      .repeats = repeats};
        cli_machine_name(of.machine);
        status = print_profile(&of, rung_options_bool(options, RUNG_OPTION_JSON), &error);
    }
    rung_profile_deinit(&profile);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
