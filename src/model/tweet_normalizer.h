/* tweet_normalizer.h: what BERTweet does to a tweet before it is split at blanks: entities, repeated marks, names and links, blanks
 * around words and before 's and n't. The behaviour is that of transformers' BertweetTokenizer without the package `emoji`:
 * emoji stay as they are. Called by the tweet splitter with valid UTF-8; knows no vocabulary. */
#ifndef RUNG_MODEL_TWEET_NORMALIZER_H
#define RUNG_MODEL_TWEET_NORMALIZER_H

#include "model/aligned_text.h"

/* Writes text[begin..end) to *out, with words that one blank or more separates. *spare is working memory. Linear time.
 * RUNG_NO_MEMORY. */
rung_status rung_tweet_normalize(const char *text, size_t begin, size_t end, rung_aligned_text *out,
                                 rung_aligned_text *spare, rung_error *error) RUNG_WARN_UNUSED;

#endif
