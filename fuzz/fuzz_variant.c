/* fuzz_variant.c: any bytes as the name of a variant. What is accepted reads back from its printed form and keeps the first layer, the last
 * layer and at least one token; what is refused changes nothing. */
#include "cascade/variant.h"
#include "config/variant_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void use(const rung_variant *variant)
{
    for (uint32_t layers = 1; layers <= 24; layers++) {
        if (variant->kind == RUNG_VARIANT_LAYER_SKIP) {
            bool keep[24];
            rung_layer_skip(layers, variant->amount, keep);
            require(keep[0] && keep[layers - 1]);
        } else if (variant->kind == RUNG_VARIANT_POWER_BERT) {
            size_t before = 100;
            for (uint32_t layer = 1; layer <= layers; layer++) {
                size_t count = rung_power_keep(100, layer, layers, variant->amount);
                require(count >= 1 && count <= before);
                before = count;
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    rung_variant variant = {.kind = RUNG_VARIANT_NONE, .amount = -1};
    rung_error error = {0};
    if (rung_variant_parse(text, &variant, &error) != RUNG_OK) {
        require(error.code == RUNG_INVALID && variant.amount == -1 && strncmp(error.message, "variant '", 9) == 0);
    } else {
        char printed[RUNG_VARIANT_BYTES];
        rung_variant again;
        require(rung_variant_parse(rung_variant_format(&variant, printed), &again, NULL) == RUNG_OK);
        require(again.kind == variant.kind && again.amount == variant.amount);
        use(&variant);
    }
    free(text);
    return 0;
}
