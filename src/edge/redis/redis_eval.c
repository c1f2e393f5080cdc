/* Scripts on a link: EVAL the first time on a connection, EVALSHA after that, EVAL again
 * when the server has forgotten the script.
 *
 * Why a repair holds new commands back: after A and B were sent by EVALSHA, both fail when
 * the scripts are flushed. A's failure arrives first and A goes out again; a command C sent
 * before B's failure arrives would overtake B. For records whose ids must ascend that would
 * lose B. So from the first failure on, new commands wait until the replies owed at that
 * moment have all come and the failed scripts stand in the pipeline in their order.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/redis/redis_link_self.h"
#include "edge/redis/redis_sha1.h"

/* A script call that may have to be said again: everything behind the script itself. */
struct redis_eval {
    struct redis_script *script;
    int argc;                 /* of the tail */
    struct redis_buffer tail; /* key count, keys and arguments in the protocol's form */
};

void redis_eval_free(struct redis_eval *eval)
{
    if (eval == NULL)
        return;
    redis_buffer_close(&eval->tail);
    free(eval);
}

static bool redis_eval_loaded(const struct redis_link *link, const struct redis_script *script)
{
    for (int i = 0; i < link->loaded_count; i++)
        if (link->loaded[i] == script)
            return true;
    return false;
}

static void redis_eval_remember(struct redis_link *link, const struct redis_script *script)
{
    if (!redis_eval_loaded(link, script) && link->loaded_count < REDIS_LINK_SCRIPTS_MAX)
        link->loaded[link->loaded_count++] = script;
}

static int redis_eval_new(struct redis_script *script, const struct bytes *keys, int key_count,
                          const struct bytes *args, int arg_count, struct redis_eval **out)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", key_count);
    struct bytes count = bytes_text(number);
    size_t size = redis_buffer_command_size(&count, 1) +
                  redis_buffer_command_size(keys, key_count) +
                  redis_buffer_command_size(args, arg_count);
    struct redis_eval *eval = calloc(1, sizeof(*eval));
    if (eval == NULL || redis_buffer_reserve(&eval->tail, size) != ERR_OK) {
        free(eval);
        return ERR_MEMORY;
    }
    eval->script = script;
    eval->argc = 1 + key_count + arg_count;
    redis_buffer_add_argument(&eval->tail, count);
    for (int i = 0; i < key_count; i++)
        redis_buffer_add_argument(&eval->tail, keys[i]);
    for (int i = 0; i < arg_count; i++)
        redis_buffer_add_argument(&eval->tail, args[i]);
    *out = eval;
    return ERR_OK;
}

static size_t redis_eval_size(const struct redis_eval *eval, const struct bytes *head)
{
    return redis_buffer_command_size(head, 2) + redis_buffer_waiting(&eval->tail);
}

static void redis_eval_add(struct redis_buffer *buffer, const struct redis_eval *eval,
                           const struct bytes *head)
{
    redis_buffer_add_head(buffer, 2 + eval->argc);
    redis_buffer_add_argument(buffer, head[0]);
    redis_buffer_add_argument(buffer, head[1]);
    redis_buffer_add(buffer, eval->tail.data, redis_buffer_waiting(&eval->tail));
}

int redis_link_eval(struct redis_link *link, struct redis_script *script, const struct bytes *keys,
                    int key_count, const struct bytes *args, int arg_count, redis_reply_fn fn,
                    void *context)
{
    if (!redis_link_connected(link))
        return redis_link_refuse(link, ERR_CONNECTION);
    if (script->sha[0] == '\0')
        redis_sha1(script->source, script->sha);
    struct redis_eval *eval;
    int result = redis_eval_new(script, keys, key_count, args, arg_count, &eval);
    if (result != ERR_OK)
        return redis_link_refuse(link, result);
    bool loaded = redis_eval_loaded(link, script);
    struct bytes head[2] = {loaded ? BYTES_LITERAL("EVALSHA") : BYTES_LITERAL("EVAL"),
                            bytes_text(loaded ? script->sha : script->source)};
    result = redis_link_reserve(link, redis_eval_size(eval, head));
    if (result != ERR_OK) {
        redis_eval_free(eval);
        return redis_link_refuse(link, result);
    }
    redis_eval_add(redis_link_buffer(link), eval, head);
    redis_link_push(link, fn, context, 0, eval);
    redis_eval_remember(link, script);
    link->stats.commands++;
    return ERR_OK;
}

bool redis_eval_repeats(struct redis_link *link, struct redis_owed_reply *owed,
                        const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOSCRIPT", 8) != 0)
        return false;
    struct bytes head[2] = {BYTES_LITERAL("EVAL"), bytes_text(owed->eval->script->source)};
    size_t size = redis_eval_size(owed->eval, head);
    if (redis_owed_reserve(&link->owed) != ERR_OK ||
        redis_buffer_reserve(&link->out, size) != ERR_OK)
        return false; /* out of memory: the caller sees the NOSCRIPT itself */
    if (link->repair_owed == 0)
        link->repair_owed = link->owed.count + 1; /* this reply is settled next */
    redis_eval_add(&link->out, owed->eval, head);
    redis_owed_push(&link->owed, owed);
    link->stats.script_reloads++;
    if (link->metrics.script_reloads != NULL)
        metric_add(link->metrics.script_reloads, 1);
    return true;
}

/* Puts what was held behind the repeated scripts; all of it or the connection. */
static void redis_eval_release(struct redis_link *link)
{
    size_t size = redis_buffer_waiting(&link->held_out);
    int result = redis_buffer_reserve(&link->out, size);
    if (result == ERR_OK && size > 0)
        redis_buffer_add(&link->out, link->held_out.data + link->held_out.at, size);
    while (result == ERR_OK && link->held.count > 0) {
        result = redis_owed_reserve(&link->owed);
        if (result == ERR_OK) {
            struct redis_owed_reply reply = redis_owed_pop(&link->held);
            redis_owed_push(&link->owed, &reply);
        }
    }
    redis_buffer_clear(&link->held_out);
    if (result != ERR_OK)
        redis_link_break(link, result, "redis %s: out of memory", link->where);
}

void redis_eval_settle(struct redis_link *link)
{
    if (link->repair_owed > 0 && --link->repair_owed == 0)
        redis_eval_release(link);
}
