/* json_pairs.h: the vocabulary of a tokenizer.json without a tree of JSON values: tens of thousands of names with whole numbers, which would be most of
 * the time that a packed model takes to open. Reads only the plain form that such files have; whatever else it meets is left to the
 * parser of JSON, which knows what is wrong with it. Called by tokenizer_json.c; what it reads is untrusted.
 * Source: RFC 8259. */
#ifndef RUNG_MODEL_JSON_PAIRS_H
#define RUNG_MODEL_JSON_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest name with escapes that is read here. */
#define RUNG_JSON_PAIR_BYTES 512

/* An object {"name": number, ...} in JSON text. */
typedef struct rung_json_pairs {
    const char *begin; /* its '{' */
    const char *end;   /* behind its '}' */
} rung_json_pairs;

/* One of its pairs. */
typedef struct rung_json_pair {
    const char *name; /* [bytes] UTF-8, not NUL-terminated: in the text, or in `unescaped` */
    size_t bytes;
    int64_t number;                       /* 0 .. 999,999,999 */
    char unescaped[RUNG_JSON_PAIR_BYTES]; /* of names with escapes */
} rung_json_pair;

/* Finds the object root[outer][inner], the first of them. False: there is none, or the text is not JSON. True says nothing about the rest of the
 * text: if that is valid JSON with {} in its place, and all pairs can be read, the whole is. */
bool rung_json_pairs_find(const char *json, size_t bytes, const char *outer, const char *inner, rung_json_pairs *pairs);

typedef enum rung_json_pairs_step {
    RUNG_JSON_PAIR,      /* *pair is filled in */
    RUNG_JSON_PAIRS_END, /* there are no more, and nothing else before pairs->end */
    RUNG_JSON_NOT_PLAIN, /* something else than a plain name and number, or no JSON */
} rung_json_pairs_step;

/* The next pair; *at is NULL before the first call. Names that come twice come twice. */
rung_json_pairs_step rung_json_pairs_next(const rung_json_pairs *pairs, const char **at, rung_json_pair *pair);

#endif
