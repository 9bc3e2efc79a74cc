/* encoding.c: the arrays of an encoding and its scratch, encodings made of others or of bare ids; see tokenizer.h and
 * tokenizer_pass.h. Called by tokenizer.c, src/run and the tools; knows no text. */
#include "base/memory.h"
#include "model/tokenizer_pass.h"

#include <stdlib.h>

void rung_encoding_deinit(rung_encoding *encoding)
{
    free(encoding->ids);
    free(encoding->begin);
    free(encoding->end);
    free(encoding->type_ids);
    free(encoding->special);
    free(encoding->sequence);
    struct rung_token_scratch *scratch = encoding->scratch;
    if (scratch != NULL) {
        rung_aligned_text_deinit(&scratch->word);
        rung_mark_run_deinit(&scratch->marks);
        rung_bpe_word_deinit(&scratch->symbols);
        rung_aligned_text_deinit(&scratch->normalized);
        rung_aligned_text_deinit(&scratch->spare);
        free(scratch);
    }
    *encoding = (rung_encoding){0};
}

rung_status rung_encoding_grow(rung_encoding *encoding, size_t needed, rung_error *error)
{
    struct {
        void **items;
        size_t size;
    } arrays[] = {
        {(void **)&encoding->ids, sizeof *encoding->ids},
        {(void **)&encoding->begin, sizeof *encoding->begin},
        {(void **)&encoding->end, sizeof *encoding->end},
        {(void **)&encoding->type_ids, sizeof *encoding->type_ids},
        {(void **)&encoding->special, sizeof *encoding->special},
        {(void **)&encoding->sequence, sizeof *encoding->sequence},
    };
    size_t capacity = encoding->capacity;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        capacity = encoding->capacity;
        rung_status status = rung_grow(arrays[i].items, &capacity, needed, arrays[i].size, "token ids", error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    encoding->capacity = capacity;
    return RUNG_OK;
}

rung_status rung_encoding_filter(const rung_encoding *from, const bool *keep, rung_encoding *to, rung_error *error)
{
    rung_status status = rung_encoding_grow(to, from->length, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t kept = 0;
    for (size_t i = 0; i < from->length; i++) {
        if (keep == NULL || keep[i]) {
            to->ids[kept] = from->ids[i];
            to->begin[kept] = 0;
            to->end[kept] = 0;
            to->type_ids[kept] = from->type_ids[i];
            to->special[kept] = from->special[i];
            to->sequence[kept] = from->sequence[i];
            kept++;
        }
    }
    to->length = kept;
    to->truncated_tokens = 0;
    return RUNG_OK;
}

/* How many tokens each sequence of the template has when there are `count` in all and B begins at `pair_from`. */
static rung_status place_sequences(const rung_template *template, size_t count, size_t pair_from, size_t length[2],
                                   rung_error *error)
{
    size_t before_pair = 0; /* special tokens before B */
    for (size_t i = 0; i < template->count && template->pieces[i].sequence == 0; i++) {
        before_pair += template->pieces[i].id >= 0;
    }
    if (count < template->special_tokens) {
        return rung_fail(error, RUNG_INVALID, "%zu tokens: the special tokens alone are %zu", count,
                         template->special_tokens);
    }
    size_t words = count - template->special_tokens;
    if (pair_from > 0 && (pair_from < before_pair || pair_from - before_pair > words)) {
        return rung_fail(error, RUNG_INVALID, "pair_from is %zu: of %zu tokens the second text may begin at %zu to %zu",
                         pair_from, count, before_pair, before_pair + words);
    }
    length[0] = pair_from > 0 ? pair_from - before_pair : words;
    length[1] = words - length[0];
    return RUNG_OK;
}

rung_status rung_encoding_from_ids(const rung_tokenizer *tokenizer, const int32_t *ids, size_t count, size_t pair_from,
                                   rung_encoding *encoding, rung_error *error)
{
    const rung_template *template = pair_from == 0 ? &tokenizer->single : &tokenizer->pair;
    size_t length[2];
    rung_status status = place_sequences(template, count, pair_from, length, error);
    size_t at = 0;
    for (size_t i = 0; status == RUNG_OK && i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        if (piece->id >= 0 && ids[at] != piece->id) {
            return rung_fail(error, RUNG_INVALID, "token %zu is %d: the template has %d there", at, ids[at], piece->id);
        }
        at += piece->id >= 0 ? 1 : length[piece->sequence];
    }
    status = status == RUNG_OK ? rung_encoding_grow(encoding, count, error) : status;
    if (status != RUNG_OK) {
        return status;
    }
    at = 0;
    for (size_t i = 0; i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        size_t end = at + (piece->id >= 0 ? 1 : length[piece->sequence]);
        for (; at < end; at++) {
            encoding->ids[at] = ids[at];
            encoding->begin[at] = 0;
            encoding->end[at] = 0;
            encoding->type_ids[at] = piece->type_id;
            encoding->special[at] = piece->id >= 0;
            encoding->sequence[at] = piece->sequence;
        }
    }
    encoding->length = count;
    encoding->truncated_tokens = 0;
    return RUNG_OK;
}
