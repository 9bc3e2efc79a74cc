/* tweet_words.h: the words of a tweet: links, telephone numbers, emoticons, tags, arrows, names, hashtags, mail addresses, words,
 * numbers, dots, and any other character by itself. The behaviour is that of the regular expression of NLTK's TweetTokenizer as
 * transformers has it for BERTweet. Called by the tweet normaliser; knows no vocabulary. */
#ifndef RUNG_MODEL_TWEET_WORDS_H
#define RUNG_MODEL_TWEET_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Walks through a text. What was searched for in vain is remembered with the place up to which it is not there, so that all words
 * of a text together take linear time. */
typedef struct rung_tweet_words {
    const char *text; /* valid UTF-8 */
    size_t end;
    size_t at;
    size_t no_domain, no_slash, no_mail, no_tag, no_paren;
} rung_tweet_words;

rung_tweet_words rung_tweet_words_start(const char *text, size_t bytes);

/* The next word, [*begin, *end); false when there is none. */
bool rung_tweet_words_next(rung_tweet_words *words, size_t *begin, size_t *end);

#endif
