/* test_quota.c: requests of each client are counted, whoever comes and goes. */
#include "base/prng.h"
#include "serve/quota.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENTS 300

static rung_quota *make(size_t limit)
{
    rung_quota *quota = NULL;
    assert_int_equal(rung_quota_create(limit, &quota, NULL), RUNG_OK);
    return quota;
}

static rung_client client_at(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return rung_client_of((struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return rung_client_of((struct sockaddr *)&v6);
}

static void a_client_is_an_address(void **state)
{
    (void)state;
    assert_true(client_at("10.0.0.1").key == client_at("10.0.0.1").key);
    assert_true(client_at("10.0.0.1").key != client_at("10.0.0.2").key);
    assert_true(client_at("::ffff:10.0.0.1").key == client_at("10.0.0.1").key);
    assert_true(client_at("2001:db8:1:2::1").key == client_at("2001:db8:1:2:ffff::9").key);
    assert_true(client_at("2001:db8:1:2::1").key != client_at("2001:db8:1:3::1").key);
}

static void the_limit_is_named(void **state)
{
    (void)state;
    rung_error error;
    rung_quota *quota = make(2);
    rung_client one = client_at("10.0.0.1");
    assert_int_equal(rung_quota_take(quota, one, &error), RUNG_OK);
    assert_int_equal(rung_quota_take(quota, one, &error), RUNG_OK);
    assert_int_equal(rung_quota_take(quota, one, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "this client has 2 requests that are not answered yet, the limit is 2");
    assert_int_equal(rung_quota_take(quota, client_at("10.0.0.2"), &error), RUNG_OK);
    rung_quota_give(quota, one);
    assert_int_equal(rung_quota_take(quota, one, &error), RUNG_OK);
    assert_int_equal(rung_quota_num_clients(quota), 2);
    rung_quota_free(quota);
}

static void without_a_limit_nothing_is_counted(void **state)
{
    (void)state;
    rung_quota *quota = make(0);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(rung_quota_take(quota, client_at("10.0.0.1"), NULL), RUNG_OK);
    }
    rung_quota_give(quota, client_at("10.0.0.1"));
    assert_int_equal(rung_quota_num_clients(quota), 0);
    rung_quota_free(quota);
    rung_quota_free(NULL);
}

/* Against plain counters, while clients come and go. */
static void clients_are_told_apart(void **state)
{
    (void)state;
    rung_prng prng = {3};
    size_t counts[CLIENTS] = {0};
    size_t present = 0;
    rung_quota *quota = make(3);
    for (size_t step = 0; step < 200000; step++) {
        size_t i = rung_prng_below(&prng, CLIENTS);
        rung_client client = {i * 0x9e3779b97f4a7c15u};
        if (rung_prng_below(&prng, 2) == 0) {
            rung_status expected = counts[i] < 3 ? RUNG_OK : RUNG_LIMIT;
            assert_int_equal(rung_quota_take(quota, client, NULL), expected);
            present += expected == RUNG_OK && counts[i] == 0;
            counts[i] += expected == RUNG_OK;
        } else if (counts[i] > 0) {
            rung_quota_give(quota, client);
            counts[i]--;
            present -= counts[i] == 0;
        }
        assert_int_equal(rung_quota_num_clients(quota), present);
    }
    rung_quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_an_address),
        cmocka_unit_test(the_limit_is_named),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
        cmocka_unit_test(clients_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
