/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "edge/redis/redis_target.h"

#define REDIS_SYNC_TIMEOUT_US 1000000
#define REDIS_SYNC_ARGS_MAX   64

static struct timeval redis_sync_time(int64_t us)
{
    if (us <= 0)
        us = REDIS_SYNC_TIMEOUT_US;
    return (struct timeval){.tv_sec = (time_t)(us / CLOCK_US_PER_S),
                            .tv_usec = (suseconds_t)(us % CLOCK_US_PER_S)};
}

static int redis_sync_failed(const struct redis_sync *sync, struct err *err)
{
    int code = sync->context->err == REDIS_ERR_IO && errno == EAGAIN ? ERR_TIMEOUT : ERR_CONNECTION;
    return err_set(err, code, "redis %s: %s", sync->target, sync->context->errstr);
}

/* One command whose reply is of no interest beyond not being an error. */
static int redis_sync_say(struct redis_sync *sync, const struct bytes *argv, int argc,
                          struct err *err)
{
    redisReply *reply = NULL;
    int result = redis_sync_command(sync, argv, argc, &reply, err);
    freeReplyObject(reply);
    return result;
}

static int redis_sync_greet(struct redis_sync *sync, const struct redis_link_options *options,
                            struct err *err)
{
    struct bytes auth[3] = {BYTES_LITERAL("AUTH"), bytes_text(options->username),
                            bytes_text(options->password)};
    int argc = 3;
    if (options->username[0] == '\0') {
        auth[1] = auth[2];
        argc = 2;
    }
    int result = ERR_OK;
    if (options->password[0] != '\0')
        result = redis_sync_say(sync, auth, argc, err);
    if (result != ERR_OK || options->database == 0)
        return result;
    char number[16];
    snprintf(number, sizeof(number), "%d", options->database);
    return redis_sync_say(sync, (struct bytes[]){BYTES_LITERAL("SELECT"), bytes_text(number)}, 2,
                          err);
}

int redis_sync_open(struct redis_sync *sync, const struct redis_link_options *options,
                    struct err *err)
{
    memset(sync, 0, sizeof(*sync));
    memcpy(sync->target, options->target, sizeof(sync->target));
    struct redis_target target;
    int result = redis_target_parse(options->target, &target, err);
    if (result == ERR_OK && (target.kind != REDIS_TARGET_SINGLE || target.tls))
        result =
            err_set(err, ERR_CONFIG, "redis %s: expected one server without TLS", options->target);
    if (result != ERR_OK)
        return result;
    const struct redis_address address = target.address[0];
    struct timeval timeout = redis_sync_time(options->connect_timeout_us);
    sync->context =
        address.is_unix
            ? redisConnectUnixWithTimeout(address.host, timeout)
            : redisConnectWithTimeout(address.host, (int)strtol(address.port, NULL, 10), timeout);
    if (sync->context == NULL)
        return err_set(err, ERR_MEMORY, "redis %s: out of memory", sync->target);
    if (sync->context->err != REDIS_OK ||
        redisSetTimeout(sync->context, redis_sync_time(options->reply_timeout_us)) != REDIS_OK)
        result = redis_sync_failed(sync, err);
    else
        result = redis_sync_greet(sync, options, err);
    if (result != ERR_OK)
        redis_sync_close(sync);
    return result;
}

void redis_sync_close(struct redis_sync *sync)
{
    if (sync->context != NULL)
        redisFree(sync->context);
    sync->context = NULL;
}

int redis_sync_command(struct redis_sync *sync, const struct bytes *argv, int argc,
                       redisReply **reply, struct err *err)
{
    *reply = NULL;
    if (argc < 1 || argc > REDIS_SYNC_ARGS_MAX)
        return err_set(err, ERR_INVALID, "redis command of %d arguments", argc);
    const char *text[REDIS_SYNC_ARGS_MAX];
    size_t size[REDIS_SYNC_ARGS_MAX];
    for (int i = 0; i < argc; i++) {
        text[i] = (const char *)argv[i].data;
        size[i] = argv[i].size;
    }
    errno = 0;
    redisReply *got = redisCommandArgv(sync->context, argc, text, size);
    if (got == NULL)
        return redis_sync_failed(sync, err);
    if (got->type == REDIS_REPLY_ERROR) {
        err_set(err, ERR_REFUSED, "redis %s: %.*s: %s", sync->target, (int)argv[0].size, text[0],
                got->str);
        freeReplyObject(got);
        return ERR_REFUSED;
    }
    *reply = got;
    return ERR_OK;
}
