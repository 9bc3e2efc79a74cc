/* bench_load.c: `rung bench --load`: from a model's file to the first answer, and the memory that is then in use. See bench.h. */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "run/message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char first_text[] = "The film begins slowly, but its second half is a warm and funny story.";

/* Of one opening. */
typedef struct load_times {
    double open_s;         /* until the model was open */
    double answer_s;       /* until it had answered */
    double cpu_s;          /* processor time until then */
    size_t resident_bytes; /* of the process, when it had answered */
} load_times;

static rung_status load_once(const char *path, const rung_open_options *options, load_times *times, rung_error *error)
{
    double started_s = rung_clock_s();
    double cpu_s = rung_thread_cpu_s();
    rung_cascade *cascade = NULL;
    rung_status status = rung_cascade_open(path, options, &cascade, error);
    if (status != RUNG_OK) {
        return status;
    }
    times->open_s = rung_clock_s() - started_s;
    rung_answers *answers = NULL;
    const rung_input input = {.text = first_text, .text_bytes = sizeof first_text - 1};
    status = rung_cascade_classify(cascade, &input, 1, &answers, error);
    times->answer_s = rung_clock_s() - started_s;
    times->cpu_s = rung_thread_cpu_s() - cpu_s;
    times->resident_bytes = rung_resident_bytes();
    if (status == RUNG_OK && rung_answers_get(answers, 0)->status != RUNG_OK) {
        status = rung_fail(error, rung_answers_get(answers, 0)->status, "%s", rung_answers_get(answers, 0)->error);
    }
    rung_answers_free(answers);
    rung_cascade_close(cascade);
    return status;
}

/* Of a file; 0 for a directory, whose files are read, not mapped. */
static size_t file_bytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) ? (size_t)about.st_size : 0;
}

static void print(rung_buffer *out, const char *path, double *const samples[3], size_t repeats, size_t resident_bytes,
                  bool json)
{
    bench_spread open = bench_spread_of(samples[0], repeats);
    bench_spread answer = bench_spread_of(samples[1], repeats);
    bench_spread cpu = bench_spread_of(samples[2], repeats);
    size_t file = file_bytes(path);
    double above_mb = ((double)resident_bytes - (double)file) / 1e6;
    if (json) {
        rung_buffer_text(out, "{\"model\":");
        rung_message_string(out, path, strlen(path));
        rung_buffer_format(out, ",\"file_bytes\":%zu,\"repeats\":%zu,\"open_ms\":%.4g,\"median_ms\":%.4g", file,
                           repeats, open.median * 1e3, answer.median * 1e3);
        rung_buffer_format(out, ",\"p10_ms\":%.4g,\"p90_ms\":%.4g,\"cpu_ms\":%.4g,\"resident_bytes\":%zu}\n",
                           answer.low * 1e3, answer.high * 1e3, cpu.median * 1e3, resident_bytes);
        return;
    }
    rung_buffer_format(out, "%s, %zu loads\n  open    %8.2f ms median\n", path, repeats, open.median * 1e3);
    rung_buffer_format(out, "  answer  %8.2f ms median (10 %%: %.2f, 90 %%: %.2f), %.2f ms of it processor time\n",
                       answer.median * 1e3, answer.low * 1e3, answer.high * 1e3, cpu.median * 1e3);
    rung_buffer_format(out, "  memory  %8.1f MB resident after the first load", (double)resident_bytes / 1e6);
    if (file > 0) {
        rung_buffer_format(out, ": the file's %.1f MB and %.1f MB", (double)file / 1e6, above_mb);
    }
    rung_buffer_text(out, "\n");
}

rung_status bench_load(const char *path, const rung_open_options *options, size_t repeats, bool json, rung_error *error)
{
    double *samples[3] = {NULL, NULL, NULL};
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < 3; i++) {
        samples[i] = rung_alloc(repeats, sizeof *samples[i], "measurements", error);
        status = samples[i] == NULL ? RUNG_NO_MEMORY : status;
    }
    size_t resident_bytes = 0; /* only the first load finds a process that holds nothing of an earlier one */
    for (size_t i = 0; status == RUNG_OK && i < repeats; i++) {
        load_times times = {0};
        status = load_once(path, options, &times, error);
        samples[0][i] = times.open_s;
        samples[1][i] = times.answer_s;
        samples[2][i] = times.cpu_s;
        resident_bytes = i == 0 ? times.resident_bytes : resident_bytes;
    }
    if (status == RUNG_OK) {
        rung_buffer out = {0};
        print(&out, path, samples, repeats, resident_bytes, json);
        status = cli_print_buffer(&out, error);
        rung_buffer_deinit(&out);
    }
    for (size_t i = 0; i < 3; i++) {
        free(samples[i]);
    }
    return status;
}
