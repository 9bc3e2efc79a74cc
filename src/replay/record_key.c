/* record_key.c: the address of what a model says about a text. See record_key.h. */
#include "replay/record_key.h"

#include "base/hash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are hashed as they lie in memory");

/* Changes when the numbers of a record get another meaning under the same fields. */
static const char DOMAIN[] = "rung record 1";

static void put(rung_sha256 *hash, const void *data, size_t bytes)
{
    uint64_t length = bytes;
    rung_sha256_update(hash, &length, sizeof length);
    if (bytes > 0) {
        rung_sha256_update(hash, data, bytes);
    }
}

static void put_number(rung_sha256 *hash, uint64_t number)
{
    put(hash, &number, sizeof number);
}

rung_record_key rung_record_key_of(const char *model_sha256, const rung_variant *variant, int precision,
                                   size_t max_tokens, const int32_t *ids, const uint8_t *type_ids, size_t num_tokens)
{
    rung_variant_kind kind = variant != NULL ? variant->kind : RUNG_VARIANT_NONE;
    double amount = kind != RUNG_VARIANT_NONE ? variant->amount : 0;
    rung_sha256 hash;
    rung_sha256_init(&hash);
    put(&hash, DOMAIN, sizeof DOMAIN - 1);
    put(&hash, model_sha256, strlen(model_sha256));
    put_number(&hash, (uint64_t)kind);
    put(&hash, &amount, sizeof amount);
    put_number(&hash, (uint64_t)precision);
    put_number(&hash, max_tokens);
    put_number(&hash, num_tokens);
    put(&hash, ids, num_tokens * sizeof *ids);
    put(&hash, type_ids, type_ids != NULL ? num_tokens : 0);
    uint8_t digest[RUNG_SHA256_BYTES];
    rung_sha256_digest(&hash, digest);
    rung_record_key key;
    memcpy(key.bytes, digest, sizeof key.bytes);
    return key;
}
