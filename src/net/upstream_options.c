/* upstream_options.c: see upstream_options.h. */
#include "net/upstream_options.h"

#include "base/buffer.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TOKEN_BYTES 4096
#define QUOTED 200 /* characters of a user's text in a message */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static bool has_scheme(CURLU *url)
{
    char *scheme = NULL;
    bool known = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return known;
}

/* Text that goes into a header or an address as it is. */
static bool has_control(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

static rung_status check_address(const char *address, rung_error *error)
{
    if (has_control(address)) {
        return rung_fail(error, RUNG_INVALID, "upstream: an address holds a control character");
    }
    CURLU *url = curl_url();
    if (url == NULL) {
        return rung_fail_memory(error, "address", 0);
    }
    CURLUcode code = curl_url_set(url, CURLUPART_URL, address, 0);
    rung_status status = RUNG_OK;
    if (code == CURLUE_OUT_OF_MEMORY) {
        status = rung_fail_memory(error, "address", 0);
    } else if (code != CURLUE_OK || !has_scheme(url)) {
        status =
            rung_fail(error, RUNG_INVALID, "upstream: '%.*s' is no address; give http://HOST:PORT or https://HOST:PORT",
                      QUOTED, address);
    } else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) {
        status = rung_fail(error, RUNG_INVALID, "upstream: an address holds a user or password; use a token file");
    } else if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT)) {
        status = rung_fail(error, RUNG_INVALID, "upstream: '%.*s' has a query or fragment; an address ends before it",
                           QUOTED, address);
    }
    curl_url_cleanup(url);
    return status;
}

static rung_status check_path(const char *name, const char *path, rung_error *error)
{
    if (path == NULL || path[0] != '/' || has_control(path) || strchr(path, ' ') != NULL) {
        return rung_fail(error, RUNG_INVALID, "upstream: the %s must begin with '/' and hold no space", name);
    }
    return RUNG_OK;
}

rung_status rung_upstream_check(const rung_upstream_options *options, rung_error *error)
{
    size_t count = options->num_addresses;
    if (count < 1 || count > RUNG_MAX_ADDRESSES) {
        return rung_fail(error, RUNG_LIMIT, "upstream: %zu addresses; there may be 1 to %d", count, RUNG_MAX_ADDRESSES);
    }
    if (options->max_reply_bytes < 1 || options->max_reply_bytes > INT64_MAX) {
        return rung_fail(error, RUNG_LIMIT,
                         "upstream: the limit of a reply is %zu bytes; it must be from 1 to 2^63 - 1",
                         options->max_reply_bytes);
    }
    if (!(options->hedge_after_s >= 0)) {
        return rung_fail(error, RUNG_LIMIT, "upstream: hedge_after is %g s; it must be at least 0, which is off",
                         options->hedge_after_s);
    }
    if (options->hedge_after_s > 0 && count < 2) {
        return rung_fail(error, RUNG_INVALID, "upstream: hedge_after needs a second address, and there is one");
    }
    rung_status status = check_path("path", options->path, error);
    if (status == RUNG_OK && options->probe_path != NULL) {
        status = check_path("path of probes", options->probe_path, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        status = check_address(options->addresses[i], error);
    }
    if (status == RUNG_OK && options->ca_file != NULL && access(options->ca_file, R_OK) != 0) {
        int cause = errno;
        return rung_fail(error, cause == ENOENT ? RUNG_NOT_FOUND : RUNG_IO, "upstream: CA file '%.*s': %s", QUOTED,
                         options->ca_file, strerror(cause));
    }
    return status;
}

rung_status rung_upstream_join(const char *address, const char *path, char **url, rung_error *error)
{
    rung_buffer joined = {0};
    size_t length = strlen(address);
    while (length > 0 && address[length - 1] == '/') {
        length--;
    }
    rung_buffer_append(&joined, address, length);
    rung_buffer_text(&joined, path);
    rung_status status = rung_buffer_check(&joined, "address", error);
    if (status != RUNG_OK) {
        rung_buffer_deinit(&joined);
        return status;
    }
    *url = joined.data;
    return RUNG_OK;
}

static rung_status add_header(struct curl_slist **list, const char *text, rung_error *error)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer == NULL) {
        return rung_fail_memory(error, "header", strlen(text));
    }
    *list = longer;
    return RUNG_OK;
}

rung_status rung_upstream_authorize(const char *token, struct curl_slist **authorization, rung_error *error)
{
    if (token == NULL) {
        return RUNG_OK;
    }
    if (token[0] == '\0' || has_control(token) || strchr(token, ' ') != NULL) {
        return rung_fail(error, RUNG_INVALID,
                         "upstream: the token must not be empty or hold spaces or control characters");
    }
    rung_buffer header = {0};
    rung_buffer_text(&header, "Authorization: Bearer ");
    rung_buffer_text(&header, token);
    rung_status status = rung_buffer_check(&header, "token", error);
    if (status == RUNG_OK) {
        status = add_header(authorization, header.data, error);
    }
    rung_buffer_deinit(&header);
    return status;
}

static rung_status check_header(const char *header, rung_error *error)
{
    const char *colon = strchr(header, ':');
    size_t name = colon == NULL ? 0 : (size_t)(colon - header);
    if (name == 0 || memchr(header, ' ', name) != NULL || has_control(header)) {
        return rung_fail(error, RUNG_INVALID, "a header of a call is not \"Name: value\" without control characters");
    }
    return RUNG_OK;
}

rung_status rung_upstream_make_headers(const struct curl_slist *authorization, const rung_call_request *request,
                                       struct curl_slist **headers, rung_error *error)
{
    /* libcurl takes out a header without a value: "Expect" would cost a round trip. */
    static const char *const fixed[] = {"Content-Type: application/json", "Accept: application/json", "Expect:"};
    struct curl_slist *list = NULL;
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof fixed / sizeof fixed[0]; i++) {
        status = add_header(&list, fixed[i], error);
    }
    if (status == RUNG_OK && authorization != NULL) {
        status = add_header(&list, authorization->data, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < request->num_headers; i++) {
        status = check_header(request->headers[i], error);
        if (status == RUNG_OK) {
            status = add_header(&list, request->headers[i], error);
        }
    }
    if (status != RUNG_OK) {
        curl_slist_free_all(list);
        return status;
    }
    *headers = list;
    return RUNG_OK;
}

/* An option that could not be set may not be left out: without CAINFO or PROXY the call would go elsewhere than was said. */
CURL *rung_upstream_make_easy(const char *url, const char *ca_file)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        return NULL;
    }
    bool set = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* nor what the environment says */
               (ca_file == NULL || curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK);
    if (!set) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a stopped call does not wait for its name to be resolved */
#endif
    return easy;
}

/* Whether it can stand in a header: nothing else could be meant by it than what was sent. */
static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f) {
            return false;
        }
    }
    return length > 0;
}

/* The token is the file's first line. */
rung_status rung_upstream_read_token(const char *path, char **token, rung_error *error)
{
    size_t bytes = 0;
    size_t length = 0;
    *token = NULL;
    rung_status status = path == NULL ? RUNG_OK : rung_read_file(path, MAX_TOKEN_BYTES, token, &bytes, error);
    if (status != RUNG_OK || path == NULL) {
        return status;
    }
    while (length < bytes && (*token)[length] != '\r' && (*token)[length] != '\n') {
        length++;
    }
    if (!is_token(*token, length)) {
        free(*token);
        *token = NULL;
        return rung_fail(error, RUNG_INVALID,
                         "%s: holds no token: its first line must not be empty or hold spaces or control characters",
                         path);
    }
    (*token)[length] = '\0';
    return RUNG_OK;
}
