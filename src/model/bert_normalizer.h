/* bert_normalizer.h: what BERT does to text before it is split: clean-up, spaces around ideographs, accents, lower
 * case. The behaviour, alignments included, is that of Hugging Face's BertNormalizer. Called by the tokenizer with
 * valid UTF-8; knows nothing of words or vocabularies. */
#ifndef RUNG_MODEL_BERT_NORMALIZER_H
#define RUNG_MODEL_BERT_NORMALIZER_H

#include "base/status.h"

typedef struct rung_bert_normalizer {
    bool clean_text;           /* drop control characters, make all white space a blank */
    bool handle_chinese_chars; /* a blank before and after each ideograph */
    bool strip_accents;        /* canonical decomposition, then drop Mn */
    bool lowercase;
} rung_bert_normalizer;

/* Scratch for runs of combining marks. Zero-initialise; keeps its memory from call to call; release with
 * rung_mark_run_deinit. A run of n marks needs 16 n bytes. */
typedef struct rung_mark_run {
    uint32_t *items;  /* class << 24 | inserted << 23 | code point */
    uint32_t *sorted; /* as items */
    uint32_t *begins; /* source spans of the items that are not inserted, in text order */
    uint32_t *ends;
    size_t item_count, item_capacity, sorted_capacity;
    size_t span_count, begin_capacity, end_capacity;
    bool keeps_any; /* a mark of the run is not Mn and survives */
} rung_mark_run;

void rung_mark_run_deinit(rung_mark_run *run);

/* Receives the normalised code points in order; [begin, end) is the byte span in the text that the reference aligns it
 * with. Spans never go backwards. */
typedef void (*rung_char_sink)(void *context, uint32_t code_point, uint32_t begin, uint32_t end);

/* Normalises text[begin..end), which must start and end at code point boundaries. Linear time. RUNG_NO_MEMORY. */
rung_status rung_bert_normalize(const rung_bert_normalizer *normalizer, const char *text, size_t begin, size_t end,
                                rung_mark_run *run, rung_char_sink sink, void *context,
                                rung_error *error) RUNG_WARN_UNUSED;

#endif
