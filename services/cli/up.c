/* `btcast up`: the whole system on one machine as supervised processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "services/cli/commands.h"
#include "services/cli/ports.h"
#include "services/cli/prediction_line.h"
#include "services/cli/sse_client.h"
#include "services/cli/up_plan.h"
#include "services/cli/up_postgres.h"
#include "services/service.h"

#define UP_REDIS_START_US (10 * CLOCK_US_PER_S)
#define UP_REDIS_POLL_US  (10 * CLOCK_US_PER_MS)
#define UP_SIM_START_US   (3 * CLOCK_US_PER_S)

enum up_phase { UP_STARTING, UP_RUNNING, UP_STOPPING };

struct up {
    struct up_options options;
    struct up_folder folder;
    struct up_plan plan;
    struct loop *loop;
    struct prng prng;
    struct sse_client events;
    enum up_phase phase;
    int signal_fd;
    int stop_signals;
    int stopping; /* index of the child being stopped */
    int exit_status;
    int64_t started_us;
    int64_t last_slot;
};

static void up_begin_stop(struct up *up, int exit_status)
{
    if (up->phase == UP_STOPPING)
        return;
    up->phase = UP_STOPPING;
    up->exit_status = exit_status;
    up->stopping = up->plan.count - 1;
    log_info("stopping", "reason=%s", exit_status == 0 ? "asked" : "failure");
}

static void up_explain_exit(struct up *up, struct up_child *child, int status)
{
    if (child->done) {
        log_info("ended", "process=%s", child->name);
    } else if (status == SERVICE_EXIT_CONFIG) {
        log_error("not_restarted", "process=%s exit_status=2 reason=\"its configuration is wrong\"",
                  child->name);
        up_begin_stop(up, SERVICE_EXIT_CONFIG);
    } else if (status == 127) {
        log_error("not_restarted", "process=%s reason=\"%s cannot be started\"", child->name,
                  child->argv[0]);
        up_begin_stop(up, SERVICE_EXIT_FAILURE);
    } else {
        int64_t wait_us = child->restart_us - loop_mono_us();
        log_warn("exited", "process=%s %s=%d restart_in_ms=%lld", child->name,
                 status > 128 ? "signal" : "exit_status", status > 128 ? status - 128 : status,
                 (long long)(wait_us > 0 ? wait_us / CLOCK_US_PER_MS : 0));
    }
}

static void up_reap(struct up *up, int64_t mono_us)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        for (int i = 0; i < up->plan.count; i++) {
            struct up_child *child = &up->plan.children[i];
            if (child->pid != pid)
                continue;
            int status = up_child_ended(child, wait_status, mono_us,
                                        up->options.backoff_max_ms * CLOCK_US_PER_MS, &up->prng);
            if (up->phase != UP_STOPPING)
                up_explain_exit(up, child, status);
        }
    }
}

static void up_on_signal(void *context, uint32_t events)
{
    (void)events;
    struct up *up = context;
    struct signalfd_siginfo info;
    while (read(up->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            up_reap(up, loop_mono_us());
            continue;
        }
        up->stop_signals++;
        up_begin_stop(up, 0);
    }
}

static int up_catch_signals(struct up *up, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    up->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (up->signal_fd < 0)
        return err_set(err, ERR_IO, "signalfd: %s", strerror(errno));
    return loop_set(up->loop, up->signal_fd, EPOLLIN, up_on_signal, up);
}

static void up_on_event(void *context, struct bytes data)
{
    struct up *up = context;
    struct prediction_line line;
    char buffer[256];
    /* After a change to the other replica its first event may be known already. */
    if (!prediction_line_parse(data, &line) || line.slot <= up->last_slot)
        return;
    up->last_slot = line.slot;
    struct text text = text_begin(buffer, sizeof(buffer));
    prediction_line_write(&line, isatty(STDOUT_FILENO) != 0, &text);
    printf("%s\n", text_end(&text));
    fflush(stdout);
}

static bool up_connects(const struct sockaddr *at, socklen_t size)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, at, size) == 0; /* on this machine: at once */
    if (fd >= 0)
        close(fd);
    return answers;
}

static bool up_redis_answers(const struct up *up)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", up->folder.socket);
    return up_connects((struct sockaddr *)&at, sizeof(at));
}

static void up_start_child(struct up *up, struct up_child *child, int64_t mono_us)
{
    struct err err = {0};
    if (child->failures > 0) {
        child->restarts++;
        log_info("restarting", "process=%s restarts=%llu", child->name,
                 (unsigned long long)child->restarts);
    }
    if (up_child_start(child, mono_us, &err) == ERR_OK)
        return;
    log_error("start_failed", "process=%s reason=\"%s\"", child->name, err.text);
    child->restart_us = mono_us + up->options.backoff_max_ms * CLOCK_US_PER_MS;
}

/* Starts child i if it is there and is to be started now. */
static void up_start_first(struct up *up, int i, int64_t mono_us)
{
    if (up_child_due(&up->plan.children[i], mono_us))
        up_start_child(up, &up->plan.children[i], mono_us);
}

/* The exchange of our own listens, or takes so long that the others begin without it. */
static bool up_sim_answers(const struct up *up, const struct up_child *sim, int64_t mono_us)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sim->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return mono_us - up->started_us > UP_SIM_START_US ||
           up_connects((struct sockaddr *)&at, sizeof(at));
}

/* Redis first, then the exchange if it is ours; the others do not wait for each other. */
static void up_step_starting(struct up *up, int64_t mono_us)
{
    int next = 0;
    if (up->options.redis_target[0] == '\0') {
        up_start_first(up, next++, mono_us);
        if (!up_redis_answers(up)) {
            if (mono_us - up->started_us <= UP_REDIS_START_US)
                return;
            log_error("no_redis", "reason=\"the private Redis does not answer\" socket=%s",
                      up->folder.socket);
            up_begin_stop(up, SERVICE_EXIT_FAILURE);
            return;
        }
    }
    if (up->plan.has_sim) {
        up_start_first(up, next, mono_us);
        if (!up_sim_answers(up, &up->plan.children[next++], mono_us))
            return;
    }
    for (; next < up->plan.count; next++)
        up_start_child(up, &up->plan.children[next], mono_us);
    up->phase = UP_RUNNING;
}

static int64_t up_step_running(struct up *up, int64_t mono_us)
{
    int64_t wait_us = sse_client_do_work(&up->events, mono_us);
    for (int i = 0; i < up->plan.count; i++) {
        struct up_child *child = &up->plan.children[i];
        if (up_child_due(child, mono_us))
            up_start_child(up, child, mono_us);
        else if (child->pid == 0 && !child->done &&
                 (wait_us < 0 || child->restart_us - mono_us < wait_us))
            wait_us = child->restart_us - mono_us;
    }
    return wait_us;
}

/* In reverse order, one after the other: who reads stops before who writes. A second
 * Ctrl-C kills. */
static bool up_step_stopping(struct up *up, int64_t mono_us)
{
    for (int i = 0; up->stop_signals > 1 && i < up->plan.count; i++)
        up_child_kill(&up->plan.children[i]);
    while (up->stopping >= 0) {
        struct up_child *child = &up->plan.children[up->stopping];
        if (!up_child_stop(child, mono_us, up->options.stop_timeout_ms * CLOCK_US_PER_MS))
            return false;
        if (child->killed && up->exit_status == 0)
            up->exit_status = SERVICE_EXIT_FAILURE;
        up->stopping--;
    }
    return true;
}

/* Microseconds to wait, -1 for ever; *finished at the end. */
static int64_t up_step(struct up *up, int64_t mono_us, bool *finished)
{
    int64_t end_us = up->options.for_s > 0
                         ? up->started_us + up->options.for_s * CLOCK_US_PER_S - mono_us
                         : INT64_MAX;
    if (end_us <= 0)
        up_begin_stop(up, 0);
    int64_t wait_us = UP_REDIS_POLL_US;
    if (up->phase == UP_STARTING)
        up_step_starting(up, mono_us);
    if (up->phase == UP_RUNNING)
        wait_us = up_step_running(up, mono_us);
    if (up->phase == UP_STOPPING)
        *finished = up_step_stopping(up, mono_us);
    if (up->phase == UP_RUNNING && end_us < INT64_MAX && (wait_us < 0 || end_us < wait_us))
        wait_us = end_us;
    return wait_us;
}

static int up_open_children(struct up *up, struct err *err)
{
    static const int colours[] = {35, 34, 33, 36, 32, 95, 94, 92, 96, 93};
    bool terminal = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
    bool quiet = up->options.log_show == UP_SHOW_WARNINGS ||
                 (up->options.log_show == UP_SHOW_AUTO && isatty(STDERR_FILENO));
    int result = ERR_OK;
    for (int i = 0; i < up->plan.count && result == ERR_OK; i++) {
        struct up_child *child = &up->plan.children[i];
        child->loop = up->loop;
        result = up_log_open(&child->log, child->name, terminal ? colours[i % 10] : 0,
                             up->folder.logs, up->options.log_mb * 1024 * 1024, err);
        child->log.show = !quiet ? UP_LOG_ALL : child->reports ? UP_LOG_NOTHING : UP_LOG_WARNINGS;
    }
    return result;
}

static int up_open(struct up *up, struct err *err)
{
    int result = up_folder_open(up->options.data, &up->folder, err);
    if (result == ERR_OK)
        result = up_postgres_choose(&up->options, &up->folder, err);
    if (result == ERR_OK)
        result = up_plan_make(&up->options, &up->folder, &up->plan, err);
    if (result == ERR_OK)
        result = up_plan_check_ports(&up->plan, err);
    if (result == ERR_OK)
        result = loop_open(&up->loop, err);
    if (result == ERR_OK)
        result = up_catch_signals(up, err);
    return result == ERR_OK ? up_open_children(up, err) : result;
}

static void up_run_loop(struct up *up)
{
    int ports[UP_REPLICAS_MAX];
    for (int i = 0; i < up->options.replicas; i++)
        ports[i] = PORT_INFERENCE + i * PORT_REPLICA_STEP + up->options.port_offset;
    prng_init(&up->prng, (uint64_t)loop_wall_us());
    sse_client_open(&up->events, up->loop, "/events", ports, (int)up->options.replicas, up_on_event,
                    up);
    unlink(up->folder.socket); /* left by a Redis that was killed */
    up->started_us = loop_mono_us();
    if (up->options.redis_target[0] == '\0')
        up_start_child(up, &up->plan.children[0], up->started_us);
    bool finished = false;
    while (!finished) {
        int64_t wait_us = up_step(up, loop_mono_us(), &finished);
        if (!finished)
            loop_run_once(up->loop, wait_us);
    }
    sse_client_close(&up->events);
}

static void up_close(struct up *up)
{
    for (int i = 0; i < up->plan.count; i++)
        up_child_close(&up->plan.children[i]);
    if (up->loop != NULL)
        loop_close(up->loop);
    if (up->signal_fd >= 0)
        close(up->signal_fd);
    up_folder_close(&up->folder);
}

static int up_run(int argc, char **argv)
{
    struct err err = {0};
    struct up *up = calloc(1, sizeof(*up));
    if (up == NULL)
        return SERVICE_EXIT_FAILURE;
    up->signal_fd = -1;
    up->folder.lock_fd = -1;
    log_init("up", LOG_INFO, loop_wall_us);
    int result = up_options_parse(argc, argv, &up->options, &err);
    if (result == ERR_OK)
        result = up_open(up, &err);
    if (result != ERR_OK) {
        fprintf(stderr, "btcast up: %s\n", err.text);
        up->exit_status = result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
    } else {
        up_plan_show(&up->options, &up->plan, &up->folder);
        up_run_loop(up);
        log_info("stopped", "exit_status=%d", up->exit_status);
    }
    int status = up->exit_status;
    up_close(up);
    free(up);
    return status;
}

const struct command command_up = {
    .name = "up",
    .summary = "the whole system on this machine: live predictions",
    .usage =
        "usage: btcast up [OPTIONS]\n\n"
        "Starts a private Redis, the exchange's feed, aggregator, recovery services and the\n"
        "inference replicas, restarts what fails, and shows each prediction. Ctrl-C stops all\n"
        "in order, a second one at once.\n\n"
        "  --exchange E       sim (default): the built-in exchange; binance: SBE, needs\n"
        "                     BINANCE_API_KEY; binance-public: keyless; replay:FILE: a capture\n"
        "  --for 60s          stop after so long (s, m, h)\n"
        "  --data DIR         data and logs (default .btcast)\n"
        "  --config FILE      settings from a YAML file (its key `service` is up)\n"
        "  --set KEY=VALUE    one setting; wins over the file\n"
        "  --port-offset N    added to every port\n"
        "  --replicas N       inference processes, 1 to 4 (default 2)\n"
        "  --aggregators N    1 to 4 (default 1): one writes, the others stand by\n"
        "  --postgres P       auto (default): DATABASE_URL when it is set, else a private one\n"
        "                     when it is installed; private; none; a URL without password\n"
        "  --learn on|off     train models in the background and judge them beside the serving\n"
        "                     one; needs a database (default off; `make run` says on)\n"
        "  --record FILE      keep the stamped stream as a capture\n"
        "  --redis TARGET     a Redis that runs already, instead of a private one: unix:/path,\n"
        "                     host:port, rediss://host:port, sentinel:host:port,.../name or\n"
        "                     cluster:host:port,...; its password from BTCAST_REDIS_PASSWORD\n"
        "  --verbose          every log line of the services also on a terminal, where only\n"
        "                     warnings and errors are shown; DIR/logs has them all\n\n"
        "The private Redis has to answer within 10 s (there is no --require-redis here: it always "
        "is).\n"
        "Exit status: 0 after a clean stop, 2 when a configuration is wrong, else 1.\n",
    .run = up_run,
    .schema = &up_schema,
};
