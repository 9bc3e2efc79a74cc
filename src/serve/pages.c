/* pages.c: the pages of the node's own API. See pages.h. */
#include "serve/pages.h"

#include "serve/level_page.h"
#include "serve/openapi.h"

rung_status rung_page_health(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    rung_buffer_text(&page->text, site->desk->draining ? "{\"status\":\"draining\"}" : "{\"status\":\"ok\"}");
    page->http_status = site->desk->draining ? 503 : 200;
    return RUNG_OK;
}

rung_status rung_page_metrics(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    const rung_desk *desk = site->desk;
    rung_metrics_now now = {.connections = rung_http_num_connections(site->http),
                            .requests_in_flight = desk->num_tickets,
                            .queue_length = rung_workers_queue_length(desk->workers),
                            .queue_s = rung_workers_wait_s(desk->workers),
                            .draining = desk->draining};
    if (desk->current->upstream != NULL) {
        rung_upstream_look(desk->current->upstream, &now.upstream);
        now.model_changed = desk->current->changed != 0;
    }
    rung_metrics_print(desk->metrics, &now, &page->text);
    page->type = "text/plain; version=0.0.4; charset=utf-8";
    return RUNG_OK;
}

rung_status rung_page_level(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)error;
    rung_level_page(&page->text, site->desk->current, site->desk->node_id);
    return RUNG_OK;
}

rung_status rung_page_openapi(const rung_site *site, rung_page *page, rung_error *error)
{
    (void)site;
    (void)error;
    rung_buffer_append(&page->text, rung_openapi, rung_openapi_bytes);
    return RUNG_OK;
}
