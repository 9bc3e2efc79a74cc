/* fuzz_json_pairs.c: arbitrary text as a tokenizer.json. Checked: what json_pairs reads to its end is what jansson reads, when jansson takes the rest
 * with {} in the object's place. Built with libFuzzer, or with replay_main.c over its corpus. */
#include "model/json_pairs.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The text with {} in the place of the object, as a tree. */
static json_t *parse_rest(const char *json, size_t size, const rung_json_pairs *pairs)
{
    size_t before = (size_t)(pairs->begin - json);
    size_t after = (size_t)(json + size - pairs->end);
    char *rest = malloc(before + 2 + after);
    require(rest != NULL);
    memcpy(rest, json, before);
    memcpy(rest + before, "{}", 2);
    memcpy(rest + before + 2, pairs->end, after);
    json_t *root = json_loadb(rest, before + 2 + after, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    free(rest);
    return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    rung_json_pairs pairs;
    rung_json_pair pair;
    if (!rung_json_pairs_find(json, size, "model", "vocab", &pairs)) {
        return 0;
    }
    require(pairs.begin >= json && pairs.end <= json + size && *pairs.begin == '{' && pairs.end[-1] == '}');
    json_t *rest = parse_rest(json, size, &pairs);
    json_t *whole = json_loadb(json, size, JSON_ALLOW_NUL, NULL); /* names may come twice: the last one counts */
    json_t *vocab = json_object_get(json_object_get(whole, "model"), "vocab");
    json_t *read = json_object();
    const char *at = NULL;
    rung_json_pairs_step step;
    while ((step = rung_json_pairs_next(&pairs, &at, &pair)) == RUNG_JSON_PAIR) {
        require(json_object_setn_new(read, pair.name, pair.bytes, json_integer(pair.number)) == 0);
    }
    if (step == RUNG_JSON_PAIRS_END && rest != NULL) {
        require(json_equal(read, vocab));
    }
    json_decref(read);
    json_decref(whole);
    json_decref(rest);
    return 0;
}
