/* http_head.c: strict checks of a request's head. See http_head.h. */
#include "serve/http_head.h"

#include <string.h>
#include <strings.h>

const char rung_http_too_many_headers[] = "there are more than 64 header fields";

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    const char *c = text;
    for (; *c != '\0'; c++) {
        bool alphanumeric = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z');
        if (!alphanumeric && strchr(others, *c) == NULL) {
            return false;
        }
    }
    return c != text;
}

/* Neither control characters nor, without `blanks`, spaces. Bytes from 0x80 are opaque (RFC 9110, 5.5). */
static bool is_plain(const char *text, bool blanks)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        bool blank = *c == ' ' || *c == '\t';
        if (blank ? !blanks : *c < 0x20 || *c == 0x7f) {
            return false;
        }
    }
    return true;
}

size_t rung_http_target_bytes(const char *target)
{
    return is_plain(target, false) ? strlen(target) : 0;
}

const char *rung_http_path_of(const char *target)
{
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0) {
        return target;
    }
    const char *path = strchr(strstr(target, "//") + 2, '/');
    return path != NULL ? path : "/";
}

static bool is_number(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Saturates: only compared with limits. */
static size_t to_number(const char *text)
{
    size_t number = 0;
    for (; *text != '\0'; text++) {
        size_t digit = (size_t)(*text - '0');
        number = number > (SIZE_MAX - digit) / 10 ? SIZE_MAX : number * 10 + digit;
    }
    return number;
}

/* Every string begins where the one before it ended: one separator after the request line's parts and after a name (and blanks), two (CR, LF)
 * after a line. */
static bool has_no_gaps(const rung_http_head *head)
{
    if (head->method + strlen(head->method) + 1 != head->target ||
        head->target + head->target_bytes + 1 != head->version) {
        return false;
    }
    const char *next = head->version + strlen(head->version) + 2;
    for (size_t i = 0; i < head->num_headers; i++) {
        const rung_http_header *header = &head->headers[i];
        if (header->name != next) {
            return false;
        }
        const char *value = header->name + strlen(header->name) + 1;
        value += strspn(value, " \t");
        if (header->value != value) {
            return false;
        }
        next = value + strlen(value) + 2;
    }
    return next + 2 == head->method + head->bytes;
}

static size_t count(const rung_http_head *head, const char *name, const char **value)
{
    size_t found = 0;
    for (size_t i = 0; i < head->num_headers; i++) {
        if (strcasecmp(head->headers[i].name, name) == 0) {
            *value = head->headers[i].value;
            found++;
        }
    }
    return found;
}

/* Where the body ends, beyond doubt (RFC 9112, 6.3): else a proxy and we could see different requests in the same bytes. */
static rung_http_verdict judge_framing(const rung_http_head *head)
{
    const char *length = NULL, *coding = NULL;
    size_t num_lengths = count(head, "Content-Length", &length);
    size_t num_codings = count(head, "Transfer-Encoding", &coding);
    if (num_lengths > 0 && num_codings > 0) {
        return (rung_http_verdict){400, "Content-Length and Transfer-Encoding exclude each other"};
    }
    if (num_lengths > 1 || num_codings > 1) {
        return (rung_http_verdict){400, "Content-Length or Transfer-Encoding came more than once"};
    }
    const char *inference = NULL; /* where the JSON of a binary body ends (Open Inference Protocol) */
    if (count(head, "Inference-Header-Content-Length", &inference) > 1) {
        return (rung_http_verdict){400, "Inference-Header-Content-Length came more than once"};
    }
    if (num_codings == 1 && strcmp(head->version, "HTTP/1.0") == 0) {
        return (rung_http_verdict){400, "HTTP/1.0 has no Transfer-Encoding"};
    }
    if (num_codings == 1 && strcasecmp(coding, "chunked") != 0) {
        return (rung_http_verdict){501, "the only Transfer-Encoding is chunked"};
    }
    if (num_lengths == 1 && !is_number(length)) {
        return (rung_http_verdict){400, "Content-Length is not a number"};
    }
    if (num_lengths == 1 && to_number(length) > head->max_body_bytes) {
        return (rung_http_verdict){413, "the body is larger than this node's limit"};
    }
    return (rung_http_verdict){0};
}

rung_http_verdict rung_http_judge(const rung_http_head *head)
{
    if (head->num_headers > RUNG_HTTP_MAX_HEADERS) {
        return (rung_http_verdict){431, rung_http_too_many_headers};
    }
    if (head->bytes > head->max_bytes) {
        return (rung_http_verdict){431, "the headers are larger than this node's limit"};
    }
    if (strcmp(head->version, "HTTP/1.1") != 0 && strcmp(head->version, "HTTP/1.0") != 0) {
        return (rung_http_verdict){505, "the version is neither HTTP/1.1 nor HTTP/1.0"};
    }
    if (!is_token(head->method)) {
        return (rung_http_verdict){400, "the method is not a token"};
    }
    if (head->target_bytes == 0) {
        return (rung_http_verdict){400, "the request's target has a character that must be escaped"};
    }
    for (size_t i = 0; i < head->num_headers; i++) {
        if (!is_token(head->headers[i].name) || !is_plain(head->headers[i].value, true)) {
            return (rung_http_verdict){400, "a header has a forbidden character"};
        }
    }
    if (head->in_place && !has_no_gaps(head)) {
        return (rung_http_verdict){400, "the head has a NUL, a bare line feed, a folded line or a superfluous space"};
    }
    const char *host;
    size_t num_hosts = count(head, "Host", &host);
    if (num_hosts > 1 || (num_hosts == 0 && strcmp(head->version, "HTTP/1.1") == 0)) {
        return (rung_http_verdict){400, "HTTP/1.1 demands one Host header"};
    }
    return judge_framing(head);
}
