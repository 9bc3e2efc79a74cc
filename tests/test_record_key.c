/* test_record_key.c: a key depends on every field, on where one field ends and the next begins, and on nothing else. */
#include "model_fixture.h"
#include "replay/record_key.h"

static const int32_t ids[3] = {101, 7, 102};
static const uint8_t types[3] = {0, 0, 1};

static bool differ(rung_record_key a, rung_record_key b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) != 0;
}

static void is_the_same_on_every_machine(void **state)
{
    (void)state;
    /* Made by another SHA-256 over the fields as record_key.c lists them. */
    const uint8_t wanted[RUNG_RECORD_KEY_BYTES] = {0x3e, 0xb9, 0xb8, 0xba, 0x84, 0x40, 0x5b, 0x20,
                                                   0x70, 0xda, 0x0d, 0x1f, 0x9d, 0x7d, 0x46, 0x9a};
    rung_variant variant = {RUNG_VARIANT_POWER_BERT, .5};
    rung_record_key key = rung_record_key_of("ab12", &variant, 1, 512, ids, types, 3);
    assert_memory_equal(key.bytes, wanted, sizeof wanted);
}

static void every_field_counts(void **state)
{
    (void)state;
    rung_variant skip = {RUNG_VARIANT_LAYER_SKIP, 2};
    rung_variant skip_more = {RUNG_VARIANT_LAYER_SKIP, 3};
    rung_variant power = {RUNG_VARIANT_POWER_BERT, .5};
    const int32_t other_ids[3] = {101, 8, 102};
    const uint8_t other_types[3] = {0, 1, 1};
    const uint8_t zeros[3] = {0};
    rung_record_key keys[] = {
        rung_record_key_of("ab", NULL, 0, 512, ids, types, 3),
        rung_record_key_of("ac", NULL, 0, 512, ids, types, 3),
        rung_record_key_of("abc", NULL, 0, 512, ids, types, 3),
        rung_record_key_of("ab", &skip, 0, 512, ids, types, 3),
        rung_record_key_of("ab", &skip_more, 0, 512, ids, types, 3),
        rung_record_key_of("ab", &power, 0, 512, ids, types, 3),
        rung_record_key_of("ab", NULL, 1, 512, ids, types, 3),
        rung_record_key_of("ab", NULL, 0, 256, ids, types, 3),
        rung_record_key_of("ab", NULL, 0, 512, other_ids, types, 3),
        rung_record_key_of("ab", NULL, 0, 512, ids, other_types, 3),
        rung_record_key_of("ab", NULL, 0, 512, ids, types, 2),
        rung_record_key_of("ab", NULL, 0, 512, ids, NULL, 3),
        rung_record_key_of("ab", NULL, 0, 512, ids, zeros, 3),
        rung_record_key_of("ab", NULL, 0, 512, ids, types, 0),
        rung_record_key_of("", NULL, 0, 512, ids, types, 3),
    };
    size_t count = sizeof keys / sizeof keys[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_true(differ(keys[i], keys[j]));
        }
    }
}

static void no_variant_is_one(void **state)
{
    (void)state;
    rung_variant none = {RUNG_VARIANT_NONE, 0};
    rung_variant amount = {RUNG_VARIANT_NONE, 2};
    rung_record_key key = rung_record_key_of("ab", NULL, 0, 512, ids, types, 3);
    assert_false(differ(key, rung_record_key_of("ab", &none, 0, 512, ids, types, 3)));
    assert_false(differ(key, rung_record_key_of("ab", &amount, 0, 512, ids, types, 3)));
    assert_false(differ(key, rung_record_key_of("ab", NULL, 0, 512, (const int32_t[]){101, 7, 102}, types, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_same_on_every_machine),
        cmocka_unit_test(every_field_counts),
        cmocka_unit_test(no_variant_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
