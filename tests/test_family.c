/* test_family.c: the table of families is whole, and each is found by its name alone. */
#include "model/family.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_family_is_whole(void **state)
{
    (void)state;
    size_t count = 0;
    for (const rung_family *family; (family = rung_family_at(count)) != NULL; count++) {
        const char *const names[] = {
            family->model_type,
            family->classifier,
            family->encoders[0],
            family->fields.num_layers,
            family->fields.hidden_size,
            family->fields.intermediate_size,
            family->fields.num_heads,
            family->fields.activation,
            family->prefix,
            family->layers,
            family->layer.query,
            family->layer.key,
            family->layer.value,
            family->layer.attention_output,
            family->layer.ffn_in,
            family->layer.ffn_out,
            family->layer.attention_norm,
            family->layer.output_norm,
            family->pooler,
            family->classifier_head,
        };
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            assert_non_null(names[i]);
            assert_true(names[i][0] != '\0');
        }
        assert_true(strchr(family->prefix, '.') == family->prefix + strlen(family->prefix) - 1);
        assert_ptr_equal(rung_family_find(family->model_type), family);
    }
    assert_int_equal(count, 3);
}

static void test_unknown_names_are_no_family(void **state)
{
    (void)state;
    assert_null(rung_family_find(""));
    assert_null(rung_family_find("Bert"));
    assert_null(rung_family_find("bertweet")); /* its config.json says "roberta" */
    assert_null(rung_family_find("xlm-roberta"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family_is_whole),
        cmocka_unit_test(test_unknown_names_are_no_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
