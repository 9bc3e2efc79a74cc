/* main.c: an open-loop load generator for nodes, and for whatever speaks the same HTTP. One thread.
 *
 *     build/bench/load http://127.0.0.1:8080 --data FILE.jsonl[.zst] --rate 500 --arrivals poisson --seconds 10
 *
 * Latency counts from the moment at which a request was meant to be sent, also when no connection was free then. Of several --rate the phases follow each
 * other without a pause. See --help for the rest. */
#include "base/buffer.h"
#include "base/clock.h"
#include "bench/load/arrivals.h"
#include "bench/load/client.h"
#include "bench/load/histogram.h"
#include "config/jsonl.h"
#include "run/message.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MAX_PHASES 16
#define MAX_HEADERS 16
#define MAX_REQUESTS 100000

static const char help[] =
    "usage: load URL [OPTION...]        URL: http://ADDRESS:PORT[/PATH], PATH: /v1/classify, or the --api's\n"
    "  --data FILE          texts: JSON lines or .zst; otherwise one short sentence\n"
    "  --rows N             of them, from the first (1000)\n"
    "  --api NAME           rung, tei, v2 (the model is MODEL of --model) or vllm\n"
    "  --model NAME         of the path of v2\n"
    "  --rate R[,R...]      requests a second (100); of several each is a phase of --seconds\n"
    "  --arrivals NAME      poisson, constant, bursty, batched or closed: each connection sends as soon as it has its "
    "answer\n"
    "  --connections N      at most so many requests at once (64)\n"
    "  --sources N          come from 127.0.0.1, 127.0.0.2 ... in turn: for limits by client\n"
    "  --seconds S[,S...]   of a phase (10); the last one stands for all further phases\n"
    "  --warm-up S          before, not counted (1); each connection asks once first\n"
    "  --idle N             connections that ask once and stay open\n"
    "  --header LINE        \"Name: value\", sent with every request; may be given again\n"
    "  --seed N             of the arrivals (1)\n"
    "  --series             a line for each second\n"
    "  --json               one JSON object a line instead of tables\n";

typedef struct settings {
    char host[64];
    uint16_t port;
    const char *path;
    const char *data;
    const char *api;
    const char *model;
    size_t rows;
    double rates[MAX_PHASES];
    size_t num_rates;
    arrival_process process;
    size_t connections, sources, idle;
    double seconds[MAX_PHASES];
    size_t num_seconds;
    double warm_up_s;
    const char *headers[MAX_HEADERS];
    size_t num_headers;
    uint64_t seed;
    bool series, json;
} settings;

/* What came of the requests that were meant to be sent in some time. */
typedef struct tally {
    uint64_t sent, ok, degraded, refused, failed, lost; /* 200; 429 and 503; other statuses; broken connections */
    histogram good, refusals;
} tally;

typedef struct load {
    const settings *set;
    client *client;
    client_request *requests; /* [num_requests] */
    size_t num_requests, next;
    bool counts; /* not the warm-up */
    double phase_s;
    tally phase;
    tally second;
    unsigned last_status; /* of what was no 200, for the report */
} load;

static void fail(const rung_error *error)
{
    fprintf(stderr, "load: %s\n", error->message);
    exit(1);
}

static void usage(const char *what)
{
    fprintf(stderr, "load: %s\n%s", what, help);
    exit(2);
}

static void count(tally *t, const client_result *result)
{
    double seconds = result->done_s - result->intended_s;
    switch (result->status) {
    case 200:
        t->ok++;
        t->degraded += result->degraded;
        histogram_add(&t->good, seconds);
        break;
    case 429:
    case 503:
        t->refused++;
        histogram_add(&t->refusals, seconds);
        break;
    case 0:
        t->lost++;
        break;
    default:
        t->failed++;
    }
}

static void ask(load *l, double intended_s)
{
    client_send(l->client, &l->requests[l->next], intended_s);
    l->next = (l->next + 1) % l->num_requests;
    if (l->counts) {
        l->phase.sent++;
        l->second.sent++;
    }
}

static void done(void *context, const client_result *result)
{
    load *l = context;
    if (l->counts && result->intended_s >= l->phase_s) {
        count(&l->phase, result);
        count(&l->second, result);
        l->last_status = result->status == 200 ? l->last_status : result->status;
    }
}

static void print_latencies(const char *name, const histogram *h)
{
    if (h->count > 0) {
        printf("  %-8s %9llu   ms: p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f  mean %.3f\n", name,
               (unsigned long long)h->count, histogram_percentile_s(h, 0.5) * 1e3, histogram_percentile_s(h, 0.9) * 1e3,
               histogram_percentile_s(h, 0.99) * 1e3, histogram_percentile_s(h, 0.999) * 1e3, h->most_s * 1e3,
               histogram_mean_s(h) * 1e3);
    }
}

static void print_json(const tally *t, const char *kind, double at_s, double rate, double seconds)
{
    printf("{\"kind\":\"%s\",\"at_s\":%.3f,\"rate\":%.9g,\"seconds\":%.3f,\"sent\":%llu,\"ok\":%llu,\"degraded\":%llu,"
           "\"refused\":%llu,\"failed\":%llu,\"lost\":%llu,\"goodput\":%.3f",
           kind, at_s, rate, seconds, (unsigned long long)t->sent, (unsigned long long)t->ok,
           (unsigned long long)t->degraded, (unsigned long long)t->refused, (unsigned long long)t->failed,
           (unsigned long long)t->lost, (double)t->ok / seconds);
    const struct {
        const char *name;
        const histogram *h;
    } both[] = {{"ok", &t->good}, {"refused", &t->refusals}};
    for (size_t i = 0; i < 2; i++) {
        printf(",\"%s_ms\":{\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f}", both[i].name,
               histogram_percentile_s(both[i].h, 0.5) * 1e3, histogram_percentile_s(both[i].h, 0.9) * 1e3,
               histogram_percentile_s(both[i].h, 0.99) * 1e3, histogram_percentile_s(both[i].h, 0.999) * 1e3,
               both[i].h->most_s * 1e3);
    }
    puts("}");
    fflush(stdout);
}

static void print_phase(const load *l, double rate, double seconds)
{
    const tally *t = &l->phase;
    if (l->set->json) {
        print_json(t, "phase", 0, rate, seconds);
        return;
    }
    if (rate > 0) {
        printf("%.6g/s for %.1f s: ", rate, seconds);
    } else {
        printf("closed loop for %.1f s: ", seconds);
    }
    printf("%llu sent, %.1f answered a second; degraded %llu, refused %llu, failed %llu, lost %llu, reconnects %llu\n",
           (unsigned long long)t->sent, (double)t->ok / seconds, (unsigned long long)t->degraded,
           (unsigned long long)t->refused, (unsigned long long)t->failed, (unsigned long long)t->lost,
           (unsigned long long)client_num_reconnects(l->client));
    print_latencies("answered", &t->good);
    print_latencies("refused", &t->refusals);
    if (l->last_status != 0 && t->failed > 0) {
        printf("  the last status that was not 200: %u\n", l->last_status);
    }
}

static void print_second(load *l, double at_s, double rate)
{
    const tally *t = &l->second;
    if (l->set->json) {
        print_json(t, "second", at_s, rate, 1);
    } else {
        printf("%6.0f s  sent %6llu  answered %6llu  refused %6llu  failed %4llu  p50 %8.3f  p99 %8.3f ms\n", at_s,
               (unsigned long long)t->sent, (unsigned long long)t->ok, (unsigned long long)t->refused,
               (unsigned long long)(t->failed + t->lost), histogram_percentile_s(&t->good, 0.5) * 1e3,
               histogram_percentile_s(&t->good, 0.99) * 1e3);
    }
    l->second = (tally){0};
}

static void drive(load *l, double rate, double until_s)
{
    bool closed = l->set->process == ARRIVALS_CLOSED;
    arrivals a = arrivals_begin(l->set->process, rate, l->set->seed, rung_clock_s());
    double start_s = rung_clock_s();
    double second_s = start_s + 1;
    for (double now_s = start_s; now_s < until_s; now_s = rung_clock_s()) {
        while (closed ? client_num_free(l->client) > 0 : a.next_s <= now_s) {
            ask(l, closed ? now_s : arrivals_take_s(&a));
        }
        if (l->set->series && l->counts && now_s >= second_s) {
            print_second(l, second_s - start_s, rate);
            second_s += 1;
        }
        double wake_s = l->set->series ? fmin(until_s, second_s) : until_s;
        client_run(l->client, closed ? wake_s : fmin(a.next_s, wake_s));
    }
}

static void run_phase(load *l, double rate, double seconds, bool counts)
{
    l->counts = counts;
    l->phase = (tally){0};
    l->second = (tally){0};
    l->phase_s = rung_clock_s();
    drive(l, rate, l->phase_s + seconds);
    if (counts) {
        /* What is still under way counts as soon as it comes, for a while; goodput is by the second of the phase. */
        tally at_end = l->phase;
        double patience_s = rung_clock_s() + 15;
        bool last = l->set->num_rates <= 1;
        while (last && client_num_open(l->client) > 0 && rung_clock_s() < patience_s) {
            client_run(l->client, patience_s);
        }
        uint64_t ok = l->set->process == ARRIVALS_CLOSED ? at_end.ok : l->phase.ok;
        l->phase.ok = ok;
        print_phase(l, l->set->process == ARRIVALS_CLOSED ? 0 : rate, seconds);
    }
}

static void make_body(const settings *set, const rung_line *line, rung_buffer *body)
{
    bool v2 = strcmp(set->api, "v2") == 0;
    rung_buffer_text(body, strcmp(set->api, "tei") == 0    ? "{\"inputs\":"
                           : strcmp(set->api, "vllm") == 0 ? "{\"input\":"
                           : v2 ? "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":["
                                : "{\"text\":");
    rung_message_string(body, line->text, line->text_bytes);
    rung_buffer_text(body, v2 ? "]}]}" : "}");
}

static const char *default_path(const settings *set, char room[128])
{
    if (strcmp(set->api, "v2") == 0) {
        snprintf(room, 128, "/v2/models/%s/infer", set->model);
        return room;
    }
    return strcmp(set->api, "tei") == 0 ? "/predict" : strcmp(set->api, "vllm") == 0 ? "/classify" : "/v1/classify";
}

static void make_request(const settings *set, const rung_line *line, client_request *request)
{
    char room[128];
    rung_buffer body = {0};
    rung_buffer whole = {0};
    rung_error error;
    make_body(set, line, &body);
    rung_buffer_format(&whole, "POST %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/json\r\n",
                       set->path != NULL ? set->path : default_path(set, room), set->host, (unsigned)set->port);
    for (size_t i = 0; i < set->num_headers; i++) {
        rung_buffer_format(&whole, "%s\r\n", set->headers[i]);
    }
    rung_buffer_format(&whole, "Content-Length: %zu\r\n\r\n", body.length);
    rung_buffer_append(&whole, body.data, body.length);
    if (rung_buffer_check(&whole, "request", &error) != RUNG_OK) {
        fail(&error);
    }
    rung_buffer_deinit(&body);
    *request = (client_request){whole.data, whole.length};
}

static void make_requests(load *l)
{
    const settings *set = l->set;
    rung_error error;
    l->requests = calloc(set->rows, sizeof *l->requests);
    if (l->requests == NULL) {
        usage("no memory");
    }
    rung_line line = {0};
    if (set->data == NULL) {
        static const char text[] = "a warm , funny film";
        if (rung_line_from_text(text, sizeof text - 1, 0, &line, &error) != RUNG_OK) {
            fail(&error);
        }
        make_request(set, &line, &l->requests[l->num_requests++]);
        rung_line_deinit(&line);
        return;
    }
    rung_line_reader *reader = NULL;
    const char *text;
    size_t bytes;
    if (rung_line_reader_open(set->data, 0, &reader, &error) != RUNG_OK) {
        fail(&error);
    }
    while (l->num_requests < set->rows) {
        if (rung_line_reader_next(reader, &text, &bytes, &error) != RUNG_OK) {
            fail(&error);
        }
        if (text == NULL) {
            break;
        }
        if (rung_line_parse(text, bytes, l->num_requests, &line, &error) != RUNG_OK) {
            fail(&error);
        }
        make_request(set, &line, &l->requests[l->num_requests++]);
    }
    rung_line_deinit(&line);
    rung_line_reader_close(reader);
    if (l->num_requests == 0) {
        usage("--data holds no texts");
    }
}

static void read_url(settings *set, const char *url)
{
    unsigned port = 0;
    int end = 0;
    if (sscanf(url, "http://%63[0-9.]:%u%n", set->host, &port, &end) != 2 || port == 0 || port > 65535) {
        usage("the URL is no http://ADDRESS:PORT with a numeric IPv4 address");
    }
    set->port = (uint16_t)port;
    set->path = url[end] != '\0' && strcmp(url + end, "/") != 0 ? url + end : NULL;
}

/* "1,2.5" into numbers above 0. */
static size_t read_numbers(const char *flag, const char *text, double numbers[MAX_PHASES])
{
    char *end = NULL;
    size_t count = 0;
    do {
        double value = strtod(text, &end);
        if (end == text || !(value > 0) || count == MAX_PHASES || (*end != ',' && *end != '\0')) {
            fprintf(stderr, "load: %s takes 1 to %d numbers above 0, not %s\n", flag, MAX_PHASES, text);
            exit(2);
        }
        numbers[count++] = value;
        text = end + 1;
    } while (*end == ',');
    return count;
}

static double number(const char *text, double least, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "load: %s is no number from %g to %g\n", text, least, most);
        exit(2);
    }
    return value;
}

enum {
    API,
    MODEL,
    DATA,
    ROWS,
    RATE,
    ARRIVALS,
    CONNECTIONS,
    SOURCES,
    SECONDS,
    WARM_UP,
    IDLE,
    HEADER,
    SEED,
    SERIES,
    JSON,
    HELP
};

static const struct option flags[] = {{"api", 1, NULL, API},
                                      {"model", 1, NULL, MODEL},
                                      {"data", 1, NULL, DATA},
                                      {"rows", 1, NULL, ROWS},
                                      {"rate", 1, NULL, RATE},
                                      {"arrivals", 1, NULL, ARRIVALS},
                                      {"connections", 1, NULL, CONNECTIONS},
                                      {"sources", 1, NULL, SOURCES},
                                      {"seconds", 1, NULL, SECONDS},
                                      {"warm-up", 1, NULL, WARM_UP},
                                      {"idle", 1, NULL, IDLE},
                                      {"header", 1, NULL, HEADER},
                                      {"seed", 1, NULL, SEED},
                                      {"series", 0, NULL, SERIES},
                                      {"json", 0, NULL, JSON},
                                      {"help", 0, NULL, HELP},
                                      {NULL, 0, NULL, 0}};

static void take_flag(settings *set, int flag)
{
    switch (flag) {
    case API:
        set->api = optarg;
        break;
    case MODEL:
        set->model = optarg;
        break;
    case DATA:
        set->data = optarg;
        break;
    case ROWS:
        set->rows = (size_t)number(optarg, 1, MAX_REQUESTS);
        break;
    case RATE:
        set->num_rates = read_numbers("--rate", optarg, set->rates);
        break;
    case ARRIVALS:
        if (!arrivals_find(optarg, &set->process)) {
            usage("--arrivals is poisson, constant, bursty, batched or closed");
        }
        break;
    case CONNECTIONS:
        set->connections = (size_t)number(optarg, 1, 60000);
        break;
    case SOURCES:
        set->sources = (size_t)number(optarg, 0, 60000);
        break;
    case SECONDS:
        set->num_seconds = read_numbers("--seconds", optarg, set->seconds);
        break;
    case WARM_UP:
        set->warm_up_s = number(optarg, 0, 3600);
        break;
    case IDLE:
        set->idle = (size_t)number(optarg, 0, 60000);
        break;
    case HEADER:
        if (set->num_headers == MAX_HEADERS) {
            usage("there may be 16 --header");
        }
        set->headers[set->num_headers++] = optarg;
        break;
    case SEED:
        set->seed = (uint64_t)number(optarg, 0, 9e15);
        break;
    case SERIES:
        set->series = true;
        break;
    case JSON:
        set->json = true;
        break;
    case HELP:
        fputs(help, stdout);
        exit(0);
    default:
        usage("unknown option");
    }
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Connections that ask once each and then say nothing. */
static client *open_idle(load *l)
{
    client_options options = {.host = l->set->host,
                              .port = l->set->port,
                              .connections = l->set->idle,
                              .sources = l->set->sources,
                              .done = done,
                              .context = l};
    if (l->set->idle == 0) {
        return NULL;
    }
    client *idle = client_open(&options);
    client_send_on_each(idle, &l->requests[0]);
    fprintf(stderr, "load: %zu idle connections, reconnects %llu\n", l->set->idle,
            (unsigned long long)client_num_reconnects(idle));
    return idle;
}

int main(int argc, char **argv)
{
    settings set = {.api = "rung",
                    .model = "model",
                    .rows = 1000,
                    .rates = {100},
                    .num_rates = 1,
                    .process = ARRIVALS_POISSON,
                    .connections = 64,
                    .seconds = {10},
                    .num_seconds = 1,
                    .warm_up_s = 1,
                    .seed = 1};
    int flag;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        take_flag(&set, flag);
    }
    if (optind + 1 != argc) {
        usage("one URL is needed");
    }
    read_url(&set, argv[optind]);
    raise_file_limit();
    static load l;
    l.set = &set;
    make_requests(&l);
    client *idle = open_idle(&l);
    const client_options options = {.host = set.host,
                                    .port = set.port,
                                    .connections = set.connections,
                                    .sources = set.sources,
                                    .done = done,
                                    .context = &l};
    l.client = client_open(&options);
    if (set.warm_up_s > 0) {
        client_send_on_each(l.client,
                            &l.requests[0]); /* so that memory of connections does not come in while it is watched */
        run_phase(&l, set.rates[0], set.warm_up_s, false);
    }
    for (size_t i = 0; i < set.num_rates; i++) {
        size_t last = set.num_seconds - 1;
        run_phase(&l, set.rates[i], set.seconds[i < last ? i : last], true);
    }
    client_close(l.client);
    if (idle != NULL) {
        client_close(idle);
    }
    for (size_t i = 0; i < l.num_requests; i++) {
        free((void *)(uintptr_t)l.requests[i].bytes);
    }
    free(l.requests);
    return 0;
}
