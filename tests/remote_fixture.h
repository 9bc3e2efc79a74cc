/* remote_fixture.h: a cascade of a small model and a remote level behind a fake server of Text Embeddings Inference, with texts for it. Each test includes it
 * once, beside node_fixture.h. */
#ifndef RUNG_TESTS_REMOTE_FIXTURE_H
#define RUNG_TESTS_REMOTE_FIXTURE_H

#include "base/prng.h"
#include "fit/fit_cascade.h"
#include "hosted_server.h"
#include "node_fixture.h"

#define ROWS 120
#define INFO "{\"model_id\":\"big\",\"model_sha\":\"abc\"}"

static char row_texts[ROWS][160];
static rung_input row_inputs[ROWS];
static uint32_t row_labels[ROWS];

/* The class by the number of words: the first for an even one, the others for odd ones. */
static inline uint32_t class_by_words(size_t words)
{
    return words % 2 == 0 ? 0 : words % 4 == 1 ? 1 : 2;
}

static inline void reply_by_words(void *context, const char *request, char *out, size_t room)
{
    (void)context;
    static const char *const names[] = {"contradiction", "neutral", "entailment"};
    const char *text = strchr(request, ':') + 2;
    size_t words = 1;
    for (; *text != '"'; text++) {
        words += *text == ' ';
    }
    uint32_t class = class_by_words(words);
    snprintf(out, room,
             "[{\"label\":\"%s\",\"score\":0.8},{\"label\":\"%s\",\"score\":0.15},{\"label\":"
             "\"%s\",\"score\":0.05}]",
             names[class], names[(class + 1) % 3], names[(class + 2) % 3]);
}

/* Texts of 2 to 13 words; the labels are the server's but for every sixth. */
static inline rung_dataset make_rows(void)
{
    static const char *const words[] = {"it", "was", "good", "the", "film", "great", "dull", "not"};
    rung_prng prng = {.state = 3};
    for (size_t i = 0; i < ROWS; i++) {
        size_t count = 2 + rung_prng_below(&prng, 12);
        size_t bytes = 0;
        for (size_t w = 0; w < count; w++) {
            bytes += (size_t)snprintf(row_texts[i] + bytes, sizeof row_texts[i] - bytes, "%s%s", w > 0 ? " " : "",
                                      words[rung_prng_below(&prng, 8)]);
        }
        row_inputs[i] = (rung_input){.text = row_texts[i], .text_bytes = bytes};
        row_labels[i] = i % 6 == 0 ? (uint32_t)(i / 6 % 3) : class_by_words(count);
    }
    rung_dataset rows = {.count = ROWS, .inputs = row_inputs, .labels = row_labels};
    memset(rows.sha256, '0', sizeof rows.sha256 - 1);
    return rows;
}

/* extra: more keys of `remote`, each with ", " before it. */
static inline void write_remote_yaml(const char *url, const char *extra, const char *rest)
{
    char yaml[1024];
    char *here = realpath(".", NULL);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n  - {name: one, model: %s/" TINY_MODEL "}\n"
                          "  - {name: cloud, link: lan, remote: {protocol: tei, addresses: [\"%s\"]%s}}\n%s",
                          here, url, extra, rest);
    free(here);
    write_file("cascade.yaml", yaml, (size_t)length);
}

static inline rung_status fit_remote(rung_calibration_file *file, rung_error *error)
{
    rung_options *flags = NULL;
    rung_cascade_config config = {0};
    rung_cascade *cascade = NULL;
    const rung_dataset rows = make_rows();
    const rung_fit_options options = {.data_name = "rows", .target_agreement = 0.9};
    assert_int_equal(rung_options_new(&flags, error), RUNG_OK);
    if (rung_cascade_config_load(yaml_path, NULL, flags, &config, error) != RUNG_OK ||
        rung_cascade_open_for_fit(&config, &(rung_open_options){.threads = 2}, NULL, &cascade, error) != RUNG_OK) {
        fail_msg("%s", error->message);
    }
    rung_status status = rung_fit_cascade(cascade, &rows, &options, file, error);
    rung_cascade_close(cascade);
    rung_options_free(flags);
    return status;
}

static inline void host_remote(hosted *self)
{
    host(self, REPLY);
    self->server->reply = reply_by_words;
    self->server->info = INFO;
}

#endif
