/* gnuplot.c: one child process, its messages read from a pipe, with a limit of time. See gnuplot.h. */
#include "eval/gnuplot.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 600 }; /* of what it prints that an error holds */

typedef struct messages {
    char text[MESSAGE_BYTES];
    size_t length;
} messages;

/* Keeps printable text on one line: runs of white space and control bytes become one space. */
static void keep(messages *said, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && said->length + 1 < sizeof said->text; i++) {
        bool space = (unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f;
        bool after_space = said->length == 0 || said->text[said->length - 1] == ' ';
        if (!space) {
            said->text[said->length++] = bytes[i];
        } else if (!after_space) {
            said->text[said->length++] = ' ';
        }
    }
    said->text[said->length] = '\0';
}

/* Reads until the other end closes; false when the time is over. */
static bool read_all(int fd, double until_s, messages *said)
{
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        double left_s = until_s - rung_clock_s();
        if (left_s <= 0) {
            return false;
        }
        int ready = poll(&wait, 1, (int)ceil(fmin(left_s, 1) * 1e3));
        if (ready <= 0) {
            continue;
        }
        char bytes[512];
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        keep(said, bytes, got > 0 ? (size_t)got : 0);
    }
}

/* posix_spawnp with output to out_fd; 0 or the number of what failed. */
static int start(const char *program, const char *directory, const char *script, int out_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        return code;
    }
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return code;
    }
    sigset_t none;
    sigemptyset(&none);
    char *const arguments[] = {(char *)(uintptr_t)program, "-d", (char *)(uintptr_t)script, NULL};
    char *const environment[] = {"LC_ALL=C.UTF-8", NULL};
    code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
    code = code != 0 ? code : posix_spawn_file_actions_addchdir_np(&actions, directory);
    code = code != 0 ? code : posix_spawnattr_setsigmask(&attributes, &none);
    code = code != 0 ? code : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    code = code != 0 ? code : posix_spawnp(pid, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* Waits for the end of the child, which has closed its output or was killed. */
static rung_status reap(pid_t pid, const char *program, const char *script, const messages *said, rung_error *error)
{
    int how = 0;
    pid_t ended;
    do {
        ended = waitpid(pid, &how, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended == pid && WIFEXITED(how) && WEXITSTATUS(how) == 0) {
        return RUNG_OK;
    }
    bool by_signal = ended == pid && WIFSIGNALED(how);
    int number = by_signal ? WTERMSIG(how) : ended == pid ? WEXITSTATUS(how) : errno;
    return rung_fail(error, RUNG_IO, "%s %s: ended with %s %d: %s", program, script, by_signal ? "signal" : "status",
                     number, said->length > 0 ? said->text : "it printed nothing");
}

rung_status rung_gnuplot_run(const char *program, const char *directory, const char *script, double limit_s,
                             bool *found, rung_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return rung_fail(error, RUNG_IO, "%s %s: cannot make a pipe: error %d", program, script, errno);
    }
    pid_t pid = -1;
    int code = start(program, directory, script, ends[1], &pid);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        if (code == ENOENT && access(directory, X_OK) == 0) {
            *found = false;
            return RUNG_OK;
        }
        char reason[128] = "unknown error";
        return rung_fail(error, RUNG_IO, "%s %s: cannot start it in %s: %s", program, script, directory,
                         strerror_r(code, reason, sizeof reason));
    }
    messages said = {.length = 0};
    bool in_time = read_all(ends[0], rung_clock_s() + limit_s, &said);
    close(ends[0]);
    if (!in_time) {
        kill(pid, SIGKILL);
    }
    rung_status status = reap(pid, program, script, &said, error);
    if (!in_time && status != RUNG_OK) {
        status = rung_fail(error, RUNG_IO, "%s %s: did not end within %g s and was killed", program, script, limit_s);
    }
    if (status == RUNG_OK) {
        *found = true;
    }
    return status;
}
