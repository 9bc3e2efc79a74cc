/* rung.h: collaborative text classification across the levels of a network.
 *
 *     rung_error error;
 *     rung_cascade *cascade = NULL;
 *     if (rung_cascade_open("cascade.yaml", NULL, &cascade, &error) != RUNG_OK) {
 *         fprintf(stderr, "%s\n", error.message);
 *         return 2;
 *     }
 *     rung_input input = {.text = "A warm, funny film.", .text_bytes = 19};
 *     rung_answers *answers = NULL;
 *     if (rung_cascade_classify(cascade, &input, 1, &answers, &error) == RUNG_OK) {
 *         const rung_answer *answer = rung_answers_get(answers, 0);
 *         printf("%s %.2f\n", answer->label, answer->score);
 *     }
 *     rung_answers_free(answers);
 *     rung_cascade_close(cascade);
 *
 * The library never prints, exits or reads the environment. Every call that can fail returns a status, fills
 * the error when one is given, and leaves its outputs untouched.
 */
#ifndef RUNG_H
#define RUNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RUNG_API __attribute__((visibility("default")))
#define RUNG_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define RUNG_API
#define RUNG_WARN_UNUSED
#endif

#define RUNG_VERSION_MAJOR 0
#define RUNG_VERSION_MINOR 1
#define RUNG_VERSION_PATCH 0

/* What a call that can fail says. */
typedef enum rung_status {
    RUNG_OK = 0,
    RUNG_INVALID,     /* an argument, option or field is outside its range, or a text is not valid */
    RUNG_NOT_FOUND,   /* a file, key or name does not exist */
    RUNG_FORMAT,      /* the contents of a file or message are not what its format demands */
    RUNG_UNSUPPORTED, /* well formed, but rung cannot do it (a model family, a precision, ...) */
    RUNG_MISMATCH,    /* two things that must agree do not (labels, hashes, tokenizer and embedding) */
    RUNG_LIMIT,       /* larger than a stated limit */
    RUNG_IO,          /* the operating system refused */
    RUNG_NO_MEMORY,   /* an allocation failed */
} rung_status;

/* One clear line: it names the thing, the value and the limit. Never ends with a newline. */
typedef struct rung_error {
    rung_status code;
    char message[1024];
} rung_error;

/* The name of a status, e.g. "invalid". Static storage; never NULL. */
RUNG_API const char *rung_status_name(rung_status status);

/* "MAJOR.MINOR.PATCH" of the library that runs, static storage. */
RUNG_API const char *rung_version(void);

/* A cascade: levels with their models, calibration and policy. Immutable once open; calls from several threads are fine. */
typedef struct rung_cascade rung_cascade;

/* How to open one. Zero-initialise, then set what differs from the default. Strings are copied. */
typedef struct rung_open_options {
    const char *precision; /* "int8" or "fp32"; NULL: as configured (int8 unless said) */
    const char *isa;       /* kernels to use, e.g. "ref"; NULL: the best that the CPU has */
    const char *policy;    /* a policy's name, used with its defaults; NULL: as configured */
    size_t threads;        /* of a classify call, at most 256; 0: as configured, else as many as there are processors */
    size_t batch_tokens;   /* that a worker computes together, at most 2^20; 0: 1024 */
    size_t batch_texts;    /* the same in texts, 0: no limit but the tokens; 1 times each by itself */
} rung_open_options;

/* Opens the cascade that `path` describes: a cascade.yaml, a packed model file or a Hugging Face directory (a cascade of one level). options
 * may be NULL. All models are loaded and checked against each other and against the calibration. Release with rung_cascade_close. */
RUNG_API rung_status rung_cascade_open(const char *path, const rung_open_options *options, rung_cascade **cascade,
                                       rung_error *error) RUNG_WARN_UNUSED;
RUNG_API void rung_cascade_close(rung_cascade *cascade);

RUNG_API size_t rung_cascade_num_levels(const rung_cascade *cascade);
RUNG_API size_t rung_cascade_num_labels(const rung_cascade *cascade);
/* Name of a class, index < rung_cascade_num_labels. Lives as long as the cascade. */
RUNG_API const char *rung_cascade_label(const rung_cascade *cascade, size_t index);

/* A text to classify, lent until the call returns. UTF-8, need not end with a NUL. */
typedef struct rung_input {
    const char *id; /* takes part in the offload coin (Eq 7); NULL: the position in the call */
    const char *text;
    size_t text_bytes;     /* 1 .. 2^31 - 1 */
    const char *text_pair; /* NULL: none */
    size_t text_pair_bytes;
} rung_input;

/* What one level did for a request. */
typedef struct rung_level_answer {
    uint32_t level; /* from 1 at the user */
    const char *name;
    uint32_t exit_layer; /* layers that ran; 0: the level only passed the text on, and found nothing itself */
    uint32_t layers;
    double confidence;           /* Eq 6 */
    const double *probabilities; /* [labels]; NULL when it found nothing: it passed on, or its logits were no numbers */
    double weight;               /* share in the answer, Eq 12 */
    size_t tokens;               /* that the model read, special ones included */
    size_t truncated_tokens;     /* that did not fit into the model */
    size_t words;                /* of the text that came in; 0 when token ids came */
    size_t kept_words;           /* of them sent up; equal to words when nothing was */
    size_t bytes_up;             /* body of the request to the next level, 0 when none was sent */
    size_t bytes_down;           /* body of its reply */
    double compute_ms;           /* processor time here (elapsed, where threads share a text), by the level's speed */
    double queue_ms;             /* waiting for other requests: 0 in one process */
    double link_ms;              /* on the link to the next level, both ways, emulated */
} rung_level_answer;

/* status RUNG_OK: the rest is valid. Otherwise `error` says what is wrong with this input; the others are answered. */
typedef struct rung_answer {
    rung_status status;
    const char *error; /* NULL when status is RUNG_OK */
    const char *label;
    uint32_t label_index;
    double score;                    /* probability of label */
    const double *probabilities;     /* [labels] Eq 11 */
    uint32_t level;                  /* highest level that has a result */
    bool degraded;                   /* a level that the policy wanted was missing */
    const char *degraded_reason;     /* NULL when not degraded */
    double latency_ms;               /* compute + links, Eq 3 with round trips */
    size_t num_levels;               /* levels that took part */
    const rung_level_answer *levels; /* [num_levels] */
} rung_answer;

typedef struct rung_answers rung_answers;

/* Classifies count inputs (0 is fine). The answers are the same bits for any number of threads, batch size and machine, times apart. The strings and
 * arrays of an answer live as long as the answers; labels and level names as long as the cascade. */
RUNG_API rung_status rung_cascade_classify(const rung_cascade *cascade, const rung_input *inputs, size_t count,
                                           rung_answers **answers, rung_error *error) RUNG_WARN_UNUSED;
RUNG_API size_t rung_answers_count(const rung_answers *answers);
/* NULL when index is out of range. */
RUNG_API const rung_answer *rung_answers_get(const rung_answers *answers, size_t index);
RUNG_API void rung_answers_free(rung_answers *answers);

#ifdef __cplusplus
}
#endif
#endif
