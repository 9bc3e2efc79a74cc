/* level_page.c: what a node is, as JSON. See level_page.h. */
#include "serve/level_page.h"

#include "run/message.h"

#include <inttypes.h>
#include <string.h>

static void append_text(rung_buffer *out, const char *key, const char *text)
{
    rung_buffer_format(out, "\"%s\":", key);
    rung_message_string(out, text, strlen(text));
}

static void append_levels(rung_buffer *out, const rung_cascade *cascade)
{
    rung_buffer_text(out, ",\"levels\":[");
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_buffer_text(out, l == 0 ? "" : ",");
        rung_message_string(out, cascade->level[l].name, strlen(cascade->level[l].name));
    }
    rung_buffer_text(out, "]");
}

static void append_model(rung_buffer *out, const rung_cascade *cascade, const rung_model *model)
{
    const rung_model_config *config = &model->config;
    rung_buffer_text(out, ",\"model\":{");
    append_text(out, "path", model->path);
    rung_buffer_text(out, ",");
    append_text(out, "sha256", model->hash);
    rung_buffer_format(out, ",\"layers\":%zu,\"hidden_size\":%zu,\"max_tokens\":%zu", config->num_layers,
                       config->hidden_size, config->max_tokens);
    rung_buffer_format(out, ",\"precision\":\"%s\",\"isa\":\"%s\",\"exits\":[", rung_precision_name(cascade->precision),
                       cascade->kernels->name);
    const char *separator = "";
    for (size_t layer = 0; layer < config->num_layers; layer++) {
        if (rung_model_has_exit(model, layer)) {
            rung_buffer_format(out, "%s%zu", separator, layer + 1);
            separator = ",";
        }
    }
    rung_buffer_text(out, "],\"labels\":[");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_text(out, c == 0 ? "" : ",");
        rung_message_string(out, cascade->labels[c], strlen(cascade->labels[c]));
    }
    rung_buffer_text(out, "]}");
}

static void append_policies(rung_buffer *out, const rung_generation *generation)
{
    const rung_policy *policy = &generation->policies[0];
    uint32_t level = generation->config.level;
    rung_buffer_format(out, ",\"policy\":{\"name\":\"%s\"", policy->name);
    if (level < generation->cascade->num_levels) {
        rung_buffer_format(out, ",\"threshold\":%.9g", policy->offload.threshold[level - 1]);
    }
    rung_buffer_text(out, "},\"policies\":[");
    for (size_t i = 0; i < generation->num_policies; i++) {
        rung_buffer_format(out, "%s\"%s\"", i == 0 ? "" : ",", generation->policies[i].name);
    }
    rung_buffer_text(out, "],\"certificate\":null");
}

static void append_calibration(rung_buffer *out, const rung_calibration_file *file)
{
    if (file->path == NULL) {
        rung_buffer_text(out, ",\"calibration\":null");
        return;
    }
    rung_buffer_text(out, ",\"calibration\":{");
    append_text(out, "path", file->path);
    rung_buffer_text(out, ",");
    append_text(out, "data", file->data_name);
    rung_buffer_format(out, ",\"rows\":%" PRIu64 "}", file->data_rows);
}

static void append_upstream(rung_buffer *out, const rung_generation *generation)
{
    const rung_node_config *config = &generation->config;
    if (generation->upstream == NULL) {
        rung_buffer_text(out, ",\"upstream\":null");
        return;
    }
    rung_upstream_health health;
    rung_upstream_look(generation->upstream, &health);
    rung_buffer_text(out, ",\"upstream\":{\"addresses\":[");
    for (size_t i = 0; i < config->num_upstreams; i++) {
        rung_buffer_text(out, i == 0 ? "" : ",");
        rung_message_string(out, config->upstreams[i], strlen(config->upstreams[i]));
    }
    rung_buffer_format(out, "],\"protocol\":\"%s\"", rung_protocol_name(config->remote.protocol));
    if (generation->is_foreign) {
        const rung_calibration_level *above = &generation->cascade->calibration_file.levels[config->level];
        rung_buffer_text(out, ",");
        append_text(out, "fitted", above->identity);
        rung_buffer_format(out, ",\"model_changed\":%s", generation->changed != 0 ? "true" : "false");
    }
    rung_buffer_format(
        out,
        ",\"link\":\"%s\",\"in_flight\":%zu,\"open_circuits\":%zu,\"calls\":%" PRIu64 ",\"failures\":%" PRIu64
        ",\"retries\":%" PRIu64 ",\"hedges\":%" PRIu64 ",\"p50_ms\":%.3f,\"p99_ms\":%.3f}",
        config->has_link ? config->link.name : "none", health.in_flight, health.open_circuits, health.calls,
        health.failures, health.retries, health.hedges, health.p50_s * 1e3, health.p99_s * 1e3);
}

void rung_level_page(rung_buffer *out, const rung_generation *generation, const char *node_id)
{
    const rung_cascade *cascade = generation->cascade;
    uint32_t level = generation->config.level;
    rung_buffer_text(out, "{");
    append_text(out, "node", node_id);
    rung_buffer_format(out, ",\"version\":\"%s\",\"level\":%" PRIu32 ",", rung_version(), level);
    append_text(out, "name", cascade->level[level - 1].name);
    append_levels(out, cascade);
    append_model(out, cascade, rung_generation_model(generation));
    append_policies(out, generation);
    append_calibration(out, &cascade->calibration_file);
    append_upstream(out, generation);
    rung_buffer_text(out, "}");
}
