/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/redis_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

#define REDIS_FIXTURE_ARGS_MAX 40
/* Patience for a start on a machine under load. */
#define REDIS_FIXTURE_START_TRIES 2000
#define REDIS_FIXTURE_STEP_US     5000
#define REDIS_FIXTURE_REPLY_S     5

static int redis_fixture_arguments(const struct redis_fixture *fixture, const char **args,
                                   char port[8])
{
    snprintf(port, 8, "%d", fixture->port);
    const char *fixed[] = {"redis-server",
                           "--unixsocket",
                           fixture->socket,
                           "--port",
                           port,
                           "--bind",
                           "127.0.0.1",
                           "--dir",
                           fixture->folder,
                           "--save",
                           "",
                           "--daemonize",
                           "no",
                           "--logfile",
                           "redis.log",
                           "--appendonly",
                           fixture->options.persistent ? "yes" : "no",
                           "--appendfsync",
                           "always"};
    int count = (int)(sizeof(fixed) / sizeof(fixed[0]));
    memcpy(args, fixed, sizeof(fixed));
    if (fixture->options.password != NULL) {
        args[count++] = "--requirepass";
        args[count++] = fixture->options.password;
    }
    for (int i = 0; i < 8 && fixture->options.arguments[i] != NULL; i++)
        args[count++] = fixture->options.arguments[i];
    CHECK(count < REDIS_FIXTURE_ARGS_MAX);
    args[count] = NULL;
    return count;
}

static void redis_fixture_exec(const struct redis_fixture *fixture, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* dies with the test, however that ends */
    if (getppid() != parent)
        _exit(127);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    const char *args[REDIS_FIXTURE_ARGS_MAX];
    char port[8];
    redis_fixture_arguments(fixture, args, port);
    execvp(args[0], (char *const *)(void *)args);
    _exit(127);
}

static redisContext *redis_fixture_connect(const struct redis_fixture *fixture)
{
    struct timeval timeout = {.tv_sec = REDIS_FIXTURE_REPLY_S};
    redisContext *context = redisConnectUnixWithTimeout(fixture->socket, timeout);
    if (context == NULL || context->err != REDIS_OK) {
        if (context != NULL)
            redisFree(context);
        return NULL;
    }
    redisSetTimeout(context, timeout);
    if (fixture->options.password != NULL)
        freeReplyObject(redisCommand(context, "AUTH %s", fixture->options.password));
    return context;
}

static bool redis_fixture_serves(struct redis_fixture *fixture)
{
    redisContext *context = redis_fixture_connect(fixture);
    if (context == NULL)
        return false;
    redisReply *reply = redisCommand(context, "PING");
    bool serves = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    redisFree(context);
    return serves;
}

void redis_fixture_restart(struct redis_fixture *fixture)
{
    CHECK(fixture->pid == 0);
    unlink(fixture->socket);
    pid_t parent = getpid();
    fixture->pid = fork();
    CHECK(fixture->pid >= 0);
    if (fixture->pid == 0)
        redis_fixture_exec(fixture, parent);
    for (int i = 0; !redis_fixture_serves(fixture); i++) {
        CHECK(i < REDIS_FIXTURE_START_TRIES);
        CHECK(waitpid(fixture->pid, NULL, WNOHANG) == 0); /* redis-server missing or refused */
        usleep(REDIS_FIXTURE_STEP_US);
    }
}

void redis_fixture_start(struct redis_fixture *fixture, const struct redis_fixture_options *options)
{
    memset(fixture, 0, sizeof(*fixture));
    if (options != NULL)
        fixture->options = *options;
    temp_dir_make(fixture->folder);
    snprintf(fixture->socket, sizeof(fixture->socket), "%s/redis.sock", fixture->folder);
    snprintf(fixture->target, sizeof(fixture->target), "unix:%s", fixture->socket);
    if (fixture->options.tcp) {
        fixture->port = temp_port();
        snprintf(fixture->tcp_target, sizeof(fixture->tcp_target), "127.0.0.1:%d", fixture->port);
    }
    redis_fixture_restart(fixture);
}

static void redis_fixture_disconnect(struct redis_fixture *fixture)
{
    if (fixture->context != NULL)
        redisFree(fixture->context);
    fixture->context = NULL;
}

void redis_fixture_kill(struct redis_fixture *fixture)
{
    redis_fixture_disconnect(fixture);
    if (fixture->pid <= 0)
        return;
    CHECK(kill(fixture->pid, SIGKILL) == 0);
    CHECK(waitpid(fixture->pid, NULL, 0) == fixture->pid);
    fixture->pid = 0;
}

void redis_fixture_stop(struct redis_fixture *fixture)
{
    redis_fixture_kill(fixture);
    temp_dir_remove(fixture->folder);
}

void redis_fixture_pause(struct redis_fixture *fixture)
{
    CHECK(kill(fixture->pid, SIGSTOP) == 0);
    int status = 0;
    CHECK(waitpid(fixture->pid, &status, WUNTRACED) == fixture->pid && WIFSTOPPED(status));
}

void redis_fixture_resume(struct redis_fixture *fixture)
{
    CHECK(kill(fixture->pid, SIGCONT) == 0);
}

static redisReply *redis_fixture_ask(struct redis_fixture *fixture, const char *format,
                                     va_list args)
{
    redisReply *reply = NULL;
    for (int i = 0; reply == NULL; i++) {
        CHECK(i < 2); /* the first failure may be a connection from before a restart */
        if (fixture->context == NULL)
            fixture->context = redis_fixture_connect(fixture);
        CHECK(fixture->context != NULL);
        va_list copy;
        va_copy(copy, args);
        reply = redisvCommand(fixture->context, format, copy);
        va_end(copy);
        if (reply == NULL)
            redis_fixture_disconnect(fixture);
    }
    return reply;
}

redisReply *redis_fixture_command(struct redis_fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redis_fixture_ask(fixture, format, args);
    va_end(args);
    return reply;
}

long long redis_fixture_integer(struct redis_fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redis_fixture_ask(fixture, format, args);
    va_end(args);
    CHECK(reply->type == REDIS_REPLY_INTEGER);
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}

void redis_fixture_flush(struct redis_fixture *fixture)
{
    redisReply *reply = redis_fixture_command(fixture, "FLUSHALL");
    CHECK(reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}
