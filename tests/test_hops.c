/* test_hops.c: loops are seen, and the times that clients give are read exactly or refused. */
#include "net/hops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID_63 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void lists_of_nodes(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        rung_via via;
    } cases[] = {
        {NULL, RUNG_VIA_NEW},
        {"", RUNG_VIA_NEW},
        {"edge-1", RUNG_VIA_NEW},
        {"edge-1, own2,own.3 ,\tOwn", RUNG_VIA_FULL},
        {"a, b, c, d, own", RUNG_VIA_LOOP},  /* the plainer word */
        {"edge-1, own2, Own", RUNG_VIA_NEW}, /* none of them is "own" */
        {"own", RUNG_VIA_LOOP},
        {" edge-1 ,own", RUNG_VIA_LOOP},
        {ID_63 "," ID_63 "," ID_63, RUNG_VIA_NEW},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_via via = (rung_via)99;
        rung_error error;
        assert_int_equal(rung_via_check(cases[i].header, "own", &via, &error), RUNG_OK);
        assert_int_equal(via, cases[i].via);
    }
    static const char *const bad[] = {",", "a,", "a,,b", "a b", "a;b", "\x01", ID_63 "f", "a, \xff", ", a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_via via = (rung_via)99;
        rung_error error;
        assert_int_equal(rung_via_check(bad[i], "own", &via, &error), RUNG_FORMAT);
        assert_memory_equal(error.message, "Rung-Via ", 9);
        assert_int_equal(via, 99);
    }
}

static void the_list_grows(void **state)
{
    (void)state;
    char out[RUNG_VIA_BYTES];
    assert_string_equal(rung_via_extend(NULL, "own", out), "Rung-Via: own");
    assert_string_equal(rung_via_extend(" a ,b,  c", "own", out), "Rung-Via: a, b, c, own");
    assert_string_equal(rung_via_extend(ID_63 "," ID_63 "," ID_63, ID_63, out),
                        "Rung-Via: " ID_63 ", " ID_63 ", " ID_63 ", " ID_63);
}

static void names_of_nodes(void **state)
{
    (void)state;
    assert_true(rung_node_id_valid("edge-1.site-2~x") && rung_node_id_valid(ID_63));
    assert_false(rung_node_id_valid("") || rung_node_id_valid("a b") || rung_node_id_valid("a,b") ||
                 rung_node_id_valid(ID_63 "f"));
}

static void timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *grpc;
        const char *envoy;
        double timeout_s;
    } cases[] = {
        {NULL, NULL, 10},
        {"100m", NULL, 0.1},
        {"2S", NULL, 2},
        {"1M", NULL, 10},
        {"1H", NULL, 10},
        {"250u", NULL, 25e-5},
        {"99999999n", NULL, 0.099999999},
        {"0m", NULL, 0},
        {NULL, "150", 0.15},
        {NULL, "0", 10},
        {"100m", "50", 0.05},
        {"100m", "500", 0.1},
        {NULL, "999999999999999", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double timeout_s = -1;
        rung_error error;
        assert_int_equal(rung_deadline_from_headers(cases[i].grpc, cases[i].envoy, 10, &timeout_s, &error), RUNG_OK);
        assert_true(fabs(timeout_s - cases[i].timeout_s) < 1e-12);
    }
    static const char *const bad[] = {"", "m", "100", "1.5S", "-1S", "123456789m", "1s", "1 S", "1Sx", "S\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double timeout_s = -1;
        rung_error error;
        assert_int_equal(rung_deadline_from_headers(bad[i], NULL, 10, &timeout_s, &error), RUNG_INVALID);
        assert_memory_equal(error.message, "grpc-timeout is '", 17);
        assert_true(timeout_s == -1);
    }
    static const char *const bad_ms[] = {"", "1.5", "-1", "10ms", "1234567890123456", " 1"};
    for (size_t i = 0; i < sizeof bad_ms / sizeof bad_ms[0]; i++) {
        double timeout_s = -1;
        rung_error error;
        assert_int_equal(rung_deadline_from_headers(NULL, bad_ms[i], 10, &timeout_s, &error), RUNG_INVALID);
        assert_memory_equal(error.message, "X-Envoy-Expected-Rq-Timeout-Ms is '", 35);
    }
}

static void a_timeout_is_handed_on(void **state)
{
    (void)state;
    static const double times_s[] = {1e-9, 0, -1, 0.0875, 99.9, 1000, 3e5, 1e30};
    for (size_t i = 0; i < sizeof times_s / sizeof times_s[0]; i++) {
        char out[RUNG_TIMEOUT_BYTES];
        double back_s = -1;
        rung_error error;
        const char *header = rung_deadline_header(times_s[i], out);
        assert_memory_equal(header, "grpc-timeout: ", 14);
        assert_int_equal(rung_deadline_from_headers(header + 14, NULL, 1e9, &back_s, &error), RUNG_OK);
        assert_true(back_s > 0 && back_s <= fmax(times_s[i], 1e-6) * (1 + 1e-12));
        assert_true(back_s >= fmin(times_s[i], 99999.0) * 0.9999);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_nodes), cmocka_unit_test(the_list_grows),         cmocka_unit_test(names_of_nodes),
        cmocka_unit_test(timeouts),       cmocka_unit_test(a_timeout_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
