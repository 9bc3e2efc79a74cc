/* test_html_entities.c: names, and what is none. */
#include "model/html_entities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void finds_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t code_point;
    } CASES[] = {{"amp", '&'},     {"lt", '<'},         {"AElig", 0xC6}, {"zwnj", 0x200C}, {"eacute", 0xE9},
                 {"Eacute", 0xC9}, {"thetasym", 0x3D1}, {"EACUTE", 0},   {"am", 0},        {"ampx", 0},
                 {"", 0},          {"zzzzzzzzzzzz", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(rung_html_entity(CASES[i].name, strlen(CASES[i].name)), CASES[i].code_point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
