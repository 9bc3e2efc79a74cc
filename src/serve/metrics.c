/* metrics.c: counters of a node and their page. See metrics.h. */
#include "serve/metrics.h"

#include "base/memory.h"
#include "serve/drift.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 10 us to 10 s in steps of 1, 2, 5. */
static const double bounds_s[] = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
                                  2e-2, 5e-2, 0.1,  0.2,  0.5,  1,    2,    5,    10};
#define NUM_BOUNDS (sizeof bounds_s / sizeof bounds_s[0])

/* The statuses that a node answers with; others are counted as the last. */
static const unsigned http_statuses[] = {200, 400, 404, 405, 408, 413, 414, 415, 422, 424,
                                         429, 431, 500, 501, 503, 504, 505, 508, 0};
#define NUM_STATUSES (sizeof http_statuses / sizeof http_statuses[0])

static const char *const outcome_names[RUNG_OUTCOMES] = {"ok", "degraded", "refused", "expired", "failed", "gone"};
static const char *const api_names[RUNG_APIS] = {"rung", "tei", "v2", "openai", "vllm"};
static const char *const call_names[] = {"reply", "unreachable", "deadline", "overloaded", "bad reply"};
#define NUM_CALLS (sizeof call_names / sizeof call_names[0])
#define NUM_REASONS (RUNG_DEGRADED_MODEL + 1)

typedef struct histogram {
    uint64_t count[NUM_BOUNDS + 1]; /* by bucket; the last is beyond all bounds */
    double sum;
} histogram;

struct rung_metrics {
    char precision[8];
    char isa[32];
    uint32_t num_levels, level;
    size_t num_layers;
    uint64_t requests[RUNG_OUTCOMES];
    uint64_t api_requests[RUNG_APIS];
    uint64_t responses[NUM_STATUSES];
    uint64_t answers[RUNG_MAX_LEVELS];
    uint64_t degraded[NUM_REASONS];
    uint64_t *exits; /* [num_layers] */
    uint64_t inputs, offloaded;
    uint64_t calls[NUM_CALLS];
    uint64_t bytes_up, bytes_down, bytes_kept;
    uint64_t words, words_pruned;
    uint64_t reloads[2]; /* ok, failed */
    histogram queue, compute, request, link;
    rung_drift drift;
    double started_s; /* wall clock */
};

rung_status rung_metrics_create(const rung_cascade *cascade, uint32_t level, rung_metrics **metrics, rung_error *error)
{
    rung_metrics *made = rung_alloc(1, sizeof *made, "metrics", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->num_levels = cascade->num_levels;
    made->level = level;
    made->num_layers = cascade->level[level - 1].model->config.num_layers;
    made->exits = rung_alloc(made->num_layers, sizeof *made->exits, "metrics", error);
    if (made->exits == NULL) {
        free(made);
        return RUNG_NO_MEMORY;
    }
    snprintf(made->precision, sizeof made->precision, "%s", rung_precision_name(cascade->precision));
    snprintf(made->isa, sizeof made->isa, "%s", cascade->kernels->name);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    made->started_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    *metrics = made;
    return RUNG_OK;
}

void rung_metrics_free(rung_metrics *metrics)
{
    if (metrics != NULL) {
        free(metrics->exits);
        free(metrics);
    }
}

static void observe(histogram *h, double seconds)
{
    size_t bucket = 0;
    while (bucket < NUM_BOUNDS && seconds > bounds_s[bucket]) {
        bucket++;
    }
    h->count[bucket]++;
    h->sum += seconds;
}

void rung_metrics_api(rung_metrics *metrics, rung_api_id api)
{
    metrics->api_requests[api]++;
}

void rung_metrics_request(rung_metrics *metrics, rung_outcome outcome)
{
    metrics->requests[outcome]++;
}

void rung_metrics_response(rung_metrics *metrics, unsigned http_status)
{
    size_t i = 0;
    while (i + 1 < NUM_STATUSES && http_statuses[i] != http_status) {
        i++;
    }
    metrics->responses[i]++;
}

void rung_metrics_request_time(rung_metrics *metrics, double seconds)
{
    observe(&metrics->request, seconds);
}

void rung_metrics_answer(rung_metrics *metrics, uint32_t answer_level, rung_degraded degraded)
{
    if (answer_level >= 1 && answer_level <= metrics->num_levels) {
        metrics->answers[answer_level - 1]++;
    }
    metrics->degraded[degraded]++;
}

void rung_metrics_visit(rung_metrics *metrics, const rung_level_answer *did, size_t text_bytes, bool sent)
{
    metrics->inputs++;
    if (did->exit_layer >= 1 && did->exit_layer <= metrics->num_layers) {
        metrics->exits[did->exit_layer - 1]++;
        observe(&metrics->queue, did->queue_ms / 1e3);
        observe(&metrics->compute, did->compute_ms / 1e3);
    }
    if (!sent) {
        metrics->bytes_kept += text_bytes;
        return;
    }
    metrics->offloaded++;
    metrics->bytes_up += did->bytes_up;
    metrics->bytes_down += did->bytes_down;
    metrics->words += did->words;
    metrics->words_pruned += did->words - did->kept_words;
    if (did->bytes_down > 0) {
        observe(&metrics->link, did->link_ms / 1e3);
    }
}

void rung_metrics_expect(rung_metrics *metrics, double share)
{
    metrics->drift = rung_drift_begin(share);
}

void rung_metrics_decision(rung_metrics *metrics, bool kept)
{
    rung_drift_add(&metrics->drift, kept);
}

void rung_metrics_call(rung_metrics *metrics, rung_call_outcome outcome)
{
    metrics->calls[outcome]++;
}

void rung_metrics_reload(rung_metrics *metrics, bool ok)
{
    metrics->reloads[ok ? 0 : 1]++;
}

static void print_head(rung_buffer *out, const char *name, const char *type, const char *help)
{
    rung_buffer_format(out, "# HELP rung_%s %s\n# TYPE rung_%s %s\n", name, help, name, type);
}

static void print_counter(rung_buffer *out, const char *name, const char *help, uint64_t value)
{
    print_head(out, name, "counter", help);
    rung_buffer_format(out, "rung_%s %" PRIu64 "\n", name, value);
}

static void print_gauge(rung_buffer *out, const char *name, const char *help, double value)
{
    print_head(out, name, "gauge", help);
    rung_buffer_format(out, "rung_%s %.9g\n", name, value);
}

/* One series a value. names [count]; they need no escapes. */
static void print_family(rung_buffer *out, const char *name, const char *label, const char *help,
                         const char *const *names, const uint64_t *values, size_t count)
{
    print_head(out, name, "counter", help);
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, "rung_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, names[i], values[i]);
    }
}

/* The same where the label is a number, from `first` on. */
static void print_numbered(rung_buffer *out, const char *name, const char *label, const char *help, size_t first,
                           const uint64_t *values, size_t count)
{
    print_head(out, name, "counter", help);
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, "rung_%s{%s=\"%zu\"} %" PRIu64 "\n", name, label, first + i, values[i]);
    }
}

static void print_histogram(rung_buffer *out, const char *name, const char *help, const histogram *h)
{
    uint64_t total = 0;
    print_head(out, name, "histogram", help);
    for (size_t i = 0; i < NUM_BOUNDS; i++) {
        total += h->count[i];
        rung_buffer_format(out, "rung_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds_s[i], total);
    }
    total += h->count[NUM_BOUNDS];
    rung_buffer_format(out, "rung_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nrung_%s_sum %.9g\nrung_%s_count %" PRIu64 "\n",
                       name, total, name, h->sum, name, total);
}

static void print_requests(const rung_metrics *metrics, rung_buffer *out)
{
    print_family(out, "requests_total", "outcome", "Calls to classify by what became of them.", outcome_names,
                 metrics->requests, RUNG_OUTCOMES);
    print_family(out, "api_requests_total", "api", "Calls to classify by the API that they came in.", api_names,
                 metrics->api_requests, RUNG_APIS);
    print_head(out, "http_responses_total", "counter", "HTTP responses by status.");
    for (size_t i = 0; i + 1 < NUM_STATUSES; i++) {
        rung_buffer_format(out, "rung_http_responses_total{code=\"%u\"} %" PRIu64 "\n", http_statuses[i],
                           metrics->responses[i]);
    }
    rung_buffer_format(out, "rung_http_responses_total{code=\"other\"} %" PRIu64 "\n",
                       metrics->responses[NUM_STATUSES - 1]);
    print_numbered(out, "answers_total", "level", "Inputs by the highest level that has a result.", metrics->level,
                   metrics->answers + metrics->level - 1, metrics->num_levels - metrics->level + 1);
    const char *reasons[NUM_REASONS - 1];
    for (size_t i = 1; i < NUM_REASONS; i++) {
        reasons[i - 1] = rung_degraded_name((rung_degraded)i);
    }
    print_family(out, "degraded_total", "reason", "Inputs answered without a level that the policy wanted.", reasons,
                 metrics->degraded + 1, NUM_REASONS - 1);
    print_numbered(out, "exits_total", "layer", "Inputs computed here by the layer after which they stopped.", 1,
                   metrics->exits, metrics->num_layers);
    print_histogram(out, "request_seconds", "From arrival to answer.", &metrics->request);
    print_histogram(out, "queue_seconds", "Waiting for a worker.", &metrics->queue);
    print_histogram(out, "compute_seconds", "Processor time of an input, divided by the level's speed.",
                    &metrics->compute);
}

static void print_upstream(const rung_metrics *metrics, const rung_metrics_now *now, rung_buffer *out)
{
    print_counter(out, "inputs_total", "Inputs answered.", metrics->inputs);
    print_counter(out, "offloaded_total", "Inputs that were sent to the next level.", metrics->offloaded);
    print_family(out, "upstream_calls_total", "outcome", "Calls of the next level.", call_names, metrics->calls,
                 NUM_CALLS);
    print_counter(out, "upstream_retries_total", "Calls that were tried again at another address.",
                  now->upstream.retries);
    print_counter(out, "upstream_hedges_total", "Calls that a second address was asked for beside the first.",
                  now->upstream.hedges);
    print_gauge(out, "upstream_in_flight", "Calls of the next level that wait.", (double)now->upstream.in_flight);
    print_gauge(out, "upstream_circuits_open", "Addresses that are not asked now.",
                (double)now->upstream.open_circuits);
    print_gauge(out, "upstream_model_changed",
                "Whether an address has another model than the calibration was fitted with.",
                now->model_changed ? 1 : 0);
    print_histogram(out, "link_seconds", "A call of the next level without the time that it took there.",
                    &metrics->link);
    print_counter(out, "bytes_up_total", "Bodies of calls of the next level.", metrics->bytes_up);
    print_counter(out, "bytes_down_total", "Bodies of its replies.", metrics->bytes_down);
    print_counter(out, "bytes_kept_total", "Text of inputs that were answered here and did not leave.",
                  metrics->bytes_kept);
    print_counter(out, "words_total", "Words of the texts that were sent up.", metrics->words);
    print_counter(out, "words_pruned_total", "Those of them that were left out.", metrics->words_pruned);
}

static void print_drift(const rung_metrics *metrics, rung_buffer *out)
{
    print_gauge(out, "kept_share_calibrated", "Share of the inputs that this level answers itself by its calibration.",
                metrics->drift.expected);
    print_gauge(out, "kept_share", "Share that it answered itself of the last 400 inputs or so.", metrics->drift.mean);
    print_gauge(out, "drift_sigmas",
                "Standard deviations of the one from the other; beyond 3 either way the texts are not those of the "
                "calibration.",
                rung_drift_sigmas(&metrics->drift));
}

static void print_process(const rung_metrics *metrics, const rung_metrics_now *now, rung_buffer *out)
{
    static const char *const results[] = {"ok", "failed"};
    print_family(out, "reloads_total", "result", "Reloads of the configuration.", results, metrics->reloads, 2);
    print_gauge(out, "connections", "Open client connections.", (double)now->connections);
    print_gauge(out, "requests_in_flight", "Calls to classify that are not answered yet.",
                (double)now->requests_in_flight);
    print_gauge(out, "queue_length", "Inputs that wait for a worker.", (double)now->queue_length);
    print_gauge(out, "queue_work_seconds", "Estimated work that waits.", now->queue_s);
    print_gauge(out, "draining", "1 while the node ends.", now->draining ? 1 : 0);
    rung_buffer_format(out,
                       "# HELP process_start_time_seconds Start of the process since the epoch.\n"
                       "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n"
                       "# HELP process_resident_memory_bytes Resident memory.\n"
                       "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %.0f\n",
                       metrics->started_s, (double)rung_resident_bytes());
}

void rung_metrics_print(const rung_metrics *metrics, const rung_metrics_now *now, rung_buffer *out)
{
    print_head(out, "build_info", "gauge", "1; what runs.");
    rung_buffer_format(out, "rung_build_info{version=\"%s\",precision=\"%s\",isa=\"%s\",level=\"%" PRIu32 "\"} 1\n",
                       rung_version(), metrics->precision, metrics->isa, metrics->level);
    print_requests(metrics, out);
    print_upstream(metrics, now, out);
    print_drift(metrics, out);
    print_process(metrics, now, out);
}
