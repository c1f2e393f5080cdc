/* What a link says first on a new connection, and its judgement of the answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/redis/redis_link_self.h"

static void redis_greet_answer(void *context, int result, const redisReply *reply)
{
    struct redis_link *link = context;
    if (result != ERR_OK || link->broken != ERR_OK)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_link_break(link, ERR_REFUSED, "redis %s: %s", link->options.target, reply->str);
        return;
    }
    if (--link->greetings == 0)
        redis_link_up(link);
}

static void redis_greet_send(struct redis_link *link, const struct bytes *argv, int argc)
{
    size_t size = redis_buffer_command_size(argv, argc);
    if (redis_link_reserve(link, size) != ERR_OK) {
        redis_link_break(link, ERR_MEMORY, "redis %s: out of memory", link->options.target);
        return;
    }
    redis_buffer_add_head(&link->out, argc);
    for (int i = 0; i < argc; i++)
        redis_buffer_add_argument(&link->out, argv[i]);
    redis_link_push(link, redis_greet_answer, link, 0, NULL);
    link->greetings++;
}

static void redis_greet_auth(struct redis_link *link)
{
    struct bytes argv[3] = {BYTES_LITERAL("AUTH")};
    int argc = 1;
    if (link->options.username[0] != '\0')
        argv[argc++] = bytes_text(link->options.username);
    argv[argc++] = bytes_text(link->options.password);
    redis_greet_send(link, argv, argc);
}

void redis_greet_start(struct redis_link *link)
{
    link->greetings = 0;
    if (link->options.password[0] != '\0')
        redis_greet_auth(link);
    if (link->options.database != 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", link->options.database);
        redis_greet_send(link, (struct bytes[]){BYTES_LITERAL("SELECT"), bytes_text(number)}, 2);
    }
    if (link->options.name[0] != '\0')
        redis_greet_send(link,
                         (struct bytes[]){BYTES_LITERAL("CLIENT"), BYTES_LITERAL("SETNAME"),
                                          bytes_text(link->options.name)},
                         3);
    /* A server that is stopped accepts connections, one that is loading answers errors: only
     * this reply says that it serves. */
    redis_greet_send(link, (struct bytes[]){BYTES_LITERAL("PING")}, 1);
}
