/* byte_level.h: the characters that stand for bytes in byte-level vocabularies, and the split of a text into the pieces that
 * BPE never crosses (Radford et al. 2019; the behaviour is that of Hugging Face's ByteLevel). Called by the byte-level
 * splitter and the readers; knows no vocabulary. */
#ifndef RUNG_MODEL_BYTE_LEVEL_H
#define RUNG_MODEL_BYTE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point that stands for the byte: itself where that is visible in Latin-1, else one from U+0100 on. */
uint32_t rung_byte_level_char(uint8_t byte);

/* Turns token text (valid UTF-8) into the bytes that it stands for; false when a character stands for none. out needs
 * `bytes`; *written of them are filled. */
bool rung_byte_level_decode(const char *text, size_t bytes, char *out, size_t *written);

/* The end of the piece that begins at text[at], at < end; text[..end) is valid UTF-8. A piece is a contraction ('s, 't, 're, 've,
 * 'm, 'll, 'd), or a run of letters, numbers or other characters with at most one blank before it, or white space. Pieces
 * of a text together take linear time. */
size_t rung_byte_level_piece_end(const char *text, size_t at, size_t end);

#endif
