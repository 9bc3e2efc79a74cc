/* yaml.c: strict YAML into a tree, over libyaml's events. See yaml.h. Events rather than libyaml's documents, because aliases must
 * be refused before they are followed and depth before it is reached. */
#include "config/yaml.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "config/suggest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_NODES 65536

typedef struct builder {
    rung_yaml *yaml;
    rung_yaml_node *stack[RUNG_YAML_MAX_DEPTH]; /* open collections */
    size_t depth;
    rung_yaml_node *key; /* of the innermost mapping, waiting for its value; a value that opens takes its key with it */
    size_t num_nodes;
    bool done; /* the document's end was seen */
    rung_error *error;
} builder;

static void free_node(rung_yaml_node *node)
{
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (node->keys != NULL) {
            free_node(node->keys[i]);
        }
        free_node(node->items[i]);
    }
    free(node->keys);
    free(node->items);
    free(node->text);
    free(node);
}

void rung_yaml_free(rung_yaml *yaml)
{
    if (yaml != NULL) {
        free_node(yaml->root);
        free(yaml->name);
        free(yaml);
    }
}

const rung_yaml_node *rung_yaml_get(const rung_yaml_node *mapping, const char *key)
{
    for (size_t i = 0; mapping->kind == RUNG_YAML_MAPPING && i < mapping->count; i++) {
        if (strcmp(mapping->keys[i]->text, key) == 0) {
            return mapping->items[i];
        }
    }
    return NULL;
}

rung_status rung_yaml_fail(const rung_yaml *yaml, const rung_yaml_node *node, rung_error *error, rung_status status,
                           const char *format, ...)
{
    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return rung_fail(error, status, "%.400s:%u:%u: %.500s", yaml->name, node->line, node->column, message);
}

static rung_status fail_at(const builder *b, const yaml_mark_t *mark, rung_status status, const char *message)
{
    return rung_fail(b->error, status, "%.400s:%zu:%zu: %s", b->yaml->name, mark->line + 1, mark->column + 1, message);
}

/* Line and column of a byte, for errors that libyaml gives by offset. */
static yaml_mark_t mark_of_offset(const char *text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset; i++) {
        bool continuation = ((unsigned char)text[i] & 0xc0) == 0x80;
        mark.column = text[i] == '\n' ? 0 : mark.column + (continuation ? 0 : 1);
        mark.line += text[i] == '\n' ? 1 : 0;
    }
    return mark;
}

static rung_status check_properties(const builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
                                    const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return fail_at(b, &event->start_mark, RUNG_FORMAT, "anchors (&name) are not allowed; write the value out");
    }
    if (tag != NULL) {
        return fail_at(b, &event->start_mark, RUNG_FORMAT, "tags (!name) are not allowed; remove it");
    }
    return RUNG_OK;
}

static rung_yaml_node *new_node(builder *b, const yaml_event_t *event, rung_yaml_kind kind)
{
    if (b->num_nodes >= MAX_NODES) {
        rung_fail(b->error, RUNG_LIMIT, "%.400s:%zu:%zu: more than %d values in one file", b->yaml->name,
                  event->start_mark.line + 1, event->start_mark.column + 1, MAX_NODES);
        return NULL;
    }
    rung_yaml_node *node = rung_alloc(1, sizeof *node, "YAML node", b->error);
    if (node != NULL) {
        node->kind = kind;
        node->line = (uint32_t)event->start_mark.line + 1;
        node->column = (uint32_t)event->start_mark.column + 1;
        b->num_nodes++;
    }
    return node;
}

/* Makes room for one more entry. */
static rung_status grow_collection(builder *b, rung_yaml_node *parent, const rung_yaml_node *node)
{
    if (parent->count >= RUNG_YAML_MAX_ENTRIES) {
        return rung_yaml_fail(b->yaml, node, b->error, RUNG_LIMIT, "more than %d entries in one list or mapping",
                              RUNG_YAML_MAX_ENTRIES);
    }
    if (parent->count < parent->capacity) {
        return RUNG_OK;
    }
    size_t capacity = parent->capacity;
    void *items = parent->items;
    rung_status status =
        rung_grow(&items, &capacity, parent->count + 1, sizeof(rung_yaml_node *), "YAML list", b->error);
    parent->items = items;
    if (status == RUNG_OK && parent->kind == RUNG_YAML_MAPPING) {
        size_t key_capacity = parent->capacity;
        void *keys = parent->keys;
        status = rung_grow(&keys, &key_capacity, capacity, sizeof(rung_yaml_node *), "YAML mapping", b->error);
        parent->keys = keys;
    }
    if (status == RUNG_OK) {
        parent->capacity = capacity;
    }
    return status;
}

static rung_status take_key(builder *b, rung_yaml_node *parent, rung_yaml_node *node)
{
    char shown[RUNG_QUOTED_BYTES];
    if (node->kind != RUNG_YAML_SCALAR || node->is_null) {
        return rung_yaml_fail(b->yaml, node, b->error, RUNG_FORMAT, "a key must be a name");
    }
    rung_shorten(node->text, strlen(node->text), shown);
    if (strcmp(node->text, "<<") == 0) {
        return rung_yaml_fail(b->yaml, node, b->error, RUNG_FORMAT,
                              "merge keys (<<) are not allowed; write the keys out");
    }
    for (size_t i = 0; i < parent->count; i++) {
        if (strcmp(parent->keys[i]->text, node->text) == 0) {
            return rung_yaml_fail(b->yaml, node, b->error, RUNG_FORMAT, "key '%s' is given twice; first in line %u",
                                  shown, parent->keys[i]->line);
        }
    }
    b->key = node;
    return RUNG_OK;
}

/* Puts a finished node (or a collection just opened) where it belongs; takes it over, also on failure. */
static rung_status place(builder *b, rung_yaml_node *node)
{
    rung_yaml_node *parent = b->depth > 0 ? b->stack[b->depth - 1] : NULL;
    rung_status status = RUNG_OK;
    if (parent == NULL) {
        b->yaml->root = node;
        return RUNG_OK;
    }
    if (parent->kind == RUNG_YAML_MAPPING && b->key == NULL) {
        status = take_key(b, parent, node);
    } else {
        status = grow_collection(b, parent, node);
        if (status == RUNG_OK) {
            if (parent->kind == RUNG_YAML_MAPPING) {
                parent->keys[parent->count] = b->key;
                b->key = NULL;
            }
            parent->items[parent->count++] = node;
        }
    }
    if (status != RUNG_OK) {
        free_node(node);
    }
    return status;
}

static rung_status on_scalar(builder *b, const yaml_event_t *event)
{
    rung_status status = check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (status != RUNG_OK) {
        return status;
    }
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length) != NULL) {
        return fail_at(b, &event->start_mark, RUNG_FORMAT, "a value may not hold a NUL character");
    }
    rung_yaml_node *node = new_node(b, event, RUNG_YAML_SCALAR);
    if (node == NULL) {
        return b->error->code;
    }
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = rung_copy_text(text, length, "YAML text", b->error);
    if (node->text == NULL) {
        free_node(node);
        return b->error->code;
    }
    node->is_null = plain && (length == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
    return place(b, node);
}

static rung_status on_open(builder *b, const yaml_event_t *event, rung_yaml_kind kind)
{
    bool mapping = kind == RUNG_YAML_MAPPING;
    rung_status status =
        check_properties(b, event, mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                         mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (status != RUNG_OK) {
        return status;
    }
    if (b->depth >= RUNG_YAML_MAX_DEPTH) {
        return rung_fail(b->error, RUNG_LIMIT, "%.400s:%zu:%zu: nested deeper than %d levels", b->yaml->name,
                         event->start_mark.line + 1, event->start_mark.column + 1, RUNG_YAML_MAX_DEPTH);
    }
    rung_yaml_node *node = new_node(b, event, kind);
    if (node == NULL) {
        return b->error->code;
    }
    status = place(b, node);
    if (status == RUNG_OK) {
        b->stack[b->depth++] = node;
    }
    return status;
}

static rung_status on_event(builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->done) {
            return fail_at(b, &event->start_mark, RUNG_FORMAT, "a second document begins; a file holds one");
        }
        if (event->data.document_start.version_directive != NULL ||
            event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end) {
            return fail_at(b, &event->start_mark, RUNG_FORMAT, "directives (%) are not allowed; remove them");
        }
        return RUNG_OK;
    case YAML_DOCUMENT_END_EVENT:
        b->done = true;
        return RUNG_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(b, &event->start_mark, RUNG_FORMAT, "aliases (*name) are not allowed; write the value out");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, event, RUNG_YAML_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, event, RUNG_YAML_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return RUNG_OK;
    default:
        return RUNG_OK;
    }
}

static rung_status fail_parser(const builder *b, const yaml_parser_t *parser, const char *text, size_t bytes)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return rung_fail_memory(b->error, b->yaml->name, bytes);
    }
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR) {
        mark = mark_of_offset(text, parser->problem_offset < bytes ? parser->problem_offset : bytes);
    }
    char message[256];
    snprintf(message, sizeof message, "not valid YAML: %s", parser->problem != NULL ? parser->problem : "syntax error");
    return fail_at(b, &mark, RUNG_FORMAT, message);
}

static rung_status read_events(builder *b, const char *text, size_t bytes)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return rung_fail_memory(b->error, "YAML parser", sizeof parser);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    rung_status status = RUNG_OK;
    bool end = false;
    while (status == RUNG_OK && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = fail_parser(b, &parser, text, bytes);
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        status = on_event(b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

static rung_status check_text(const builder *b, const char *text, size_t bytes)
{
    size_t bad = 0;
    if (bytes > RUNG_YAML_MAX_BYTES) {
        return rung_fail(b->error, RUNG_LIMIT, "%.400s: %zu bytes are more than the limit of %zu", b->yaml->name, bytes,
                         RUNG_YAML_MAX_BYTES);
    }
    if (!rung_utf8_valid(text, bytes, &bad)) {
        yaml_mark_t mark = mark_of_offset(text, bad);
        char message[64];
        snprintf(message, sizeof message, "not valid UTF-8 at byte %zu", bad);
        return fail_at(b, &mark, RUNG_FORMAT, message);
    }
    return RUNG_OK;
}

rung_status rung_yaml_parse(const char *text, size_t bytes, const char *name, rung_yaml **yaml, rung_error *error)
{
    rung_error unused = {0};
    builder b = {.error = error != NULL ? error : &unused};
    b.yaml = rung_alloc(1, sizeof *b.yaml, "YAML file", b.error);
    if (b.yaml == NULL) {
        return RUNG_NO_MEMORY;
    }
    b.yaml->name = rung_copy_text(name, strlen(name), "file name", b.error);
    rung_status status = b.yaml->name == NULL ? RUNG_NO_MEMORY : check_text(&b, text, bytes);
    if (status == RUNG_OK) {
        status = read_events(&b, text, bytes);
    }
    if (status == RUNG_OK && b.yaml->root == NULL) {
        status = rung_fail(b.error, RUNG_FORMAT, "%.400s: is empty", name);
    }
    free_node(b.key);
    if (status != RUNG_OK) {
        rung_yaml_free(b.yaml);
        return status;
    }
    *yaml = b.yaml;
    return RUNG_OK;
}

rung_status rung_yaml_load(const char *path, rung_yaml **yaml, rung_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, RUNG_YAML_MAX_BYTES, &text, &bytes, error);
    if (status == RUNG_OK) {
        status = rung_yaml_parse(text, bytes, path, yaml, error);
        free(text);
    }
    return status;
}
