/* packed_text.h: a text in a packed model: a U8 tensor that is one zstd frame, which states the text's size. Written by
 * pack_model.c, read by load_packed.c; what the texts say is known to the tokenizer. Source: RFC 8878. */
#ifndef RUNG_MODEL_PACKED_TEXT_H
#define RUNG_MODEL_PACKED_TEXT_H

#include "model/safetensors.h"

/* The most bytes that the frame of a text of `bytes` bytes can take; 0 when zstd takes no text of that size. */
size_t rung_packed_text_bound(size_t bytes);

/* Compresses `text` into frame [capacity], which has rung_packed_text_bound(bytes). The same text and version of libzstd
 * give the same frame. RUNG_NO_MEMORY names `what`. */
rung_status rung_packed_text_compress(const char *text, size_t bytes, const char *what, uint8_t *frame, size_t capacity,
                                      size_t *frame_bytes, rung_error *error) RUNG_WARN_UNUSED;

/* The text of the tensor `name`, with a NUL after it that *bytes does not count; *text is NULL and *bytes 0 when there is
 * no such tensor. Release with free(). Errors name file and tensor: RUNG_LIMIT for a text of more than max_bytes,
 * RUNG_FORMAT for another type or no single valid frame, RUNG_MISMATCH for another shape than [n], RUNG_NO_MEMORY. */
rung_status rung_packed_text_read(const rung_safetensors *file, const char *name, size_t max_bytes, char **text,
                                  size_t *bytes, rung_error *error) RUNG_WARN_UNUSED;

#endif
