/* bert_split.c: BERT's splitter: normalised words, each split by WordPiece. One pass over the text: words of plain ASCII
 * are folded and looked up where they stand, everything else goes through bert_normalizer.c character by character.
 * Called by tokenizer.c. Source: Hugging Face tokenizers 0.23 (BertNormalizer, BertPreTokenizer, WordPiece). */
#include "base/utf8.h"
#include "model/tokenizer_pass.h"
#include "model/unicode.h"

#include <string.h>

static uint32_t word_begin_at(const rung_token_pass *pass, size_t byte)
{
    return pass->word_is_plain ? pass->word_first + (uint32_t)byte : pass->scratch->word.begin[byte];
}

static uint32_t word_end_at(const rung_token_pass *pass, size_t byte)
{
    return pass->word_is_plain ? pass->word_first + (uint32_t)byte + 1 : pass->scratch->word.end[byte];
}

/* The pieces of the collected word; when a part of it is in no piece, the whole word is unknown. */
static void put_pieces(rung_token_pass *pass)
{
    const rung_wordpiece *model = &pass->tokenizer->wordpiece;
    size_t length = pass->length;
    size_t stored = pass->stored;
    size_t total = pass->total;
    for (size_t start = 0; start < pass->word_bytes;) {
        int32_t id = -1;
        size_t bytes = rung_wordpiece_piece(model, pass->scratch->word.text, start, pass->word_bytes, &id);
        if (bytes == 0) {
            pass->length = length;
            pass->stored = stored;
            pass->total = total;
            rung_pass_put(pass, model->unknown_id, pass->word_first, pass->word_last_end);
            return;
        }
        rung_pass_put(pass, id, word_begin_at(pass, start), word_end_at(pass, start + bytes - 1));
        start += bytes;
    }
}

static void finish_word(rung_token_pass *pass)
{
    if (pass->word_chars == 0) {
        return;
    }
    const rung_wordpiece *model = &pass->tokenizer->wordpiece;
    if (pass->word_chars > model->max_word_chars) {
        rung_pass_put(pass, model->unknown_id, pass->word_first, pass->word_last_end);
    } else {
        int32_t id =
            rung_vocabulary_find_padded(&pass->tokenizer->vocabulary, pass->scratch->word.text, pass->word_bytes);
        if (id >= 0) {
            rung_pass_put(pass, id, pass->word_first, pass->word_last_end);
        } else {
            put_pieces(pass);
        }
    }
    pass->word_chars = 0;
    pass->word_bytes = 0;
}

/* Gives a word that was plain so far a span for each byte. */
static void spell_out_spans(rung_token_pass *pass)
{
    for (size_t i = 0; i < pass->word_bytes; i++) {
        pass->scratch->word.begin[i] = pass->word_first + (uint32_t)i;
        pass->scratch->word.end[i] = pass->word_first + (uint32_t)i + 1;
    }
    pass->word_is_plain = false;
}

static void append_char(rung_token_pass *pass, uint32_t code_point, uint32_t begin, uint32_t end)
{
    if (pass->word_chars == 0) {
        pass->word_is_plain = false;
        pass->word_first = begin;
    } else if (pass->word_is_plain) {
        spell_out_spans(pass);
    }
    pass->word_last_end = end;
    pass->word_chars++;
    if (pass->word_chars > pass->tokenizer->wordpiece.max_word_chars) {
        return;
    }
    struct rung_token_scratch *scratch = pass->scratch;
    size_t bytes = rung_utf8_put(code_point, scratch->word.text + pass->word_bytes);
    for (size_t i = 0; i < bytes; i++) {
        scratch->word.begin[pass->word_bytes + i] = begin;
        scratch->word.end[pass->word_bytes + i] = end;
    }
    pass->word_bytes += bytes;
}

/* The pre-tokenizer, for one normalised character. */
static void put_char(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    rung_token_pass *pass = context;
    uint8_t flags = rung_unicode_get(code_point).flags;
    if (flags & RUNG_UNICODE_SPACE) {
        finish_word(pass);
    } else if (flags & RUNG_UNICODE_PUNCTUATION) {
        finish_word(pass);
        append_char(pass, code_point, begin, end);
        finish_word(pass);
    } else {
        append_char(pass, code_point, begin, end);
    }
}

/* Takes the ASCII letters from `at` on into the word; returns where they end. */
static size_t append_ascii(rung_token_pass *pass, size_t at, size_t end)
{
    const rung_tokenizer *tokenizer = pass->tokenizer;
    const uint8_t *text = (const uint8_t *)pass->text;
    if (pass->word_chars == 0) {
        pass->word_is_plain = true;
        pass->word_first = (uint32_t)at;
    } else if (!pass->word_is_plain || at != pass->word_first + pass->word_chars) {
        for (; at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER; at++) {
            append_char(pass, (uint8_t)tokenizer->fold[text[at]], (uint32_t)at, (uint32_t)at + 1);
        }
        return at;
    }
    size_t first = at;
    size_t room = tokenizer->wordpiece.max_word_chars > pass->word_chars
                      ? tokenizer->wordpiece.max_word_chars - pass->word_chars
                      : 0;
    size_t limit = end - at > room ? at + room : end;
    char *word = pass->scratch->word.text + pass->word_bytes;
    for (; at < limit && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER; at++) {
        *word++ = tokenizer->fold[text[at]];
    }
    pass->word_bytes += at - first;
    while (at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_LETTER) {
        at++;
    }
    pass->word_chars += at - first;
    pass->word_last_end = (uint32_t)at;
    return at;
}

static void split_text(rung_token_pass *pass, size_t begin, size_t end)
{
    const rung_tokenizer *tokenizer = pass->tokenizer;
    const uint8_t *text = (const uint8_t *)pass->text;
    for (size_t at = begin; at < end && pass->status == RUNG_OK;) {
        switch ((rung_ascii_class)tokenizer->ascii_class[text[at]]) {
        case RUNG_ASCII_LETTER:
            at = append_ascii(pass, at, end);
            break;
        case RUNG_ASCII_SPACE:
            finish_word(pass);
            at++;
            break;
        case RUNG_ASCII_PUNCTUATION:
            finish_word(pass);
            pass->word_is_plain = true;
            pass->word_first = (uint32_t)at;
            pass->word_last_end = (uint32_t)at + 1;
            /* With a limit of 0 characters the word is unknown and nothing may be stored. */
            if (tokenizer->wordpiece.max_word_chars > 0) {
                pass->scratch->word.text[pass->word_bytes++] = tokenizer->fold[text[at]];
            }
            pass->word_chars = 1;
            finish_word(pass);
            at++;
            break;
        case RUNG_ASCII_SLOW: {
            /* Removed controls do not separate marks from each other, so they belong to the stretch. */
            size_t first = at;
            while (at < end && tokenizer->ascii_class[text[at]] == RUNG_ASCII_SLOW) {
                at++;
            }
            rung_status status = rung_bert_normalize(&tokenizer->normalizer, pass->text, first, at,
                                                     &pass->scratch->marks, put_char, pass, pass->error);
            pass->status = pass->status == RUNG_OK ? status : pass->status;
            break;
        }
        }
    }
    finish_word(pass);
}

static void store_normalized(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    rung_token_pass *pass = context;
    rung_aligned_text *normalized = &pass->scratch->normalized;
    if (pass->status == RUNG_OK) {
        pass->status = rung_aligned_text_put(normalized, code_point, begin, end, pass->error);
    }
}

/* For tokenizers with added tokens that match normalised text: the stretch is normalised as a whole first. */
static void split_normalized(rung_token_pass *pass, size_t begin, size_t end)
{
    rung_aligned_text *normalized = &pass->scratch->normalized;
    normalized->bytes = 0;
    rung_status status = rung_bert_normalize(&pass->tokenizer->normalizer, pass->text, begin, end,
                                             &pass->scratch->marks, store_normalized, pass, pass->error);
    pass->status = pass->status == RUNG_OK ? status : pass->status;
    if (pass->status != RUNG_OK) {
        return;
    }
    rung_added_split split =
        rung_added_split_start(&pass->tokenizer->added_normalized, normalized->text, normalized->bytes);
    rung_added_piece piece;
    while (rung_added_split_next(&split, &piece)) {
        if (piece.token_id >= 0) {
            rung_pass_put(pass, piece.token_id, normalized->begin[piece.begin], normalized->end[piece.end - 1]);
            continue;
        }
        for (size_t at = piece.begin; at < piece.end;) {
            size_t first = at;
            uint32_t code_point = rung_utf8_next(normalized->text, piece.end, &at);
            put_char(pass, code_point, normalized->begin[first], normalized->end[first]);
        }
        finish_word(pass);
    }
}

static void split(rung_token_pass *pass, size_t begin, size_t end)
{
    if (pass->tokenizer->added_normalized.count > 0) {
        split_normalized(pass, begin, end);
    } else {
        split_text(pass, begin, end);
    }
}

static void put_added(rung_token_pass *pass, int32_t id, size_t begin, size_t end)
{
    rung_pass_put(pass, id, (uint32_t)begin, (uint32_t)end);
}

/* Memory for the longest word that the model looks at. */
static rung_status reserve(const rung_tokenizer *tokenizer, struct rung_token_scratch *scratch, rung_error *error)
{
    size_t needed = 4 * tokenizer->wordpiece.max_word_chars + RUNG_WORD_PADDING;
    size_t before = scratch->word.text_capacity;
    rung_status status = rung_aligned_text_reserve(&scratch->word, needed, error);
    if (scratch->word.text_capacity > before) {
        /* Look-ups load whole 8-byte groups; what lies after the word is masked away but has to be initialised. */
        memset(scratch->word.text + before, 0, scratch->word.text_capacity - before);
    }
    return status;
}

void rung_tokenizer_classify_ascii(rung_tokenizer *tokenizer)
{
    memset(tokenizer->ascii_class, RUNG_ASCII_SLOW, sizeof tokenizer->ascii_class);
    for (uint32_t c = 0; c < 128; c++) {
        uint8_t flags = rung_unicode_get(c).flags;
        rung_ascii_class class = RUNG_ASCII_LETTER;
        if (tokenizer->normalizer.clean_text && flags & RUNG_UNICODE_CONTROL) {
            class = RUNG_ASCII_SLOW;
        } else if (flags & RUNG_UNICODE_SPACE) {
            class = RUNG_ASCII_SPACE;
        } else if (flags & RUNG_UNICODE_PUNCTUATION) {
            class = RUNG_ASCII_PUNCTUATION;
        }
        tokenizer->ascii_class[c] = (uint8_t) class;
        bool upper = c >= 'A' && c <= 'Z';
        tokenizer->fold[c] = (char)(tokenizer->normalizer.lowercase && upper ? c + ('a' - 'A') : c);
    }
}

static void hash_options(const rung_tokenizer *tokenizer, rung_sha256 *hash)
{
    const rung_bert_normalizer *normalizer = &tokenizer->normalizer;
    const rung_wordpiece *model = &tokenizer->wordpiece;
    rung_sha256_update(hash, "rung WordPiece 1", 16);
    rung_tokenizer_hash_number(hash, normalizer->clean_text);
    rung_tokenizer_hash_number(hash, normalizer->handle_chinese_chars);
    rung_tokenizer_hash_number(hash, normalizer->strip_accents);
    rung_tokenizer_hash_number(hash, normalizer->lowercase);
    rung_tokenizer_hash_number(hash, model->prefix_bytes);
    rung_sha256_update(hash, model->continuing_prefix, model->prefix_bytes);
    rung_tokenizer_hash_number(hash, model->max_word_chars);
    rung_tokenizer_hash_number(hash, (uint64_t)model->unknown_id);
}

const rung_splitter rung_bert_splitter = {split, put_added, reserve, hash_options};
