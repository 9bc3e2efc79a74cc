/* tei_body.h: reads the body of POST /predict, the classification call of Text Embeddings Inference and of huggingface_hub's InferenceClient. Untrusted;
 * fields that are not known are ignored, as there. Called by src/serve; knows no HTTP and no model. */
#ifndef RUNG_NET_TEI_BODY_H
#define RUNG_NET_TEI_BODY_H

#include "net/classify_body.h"

/* What the answer's form needs. */
typedef struct rung_tei_form {
    bool nested;     /* "parameters" came: the answer to one text is a list in a list */
    bool raw_scores; /* logarithms instead of probabilities */
    size_t top_k;    /* of the labels; 0: all */
} rung_tei_form;

/* "inputs": "t", ["t"], ["text","pair"] (one input), or [["t"],["text","pair"],…] (a batch). multi_label: what the node's models give, which
 * parameters.function_to_apply must agree with. Both outputs untouched on failure. RUNG_FORMAT: no JSON object; RUNG_NOT_FOUND: no text, or an empty one; RUNG_LIMIT: a batch
 * of more than max_inputs; RUNG_UNSUPPORTED: truncation_direction left; RUNG_INVALID: a field is wrong, and the message names it. */
rung_status rung_tei_body_parse(const char *body, size_t bytes, size_t max_inputs, bool multi_label,
                                rung_classify_body *out, rung_tei_form *form, rung_error *error) RUNG_WARN_UNUSED;

/* What stands for a logit: the logarithm of a probability or, where a text may have several labels, of its odds. Finite: both probabilities count as at least
 * the least float above 0. */
double rung_tei_raw_score(double probability, bool multi_label);

#endif
