/* upstream_options.h: what upstream.c is told, checked and in the form that libcurl takes: addresses and headers. */
#ifndef RUNG_NET_UPSTREAM_OPTIONS_H
#define RUNG_NET_UPSTREAM_OPTIONS_H

#include "net/upstream.h"

#include <curl/curl.h>

/* Every option in its range, and the CA file there to be read. */
rung_status rung_upstream_check(const rung_upstream_options *options, rung_error *error) RUNG_WARN_UNUSED;

/* The address with the path behind it; free() it. */
rung_status rung_upstream_join(const char *address, const char *path, char **url, rung_error *error) RUNG_WARN_UNUSED;

/* The header of a bearer token, NULL for none. The token stands in no message. */
rung_status rung_upstream_authorize(const char *token, struct curl_slist **authorization,
                                    rung_error *error) RUNG_WARN_UNUSED;

/* The headers of a call: those that every call has, and its own. RUNG_INVALID: a header without a name, or with a control character. */
rung_status rung_upstream_make_headers(const struct curl_slist *authorization, const rung_call_request *request,
                                       struct curl_slist **headers, rung_error *error) RUNG_WARN_UNUSED;

/* What every transfer has in common: its handle, to be cleaned up with curl_easy_cleanup, or NULL without memory for it. ca_file: NULL: the system's. */
CURL *rung_upstream_make_easy(const char *url, const char *ca_file);

/* The first line of the file; NULL for path NULL; free() it. RUNG_INVALID: it holds no token. */
rung_status rung_upstream_read_token(const char *path, char **token, rung_error *error) RUNG_WARN_UNUSED;

#endif
