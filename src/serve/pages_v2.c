/* pages_v2.c: what the Open Inference Protocol V2 asks of a server and its models. The node's one model is its level, in version "1". See pages.h. */
#include "run/message.h"
#include "serve/pages.h"

#include <inttypes.h>
#include <string.h>

static void append_model_name(const rung_site *site, rung_buffer *out)
{
    const char *name = rung_generation_name(site->desk->current);
    rung_message_string(out, name, strlen(name));
}

rung_status rung_page_v2_server(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)site;
    (void)error;
    rung_buffer_format(&page->text, "{\"name\":\"rung\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\"]}",
                       rung_version());
    return RUNG_OK;
}

rung_status rung_page_v2_live(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)site;
    (void)error;
    rung_buffer_text(&page->text, "{\"live\":true}");
    return RUNG_OK;
}

rung_status rung_page_v2_ready(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    page->http_status = site->desk->draining ? 503 : 200;
    rung_buffer_text(&page->text, site->desk->draining ? "{\"ready\":false}" : "{\"ready\":true}");
    return RUNG_OK;
}

rung_status rung_page_v2_model_ready(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    page->http_status = site->desk->draining ? 503 : 200;
    rung_buffer_text(&page->text, "{\"name\":");
    append_model_name(site, &page->text);
    rung_buffer_text(&page->text, site->desk->draining ? ",\"ready\":false}" : ",\"ready\":true}");
    return RUNG_OK;
}

rung_status rung_page_v2_models(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    rung_buffer_text(&page->text, "{\"models\":[");
    append_model_name(site, &page->text);
    rung_buffer_text(&page->text, "]}");
    return RUNG_OK;
}

rung_status rung_page_v2_model(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    rung_buffer_text(&page->text, "{\"name\":");
    append_model_name(site, &page->text);
    rung_buffer_format(&page->text,
                       ",\"versions\":[\"1\"],\"platform\":\"rung\","
                       "\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[-1]}],"
                       "\"outputs\":[{\"name\":\"probabilities\",\"datatype\":\"FP32\",\"shape\":[-1,%" PRIu32 "]},"
                       "{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[-1]},"
                       "{\"name\":\"level\",\"datatype\":\"INT32\",\"shape\":[-1]},"
                       "{\"name\":\"confidence\",\"datatype\":\"FP32\",\"shape\":[-1]}]}",
                       site->desk->current->cascade->num_classes);
    return RUNG_OK;
}

rung_status rung_page_v2_config(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)page;
    return rung_fail(error, RUNG_UNSUPPORTED,
                     "this node has no model configuration; GET /v2/models/%s has the model's metadata",
                     rung_generation_name(site->desk->current));
}

rung_status rung_page_v2_stats(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)site;
    (void)page;
    return rung_fail(error, RUNG_UNSUPPORTED, "this node has no statistics extension; GET /metrics has its counters");
}
