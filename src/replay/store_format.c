/* store_format.c: the bytes of a record file. See store_format.h. */
#include "replay/store_format.h"

#include "base/checked.h"
#include "base/hash.h"
#include "model/model.h"

#include <string.h>

#define ALIGNMENT 8
#define SHOWN_LINE_BYTES 200

size_t rung_store_header_bytes(size_t origin_bytes)
{
    return rung_round_up(sizeof(rung_store_header) + origin_bytes, ALIGNMENT);
}

static uint64_t header_sum(const rung_store_header *header, const uint8_t *origin)
{
    uint64_t seed = rung_xxh64(header, offsetof(rung_store_header, sum), 0);
    return rung_xxh64(origin, header->origin_bytes, seed);
}

void rung_store_put_header(const char *origin, uint8_t *out)
{
    size_t origin_bytes = strlen(origin);
    rung_store_header header = {
        .magic = RUNG_STORE_MAGIC, .version = RUNG_STORE_VERSION, .origin_bytes = (uint32_t)origin_bytes};
    header.sum = header_sum(&header, (const uint8_t *)origin);
    memset(out, 0, rung_store_header_bytes(origin_bytes));
    memcpy(out, &header, sizeof header);
    memcpy(out + sizeof header, origin, origin_bytes);
}

/* A text that is taken off line by line. */
typedef struct lines {
    const char *at;
    size_t left;
} lines;

static size_t line_bytes(const lines *text)
{
    const char *end = memchr(text->at, '\n', text->left);
    return end != NULL ? (size_t)(end - text->at) : text->left;
}

static void next_line(lines *text)
{
    size_t bytes = line_bytes(text);
    bytes += bytes < text->left;
    text->at += bytes;
    text->left -= bytes;
}

/* What a message shows of a line, and how many bytes of it. */
static const char *shown(const lines *text, int *bytes)
{
    if (text->left == 0) {
        *bytes = 7;
        return "nothing";
    }
    size_t whole = line_bytes(text);
    *bytes = whole < SHOWN_LINE_BYTES ? (int)whole : SHOWN_LINE_BYTES;
    return text->at;
}

static rung_status fail_origin(const char *name, lines made, lines wanted, rung_error *error)
{
    while (made.left > 0 && wanted.left > 0 && line_bytes(&made) == line_bytes(&wanted) &&
           memcmp(made.at, wanted.at, line_bytes(&made)) == 0) {
        next_line(&made);
        next_line(&wanted);
    }
    int made_bytes;
    int wanted_bytes;
    const char *made_line = shown(&made, &made_bytes);
    const char *wanted_line = shown(&wanted, &wanted_bytes);
    return rung_fail(error, RUNG_MISMATCH, "%s: made with \"%.*s\", this cascade has \"%.*s\"; give another directory",
                     name, made_bytes, made_line, wanted_bytes, wanted_line);
}

/* Whether data is the beginning of the header that this origin makes. */
static bool begins_header(const uint8_t *data, size_t size, const char *origin)
{
    size_t origin_bytes = strlen(origin);
    rung_store_header header;
    uint8_t front[sizeof header];
    header = (rung_store_header){
        .magic = RUNG_STORE_MAGIC, .version = RUNG_STORE_VERSION, .origin_bytes = (uint32_t)origin_bytes};
    header.sum = header_sum(&header, (const uint8_t *)origin);
    memcpy(front, &header, sizeof header);
    if (size <= sizeof header) {
        return size == 0 || memcmp(data, front, size) == 0;
    }
    size_t behind = size - sizeof header;
    size_t compared = behind < origin_bytes ? behind : origin_bytes;
    return size < rung_store_header_bytes(origin_bytes) && memcmp(data, front, sizeof header) == 0 &&
           memcmp(data + sizeof header, origin, compared) == 0;
}

rung_status rung_store_check_header(const uint8_t *data, size_t size, const char *name, const char *origin,
                                    size_t *header_bytes, rung_error *error)
{
    size_t wanted_bytes = strlen(origin);
    if (wanted_bytes > RUNG_STORE_MAX_ORIGIN_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%s: %zu bytes of origin are more than %d", name, wanted_bytes,
                         RUNG_STORE_MAX_ORIGIN_BYTES);
    }
    if (begins_header(data, size, origin)) {
        *header_bytes = 0;
        return RUNG_OK;
    }
    rung_store_header header = {0};
    memcpy(&header, data, size < sizeof header ? size : sizeof header);
    if (size < sizeof header.magic || memcmp(header.magic, RUNG_STORE_MAGIC, sizeof header.magic) != 0) {
        return rung_fail(error, RUNG_INVALID, "%s: is not a record of rung", name);
    }
    if (size >= sizeof header && header.version != RUNG_STORE_VERSION) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: is a record of version %u, this rung reads version %d", name,
                         (unsigned)header.version, RUNG_STORE_VERSION);
    }
    if (size < sizeof header || header.origin_bytes > RUNG_STORE_MAX_ORIGIN_BYTES ||
        size < rung_store_header_bytes(header.origin_bytes) ||
        header.sum != header_sum(&header, data + sizeof header)) {
        return rung_fail(error, RUNG_INVALID, "%s: the header of the record is damaged; give another directory", name);
    }
    const char *made = (const char *)data + sizeof header;
    if (header.origin_bytes != wanted_bytes || memcmp(made, origin, wanted_bytes) != 0) {
        return fail_origin(name, (lines){made, header.origin_bytes}, (lines){origin, wanted_bytes}, error);
    }
    *header_bytes = rung_store_header_bytes(header.origin_bytes);
    return RUNG_OK;
}

/* Elements of each array, in the order of the payload. */
typedef struct payload {
    size_t logits, states, importance, compute_s;
    size_t bytes; /* with the zeros at the end */
} payload;

/* False when a product does not fit; the limits of check_sizes keep it far below that where size_t has 64 bits. */
static bool layout(const rung_record_entry *entry, payload *out)
{
    payload sizes = {.compute_s = entry->num_layers};
    size_t floats = entry->num_layers;
    if (!rung_mul_size(entry->num_layers, entry->num_classes, &sizes.logits) ||
        !rung_add_size(floats, sizes.logits, &floats) ||
        !rung_mul_size(entry->num_layers, entry->hidden_size, &sizes.states) ||
        !rung_add_size(floats, sizes.states, &floats) ||
        !rung_mul_size(entry->importance_layers, entry->num_tokens, &sizes.importance) ||
        !rung_add_size(floats, sizes.importance, &floats) || !rung_mul_size(floats, sizeof(float), &sizes.bytes) ||
        sizes.bytes > SIZE_MAX - sizeof(rung_store_entry_header) - ALIGNMENT) {
        return false;
    }
    sizes.bytes = rung_round_up(sizes.bytes, ALIGNMENT);
    *out = sizes;
    return true;
}

static rung_status check_size(const char *what, uint32_t value, uint32_t least, uint32_t most, rung_error *error)
{
    if (value >= least && value <= most) {
        return RUNG_OK;
    }
    return rung_fail(error, RUNG_LIMIT, "entry of a record: %s is %u, outside %u .. %u", what, (unsigned)value,
                     (unsigned)least, (unsigned)most);
}

static rung_status check_sizes(const rung_record_entry *entry, rung_error *error)
{
    const struct {
        const char *what;
        uint32_t value, least, most;
    } sizes[] = {
        {"num_tokens", entry->num_tokens, 1, RUNG_MAX_POSITIONS},
        {"num_layers", entry->num_layers, 1, RUNG_MAX_LAYERS},
        {"num_classes", entry->num_classes, 1, RUNG_MAX_LABELS},
        {"hidden_size", entry->hidden_size, 0, RUNG_MAX_HIDDEN},
        {"importance_layers", entry->importance_layers, 0, entry->num_layers},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rung_status status = check_size(sizes[i].what, sizes[i].value, sizes[i].least, sizes[i].most, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

rung_status rung_store_entry_bytes(const rung_record_entry *entry, size_t *bytes, rung_error *error)
{
    rung_status status = check_sizes(entry, error);
    if (status != RUNG_OK) {
        return status;
    }
    payload sizes;
    if (!layout(entry, &sizes)) {
        return rung_fail(error, RUNG_LIMIT, "entry of a record: its arrays do not fit in memory");
    }
    *bytes = sizeof(rung_store_entry_header) + sizes.bytes;
    return RUNG_OK;
}

static uint64_t entry_sum(const rung_store_entry_header *header, size_t offset)
{
    return rung_xxh64(header, offsetof(rung_store_entry_header, sum), offset);
}

static uint8_t *put_floats(uint8_t *out, const float *values, size_t count)
{
    if (count > 0) {
        memcpy(out, values, count * sizeof *values);
    }
    return out + count * sizeof *values;
}

void rung_store_put_entry(const rung_record_key *key, const rung_record_entry *entry, size_t offset, uint8_t *out)
{
    payload sizes = {0};
    (void)layout(entry, &sizes); /* rung_store_entry_bytes was asked before */
    rung_store_entry_header header = {
        .mark = RUNG_STORE_ENTRY_MARK,
        .num_tokens = entry->num_tokens,
        .num_layers = entry->num_layers,
        .num_classes = entry->num_classes,
        .hidden_size = entry->hidden_size,
        .importance_layers = entry->importance_layers,
        .key = *key,
    };
    uint8_t *first = out + sizeof header;
    uint8_t *end = put_floats(first, entry->logits, sizes.logits);
    end = put_floats(end, entry->states, sizes.states);
    end = put_floats(end, entry->importance, sizes.importance);
    end = put_floats(end, entry->compute_s, sizes.compute_s);
    memset(end, 0, (size_t)(first + sizes.bytes - end));
    header.payload_sum = rung_xxh64(first, sizes.bytes, 0);
    header.sum = entry_sum(&header, offset);
    memcpy(out, &header, sizeof header);
}

static rung_store_entry_header read_header(const uint8_t *image)
{
    rung_store_entry_header header;
    memcpy(&header, image, sizeof header);
    return header;
}

static rung_record_entry sizes_of(const rung_store_entry_header *header)
{
    return (rung_record_entry){
        .num_tokens = header->num_tokens,
        .num_layers = header->num_layers,
        .num_classes = header->num_classes,
        .hidden_size = header->hidden_size,
        .importance_layers = header->importance_layers,
    };
}

bool rung_store_entry_at(const uint8_t *data, size_t size, size_t offset, size_t *bytes)
{
    if (offset > size || size - offset < sizeof(rung_store_entry_header)) {
        return false;
    }
    rung_store_entry_header header = read_header(data + offset);
    if (header.mark != RUNG_STORE_ENTRY_MARK || header.sum != entry_sum(&header, offset)) {
        return false;
    }
    rung_record_entry entry = sizes_of(&header);
    size_t needed;
    if (rung_store_entry_bytes(&entry, &needed, NULL) != RUNG_OK || needed > size - offset) {
        return false;
    }
    *bytes = needed;
    return true;
}

bool rung_store_entry_follows(const uint8_t *data, size_t size, size_t offset)
{
    size_t bytes;
    for (; offset < size && size - offset >= sizeof(rung_store_entry_header); offset += ALIGNMENT) {
        if (rung_store_entry_at(data, size, offset, &bytes)) {
            return true;
        }
    }
    return false;
}

static payload payload_of(const rung_store_entry_header *header)
{
    rung_record_entry entry = sizes_of(header);
    payload sizes = {0};
    (void)layout(&entry, &sizes); /* was checked when the entry was accepted or written */
    return sizes;
}

size_t rung_store_image_bytes(const uint8_t *image)
{
    rung_store_entry_header header = read_header(image);
    return sizeof header + payload_of(&header).bytes;
}

rung_record_key rung_store_image_key(const uint8_t *image)
{
    return read_header(image).key;
}

bool rung_store_image_good(const uint8_t *image)
{
    rung_store_entry_header header = read_header(image);
    return rung_xxh64(image + sizeof header, payload_of(&header).bytes, 0) == header.payload_sum;
}

void rung_store_image_view(const uint8_t *image, rung_record_entry *entry)
{
    rung_store_entry_header header = read_header(image);
    payload sizes = payload_of(&header);
    const float *values = (const float *)(const void *)(image + sizeof header);
    *entry = sizes_of(&header);
    entry->logits = values;
    values += sizes.logits;
    entry->states = sizes.states > 0 ? values : NULL;
    values += sizes.states;
    entry->importance = sizes.importance > 0 ? values : NULL;
    values += sizes.importance;
    entry->compute_s = values;
}
