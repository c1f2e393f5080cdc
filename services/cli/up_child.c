/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define UP_CHILD_READS_MAX 16

void up_child_init(struct up_child *child, const char *name, int port)
{
    memset(child, 0, sizeof(*child));
    snprintf(child->name, sizeof(child->name), "%s", name);
    child->port = port;
    child->pipe_fd = -1;
    child->log.file_fd = -1;
}

void up_child_add(struct up_child *child, const char *format, ...)
{
    size_t room = sizeof(child->text) - child->text_size;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(child->text + child->text_size, room, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= room || child->argc + 1 >= UP_CHILD_WORDS_MAX) {
        child->words_full = true;
        return;
    }
    child->argv[child->argc++] = child->text + child->text_size;
    child->text_size += (size_t)size + 1;
}

/* In the new process: nothing of the supervisor's may leak into it but the pipe. */
static void up_child_become(const struct up_child *child, int output, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* Its own group: Ctrl-C on the terminal reaches the supervisor only, which stops the
     * others in order. And none outlives the supervisor, however that ends. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(child->argv[0], child->argv);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", child->argv[0], strerror(errno));
    _exit(127);
}

static void up_child_drain(struct up_child *child)
{
    uint8_t data[16384];
    ssize_t got = 1;
    /* Bounded: a process that never stops talking must not keep the others waiting. */
    for (int i = 0; i < UP_CHILD_READS_MAX && got > 0; i++) {
        got = read(child->pipe_fd, data, sizeof(data));
        if (got > 0)
            up_log_take(&child->log, bytes_of(data, (size_t)got));
    }
}

static void up_child_close_pipe(struct up_child *child)
{
    if (child->pipe_fd < 0)
        return;
    up_child_drain(child);
    up_log_flush(&child->log);
    loop_remove(child->loop, child->pipe_fd);
    close(child->pipe_fd);
    child->pipe_fd = -1;
}

static void up_child_on_output(void *context, uint32_t events)
{
    struct up_child *child = context;
    if ((events & EPOLLIN) != 0)
        up_child_drain(child);
    else
        up_child_close_pipe(child);
}

int up_child_start(struct up_child *child, int64_t mono_us, struct err *err)
{
    int ends[2];
    up_child_close_pipe(child);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "%s: pipe: %s", child->name, strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        up_child_become(child, ends[1], parent);
    int code = errno;
    close(ends[1]);
    int result = pid < 0 ? err_set(err, ERR_IO, "%s: fork: %s", child->name, strerror(code))
                         : loop_set(child->loop, ends[0], EPOLLIN, up_child_on_output, child);
    if (pid > 0)
        child->pid = pid;
    if (result != ERR_OK) {
        close(ends[0]);
        return result;
    }
    child->pipe_fd = ends[0];
    child->started_us = mono_us;
    child->restart_us = 0;
    return ERR_OK;
}

static int64_t up_child_backoff(const struct up_child *child, int64_t maximum_us, struct prng *prng)
{
    if (child->failures <= 1)
        return 0;
    int64_t limit_us = UP_CHILD_BACKOFF_FIRST_US;
    for (int i = 2; i < child->failures && limit_us < maximum_us; i++)
        limit_us *= 2;
    limit_us = limit_us < maximum_us ? limit_us : maximum_us;
    return (int64_t)prng_below(prng, (uint64_t)limit_us + 1);
}

int up_child_ended(struct up_child *child, int wait_status, int64_t mono_us, int64_t backoff_max_us,
                   struct prng *prng)
{
    int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    up_child_close_pipe(child);
    child->pid = 0;
    if (status == 0 && child->ends) {
        child->done = true;
        return status;
    }
    if (mono_us - child->started_us >= UP_CHILD_STEADY_US)
        child->failures = 0;
    child->failures++;
    child->restart_us = mono_us + up_child_backoff(child, backoff_max_us, prng);
    return status;
}

bool up_child_due(const struct up_child *child, int64_t mono_us)
{
    return child->pid == 0 && !child->done && mono_us >= child->restart_us;
}

bool up_child_stop(struct up_child *child, int64_t mono_us, int64_t timeout_us)
{
    if (child->pid == 0)
        return true;
    if (!child->terminated) {
        child->terminated = true;
        child->kill_us = mono_us + timeout_us;
        kill(child->pid, child->stop_signal != 0 ? child->stop_signal : SIGTERM);
        /* A stopped process (SIGSTOP) would not see it. */
        kill(child->pid, SIGCONT);
    } else if (mono_us >= child->kill_us && !child->killed) {
        log_warn("killed", "process=%s reason=\"did not stop in time\"", child->name);
        up_child_kill(child);
    }
    return false;
}

void up_child_kill(struct up_child *child)
{
    if (child->pid == 0)
        return;
    child->killed = true;
    kill(child->pid, SIGKILL);
}

void up_child_close(struct up_child *child)
{
    up_child_close_pipe(child);
    up_log_close(&child->log);
}
