/* serve.c: `rung serve`: one level as a server. Prints its address on standard output when it serves, its log on standard error. */
#include "base/clock.h"
#include "cli/cli.h"
#include "serve/node.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What waits for signals: a thread, so that no handler has to find the node through a global. */
typedef struct signal_watch {
    sigset_t signals;
    rung_node *node;
    pthread_t thread;
} signal_watch;

/* SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reloads; SIGUSR1 ends this thread. */
static void *watch_signals(void *argument)
{
    signal_watch *watch = argument;
    bool draining = false;
    for (;;) {
        int number = 0;
        if (sigwait(&watch->signals, &number) != 0 || number == SIGUSR1) {
            return NULL;
        }
        if (number == SIGHUP) {
            rung_node_reload(watch->node);
        } else if (!draining) {
            draining = true;
            rung_node_drain(watch->node);
        } else {
            _exit(CLI_FAILED);
        }
    }
}

static rung_status block_signals(signal_watch *watch, rung_error *error)
{
    sigemptyset(&watch->signals);
    sigaddset(&watch->signals, SIGTERM);
    sigaddset(&watch->signals, SIGINT);
    sigaddset(&watch->signals, SIGHUP);
    sigaddset(&watch->signals, SIGUSR1);
    int code = pthread_sigmask(SIG_BLOCK, &watch->signals, NULL);
    return code == 0 ? RUNG_OK : rung_fail(error, RUNG_IO, "cannot block signals: %s", strerror(code));
}

static rung_status start_watch(signal_watch *watch, rung_node *node, rung_error *error)
{
    watch->node = node;
    int code = pthread_create(&watch->thread, NULL, watch_signals, watch);
    return code == 0 ? RUNG_OK : rung_fail(error, RUNG_IO, "cannot start a thread: %s", strerror(code));
}

static void end_watch(signal_watch *watch)
{
    pthread_kill(watch->thread, SIGUSR1);
    pthread_join(watch->thread, NULL);
}

static rung_status load(void *context, rung_node_config *config, rung_error *error)
{
    const rung_options *options = context;
    return rung_node_config_load(cli_data_directory(options), options, config, error);
}

static void write_log(void *context, const char *line, size_t bytes)
{
    (void)context;
    fwrite(line, 1, bytes, stderr);
}

/* Different for every process: node ids must differ, and circuits of several nodes must not beat in time. */
static uint64_t make_seed(void)
{
    return (uint64_t)getpid() << 32 ^ (uint64_t)(rung_clock_s() * 1e9) ^ (uint64_t)time(NULL);
}

static rung_status serve(signal_watch *watch, rung_node *node, rung_error *error)
{
    rung_status status = start_watch(watch, node, error);
    if (status != RUNG_OK) {
        return status;
    }
    printf("%s\n", rung_node_url(node));
    fflush(stdout);
    status = rung_node_run(node, error);
    end_watch(watch);
    return status;
}

int cli_serve(const rung_options *options)
{
    rung_error error;
    rung_node *node = NULL;
    rung_node_config config = {0};
    signal_watch watch;
    rung_node_options node_options = {.open = {.isa = cli_isa(options)},
                                      .seed = make_seed(),
                                      .reload = load,
                                      .log = write_log,
                                      .context = (void *)(uintptr_t)options};
    rung_status status = block_signals(&watch, &error);
    if (status == RUNG_OK) {
        status = load(node_options.context, &config, &error);
    }
    if (status == RUNG_OK) {
        status = rung_node_create(&config, &node_options, &node, &error);
    }
    if (status == RUNG_OK) {
        status = serve(&watch, node, &error);
    }
    rung_node_free(node);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
