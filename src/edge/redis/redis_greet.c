/* What a link says first on a new connection, and its judgement of the answers: who it is,
 * and whether this is the server it looks for. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_link_self.h"

#define REDIS_GREET_ARGS_MAX 4

/* A sentinel has said what it knows: hang up and go on. */
static void redis_greet_finish(struct redis_link *link)
{
    if (--link->greetings > 0)
        return;
    if (link->hop.kind == REDIS_HOP_SERVER) {
        redis_link_up(link);
        return;
    }
    redis_route_answered(&link->route);
    link->hop_answered = true;
    redis_link_break(link, ERR_CONNECTION, "redis %s: no primary takes writes yet", link->where);
}

/* False when the connection is not to be used; then it is broken. */
static bool redis_greet_accept(struct redis_link *link, int result, const redisReply *reply)
{
    if (result != ERR_OK || link->broken != ERR_OK)
        return false;
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    redis_link_break(link, ERR_REFUSED, "redis %s: %s", link->where, reply->str);
    return false;
}

static void redis_greet_answer(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (redis_greet_accept(link, result, reply))
        redis_greet_finish(link);
}

static bool redis_greet_is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

/* The answer to ROLE: a replica knows its primary, but not whether it still is one. */
static void redis_greet_role(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (!redis_greet_accept(link, result, reply))
        return;
    bool role = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                redis_greet_is_text(reply->element[0]);
    if (role && strcmp(reply->element[0]->str, "master") == 0)
        redis_greet_finish(link);
    else
        redis_link_break(link, ERR_REFUSED, "redis %s: %s, not the primary", link->where,
                         role ? reply->element[0]->str : "no role");
}

/* The answer to a read of the slot's key: only its owner gives one. A slot that is just
 * leaving this node (ASK, TRYAGAIN) is still ours to wait for here. */
static void redis_greet_slot(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (result != ERR_OK || link->broken != ERR_OK)
        return;
    if (reply->type == REDIS_REPLY_ERROR && redis_hop_redirects(link, reply->str))
        return;
    bool leaving = reply->type == REDIS_REPLY_ERROR &&
                   (strncmp(reply->str, "ASK ", 4) == 0 || strncmp(reply->str, "TRYAGAIN", 8) == 0);
    if (leaving || redis_greet_accept(link, result, reply))
        redis_greet_finish(link);
}

static void redis_greet_learn(struct redis_link *link, enum redis_hop_kind kind,
                              const redisReply *host, const redisReply *port)
{
    char number[24];
    struct redis_address address;
    /* A node that does not know its own address leaves it out. */
    const char *name = redis_greet_is_text(host) ? host->str : "";
    if (name[0] == '\0')
        name = link->hop.address.host;
    if (port->type == REDIS_REPLY_INTEGER)
        snprintf(number, sizeof(number), "%lld", port->integer);
    else
        snprintf(number, sizeof(number), "%.20s", redis_greet_is_text(port) ? port->str : "");
    if (redis_address_make(&address, name, strlen(name), number, strlen(number)))
        redis_route_learn(&link->route, kind, &address);
}

static bool redis_greet_holds(const struct redis_link *link, const redisReply *range)
{
    return range->element[0]->type == REDIS_REPLY_INTEGER &&
           range->element[1]->type == REDIS_REPLY_INTEGER && link->slot >= 0 &&
           range->element[0]->integer <= link->slot && link->slot <= range->element[1]->integer;
}

/* [first slot, last slot, [host, port, …], …] each. Our own slot's nodes come last, so that
 * they are tried first: the next owner is among them. */
static void redis_greet_learn_slots(struct redis_link *link, const redisReply *reply, bool ours)
{
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
            redis_greet_holds(link, range) != ours)
            continue;
        for (size_t n = range->elements; n-- > 2;)
            if (range->element[n]->type == REDIS_REPLY_ARRAY && range->element[n]->elements >= 2)
                redis_greet_learn(link, REDIS_HOP_SERVER, range->element[n]->element[0],
                                  range->element[n]->element[1]);
    }
}

static void redis_greet_slots(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (!redis_greet_accept(link, result, reply))
        return;
    if (reply->type == REDIS_REPLY_ARRAY) {
        redis_greet_learn_slots(link, reply, false);
        redis_greet_learn_slots(link, reply, true);
    }
    redis_greet_finish(link);
}

/* The answer to SENTINEL GET-MASTER-ADDR-BY-NAME. */
static void redis_greet_primary(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    struct redis_address address;
    if (!redis_greet_accept(link, result, reply))
        return;
    bool known = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                 redis_greet_is_text(reply->element[0]) && redis_greet_is_text(reply->element[1]);
    if (!known || !redis_address_make(&address, reply->element[0]->str, reply->element[0]->len,
                                      reply->element[1]->str, reply->element[1]->len)) {
        redis_link_break(link, ERR_REFUSED, "redis %s: the sentinel knows no primary \"%s\"",
                         link->where, link->route.target.master);
        return;
    }
    redis_route_name(&link->route, &address, false);
    redis_greet_finish(link);
}

/* Flat arrays of name and value, one for each replica or sentinel. */
static void redis_greet_members(struct redis_link *link, enum redis_hop_kind kind,
                                const redisReply *reply)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *member = reply->element[i], *host = NULL, *port = NULL;
        for (size_t f = 0; member->type == REDIS_REPLY_ARRAY && f + 1 < member->elements; f += 2) {
            const redisReply *name = member->element[f];
            if (redis_greet_is_text(name) && strcmp(name->str, "ip") == 0)
                host = member->element[f + 1];
            if (redis_greet_is_text(name) && strcmp(name->str, "port") == 0)
                port = member->element[f + 1];
        }
        if (host != NULL && port != NULL)
            redis_greet_learn(link, kind, host, port);
    }
}

static void redis_greet_replicas(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (!redis_greet_accept(link, result, reply))
        return;
    redis_greet_members(link, REDIS_HOP_SERVER, reply);
    redis_greet_finish(link);
}

static void redis_greet_sentinels(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (!redis_greet_accept(link, result, reply))
        return;
    redis_greet_members(link, REDIS_HOP_SENTINEL, reply);
    redis_greet_finish(link);
}

static void redis_greet_send(struct redis_link *link, const char *const *words, redis_reply_fn fn)
{
    struct bytes argv[REDIS_GREET_ARGS_MAX];
    int argc = 0;
    for (; argc < REDIS_GREET_ARGS_MAX && words[argc] != NULL; argc++)
        argv[argc] = bytes_text(words[argc]);
    if (redis_link_reserve(link, redis_buffer_command_size(argv, argc)) != ERR_OK) {
        redis_link_break(link, ERR_MEMORY, "redis %s: out of memory", link->where);
        return;
    }
    redis_buffer_add_head(&link->out, argc);
    for (int i = 0; i < argc; i++)
        redis_buffer_add_argument(&link->out, argv[i]);
    redis_link_push(link, fn, link, 0, NULL);
    link->greetings++;
}

#define GREET(link, fn, ...)                                                                       \
    redis_greet_send((link), (const char *const[]){__VA_ARGS__, NULL}, (fn))

static void redis_greet_auth(struct redis_link *link, const char *username, const char *password)
{
    if (password[0] == '\0')
        return;
    if (username[0] != '\0')
        GREET(link, redis_greet_answer, "AUTH", username, password);
    else
        GREET(link, redis_greet_answer, "AUTH", password);
}

static void redis_greet_sentinel(struct redis_link *link)
{
    const char *master = link->route.target.master;
    redis_greet_auth(link, link->options.sentinel_username, link->options.sentinel_password);
    GREET(link, redis_greet_replicas, "SENTINEL", "REPLICAS", master);
    GREET(link, redis_greet_sentinels, "SENTINEL", "SENTINELS", master);
    GREET(link, redis_greet_primary, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master);
}

static void redis_greet_server(struct redis_link *link)
{
    redis_greet_auth(link, link->options.username, link->options.password);
    if (link->options.database != 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", link->options.database);
        GREET(link, redis_greet_answer, "SELECT", number);
    }
    if (link->options.name[0] != '\0')
        GREET(link, redis_greet_answer, "CLIENT", "SETNAME", link->options.name);
    if (link->route.target.kind == REDIS_TARGET_SENTINEL)
        GREET(link, redis_greet_role, "ROLE");
    if (link->route.target.kind == REDIS_TARGET_CLUSTER)
        GREET(link, redis_greet_slots, "CLUSTER", "SLOTS");
    if (link->route.target.kind == REDIS_TARGET_CLUSTER && link->slot_key[0] != '\0')
        GREET(link, redis_greet_slot, "EXISTS", link->slot_key);
    /* A server that is stopped accepts connections, one that is loading answers errors: only
     * this reply says that it serves. */
    GREET(link, redis_greet_answer, "PING");
}

void redis_greet_start(struct redis_link *link)
{
    link->greetings = 0;
    if (link->hop.kind == REDIS_HOP_SENTINEL)
        redis_greet_sentinel(link);
    else
        redis_greet_server(link);
}
