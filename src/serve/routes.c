/* routes.c: see routes.h. The rows that are asked most often come first. */
#include "serve/routes.h"

#include "model/json_field.h"
#include "serve/ticket.h"

#include <stdio.h>
#include <string.h>

static const rung_route routes[] = {
    {"POST", "/v1/classify", &rung_api_rung, NULL},
    {"POST", "/predict", &rung_api_tei, NULL},
    {"POST", "/", &rung_api_tei, NULL},
    {"GET", "/info", &rung_api_tei, rung_page_info},
    {"POST", "/v2/models/{model}/infer", &rung_api_v2, NULL},
    {"POST", "/v2/models/{model}/versions/{version}/infer", &rung_api_v2, NULL},
    {"POST", "/v1/moderations", &rung_api_openai, NULL},
    {"POST", "/classify", &rung_api_vllm, NULL},
    {"GET", "/v1/models", &rung_api_openai, rung_page_openai_models},
    {"GET", "/v2", &rung_api_v2, rung_page_v2_server},
    {"GET", "/v2/health/live", &rung_api_v2, rung_page_v2_live},
    {"GET", "/v2/health/ready", &rung_api_v2, rung_page_v2_ready},
    {"GET", "/v2/models", &rung_api_v2, rung_page_v2_models},
    {"GET", "/v2/models/{model}", &rung_api_v2, rung_page_v2_model},
    {"GET", "/v2/models/{model}/versions/{version}", &rung_api_v2, rung_page_v2_model},
    {"GET", "/v2/models/{model}/ready", &rung_api_v2, rung_page_v2_model_ready},
    {"GET", "/v2/models/{model}/versions/{version}/ready", &rung_api_v2, rung_page_v2_model_ready},
    {"GET", "/v2/models/{model}/config", &rung_api_v2, rung_page_v2_config},
    {"GET", "/v2/models/{model}/versions/{version}/config", &rung_api_v2, rung_page_v2_config},
    {"GET", "/v2/models/{model}/stats", &rung_api_v2, rung_page_v2_stats},
    {"GET", "/v2/models/{model}/versions/{version}/stats", &rung_api_v2, rung_page_v2_stats},
    {"GET", "/health", &rung_api_rung, rung_page_health},
    {"GET", "/metrics", &rung_api_rung, rung_page_metrics},
    {"GET", "/v1/level", &rung_api_rung, rung_page_level},
    {"GET", "/openapi.json", &rung_api_rung, rung_page_openapi},
};
#define NUM_ROUTES (sizeof routes / sizeof routes[0])

const rung_route *rung_routes(size_t *count)
{
    *count = NUM_ROUTES;
    return routes;
}

/* A piece of the path, lent and not decoded; text NULL: the pattern has none. */
typedef struct piece {
    const char *text;
    size_t bytes;
} piece;

/* What stood in the path in place of {model} and {version}. */
typedef struct pieces {
    piece model, version;
} pieces;

static bool matches(const char *pattern, const char *path, pieces *found)
{
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        piece part = {path, strcspn(path, "/")};
        if (part.bytes == 0) {
            return false;
        }
        *(pattern[1] == 'm' ? &found->model : &found->version) = part;
        path += part.bytes;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *path == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether the piece, with its %XX decoded, is this name. */
static bool is_name(const piece *part, const char *name)
{
    size_t at = 0;
    for (; at < part->bytes && *name != '\0'; name++) {
        char c = part->text[at++];
        if (c == '%' && part->bytes - at >= 2) {
            int high = hex_digit(part->text[at]);
            int low = hex_digit(part->text[at + 1]);
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            at += 2;
        }
        if (c != *name) {
            return false;
        }
    }
    return at == part->bytes && *name == '\0';
}

/* The model of a node is its level, and it has one version. */
static rung_status check_pieces(const pieces *found, const rung_generation *generation, rung_error *error)
{
    const char *name = rung_generation_name(generation);
    if (found->model.text != NULL && !is_name(&found->model, name)) {
        char shown[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_NOT_FOUND, "no such model '%s'; this node serves '%s'",
                         rung_json_quote(found->model.text, found->model.bytes, shown), name);
    }
    if (found->version.text != NULL && !is_name(&found->version, "1")) {
        char shown[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_NOT_FOUND, "no such version '%s'; the model '%s' has version '1'",
                         rung_json_quote(found->version.text, found->version.bytes, shown), name);
    }
    return RUNG_OK;
}

/* What lies below one of these belongs to it, too. */
static const struct {
    const char *prefix;
    const rung_api *api;
} prefixes[] = {{"/predict", &rung_api_tei},
                {"/info", &rung_api_tei},
                {"/v2", &rung_api_v2},
                {"/classify", &rung_api_vllm},
                {"/v1/moderations", &rung_api_openai},
                {"/v1/models", &rung_api_openai}};

const rung_api *rung_routes_api(const char *path)
{
    if (strcmp(path, "/") == 0) {
        return &rung_api_tei;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i].prefix);
        if (strncmp(path, prefixes[i].prefix, length) == 0 && (path[length] == '\0' || path[length] == '/')) {
            return prefixes[i].api;
        }
    }
    return &rung_api_rung;
}

static void answer_error(rung_desk *desk, rung_exchange *exchange, const rung_api *api, rung_fault fault,
                         const rung_http_header *header, const char *message)
{
    char id[RUNG_REQUEST_ID_BYTES];
    rung_desk_request_id(desk, exchange, id);
    rung_desk_answer_error(desk, exchange, api, id, fault, header, message);
}

static void answer_page(const rung_site *site, rung_exchange *exchange, const rung_route *route)
{
    rung_error error = {0};
    rung_page page = {.http_status = 200};
    rung_status status = route->page(site, &page, &error);
    if (status == RUNG_OK) {
        status = rung_buffer_check(&page.text, "page", &error);
    }
    if (status != RUNG_OK) {
        rung_buffer_deinit(&page.text);
        answer_error(site->desk, exchange, route->api, rung_fault_of(status), NULL, error.message);
        return;
    }
    char id[RUNG_REQUEST_ID_BYTES];
    rung_desk_request_id(site->desk, exchange, id);
    rung_desk_answer(site->desk, exchange, id, page.http_status, page.type, NULL, 0, &page.text);
}

static bool has_method(const rung_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void answer_route(const rung_site *site, rung_exchange *exchange, const rung_route *route, const pieces *found)
{
    rung_error error;
    if (check_pieces(found, site->desk->current, &error) != RUNG_OK) {
        answer_error(site->desk, exchange, route->api, RUNG_FAULT_PATH, NULL, error.message);
    } else if (route->page != NULL) {
        answer_page(site, exchange, route);
    } else {
        rung_ticket_open(site->desk, exchange, route->api);
    }
}

/* The path exists, but not with this method. A path has one method in the table, so that Allow is that of its row. */
static void refuse_method(rung_desk *desk, rung_exchange *exchange, const rung_route *route)
{
    char message[96];
    bool get = strcmp(route->method, "GET") == 0;
    snprintf(message, sizeof message, get ? "this path is read with GET" : "%s takes POST", route->pattern);
    answer_error(desk, exchange, route->api, RUNG_FAULT_METHOD,
                 &(rung_http_header){"Allow", get ? "GET, HEAD" : "POST"}, message);
}

void rung_routes_take(const rung_site *site, rung_exchange *exchange)
{
    const char *path = rung_exchange_path(exchange);
    for (size_t i = 0; i < NUM_ROUTES; i++) {
        pieces found = {0};
        if (!matches(routes[i].pattern, path, &found)) {
            continue;
        }
        if (has_method(&routes[i], rung_exchange_method(exchange))) {
            answer_route(site, exchange, &routes[i], &found);
        } else {
            refuse_method(site->desk, exchange, &routes[i]);
        }
        return;
    }
    answer_error(site->desk, exchange, rung_routes_api(path), RUNG_FAULT_PATH, NULL,
                 "no such path; POST /v1/classify classifies texts, and GET /openapi.json lists all paths");
}
