/* tokenizer.h: text to token ids, with the byte span of every token in the original text. BERT WordPiece and RoBERTa's
 * byte-level BPE with the behaviour of Hugging Face tokenizers, and BERTweet's BPE with that of transformers. Made from
 * the files of a model directory. Called by src/run and the tools; knows nothing of models. */
#ifndef RUNG_MODEL_TOKENIZER_H
#define RUNG_MODEL_TOKENIZER_H

#include "base/status.h"

/* Immutable once made; shared by threads. */
typedef struct rung_tokenizer rung_tokenizer;

/* Text that the caller keeps alive; may hold NUL bytes; not NUL-terminated. */
typedef struct rung_text {
    const char *data;
    size_t bytes;
} rung_text;

/* One tokenized text or pair. Zero-initialise; reused from call to call so that no call allocates once the arrays have
 * grown to their limit; release with rung_encoding_deinit. All arrays have `length` entries. */
typedef struct rung_encoding {
    size_t length;
    size_t capacity;
    int32_t *ids;
    uint32_t *begin;                    /* byte span in the text that the token came from: [begin, end); empty for */
    uint32_t *end;                      /* a BPE token of blanks alone; 0, 0 for tokens that the template added */
    uint8_t *type_ids;                  /* 0 or 1: the sequence for the type embedding */
    uint8_t *special;                   /* 1: added by the template ([CLS], [SEP]); a typed "[SEP]" is 0 */
    uint8_t *sequence;                  /* 0: from the first text, 1: from the second; 0 for template tokens */
    size_t truncated_tokens;            /* tokens that did not fit, both texts together */
    struct rung_token_scratch *scratch; /* private working memory, kept for the next call */
} rung_encoding;

void rung_encoding_deinit(rung_encoding *encoding);

/* Copies the tokens with keep[i] (all of them when keep is NULL) to `to` (another encoding), order kept; begin and end become 0, since the text stays
 * behind. */
rung_status rung_encoding_filter(const rung_encoding *from, const bool *keep /* [length] */, rung_encoding *to,
                                 rung_error *error) RUNG_WARN_UNUSED;

/* Makes an encoding of ids that came without their text: the template's tokens are found by their places, and must be there. pair_from: the position of
 * the second text's first token; 0: one text. begin and end are 0. RUNG_INVALID names the position and the id; ids are not compared with the
 * vocabulary. The encoding is untouched on failure, except that RUNG_NO_MEMORY may leave it empty. */
rung_status rung_encoding_from_ids(const rung_tokenizer *tokenizer, const int32_t *ids /* [count] */, size_t count,
                                   size_t pair_from, rung_encoding *encoding, rung_error *error) RUNG_WARN_UNUSED;

/* A text and what messages call it: the path of its file, or its key in a packed model. */
typedef struct rung_named_text {
    const char *name;
    const char *text; /* NULL: there is none */
    size_t bytes;
} rung_named_text;

/* The texts of a model's tokenizer files, as far as they are there. Which of them make the tokenizer, first that fits:
 *   bpe.codes and vocab.txt      BERTweet
 *   tokenizer.json               WordPiece or byte-level BPE
 *   vocab.json and merges.txt    RoBERTa
 *   vocab.txt                    BERT
 * A WordPiece tokenizer.json without "model.vocab", as packed files have it, takes the vocabulary from vocab_txt.
 * tokenizer_config.json is read for do_lower_case, strip_accents, tokenize_chinese_chars (BERT), add_prefix_space
 * (RoBERTa) and normalization (BERTweet) when tokenizer.json does not make the tokenizer; it may be missing. */
typedef struct rung_tokenizer_files {
    rung_named_text tokenizer_json;
    rung_named_text tokenizer_config;
    rung_named_text vocab_txt;
    rung_named_text vocab_json;
    rung_named_text merges_txt;
    rung_named_text bpe_codes;
} rung_tokenizer_files;

/* The text of the file that decides, for messages about the tokenizer as a whole; its text is NULL when nothing makes
 * one. Lent by `files`. */
const rung_named_text *rung_tokenizer_main_file(const rung_tokenizer_files *files);

/* Makes a tokenizer of the texts, which may go afterwards. RUNG_NOT_FOUND when nothing there makes one, RUNG_FORMAT,
 * RUNG_UNSUPPORTED (another kind of tokenizer, by name), RUNG_LIMIT, RUNG_NO_MEMORY. */
rung_status rung_tokenizer_make(const rung_tokenizer_files *files, rung_tokenizer **tokenizer,
                                rung_error *error) RUNG_WARN_UNUSED;

/* From the text of a tokenizer.json alone; `name` (a file) is used in messages. */
rung_status rung_tokenizer_parse(const char *json, size_t json_bytes, const char *name, rung_tokenizer **tokenizer,
                                 rung_error *error) RUNG_WARN_UNUSED;
void rung_tokenizer_free(rung_tokenizer *tokenizer);

/* Largest id plus one: must not exceed the rows of the word embedding. */
size_t rung_tokenizer_id_limit(const rung_tokenizer *tokenizer);
size_t rung_tokenizer_vocab_size(const rung_tokenizer *tokenizer);

/* The token's text as its file has it, e.g. "##ing" or "\u0120film"; NULL when the id has none. Lives as long as the tokenizer. */
const char *rung_tokenizer_token(const rung_tokenizer *tokenizer, int32_t id);

/* SHA-256 (hexadecimal) over everything that decides ids: vocabulary, normaliser, added tokens, template. Equal hashes
 * mean equal segmentation (pruning rule 1). Lives as long as the tokenizer. */
const char *rung_tokenizer_hash(const rung_tokenizer *tokenizer);

/* Tokenizes `text`, or the pair when `pair` is not NULL, with the template's special tokens, cut to max_tokens in all
 * (Hugging Face's longest_first, right side). RUNG_INVALID names the byte offset of invalid UTF-8; RUNG_LIMIT when a
 * text exceeds 2^31 bytes or max_tokens leaves no room for the special tokens. Empty text is legal here. Linear time.
 * The encoding is untouched on failure, except that RUNG_NO_MEMORY may leave it empty. */
rung_status rung_tokenize(const rung_tokenizer *tokenizer, rung_text text, const rung_text *pair, size_t max_tokens,
                          rung_encoding *encoding, rung_error *error) RUNG_WARN_UNUSED;

#endif
