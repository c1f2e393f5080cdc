/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_silence.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"

/* No silence is longer than a ban can be: an absurd value is not believed. */
#define REDIS_SILENCE_MS_MAX 9000000000000000LL

/* KEYS blocked; ARGV until_ms. The key ends when the silence does. */
static const char redis_silence_source[] =
    "local old = tonumber(redis.call('GET', KEYS[1]) or '0') or 0\n"
    "if tonumber(ARGV[1]) > old then redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[1]) end\n"
    "return 1\n";

static int64_t redis_silence_until_us(void *self)
{
    const struct redis_silence *silence = self;
    return silence->until_us;
}

static void redis_silence_on_look(void *context, int result, const redisReply *reply)
{
    struct redis_silence *silence = context;
    silence->looking = false;
    if (result != ERR_OK || reply == NULL || reply->type != REDIS_REPLY_STRING)
        return;
    char *end;
    long long ms = strtoll(reply->str, &end, 10);
    if (end != reply->str && *end == '\0' && ms > 0 && ms < REDIS_SILENCE_MS_MAX)
        silence->until_us = ms * CLOCK_US_PER_MS;
}

static void redis_silence_on_said(void *context, int result, const redisReply *reply)
{
    struct redis_silence *silence = context;
    silence->saying = false;
    if (result == ERR_OK && reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
        silence->said_us == silence->sent_us)
        silence->said_us = 0; /* else something longer was said meanwhile */
}

static struct bytes redis_silence_key(const struct redis_silence *silence, char *out, size_t size)
{
    if (silence->tag[0] == '\0')
        return BYTES_LITERAL(REDIS_SILENCE_KEY);
    struct text text = text_begin(out, size);
    text_add_format(&text, REDIS_SILENCE_KEY ":{%s}", silence->tag);
    return bytes_of(out, text.size);
}

static void redis_silence_send(struct redis_silence *silence)
{
    char number[24];
    struct text text = text_begin(number, sizeof(number));
    text_add_i64(&text, silence->said_us / CLOCK_US_PER_MS);
    char name[sizeof(REDIS_SILENCE_KEY) + REDIS_SILENCE_TAG_SIZE + 4];
    struct bytes key = redis_silence_key(silence, name, sizeof(name));
    struct bytes arg = bytes_of(number, text.size);
    silence->sent_us = silence->said_us;
    silence->script.name = "silence";
    silence->script.source = redis_silence_source;
    silence->saying = redis_link_eval(silence->link, &silence->script, &key, 1, &arg, 1,
                                      redis_silence_on_said, silence) == ERR_OK;
}

static void redis_silence_say(void *self, int64_t until_us)
{
    struct redis_silence *silence = self;
    if (until_us > silence->said_us)
        silence->said_us = until_us;
}

static int redis_silence_do_work(void *self, int64_t mono_us)
{
    struct redis_silence *silence = self;
    if (!redis_link_connected(silence->link))
        return 0;
    /* Repeated until it has arrived. */
    if (silence->said_us != 0 && !silence->saying)
        redis_silence_send(silence);
    if (silence->looking || mono_us < silence->look_us)
        return 0;
    char name[sizeof(REDIS_SILENCE_KEY) + REDIS_SILENCE_TAG_SIZE + 4];
    struct bytes argv[] = {BYTES_LITERAL("GET"), redis_silence_key(silence, name, sizeof(name))};
    silence->look_us = mono_us + REDIS_SILENCE_LOOK_US;
    silence->looking =
        redis_link_send(silence->link, argv, 2, redis_silence_on_look, silence) == ERR_OK;
    return 1;
}

struct rest_silence_port redis_silence_port(struct redis_silence *silence)
{
    return (struct rest_silence_port){.self = silence,
                                      .until_us = redis_silence_until_us,
                                      .say = redis_silence_say,
                                      .do_work = redis_silence_do_work};
}
