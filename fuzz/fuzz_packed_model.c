/* fuzz_packed_model.c: any bytes through the whole loader of packed models, configuration and tokenizer included. What
 * it accepts must be usable: the first row and the last of each table of the word embedding are decoded. Run by
 * fuzz/meson.build over corpus/packed_model/. */
#include "base/memory.h"
#include "model/model.h"
#include "model/model_load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const rung_model *model)
{
    size_t hidden = model->config.hidden_size;
    float *row = malloc(hidden * sizeof *row);
    if (row == NULL) {
        abort();
    }
    size_t border = model->word_embedding.frequent_rows;
    rung_word_embedding_row(&model->word_embedding, hidden, 0, row);
    rung_word_embedding_row(&model->word_embedding, hidden, (int32_t)border, row);
    if (border > 0) {
        rung_word_embedding_row(&model->word_embedding, hidden, (int32_t)(border - 1), row);
    }
    rung_word_embedding_row(&model->word_embedding, hidden, (int32_t)(model->config.vocab_size - 1), row);
    free(row);
    rung_error error;
    if (rung_model_verify(model, &error) != RUNG_OK && error.code != RUNG_MISMATCH) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Aligned as a mapping is, and no longer than the input. */
    rung_error error = {.message = ""};
    uint8_t *copy = NULL;
    if (posix_memalign((void **)&copy, RUNG_ALIGNMENT, size > 0 ? size : 1) != 0) {
        abort();
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    rung_model *model = NULL;
    if (rung_model_parse_packed(copy, size, "input", &model, &error) == RUNG_OK) {
        use(model);
    } else if (error.message[0] == '\0' || model != NULL) {
        abort();
    }
    rung_model_close(model);
    free(copy);
    return 0;
}
