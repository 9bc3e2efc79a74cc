/* tokenizer_hash.c: the hash over everything that decides ids; see rung_tokenizer_hash. Called by the readers as their last
 * step. Calibration files hold such hashes: what is hashed for a kind may not change while its ids do not. */
#include "model/tokenizer_build.h"
#include "model/tokenizer_pass.h"

void rung_tokenizer_hash_number(rung_sha256 *hash, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    rung_sha256_update(hash, bytes, sizeof bytes);
}

static void hash_added(rung_sha256 *hash, const rung_vocabulary *vocabulary, const rung_added_set *set)
{
    rung_tokenizer_hash_number(hash, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const rung_added_token *token = &set->tokens[i];
        rung_tokenizer_hash_number(hash, (uint64_t)token->id);
        rung_tokenizer_hash_number(hash, vocabulary->bytes[token->id]);
        rung_tokenizer_hash_number(hash, (uint64_t)token->single_word | (uint64_t)token->lstrip << 1 |
                                             (uint64_t)token->rstrip << 2);
    }
}

static void hash_template(rung_sha256 *hash, const rung_template *template)
{
    rung_tokenizer_hash_number(hash, template->count);
    for (size_t i = 0; i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        rung_tokenizer_hash_number(hash, (uint64_t)(int64_t)piece->id);
        rung_tokenizer_hash_number(hash, piece->sequence);
        rung_tokenizer_hash_number(hash, piece->type_id);
    }
}

void rung_tokenizer_seal(rung_tokenizer *tokenizer)
{
    const rung_vocabulary *vocabulary = &tokenizer->vocabulary;
    rung_sha256 hash;
    rung_sha256_init(&hash);
    tokenizer->splitter->hash(tokenizer, &hash);
    rung_tokenizer_hash_number(&hash, vocabulary->size);
    rung_tokenizer_hash_number(&hash, vocabulary->id_limit);
    /* A NUL ends each text: vocabulary texts hold none, and the lengths of added ones follow. 0xFF is in no text. */
    for (size_t id = 0; id < vocabulary->id_limit; id++) {
        const char *text = rung_vocabulary_text(vocabulary, (int64_t)id);
        rung_sha256_update(&hash, text != NULL ? text : "\xFF", text != NULL ? vocabulary->bytes[id] + (size_t)1 : 1);
    }
    hash_added(&hash, vocabulary, &tokenizer->added);
    hash_added(&hash, vocabulary, &tokenizer->added_normalized);
    hash_template(&hash, &tokenizer->single);
    hash_template(&hash, &tokenizer->pair);
    rung_sha256_hex(&hash, tokenizer->hash);
}
