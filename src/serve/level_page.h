/* level_page.h: GET /v1/level: what a node is: its place, model, labels, policy, calibration, and how the next level looks from here. */
#ifndef RUNG_SERVE_LEVEL_PAGE_H
#define RUNG_SERVE_LEVEL_PAGE_H

#include "serve/generation.h"

/* Appends one JSON object (docs/node.md). From the loop's thread. */
void rung_level_page(rung_buffer *out, const rung_generation *generation, const char *node_id);

#endif
