/* tokenizer_template.h: reads the post-processor of a tokenizer.json. Called by the readers of
 * tokenizer files. */
#ifndef RUNG_MODEL_TOKENIZER_TEMPLATE_H
#define RUNG_MODEL_TOKENIZER_TEMPLATE_H

#include "model/tokenizer_internal.h"

#include <jansson.h>

/* Fills the templates for one text and for a pair from the post-processors that docs/tokenizers.md lists; the vocabulary and the
 * added tokens must have been read. RUNG_UNSUPPORTED names any other. */
rung_status rung_read_post_processor(rung_tokenizer *tokenizer, const json_t *root, const char *name,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* Fills both templates as BERT has them or, with `roberta`, as RoBERTa does; cls_sep are the ids of the two special tokens.
 * RUNG_FORMAT when one has no token. */
rung_status rung_fill_fixed_templates(rung_tokenizer *tokenizer, bool roberta, const int64_t cls_sep[2],
                                      const char *name, rung_error *error) RUNG_WARN_UNUSED;

#endif
