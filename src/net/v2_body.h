/* v2_body.h: reads the body of an inference call of the Open Inference Protocol V2 with its binary tensor data extension: a JSON object, and behind it the
 * bytes of the tensors whose parameters have a binary_data_size. Untrusted; fields that are not known are ignored. Called by src/serve; knows no HTTP
 * and no model. Source: the protocol's "Predict Protocol - Version 2" and "Binary Tensor Data Extension". */
#ifndef RUNG_NET_V2_BODY_H
#define RUNG_NET_V2_BODY_H

#include "net/classify_body.h"

typedef enum rung_v2_output {
    RUNG_V2_PROBABILITIES, /* FP32 [n, labels] */
    RUNG_V2_LABEL,         /* BYTES [n] */
    RUNG_V2_LEVEL,         /* INT32 [n] */
    RUNG_V2_CONFIDENCE,    /* FP32 [n] */
    RUNG_V2_OUTPUTS,
} rung_v2_output;

/* "probabilities", ...; static. */
const char *rung_v2_output_name(rung_v2_output output);

/* What the answer's form needs. Zero-initialise; release with rung_v2_form_deinit. */
typedef struct rung_v2_form {
    char *id; /* NULL: none came */
    size_t id_bytes;
    size_t num_outputs;
    struct {
        rung_v2_output output;
        bool binary;
    } outputs[RUNG_V2_OUTPUTS]; /* [num_outputs] in the order of the answer, each once */
} rung_v2_form;

void rung_v2_form_deinit(rung_v2_form *form);

/* One BYTES tensor of shape [n] or [n,1] with the texts, or two of the same n: texts and pairs, in this order, or by the names "text_pair" and "text".
 * json_length: the decimal number of bytes of the JSON (Inference-Header-Content-Length); NULL: all is JSON. Both outputs untouched on failure.
 * RUNG_FORMAT: no JSON object, sizes that do not agree, bad UTF-8; RUNG_NOT_FOUND: an empty text; RUNG_LIMIT: n above max_inputs; RUNG_UNSUPPORTED: shared memory,
 * classification; RUNG_INVALID: a field is wrong, and the message names it. */
rung_status rung_v2_body_parse(const char *body, size_t bytes, const char *json_length, size_t max_inputs,
                               rung_classify_body *out, rung_v2_form *form, rung_error *error) RUNG_WARN_UNUSED;

#endif
