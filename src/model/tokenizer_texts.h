/* tokenizer_texts.h: the texts that make a tokenizer, as they lie in a Hugging Face directory (files) and in a packed model
 * (tensors). Called by the loaders and pack_model.c; what the texts mean is known to the tokenizer. */
#ifndef RUNG_MODEL_TOKENIZER_TEXTS_H
#define RUNG_MODEL_TOKENIZER_TEXTS_H

#include "model/tokenizer.h"

/* One of the texts. */
typedef struct rung_tokenizer_slot {
    const char *file; /* in a directory: "tokenizer.json" */
    const char *key;  /* in a packed model: "tokenizer" of the tensor "texts.tokenizer" */
    size_t offset;    /* of its rung_named_text in rung_tokenizer_files */
} rung_tokenizer_slot;

/* The slots but tokenizer_config.json, in order of the key; NULL beyond the last. */
const rung_tokenizer_slot *rung_tokenizer_slot_at(size_t index);

/* The slot's text in `files`. */
rung_named_text *rung_tokenizer_slot_text(rung_tokenizer_files *files, const rung_tokenizer_slot *slot);

/* Reads from the directory the files that decide, and no others: of the sets that tokenizer.h lists the first of which
 * every file is there, and tokenizer_config.json if it is there. Nothing but tokenizer_config.json is set when no set is
 * there. Release with rung_tokenizer_texts_free, after a failure as well. */
rung_status rung_tokenizer_texts_read(const char *directory, rung_tokenizer_files *files,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* Frees names and texts that rung_tokenizer_texts_read made. */
void rung_tokenizer_texts_free(rung_tokenizer_files *files);

/* Reads directory/name; a file that is not there leaves text NULL. Name and text are released with free(), after a
 * failure as well. */
rung_status rung_named_text_read(const char *directory, const char *name, size_t max_bytes, rung_named_text *out,
                                 rung_error *error) RUNG_WARN_UNUSED;

/* What a packed model keeps of tokenizer_config.json, as JSON text: "model_max_length": max_tokens and, with
 * `reading`, the fields that say how text is read when no tokenizer.json does. config->text may be NULL. Release *text with
 * free(). RUNG_FORMAT, RUNG_NO_MEMORY. */
rung_status rung_tokenizer_config_keep(const rung_named_text *config, size_t max_tokens, bool reading, char **text,
                                       rung_error *error) RUNG_WARN_UNUSED;

/* Splits a WordPiece tokenizer.json: *lines gets the vocabulary, a token a line in order of id, and *json the rest
 * without white space, which rung_tokenizer_make reads with the lines as vocab_txt. *lines is NULL, and *json the whole,
 * for another model and for a vocabulary that lines cannot say (ids with gaps, tokens that are empty or hold a line
 * end). Release both with free(). RUNG_FORMAT, RUNG_NO_MEMORY. */
rung_status rung_tokenizer_split_vocabulary(const rung_named_text *tokenizer_json, char **json, char **lines,
                                            rung_error *error) RUNG_WARN_UNUSED;

/* A tokenizer of a tokenizer.json whose "model.vocab" may be missing: then the lines are it. lines->text may be NULL.
 * Errors as rung_tokenizer_make. */
rung_status rung_tokenizer_join_vocabulary(const rung_named_text *tokenizer_json, const rung_named_text *lines,
                                           rung_tokenizer **tokenizer, rung_error *error) RUNG_WARN_UNUSED;

#endif
