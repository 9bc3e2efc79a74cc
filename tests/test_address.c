/* test_address.c: where to listen and where the next level is, good and bad. */
#include "config/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void listen_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool loopback, any;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, true, false},
        {"127.8.9.10:1", "127.8.9.10", 1, true, false},
        {"0.0.0.0:0", "0.0.0.0", 0, false, true},
        {"[::1]:65535", "::1", 65535, true, false},
        {"[::]:80", "::", 80, false, true},
        {"10.0.0.1:80", "10.0.0.1", 80, false, false},
        {"[FE80::1]:80", "fe80::1", 80, false, false},
        {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_host_port at;
        rung_error error;
        assert_int_equal(rung_parse_listen(cases[i].text, &at, &error), RUNG_OK);
        assert_string_equal(at.host, cases[i].host);
        assert_int_equal(at.port, cases[i].port);
        assert_true(at.is_numeric);
        assert_int_equal(at.is_loopback, cases[i].loopback);
        assert_int_equal(at.is_any, cases[i].any);
    }
}

static void bad_listen_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "no numeric address"},
        {"8080", "no numeric address"},
        {":8080", "no numeric address"},
        {"localhost:8080", "no numeric address"},
        {"127.0.0.256:80", "no numeric address"},
        {"127.1:80", "no numeric address"},
        {"::1:80", "no numeric address"},
        {"[127.0.0.1]x:80", "no numeric address"},
        {"[::1", "no numeric address"},
        {"[::1%lo]:80", "no numeric address"},
        {"127.0.0.1", "has no port"},
        {"[::1]", "has no port"},
        {"127.0.0.1:", "the port must be"},
        {"127.0.0.1:65536", "the port must be"},
        {"127.0.0.1:-1", "the port must be"},
        {"127.0.0.1:80/", "the port must be"},
        {"127.0.0.1:99999999999999999999", "the port must be"},
        {"http://127.0.0.1:80", "is a URL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_host_port at = {.port = 7};
        rung_error error = {0};
        assert_int_equal(rung_parse_listen(cases[i].text, &at, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, cases[i].message));
        assert_int_equal(at.port, 7);
    }
}

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *prefix;
        uint16_t port;
        bool https, numeric, loopback;
    } cases[] = {
        {"http://127.0.0.1:8080", "127.0.0.1", "", 8080, false, true, true},
        {"https://Cloud.Example", "cloud.example", "", 443, true, false, false},
        {"http://cloud_1/", "cloud_1", "", 80, false, false, false},
        {"http://[::1]:9/a/b//", "::1", "/a/b", 9, false, true, true},
        {"http://LOCALHOST:1", "localhost", "", 1, false, false, true},
        {"http://edge.localhost:1", "edge.localhost", "", 1, false, false, true},
        {"http://notlocalhost:1", "notlocalhost", "", 1, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_url url;
        rung_error error;
        assert_int_equal(rung_parse_url(cases[i].text, &url, &error), RUNG_OK);
        assert_string_equal(url.at.host, cases[i].host);
        assert_int_equal(url.prefix_bytes, strlen(cases[i].prefix));
        assert_memory_equal(url.prefix, cases[i].prefix, url.prefix_bytes);
        assert_int_equal(url.at.port, cases[i].port);
        assert_int_equal(url.https, cases[i].https);
        assert_int_equal(url.at.is_numeric, cases[i].numeric);
        assert_int_equal(url.at.is_loopback, cases[i].loopback);
    }
}

static void bad_urls(void **state)
{
    (void)state;
    char long_url[1100] = "http://a/";
    memset(long_url + 9, 'x', sizeof long_url - 10);
    const struct {
        const char *text, *message;
    } cases[] = {
        {"", "does not begin with"},
        {"127.0.0.1:80", "does not begin with"},
        {"ftp://a:1", "neither http nor https"},
        {"HTTP://a:1", "neither http nor https"},
        {"http://", "no valid host"},
        {"http://:80", "no valid host"},
        {"http://a b:80", "no valid host"},
        {"http://a\n:80", "no valid host"},
        {"http://.a:80", "no valid host"},
        {"http://127.0.0.300:80", "no valid host"},
        {"http://::1:80", "no valid host"},
        {"http://[::1:80", "no valid host"},
        {"http://[cloud]:80", "no valid host"},
        {"http://a:0", "no valid port"},
        {"http://a:", "no valid port"},
        {"http://a:8o", "no valid port"},
        {"http://a:80?x=1", "query or a fragment"},
        {"http://a#x", "query or a fragment"},
        {"http://a/b c", "special character"},
        {"http://a/\r\nHost: b", "special character"},
        {long_url, "the limit is 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_url url = {.prefix_bytes = 7};
        rung_error error = {0};
        assert_int_not_equal(rung_parse_url(cases[i].text, &url, &error), RUNG_OK);
        assert_non_null(strstr(error.message, cases[i].message));
        assert_int_equal(url.prefix_bytes, 7);
    }
}

static void secrets_are_not_repeated(void **state)
{
    (void)state;
    rung_url url;
    rung_error error = {0};
    assert_int_equal(rung_parse_url("https://me:hunter2@cloud:80", &url, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "token_file"));
    assert_null(strstr(error.message, "hunter2"));
}

static void lists(void **state)
{
    (void)state;
    char text[] = " a , b c,,d";
    char *rest = text;
    assert_string_equal(rung_take_url(&rest), "a");
    assert_string_equal(rung_take_url(&rest), "b c");
    assert_string_equal(rung_take_url(&rest), "");
    assert_string_equal(rung_take_url(&rest), "d");
    assert_null(rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_addresses),
        cmocka_unit_test(bad_listen_addresses),
        cmocka_unit_test(urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(lists),
        cmocka_unit_test(secrets_are_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
