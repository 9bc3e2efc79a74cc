/* demo_nodes.c: processes of `rung serve`. See demo_nodes.h. */
#include "cli/demo_nodes.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_LIMIT_S 60.0 /* to open a model on a busy machine */
#define STOP_LIMIT_S 5.0

/* The arguments of one process, NULL-terminated. */
typedef struct arguments {
    char **text; /* [count + 1] */
    size_t count;
    size_t capacity;
} arguments;

static void arguments_deinit(arguments *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->text[i]);
    }
    free(list->text);
}

/* Appends "name" or "name=value". */
static rung_status add(arguments *list, const char *name, const char *value, rung_error *error)
{
    void *text = list->text;
    rung_status status = rung_grow(&text, &list->capacity, list->count + 2, sizeof *list->text, "arguments", error);
    list->text = text;
    if (status != RUNG_OK) {
        return status;
    }
    size_t bytes = strlen(name) + (value != NULL ? strlen(value) + 1 : 0) + 1;
    char *made = rung_alloc(bytes, 1, "arguments", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    snprintf(made, bytes, value != NULL ? "%s=%s" : "%s", name, value);
    list->text[list->count++] = made;
    list->text[list->count] = NULL;
    return RUNG_OK;
}

/* "levels[].speed" of level 2 is "--levels.2.speed". */
static void flag_name(const char *key, bool is_level, uint32_t level, char *flag, size_t bytes)
{
    if (is_level) {
        snprintf(flag, bytes, "--levels.%u%s", level + 1, key + strlen("levels[]"));
    } else {
        snprintf(flag, bytes, "--%s", key);
    }
}

/* What the user gave on the command line of the demo and a node takes as well. */
static rung_status forward_flags(arguments *list, const rung_options *options, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (rung_option_id id = 0; status == RUNG_OK && id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        bool is_level = rung_option_is_level(id);
        if ((spec->commands & RUNG_COMMAND_SERVE) == 0) {
            continue;
        }
        for (uint32_t level = 0; status == RUNG_OK && level < (is_level ? RUNG_MAX_LEVELS : 1); level++) {
            const rung_option_value *value = rung_options_level_value(options, id, level);
            if (value->source == RUNG_SOURCE_FLAG) {
                char flag[128];
                flag_name(spec->key, is_level, level, flag, sizeof flag);
                status = add(list, flag, value->text, error);
            }
        }
    }
    return status;
}

static rung_status make_arguments(arguments *list, const rung_options *options, uint32_t level, const char *upstream,
                                  rung_error *error)
{
    char number[16];
    snprintf(number, sizeof number, "%u", level);
    /* A slow or busy machine gives the same answers, only later: what is compared is not to be degraded. */
    const char *const own[][2] = {{"rung", NULL},
                                  {"serve", NULL},
                                  {"--data-dir", cli_data_directory(options)},
                                  {"--level", number},
                                  {"--listen", "127.0.0.1:0"},
                                  {"--log.level", "warn"},
                                  {"--deadline", "60s"},
                                  {"--limits.queue", "60s"}};
    const char *const above[][2] = {
        {"--upstream.addresses", upstream}, {"--upstream.deadline", "50s"}, {"--emulate-links", NULL}};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof own / sizeof own[0]; i++) {
        status = add(list, own[i][0], own[i][1], error);
    }
    for (size_t i = 0; status == RUNG_OK && upstream != NULL && i < sizeof above / sizeof above[0]; i++) {
        status = add(list, above[i][0], above[i][1], error);
    }
    return status == RUNG_OK ? forward_flags(list, options, error) : status;
}

/* The child's part: becomes `rung serve`, and ends when the parent does. */
static _Noreturn void become_node(char **text, int out_fd, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent && dup2(out_fd, STDOUT_FILENO) >= 0) {
        execv("/proc/self/exe", text);
        fprintf(stderr, "rung: cannot start /proc/self/exe: %s\n", strerror(errno));
    }
    _exit(CLI_FAILED);
}

static rung_status start_process(demo_node *node, char **text, int *read_fd, rung_error *error)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return rung_fail(error, RUNG_IO, "cannot make a pipe: %s", strerror(errno));
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_node(text, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return rung_fail(error, RUNG_IO, "cannot start a process: %s", strerror(errno));
    }
    node->pid = pid;
    *read_fd = ends[0];
    return RUNG_OK;
}

/* The first line that the process prints is its address. */
static rung_status read_url(demo_node *node, int fd, uint32_t level, rung_error *error)
{
    double until_s = rung_clock_s() + START_LIMIT_S;
    size_t have = 0;
    while (have + 1 < sizeof node->url) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        double left_s = until_s - rung_clock_s();
        if (left_s <= 0) {
            return rung_fail(error, RUNG_IO, "level %u does not serve after %.0f s", level, START_LIMIT_S);
        }
        if (poll(&wait, 1, (int)ceil(left_s * 1e3)) <= 0) {
            continue;
        }
        ssize_t got = read(fd, node->url + have, 1);
        if (got <= 0) {
            return rung_fail(error, RUNG_IO, "level %u did not start: its message stands above", level);
        }
        if (node->url[have] == '\n') {
            node->url[have] = '\0';
            return RUNG_OK;
        }
        have++;
    }
    return rung_fail(error, RUNG_IO, "level %u printed no address", level);
}

rung_status demo_nodes_start(demo_nodes *nodes, const rung_options *options, const rung_cascade *cascade,
                             rung_error *error)
{
    nodes->count = cascade->num_levels;
    fflush(stdout);
    for (uint32_t level = cascade->num_levels; level >= 1; level--) {
        demo_node *node = &nodes->node[level - 1];
        arguments list = {0};
        int fd = -1;
        rung_status status = make_arguments(&list, options, level, level < nodes->count ? node[1].url : NULL, error);
        if (status == RUNG_OK) {
            status = start_process(node, list.text, &fd, error);
        }
        if (status == RUNG_OK) {
            status = read_url(node, fd, level, error);
            close(fd);
        }
        arguments_deinit(&list);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static bool any_runs(const demo_nodes *nodes)
{
    for (uint32_t l = 0; l < nodes->count; l++) {
        if (nodes->node[l].pid != 0) {
            return true;
        }
    }
    return false;
}

static void signal_all(const demo_nodes *nodes, int number)
{
    for (uint32_t l = 0; l < nodes->count; l++) {
        if (nodes->node[l].pid != 0) {
            kill(nodes->node[l].pid, number);
        }
    }
}

uint32_t demo_nodes_ended(demo_nodes *nodes, int *wait_status)
{
    for (uint32_t l = 0; l < nodes->count; l++) {
        if (nodes->node[l].pid != 0 && waitpid(nodes->node[l].pid, wait_status, WNOHANG) == nodes->node[l].pid) {
            nodes->node[l].pid = 0;
            return l + 1;
        }
    }
    return 0;
}

void demo_nodes_stop(demo_nodes *nodes)
{
    int wait_status;
    double until_s = rung_clock_s() + STOP_LIMIT_S;
    signal_all(nodes, SIGTERM);
    while (any_runs(nodes)) {
        if (demo_nodes_ended(nodes, &wait_status) == 0) {
            if (rung_clock_s() > until_s) {
                signal_all(nodes, SIGKILL);
            }
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
    }
}
