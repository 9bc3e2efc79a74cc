/* openapi.h: the OpenAPI document of a node's paths, src/serve/openapi.json as the build has embedded it (embed.py), without white space. */
#ifndef RUNG_SERVE_OPENAPI_H
#define RUNG_SERVE_OPENAPI_H

#include <stddef.h>

extern const unsigned char rung_openapi[]; /* [rung_openapi_bytes] */
extern const size_t rung_openapi_bytes;

#endif
