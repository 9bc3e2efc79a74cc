/* routes.h: which path is what: the table of all paths of a node with their methods, and the API that speaks there. Called by the node with every request
 * that has arrived whole, and by the HTTP server for the form of what it refuses itself. */
#ifndef RUNG_SERVE_ROUTES_H
#define RUNG_SERVE_ROUTES_H

#include "serve/pages.h"

typedef struct rung_route {
    const char *method;  /* "POST", or "GET", which answers HEAD too */
    const char *pattern; /* "/v2/models/{model}/infer": {…} stands for one piece of a path */
    const rung_api *api; /* of its errors; for POST also of the call to classify, unless there is a page */
    rung_page_writer page;
} rung_route;

/* All of them; static. */
const rung_route *rung_routes(size_t *count);

/* Answers, now or later. */
void rung_routes_take(const rung_site *site, rung_exchange *exchange);

/* The API whose form an error at this path has, whether the path exists or not. */
const rung_api *rung_routes_api(const char *path);

#endif
