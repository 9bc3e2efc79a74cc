/* pages.h: what a node answers without computing anything: how it is, what it is. Called by routes.c on the loop's thread. */
#ifndef RUNG_SERVE_PAGES_H
#define RUNG_SERVE_PAGES_H

#include "serve/desk.h"

/* What pages read. */
typedef struct rung_site {
    rung_desk *desk;
    const rung_http *http;
} rung_site;

typedef struct rung_page {
    rung_buffer text;
    unsigned http_status; /* 200 unless the writer says otherwise */
    const char *type;     /* static; NULL: application/json */
} rung_page;

/* Fills a page of zeroes with http_status 200. RUNG_UNSUPPORTED: there is no such thing here, and *error says so. */
typedef rung_status (*rung_page_writer)(const rung_site *site, rung_page *page, rung_error *error);

rung_status rung_page_health(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_metrics(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_level(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_openapi(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_info(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_openai_models(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_server(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_live(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_ready(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_models(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_model(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_model_ready(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_config(const rung_site *site, rung_page *page, rung_error *error);
rung_status rung_page_v2_stats(const rung_site *site, rung_page *page, rung_error *error);

#endif
