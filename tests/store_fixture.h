/* store_fixture.h: entries of a record whose every number follows from one, and files of bytes. Included by
 * test_store.c and test_store_format.c. */
#ifndef RUNG_TESTS_STORE_FIXTURE_H
#define RUNG_TESTS_STORE_FIXTURE_H

#include "model_fixture.h"
#include "replay/store_format.h"

#include <math.h>

#define STORE_ORIGIN "level 1 model sha256 ab\nprecision int8\n"

/* All arrays of an entry in one. */
typedef struct made_entry {
    rung_record_key key;
    rung_record_entry entry;
    float *values;
} made_entry;

static inline rung_record_key store_key(uint64_t number)
{
    int32_t ids[2] = {(int32_t)number, 7};
    return rung_record_key_of("ab", NULL, 1, 512, ids, NULL, 2);
}

/* An entry of the sizes given and numbers that `number` decides; one logit is NaN. */
static inline made_entry store_entry_of(uint64_t number, rung_record_entry sizes)
{
    size_t logits = (size_t)sizes.num_layers * sizes.num_classes;
    size_t states = (size_t)sizes.num_layers * sizes.hidden_size;
    size_t importance = (size_t)sizes.importance_layers * sizes.num_tokens;
    size_t total = logits + states + importance + sizes.num_layers;
    made_entry made = {.key = store_key(number), .entry = sizes, .values = malloc(total * sizeof(float))};
    assert_non_null(made.values);
    for (size_t i = 0; i < total; i++) {
        made.values[i] = fixture_value("entry", number * 1000 + i);
    }
    made.values[0] = NAN;
    made.entry.logits = made.values;
    made.entry.states = states > 0 ? made.values + logits : NULL;
    made.entry.importance = importance > 0 ? made.values + logits + states : NULL;
    made.entry.compute_s = made.values + logits + states + importance;
    return made;
}

/* Small, with and without states and importance. */
static inline made_entry store_entry(uint64_t number)
{
    rung_record_entry sizes = {.num_tokens = 2 + (uint32_t)(number % 3),
                               .num_layers = 1 + (uint32_t)(number % 2),
                               .num_classes = 2,
                               .hidden_size = number % 4 < 2 ? 3 : 0,
                               .importance_layers = number % 3 != 0};
    return store_entry_of(number, sizes);
}

static inline bool same_floats(const float *a, const float *b, size_t count)
{
    return (a == NULL) == (b == NULL) && (count == 0 || memcmp(a, b, count * sizeof *a) == 0);
}

/* By their bits. */
static inline bool store_same(const rung_record_entry *a, const rung_record_entry *b)
{
    return a->num_tokens == b->num_tokens && a->num_layers == b->num_layers && a->num_classes == b->num_classes &&
           a->hidden_size == b->hidden_size && a->importance_layers == b->importance_layers &&
           same_floats(a->logits, b->logits, (size_t)a->num_layers * a->num_classes) &&
           same_floats(a->states, b->states, (size_t)a->num_layers * a->hidden_size) &&
           same_floats(a->importance, b->importance, (size_t)a->importance_layers * a->num_tokens) &&
           same_floats(a->compute_s, b->compute_s, a->num_layers);
}

/* The bytes of a file, to be freed. */
static inline uint8_t *store_bytes(const char *path, size_t *size)
{
    char *text = NULL;
    assert_ok(rung_read_file(path, (size_t)1 << 30, &text, size, error));
    return (uint8_t *)text;
}

#endif
