/* word_embedding.c: one row of an embedding as floats, from whatever the file holds. See model.h for the layout. Called
 * by the encoder for every token, so that the common widths are decoded eight values at a time without branches, and by
 * load_packed.c for the tables that it turns into floats. */
#include "model/half.h"
#include "model/model.h"
#include "model/model_load.h"

#include <assert.h>

static void decode_f16(const uint8_t *row, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = rung_f16_to_f32(rung_load_u16(row + 2 * i));
    }
}

static void decode_bf16(const uint8_t *row, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = rung_bf16_to_f32(rung_load_u16(row + 2 * i));
    }
}

/* Eight values take `bits` whole bytes. */
static inline void decode_eight(const uint8_t *bytes, unsigned bits, float scale, float *out)
{
    uint64_t stream = 0;
    memcpy(&stream, bytes, bits);
    int32_t half = 1 << (bits - 1);
    uint64_t mask = (1u << bits) - 1u;
    for (unsigned i = 0; i < 8; i++) {
        out[i] = scale * (float)((int32_t)(stream >> (i * bits) & mask) - half);
    }
}

/* Called with a constant `bits`, so that each width gets its own unrolled loop. */
static inline void decode_groups(const uint8_t *row, const uint8_t *scales, size_t count, unsigned bits, float *out)
{
    for (size_t i = 0; i + 8 <= count; i += 8) {
        float scale = rung_f16_to_f32(rung_load_u16(scales + i / RUNG_EMBEDDING_GROUP * 2));
        decode_eight(row + i / 8 * bits, bits, scale, out + i);
    }
}

/* The last count % 8 values: the row ends before eight of them are there. */
static void decode_tail(const uint8_t *row, const uint8_t *scales, size_t count, unsigned bits, float *out)
{
    int32_t half = 1 << (bits - 1);
    for (size_t i = count / 8 * 8; i < count; i++) {
        float scale = rung_f16_to_f32(rung_load_u16(scales + i / RUNG_EMBEDDING_GROUP * 2));
        size_t bit = i * bits;
        unsigned word = row[bit / 8];
        if (bit % 8 + bits > 8) {
            word |= (unsigned)row[bit / 8 + 1] << 8;
        }
        int32_t code = (int32_t)(word >> (bit % 8) & ((1u << bits) - 1u));
        out[i] = scale * (float)(code - half);
    }
}

static void decode_floats(const uint8_t *row, rung_dtype dtype, size_t count, float *out)
{
    if (dtype == RUNG_F32) {
        memcpy(out, row, count * sizeof *out);
    } else if (dtype == RUNG_F16) {
        decode_f16(row, count, out);
    } else {
        decode_bf16(row, count, out);
    }
}

void rung_embedding_table_row(const rung_embedding_table *table, size_t hidden_size, size_t row_index, float *out)
{
    const uint8_t *row = table->rows + row_index * table->row_bytes;
    if (table->bits == 0) {
        decode_floats(row, table->dtype, hidden_size, out);
        return;
    }
    const uint8_t *scales = table->scales + row_index * rung_embedding_groups(hidden_size) * 2;
    switch (table->bits) {
    case 4:
        decode_groups(row, scales, hidden_size, 4, out);
        break;
    case 5:
        decode_groups(row, scales, hidden_size, 5, out);
        break;
    case 6:
        decode_groups(row, scales, hidden_size, 6, out);
        break;
    default:
        assert(table->bits == 8);
        decode_groups(row, scales, hidden_size, 8, out);
        break;
    }
    decode_tail(row, scales, hidden_size, table->bits, out);
}

void rung_word_embedding_row(const rung_word_embedding *embedding, size_t hidden_size, int32_t id, float *out)
{
    size_t row = (size_t)id;
    if (row < embedding->frequent_rows) {
        rung_embedding_table_row(&embedding->frequent, hidden_size, row, out);
    } else {
        rung_embedding_table_row(&embedding->rest, hidden_size, row - embedding->frequent_rows, out);
    }
}
