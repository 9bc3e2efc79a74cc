/* tokenizer_build.h: what the readers of tokenizer files share. tokenizer_json.c reads what every kind has, wordpiece_json.c and
 * byte_level_json.c their kind's members; nobody else includes it. `name` is the file in messages. */
#ifndef RUNG_MODEL_TOKENIZER_BUILD_H
#define RUNG_MODEL_TOKENIZER_BUILD_H

#include "model/tokenizer_internal.h"

#include <jansson.h>

/* The object at `key` of the file, whose type must be `wanted`. RUNG_UNSUPPORTED names another one. */
rung_status rung_tokenizer_require_type(const json_t *root, const char *key, const char *wanted, const char *name,
                                        const json_t **object, rung_error *error) RUNG_WARN_UNUSED;

rung_status rung_tokenizer_read_bool(const json_t *object, const char *path, const char *key, const char *name,
                                     bool *out, rung_error *error) RUNG_WARN_UNUSED;

/* model.vocab into the tokenizer's vocabulary, indexed. */
rung_status rung_tokenizer_read_vocabulary(rung_tokenizer *tokenizer, const json_t *model, const char *name,
                                           rung_error *error) RUNG_WARN_UNUSED;

/* model, normalizer and pre_tokenizer of each kind; they choose the splitter. */
rung_status rung_tokenizer_read_wordpiece(rung_tokenizer *tokenizer, const json_t *root, const char *name,
                                          rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_tokenizer_read_byte_level(rung_tokenizer *tokenizer, const json_t *root, const char *name,
                                           rung_error *error) RUNG_WARN_UNUSED;

/* From the parsed text of a tokenizer.json, or from one that was made up of other files. */
rung_status rung_tokenizer_from_json(const json_t *root, const char *name, rung_tokenizer **tokenizer,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* From BERTweet's vocab.txt and bpe.codes; `normalizes`: tweets are normalised first. */
rung_status rung_tokenizer_from_tweet_files(const rung_named_text *vocab, const rung_named_text *codes, bool normalizes,
                                            rung_tokenizer **tokenizer, rung_error *error) RUNG_WARN_UNUSED;

/* The next line of a file from *at on, without its end; false when there is none. */
bool rung_next_line(const rung_named_text *file, size_t *at, rung_text *line);

/* RUNG_FORMAT names the first byte that is no UTF-8. */
rung_status rung_require_utf8(const rung_named_text *file, rung_error *error) RUNG_WARN_UNUSED;

/* Hashes everything that decides ids into tokenizer->hash; the last step of making one. */
void rung_tokenizer_seal(rung_tokenizer *tokenizer);

#endif
