/* test_http_head.c: the verdict on a request's head, and the traces that libmicrohttpd leaves of what it cut off or joined. */
#include "serve/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* As libmicrohttpd leaves it: NULs in place of separators. */
#define LINE "GET\0/path?q\0HTTP/1.1\0"

static rung_http_head make_head(const char *text, size_t bytes, const rung_http_header *headers, size_t num_headers)
{
    return (rung_http_head){
        .method = text,
        .target = text + 4,
        .target_bytes = rung_http_target_bytes(text + 4),
        .version = text + 12,
        .bytes = bytes,
        .headers = headers,
        .num_headers = num_headers,
        .max_bytes = 1000,
        .max_body_bytes = 99,
        .in_place = true,
    };
}

static void gaps_are_found(void **state)
{
    (void)state;
    static const char good[] = LINE "\0Host\0 a\0\0X\0\t \0\0\0\0";
    const rung_http_header headers[] = {{good + 22, good + 28}, {good + 31, good + 35}};
    assert_string_equal(headers[0].name, "Host");
    assert_string_equal(headers[1].name, "X");
    rung_http_head head = make_head(good, sizeof good - 1, headers, 2);
    assert_int_equal(rung_http_judge(&head).status, 0);
    head.bytes--;
    assert_int_equal(rung_http_judge(&head).status, 400);
    head = make_head(good, sizeof good - 1, headers, 1); /* a line that nobody sees */
    assert_int_equal(rung_http_judge(&head).status, 400);
    head.in_place = false;
    assert_int_equal(rung_http_judge(&head).status, 0);
    static const char cut[] = LINE "\0Host\0 a\0b\0\0\0\0";
    const rung_http_header cut_headers[] = {{cut + 22, cut + 28}};
    head = make_head(cut, sizeof cut - 1, cut_headers, 1);
    assert_int_equal(rung_http_judge(&head).status, 400);
}

static void a_target_may_be_absolute(void **state)
{
    (void)state;
    assert_string_equal(rung_http_path_of("/a/b"), "/a/b");
    assert_string_equal(rung_http_path_of("HTTP://host:80/a"), "/a");
    assert_string_equal(rung_http_path_of("https://host"), "/");
    assert_string_equal(rung_http_path_of("*"), "*");
}

static unsigned judge(const char *target, const char *version, const rung_http_header *headers, size_t num_headers)
{
    rung_http_head head = {
        .method = "POST",
        .target = target,
        .target_bytes = rung_http_target_bytes(target),
        .version = version,
        .bytes = 100,
        .headers = headers,
        .num_headers = num_headers,
        .max_bytes = 100,
        .max_body_bytes = 99,
    };
    rung_http_verdict verdict = rung_http_judge(&head);
    assert_int_equal(verdict.message != NULL, verdict.status != 0);
    return verdict.status;
}

static void framing_is_judged(void **state)
{
    (void)state;
    static const struct {
        rung_http_header headers[3];
        size_t num_headers;
        unsigned status;
    } cases[] = {
        {{{"Host", "a"}}, 1, 0},
        {{{"host", "a"}, {"content-length", "99"}}, 2, 0},
        {{{"host", "a"}, {"content-length", "0099"}}, 2, 0},
        {{{"host", "a"}, {"content-length", "100"}}, 2, 413},
        {{{"host", "a"}, {"content-length", "99999999999999999999999999"}}, 2, 413},
        {{{"host", "a"}, {"content-length", ""}}, 2, 400},
        {{{"host", "a"}, {"content-length", "+1"}}, 2, 400},
        {{{"host", "a"}, {"content-length", "1, 1"}}, 2, 400},
        {{{"host", "a"}, {"transfer-encoding", "Chunked"}}, 2, 0},
        {{{"host", "a"}, {"transfer-encoding", "chunked "}}, 2, 501},
        {{{"host", "a"}, {"transfer-encoding", ""}}, 2, 501},
        {{{"host", "a"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "1"}}, 3, 400},
        {{{"host", "a"}, {"Content-Length", "1"}, {"Content-Length", "1"}}, 3, 400},
        {{{"host", "a"}, {"X-\303\244", "1"}}, 2, 400},
        {{{"host", "a"}, {"X-A", "\303\244 \tb"}}, 2, 0},
        {{{"host", "a"}, {"X-A", "\033"}}, 2, 400},
        {{{"host", "a"}, {"", "b"}}, 2, 400},
        {{{"X-A", "b"}}, 1, 400},
        {{{"host", "a"}, {"Inference-Header-Content-Length", "1"}, {"inference-header-content-length", "2"}}, 3, 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned status = judge("/", "HTTP/1.1", cases[i].headers, cases[i].num_headers);
        if (status != cases[i].status) {
            fail_msg("case %zu: %u, not %u", i, status, cases[i].status);
        }
    }
    assert_int_equal(judge("/", "HTTP/1.0", NULL, 0), 0);
    assert_int_equal(judge("/", "HTTP/1.0", cases[8].headers, 2), 400);
    assert_int_equal(judge("/", "HTTP/1.2", cases[0].headers, 1), 505);
    assert_int_equal(judge("", "HTTP/1.1", cases[0].headers, 1), 400);
    assert_int_equal(judge("/a b", "HTTP/1.1", cases[0].headers, 1), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_may_be_absolute),
        cmocka_unit_test(gaps_are_found),
        cmocka_unit_test(framing_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
