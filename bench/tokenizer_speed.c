/* tokenizer_speed.c: how fast texts become token ids, on one thread, in processor time. tokenizer_speed.py runs it in turn with Hugging Face's
 * tokenizers on the same texts and compares the ids by their hash.
 *
 *     build/bench/tokenizer_speed DIR TEXTS.jsonl[.zst] [ROUNDS]
 *
 * DIR holds tokenizer files; of each line the field "text" is taken. Prints one JSON object: bytes, tokens, the processor seconds of each round, and
 * the SHA-256 of the ids (each text's count, then its ids, 32 bits little-endian).
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)1 << 30)
#define NO_LIMIT ((size_t)1 << 30)

static void fail(const rung_error *error)
{
    fprintf(stderr, "tokenizer_speed: %s\n", error->message);
    exit(1);
}

static void read_named(const char *directory, const char *name, rung_named_text *out)
{
    rung_error error;
    char *path = rung_path_join(directory, name, &error);
    char *text = NULL;
    if (path == NULL) {
        fail(&error);
    }
    out->name = path;
    if (rung_path_exists(path) && rung_read_file(path, MAX_FILE_BYTES, &text, &out->bytes, &error) != RUNG_OK) {
        fail(&error);
    }
    out->text = text;
}

static rung_tokenizer *open_tokenizer(const char *directory)
{
    rung_tokenizer_files files = {0};
    const struct {
        const char *name;
        rung_named_text *text;
    } all[] = {{"tokenizer.json", &files.tokenizer_json}, {"tokenizer_config.json", &files.tokenizer_config},
               {"vocab.txt", &files.vocab_txt},           {"vocab.json", &files.vocab_json},
               {"merges.txt", &files.merges_txt},         {"bpe.codes", &files.bpe_codes}};
    enum { COUNT = sizeof all / sizeof all[0] };
    for (size_t i = 0; i < COUNT; i++) {
        read_named(directory, all[i].name, all[i].text);
    }
    rung_tokenizer *tokenizer = NULL;
    rung_error error;
    if (rung_tokenizer_make(&files, &tokenizer, &error) != RUNG_OK) {
        fail(&error);
    }
    for (size_t i = 0; i < COUNT; i++) {
        free((void *)(uintptr_t)all[i].text->name);
        free((void *)(uintptr_t)all[i].text->text);
    }
    return tokenizer;
}

static rung_text *read_texts(const char *path, size_t *count)
{
    char *file = NULL;
    size_t bytes = 0;
    size_t capacity = 0;
    void *texts = NULL;
    rung_error error;
    if (rung_read_file(path, MAX_FILE_BYTES, &file, &bytes, &error) != RUNG_OK) {
        fail(&error);
    }
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(file + at, '\n', bytes - at);
        size_t end = newline == NULL ? bytes : (size_t)(newline - file);
        json_t *line = json_loadb(file + at, end - at, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(line, "text");
        if (!json_is_string(text) ||
            rung_grow(&texts, &capacity, *count + 1, sizeof(rung_text), "texts", &error) != RUNG_OK) {
            fprintf(stderr, "tokenizer_speed: %s: line %zu has no \"text\"\n", path, *count + 1);
            exit(1);
        }
        size_t length = json_string_length(text);
        char *copy = rung_copy_text(json_string_value(text), length, "text", &error);
        if (copy == NULL) {
            fail(&error);
        }
        ((rung_text *)texts)[*count] = (rung_text){copy, length};
        *count += 1;
        json_decref(line);
        at = end + 1;
    }
    free(file);
    return texts;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tokenizer_speed DIR TEXTS.jsonl[.zst] [ROUNDS]\n");
        return 2;
    }
    rung_tokenizer *tokenizer = open_tokenizer(argv[1]);
    size_t count = 0;
    rung_text *texts = read_texts(argv[2], &count);
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 5;
    rung_encoding encoding = {0};
    rung_error error;
    size_t bytes = 0;
    size_t tokens = 0;
    rung_sha256 hash;
    rung_sha256_init(&hash);
    for (size_t i = 0; i < count; i++) {
        if (rung_tokenize(tokenizer, texts[i], NULL, NO_LIMIT, &encoding, &error) != RUNG_OK) {
            fail(&error);
        }
        int32_t length = (int32_t)encoding.length;
        rung_sha256_update(&hash, &length, sizeof length);
        rung_sha256_update(&hash, encoding.ids, encoding.length * sizeof *encoding.ids);
        bytes += texts[i].bytes;
        tokens += encoding.length;
    }
    char hex[RUNG_SHA256_HEX_BYTES];
    rung_sha256_hex(&hash, hex);
    printf("{\"texts\": %zu, \"bytes\": %zu, \"tokens\": %zu, \"sha256\": \"%s\", \"seconds\": [", count, bytes, tokens,
           hex);
    for (long round = 0; round < rounds; round++) {
        double start = rung_thread_cpu_s();
        for (size_t i = 0; i < count; i++) {
            if (rung_tokenize(tokenizer, texts[i], NULL, NO_LIMIT, &encoding, &error) != RUNG_OK) {
                fail(&error);
            }
        }
        printf("%s%.6f", round > 0 ? ", " : "", rung_thread_cpu_s() - start);
    }
    printf("]}\n");
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)texts[i].data);
    }
    free(texts);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
    return 0;
}
