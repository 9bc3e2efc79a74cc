/* page_info.c: what a node says of its model in the form of others: GET /info as Text Embeddings Inference has it, GET /v1/models as OpenAI has it. See
 * pages.h. */
#include "run/message.h"
#include "serve/pages.h"

#include <inttypes.h>
#include <string.h>

static void append_string(rung_buffer *out, const char *text)
{
    rung_message_string(out, text, strlen(text));
}

static void append_labels(rung_buffer *out, const rung_cascade *cascade)
{
    rung_buffer_text(out, ",\"model_type\":{\"classifier\":{\"id2label\":{");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_format(out, "%s\"%" PRIu32 "\":", c == 0 ? "" : ",", c);
        append_string(out, cascade->labels[c]);
    }
    rung_buffer_text(out, "},\"label2id\":{");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_text(out, c == 0 ? "" : ",");
        append_string(out, cascade->labels[c]);
        rung_buffer_format(out, ":%" PRIu32, c);
    }
    rung_buffer_text(out, "}}}");
}

rung_status rung_page_info(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    const rung_generation *generation = site->desk->current;
    const rung_cascade *cascade = generation->cascade;
    const rung_node_config *config = &generation->config;
    const rung_model *model = rung_generation_model(generation);
    rung_buffer *out = &page->text;
    rung_buffer_text(out, "{\"model_id\":");
    append_string(out, rung_generation_name(generation));
    rung_buffer_text(out, ",\"model_sha\":");
    append_string(out, model->hash);
    rung_buffer_format(out, ",\"model_dtype\":\"%s\"",
                       strcmp(rung_precision_name(cascade->precision), "fp32") == 0
                           ? "float32"
                           : rung_precision_name(cascade->precision));
    append_labels(out, cascade);
    rung_buffer_format(out,
                       ",\"max_concurrent_requests\":%zu,\"max_input_length\":%zu,\"max_batch_tokens\":%zu,"
                       "\"max_batch_requests\":null,\"max_client_batch_size\":%zu,\"auto_truncate\":true,"
                       "\"tokenization_workers\":%zu,\"version\":\"%s\",\"sha\":null,\"docker_label\":null}",
                       config->max_connections, model->config.max_tokens, config->batch_max_tokens, config->max_inputs,
                       cascade->threads, rung_version());
    return RUNG_OK;
}

rung_status rung_page_openai_models(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    const rung_generation *generation = site->desk->current;
    rung_buffer_text(&page->text, "{\"object\":\"list\",\"data\":[{\"id\":");
    append_string(&page->text, rung_generation_name(generation));
    rung_buffer_text(&page->text, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"rung\"}]}");
    return RUNG_OK;
}
