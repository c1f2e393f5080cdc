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

#define REDIS_FIXTURE_ARGS_MAX 48
/* Patience for a start on a machine under load. */
#define REDIS_FIXTURE_START_TRIES 2000
#define REDIS_FIXTURE_STEP_US     5000
#define REDIS_FIXTURE_REPLY_S     5
#define REDIS_FIXTURE_WORDS_MAX   64

/* Of a suite that runs in another mode: its servers start slowly, so one of each kind is kept. */
static struct redis_fixture redis_fixture_kept[2];

static enum redis_fixture_mode redis_fixture_mode(void)
{
    const char *mode = getenv("BTCAST_TEST_REDIS");
    if (mode == NULL || strcmp(mode, "single") == 0)
        return REDIS_FIXTURE_SINGLE;
    CHECK(strcmp(mode, "sentinel") == 0 || strcmp(mode, "cluster") == 0);
    return mode[0] == 's' ? REDIS_FIXTURE_SENTINEL : REDIS_FIXTURE_CLUSTER;
}

int redis_fixture_key_style(void)
{
    return redis_fixture_mode() == REDIS_FIXTURE_CLUSTER;
}

static int redis_fixture_arguments(const struct redis_fixture *fixture, const char **args,
                                   char port[2][8])
{
    snprintf(port[0], 8, "%d", fixture->port);
    snprintf(port[1], 8, "%d", fixture->cluster_port);
    const char *fixed[] = {"redis-server",
                           "--unixsocket",
                           fixture->socket,
                           "--port",
                           port[0],
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
    if (fixture->mode == REDIS_FIXTURE_CLUSTER) {
        args[count++] = "--cluster-enabled";
        args[count++] = "yes";
        args[count++] = "--cluster-port";
        args[count++] = port[1];
    }
    if (fixture->options.password != NULL) {
        args[count++] = "--requirepass";
        args[count++] = fixture->options.password;
    }
    for (int i = 0; i < 16 && fixture->options.arguments[i] != NULL; i++)
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
    char port[2][8];
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

/* All slots are this node's, and it knows: after a start it waits two seconds. */
static bool redis_fixture_is_whole(struct redis_fixture *fixture)
{
    redisReply *reply = redis_fixture_command(fixture, "CLUSTER INFO");
    bool whole = strstr(reply->str, "cluster_state:ok") != NULL;
    freeReplyObject(reply);
    return whole;
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
    if (fixture->mode != REDIS_FIXTURE_CLUSTER)
        return;
    freeReplyObject(redis_fixture_command(fixture, "CLUSTER ADDSLOTSRANGE 0 16383"));
    for (int i = 0; !redis_fixture_is_whole(fixture); i++) {
        CHECK(i < REDIS_FIXTURE_START_TRIES);
        usleep(REDIS_FIXTURE_STEP_US);
    }
}

/* It reports the primary as long as that lives or not; a test's faults are the test's. */
static void redis_fixture_sentinel(struct redis_fixture *fixture)
{
    char path[TEMP_DIR_SIZE + 16], port[8];
    int number = temp_port();
    snprintf(path, sizeof(path), "%s/sentinel.conf", fixture->folder);
    snprintf(port, sizeof(port), "%d", number);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fprintf(file,
            "port %d\nbind 127.0.0.1\ndir %s\nlogfile sentinel.log\n"
            "sentinel monitor btcast 127.0.0.1 %d 1\n"
            "sentinel down-after-milliseconds btcast 600000\n",
            number, fixture->folder, fixture->port);
    CHECK(fclose(file) == 0);
    pid_t parent = getpid();
    fixture->sentinel_pid = fork();
    CHECK(fixture->sentinel_pid >= 0);
    if (fixture->sentinel_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execlp("redis-server", "redis-server", path, "--sentinel", (char *)NULL);
        _exit(127);
    }
    snprintf(fixture->target, sizeof(fixture->target), "sentinel:127.0.0.1:%s/btcast", port);
}

static bool redis_fixture_is_plain(const struct redis_fixture *fixture)
{
    return fixture->mode != REDIS_FIXTURE_SINGLE && fixture->options.password == NULL &&
           fixture->options.arguments[0] == NULL;
}

/* Empty and with its first settings again. */
static bool redis_fixture_take_kept(struct redis_fixture *fixture)
{
    struct redis_fixture *kept = &redis_fixture_kept[fixture->options.persistent];
    if (!redis_fixture_is_plain(fixture) || kept->pid == 0)
        return false;
    *fixture = *kept;
    *kept = (struct redis_fixture){0};
    freeReplyObject(redis_fixture_command(fixture, "CONFIG SET maxmemory 0"));
    freeReplyObject(redis_fixture_command(fixture, "SCRIPT FLUSH"));
    redis_fixture_flush(fixture);
    return true;
}

static bool redis_fixture_keep(struct redis_fixture *fixture)
{
    struct redis_fixture *kept = &redis_fixture_kept[fixture->options.persistent];
    if (!redis_fixture_is_plain(fixture) || fixture->pid == 0 || kept->pid != 0)
        return false;
    kill(fixture->pid, SIGCONT);
    *kept = *fixture;
    *fixture = (struct redis_fixture){0};
    return true;
}

__attribute__((destructor)) static void redis_fixture_end(void)
{
    for (int i = 0; i < 2; i++) {
        redis_fixture_kill(&redis_fixture_kept[i]);
        temp_dir_remove(redis_fixture_kept[i].folder);
    }
}

void redis_fixture_start(struct redis_fixture *fixture, const struct redis_fixture_options *options)
{
    memset(fixture, 0, sizeof(*fixture));
    if (options != NULL)
        fixture->options = *options;
    fixture->mode = redis_fixture_mode();
    if (redis_fixture_take_kept(fixture))
        return;
    temp_dir_make(fixture->folder);
    snprintf(fixture->socket, sizeof(fixture->socket), "%s/redis.sock", fixture->folder);
    snprintf(fixture->target, sizeof(fixture->target), "unix:%s", fixture->socket);
    if (fixture->options.tcp || fixture->mode != REDIS_FIXTURE_SINGLE) {
        fixture->port = temp_port();
        fixture->cluster_port = temp_port();
        snprintf(fixture->tcp_target, sizeof(fixture->tcp_target), "127.0.0.1:%d", fixture->port);
    }
    if (fixture->mode == REDIS_FIXTURE_CLUSTER)
        snprintf(fixture->target, sizeof(fixture->target), "cluster:127.0.0.1:%d", fixture->port);
    redis_fixture_restart(fixture);
    if (fixture->mode == REDIS_FIXTURE_SENTINEL)
        redis_fixture_sentinel(fixture);
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
    redis_fixture_disconnect(fixture);
    if (redis_fixture_keep(fixture))
        return;
    redis_fixture_kill(fixture);
    if (fixture->sentinel_pid > 0) {
        CHECK(kill(fixture->sentinel_pid, SIGKILL) == 0);
        CHECK(waitpid(fixture->sentinel_pid, NULL, 0) == fixture->sentinel_pid);
        fixture->sentinel_pid = 0;
    }
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

/* The first ":BTCUSDT" of a word becomes ":{BTCUSDT}"; word has room for two more. */
static size_t redis_fixture_tag(char *word, size_t size)
{
    static const char symbol[] = ":BTCUSDT";
    char *found = strstr(word, symbol);
    if (found == NULL)
        return size;
    size_t at = (size_t)(found + 1 - word), end = at + sizeof(symbol) - 2;
    memmove(word + end + 2, word + end, size + 1 - end);
    memmove(word + at + 1, word + at, end - at);
    word[at] = '{';
    word[end + 1] = '}';
    return size + 2;
}

const char *redis_fixture_key(const char *key, char out[REDIS_FIXTURE_KEY_SIZE])
{
    CHECK(strlen(key) + 3 <= REDIS_FIXTURE_KEY_SIZE);
    memcpy(out, key, strlen(key) + 1);
    if (redis_fixture_mode() == REDIS_FIXTURE_CLUSTER)
        redis_fixture_tag(out, strlen(key));
    return out;
}

/* The command with the hash tag in each argument. */
static redisReply *redis_fixture_tagged(redisContext *context, const char *format, va_list args)
{
    char *wire = NULL, *words[REDIS_FIXTURE_WORDS_MAX];
    size_t sizes[REDIS_FIXTURE_WORDS_MAX];
    CHECK(redisvFormatCommand(&wire, format, args) > 0);
    char *at = wire;
    int count = (int)strtol(at + 1, &at, 10);
    CHECK(count <= REDIS_FIXTURE_WORDS_MAX);
    for (int i = 0; i < count; i++) {
        sizes[i] = (size_t)strtol(at + 3, &at, 10); /* behind CR LF $ */
        words[i] = calloc(1, sizes[i] + 3);
        CHECK(words[i] != NULL);
        memcpy(words[i], at + 2, sizes[i]);
        at += 2 + sizes[i];
        sizes[i] = redis_fixture_tag(words[i], sizes[i]);
    }
    redisReply *reply = redisCommandArgv(context, count, (const char **)(void *)words, sizes);
    for (int i = 0; i < count; i++)
        free(words[i]);
    redisFreeCommand(wire);
    return reply;
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
        reply = fixture->mode == REDIS_FIXTURE_CLUSTER
                    ? redis_fixture_tagged(fixture->context, format, copy)
                    : redisvCommand(fixture->context, format, copy);
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
