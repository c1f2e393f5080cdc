/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/redis/redis_route.h"

#define REDIS_WATCH_CHANNEL "+switch-master"
/* A sentinel that was not reached for so long gives way to the next one. */
#define REDIS_WATCH_PATIENCE_US 1000000
/* A subscriber hears nothing for hours: this says whether the sentinel is still there. */
#define REDIS_WATCH_PING_US 2000000

struct redis_watch {
    struct redis_link_options options; /* of the link to a sentinel */
    struct redis_target target;
    struct loop *loop;
    struct redis_link *link;
    redis_watch_fn fn;
    void *context;
    int next;         /* sentinel */
    int64_t since_us; /* not connected since; 0: not looked yet */
    int64_t ping_us;
};

/* "<name> <old ip> <old port> <new ip> <new port>" */
static void redis_watch_parse(struct redis_watch *watch, const char *text)
{
    struct bytes word[5];
    for (int i = 0; i < 5; i++) {
        size_t size = strcspn(text, " ");
        word[i] = bytes_of(text, size);
        text += size + (text[size] == ' ');
    }
    struct redis_address primary;
    if (word[0].size == strlen(watch->target.master) &&
        memcmp(word[0].data, watch->target.master, word[0].size) == 0 &&
        redis_address_make(&primary, (const char *)word[3].data, word[3].size,
                           (const char *)word[4].data, word[4].size))
        watch->fn(watch->context, &primary);
}

/* ["message", channel, text]; what else is pushed (a pong) is of no interest. */
static void redis_watch_push(void *context, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
        reply->element[0]->type == REDIS_REPLY_STRING &&
        reply->element[2]->type == REDIS_REPLY_STRING &&
        strcmp(reply->element[0]->str, "message") == 0)
        redis_watch_parse(context, reply->element[2]->str);
}

static void redis_watch_state(void *context, bool connected)
{
    struct redis_watch *watch = context;
    struct bytes argv[2] = {BYTES_LITERAL("SUBSCRIBE"), BYTES_LITERAL(REDIS_WATCH_CHANNEL)};
    if (connected)
        (void)!redis_link_send(watch->link, argv, 2, NULL, NULL); /* lost again: once more then */
}

static int redis_watch_dial(struct redis_watch *watch, struct err *err)
{
    char text[REDIS_ADDRESS_TEXT_SIZE];
    redis_address_text(&watch->target.address[watch->next], text);
    watch->next = (watch->next + 1) % watch->target.count;
    snprintf(watch->options.target, sizeof(watch->options.target), "%s%s",
             watch->target.tls ? "rediss://" : "", text);
    int result = redis_link_open(&watch->options, watch->loop, &watch->link, err);
    if (result != ERR_OK)
        return result;
    redis_link_on_push(watch->link, redis_watch_push, watch);
    redis_link_on_state(watch->link, redis_watch_state, watch);
    return ERR_OK;
}

int redis_watch_open(const struct redis_link_options *options, const struct redis_target *target,
                     struct loop *loop, redis_watch_fn fn, void *context, struct redis_watch **out,
                     struct err *err)
{
    struct redis_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return err_set(err, ERR_MEMORY, "redis %s: out of memory", options->target);
    *watch = (struct redis_watch){
        .options = *options, .target = *target, .loop = loop, .fn = fn, .context = context};
    memcpy(watch->options.username, options->sentinel_username, sizeof(watch->options.username));
    memcpy(watch->options.password, options->sentinel_password, sizeof(watch->options.password));
    watch->options.name[0] = '\0'; /* sentinels know CLIENT SETNAME only lately */
    watch->options.database = 0;
    watch->options.metrics = NULL;
    watch->options.quiet = true;
    int result = redis_watch_dial(watch, err);
    if (result != ERR_OK) {
        free(watch);
        return result;
    }
    *out = watch;
    return ERR_OK;
}

void redis_watch_close(struct redis_watch *watch)
{
    if (watch == NULL)
        return;
    redis_link_close(watch->link);
    free(watch);
}

/* The next sentinel; without memory for it, the same one again later. */
static void redis_watch_change(struct redis_watch *watch)
{
    struct redis_link *old = watch->link;
    if (redis_watch_dial(watch, NULL) == ERR_OK)
        redis_link_close(old);
    else
        watch->link = old;
}

void redis_watch_do_work(struct redis_watch *watch, int64_t mono_us)
{
    redis_link_do_work(watch->link, mono_us);
    if (!redis_link_connected(watch->link)) {
        if (watch->since_us == 0) {
            watch->since_us = mono_us;
        } else if (mono_us - watch->since_us > REDIS_WATCH_PATIENCE_US) {
            watch->since_us = mono_us;
            redis_watch_change(watch);
        }
        return;
    }
    watch->since_us = 0;
    struct bytes ping = BYTES_LITERAL("PING");
    if (mono_us >= watch->ping_us && redis_link_send(watch->link, &ping, 1, NULL, NULL) == ERR_OK) {
        watch->ping_us = mono_us + REDIS_WATCH_PING_US;
        redis_link_flush(watch->link);
    }
}
