/* node_overhead.c: what a node costs over the same call in one process: a tiny model behind HTTP, queue and worker at one keep-alive connection on
 * loopback, against rung_cascade_classify on the same text, in turn. The node has the first processor, the client the second. Prints medians and spread of both
 * and of the difference: once with a client that sleeps until its answer comes, and once with one that looks for it without pause, which leaves out how long this
 * system takes to wake the client.
 *
 *     build/bench/node_overhead [MODEL [ROUNDS]]     MODEL: tests/golden/tiny-bert; ROUNDS: 200 of 50 calls each
 */
#include "base/clock.h"
#include "config/node_config.h"
#include "serve/node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS 50
#define WARM_UP_ROUNDS 20

static const char text[] = "a warm , funny film";

static void fail(const rung_error *error)
{
    fprintf(stderr, "node_overhead: %s\n", error->message);
    exit(1);
}

static void fail_system(const char *what)
{
    perror(what);
    exit(1);
}

/* The calling thread, and those that it makes from now on. Where there is no such processor, anywhere. */
static void stay_on(size_t processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static void *run_node(void *argument)
{
    rung_error error;
    if (rung_node_run(argument, &error) != RUNG_OK) {
        fail(&error);
    }
    return NULL;
}

static rung_node *start_node(const char *model, rung_options *options)
{
    rung_error error;
    rung_node *node = NULL;
    rung_node_config config = {0};
    const rung_node_options node_options = {.open = {.threads = 1}, .seed = 1};
    if (rung_options_set(options, "model", model, &error) != RUNG_OK ||
        rung_options_set(options, "listen", "127.0.0.1:0", &error) != RUNG_OK ||
        rung_node_config_load(NULL, options, &config, &error) != RUNG_OK ||
        rung_node_create(&config, &node_options, &node, &error) != RUNG_OK) {
        fail(&error);
    }
    return node;
}

static int connect_to(const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail_system("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* One call: the request out, the whole answer in. */
static void ask(int fd, bool polls, const char *request, size_t request_bytes)
{
    char answer[8192];
    size_t have = 0;
    size_t need = SIZE_MAX;
    if (write(fd, request, request_bytes) != (ssize_t)request_bytes) {
        fail_system("write");
    }
    while (have < need) {
        ssize_t got = recv(fd, answer + have, sizeof answer - 1 - have, polls ? MSG_DONTWAIT : 0);
        if (got < 0 && errno == EAGAIN) {
            continue;
        }
        if (got <= 0) {
            fail_system("recv");
        }
        have += (size_t)got;
        answer[have] = '\0';
        const char *end = strstr(answer, "\r\n\r\n");
        const char *length = strcasestr(answer, "content-length:");
        if (end != NULL && length != NULL) {
            need = (size_t)(end + 4 - answer) + strtoul(length + 15, NULL, 10);
        }
    }
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "node_overhead: %s\n", answer);
        exit(1);
    }
}

static void classify(rung_cascade *cascade)
{
    rung_error error;
    rung_answers *answers = NULL;
    const rung_input input = {.id = "0", .text = text, .text_bytes = sizeof text - 1};
    if (rung_cascade_classify(cascade, &input, 1, &answers, &error) != RUNG_OK) {
        fail(&error);
    }
    rung_answers_free(answers);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_row(const char *name, double *us, size_t count)
{
    qsort(us, count, sizeof *us, compare);
    printf("%-22s p10 %7.1f  p50 %7.1f  p90 %7.1f  p99 %7.1f us\n", name, us[count / 10], us[count / 2],
           us[count * 9 / 10], us[count * 99 / 100]);
}

/* node_us and process_us have room for rounds * CALLS. */
static void compare_calls(int fd, rung_cascade *cascade, bool polls, size_t rounds, double *node_us, double *process_us)
{
    char request[512];
    int bytes = snprintf(request, sizeof request,
                         "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n{\"text\":\"%s\"}",
                         sizeof text - 1 + 11, text);
    size_t count = 0;
    for (size_t round = 0; round < rounds + WARM_UP_ROUNDS; round++) {
        double started_s[2 * CALLS + 1];
        for (size_t i = 0; i < CALLS; i++) {
            started_s[i] = rung_clock_s();
            ask(fd, polls, request, (size_t)bytes);
        }
        for (size_t i = CALLS; i < 2 * CALLS; i++) {
            started_s[i] = rung_clock_s();
            classify(cascade);
        }
        started_s[2 * CALLS] = rung_clock_s();
        for (size_t i = 0; round >= WARM_UP_ROUNDS && i < CALLS; i++) {
            node_us[count] = (started_s[i + 1] - started_s[i]) * 1e6;
            process_us[count++] = (started_s[CALLS + i + 1] - started_s[CALLS + i]) * 1e6;
        }
    }
    print_row(polls ? "HTTP, client polls" : "HTTP, client sleeps", node_us, count);
    print_row("in one process", process_us, count);
    printf("%-22s p50 %7.1f us (%zu calls each)\n", "overhead", node_us[count / 2] - process_us[count / 2], count);
}

int main(int argc, char **argv)
{
    const char *model = argc > 1 ? argv[1] : "tests/golden/tiny-bert";
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    rung_error error;
    rung_options *options = NULL;
    rung_cascade *cascade = NULL;
    const rung_open_options open = {.threads = 1, .batch_texts = 1};
    double *node_us = calloc(rounds * CALLS + 1, sizeof *node_us);
    double *process_us = calloc(rounds * CALLS + 1, sizeof *process_us);
    if (node_us == NULL || process_us == NULL || rounds == 0) {
        fprintf(stderr, "usage: node_overhead [MODEL [ROUNDS]]\n");
        return 2;
    }
    if (rung_options_new(&options, &error) != RUNG_OK || rung_cascade_open(model, &open, &cascade, &error) != RUNG_OK) {
        fail(&error);
    }
    stay_on(0);
    rung_node *node = start_node(model, options);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_node, node) != 0) {
        fail_system("pthread_create");
    }
    stay_on(1);
    int fd = connect_to(rung_node_url(node));
    for (int polls = 0; polls < 2; polls++) {
        compare_calls(fd, cascade, polls == 1, rounds, node_us, process_us);
    }
    close(fd);
    rung_node_drain(node);
    pthread_join(thread, NULL);
    rung_node_free(node);
    rung_cascade_close(cascade);
    rung_options_free(options);
    free(node_us);
    free(process_us);
    return 0;
}
