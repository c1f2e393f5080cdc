/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_anchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/redis/redis_calls.h"

#define REDIS_ANCHOR_EVENTS    "reanchor-events"
#define REDIS_ANCHOR_PAIRS_MAX 16

/* KEYS ask flag doc gap. */
static const char redis_anchor_look_source[] =
    "return {redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or '',\n"
    "  redis.call('EXISTS', KEYS[3]), redis.call('HGET', KEYS[4], 'anchor_token') or ''}\n";

/* KEYS flag; ARGV token ttl_ms. Each script answers 1, or 0 when the flag is not ours. */
static const char redis_anchor_renew_source[] =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n";

/* KEYS flag doc; ARGV token document ttl_ms. */
static const char redis_anchor_hand_source[] =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])\n"
    "return 1\n";

/* KEYS flag doc; ARGV token. */
static const char redis_anchor_drop_source[] =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "redis.call('DEL', KEYS[1], KEYS[2])\n"
    "return 1\n";

struct redis_anchor {
    char ask[STATE_KEY_SIZE], flag[STATE_KEY_SIZE], doc[STATE_KEY_SIZE], gap[STATE_KEY_SIZE];
    char events[STATE_KEY_SIZE];
    struct redis_script look, renew, hand, drop;
    struct redis_calls calls;
    struct redis_call slots[REDIS_ANCHOR_CALLS_MAX];
};

static bool redis_anchor_ready(void *self)
{
    return redis_link_connected(((const struct redis_anchor *)self)->calls.link);
}

/* 1 or OK: done; 0 or nil: the flag is somebody else's. */
static struct anchor_reply redis_anchor_translate(int result, const redisReply *reply)
{
    if (reply == NULL)
        return (struct anchor_reply){result, err_text(result)};
    switch (reply->type) {
    case REDIS_REPLY_ERROR:
        return (struct anchor_reply){ERR_IO, reply->str};
    case REDIS_REPLY_NIL:
        return (struct anchor_reply){ERR_REFUSED, ""};
    case REDIS_REPLY_INTEGER:
        return (struct anchor_reply){reply->integer == 1 ? ERR_OK : ERR_REFUSED, ""};
    default:
        return (struct anchor_reply){ERR_OK, ""};
    }
}

static void redis_anchor_on_reply(void *slot, int result, const redisReply *reply)
{
    struct redis_call call = redis_calls_end(slot);
    struct anchor_reply out = redis_anchor_translate(result, reply);
    ((anchor_done_fn)call.done)(call.context, &out);
}

static bool redis_anchor_is_look(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_STRING &&
           reply->element[2]->type == REDIS_REPLY_INTEGER &&
           reply->element[3]->type == REDIS_REPLY_STRING;
}

static void redis_anchor_on_look(void *slot, int result, const redisReply *reply)
{
    struct redis_call call = redis_calls_end(slot);
    struct anchor_look look = {.result = result, .flag = "", .swapped = ""};
    if (reply != NULL && !redis_anchor_is_look(reply))
        look.result = ERR_IO;
    else if (reply != NULL)
        look = (struct anchor_look){.result = ERR_OK,
                                    .ask = bytes_of(reply->element[0]->str, reply->element[0]->len),
                                    .flag = reply->element[1]->str,
                                    .has_document = reply->element[2]->integer == 1,
                                    .swapped = reply->element[3]->str};
    ((anchor_look_fn)call.done)(call.context, &look);
}

static int redis_anchor_eval(struct redis_anchor *anchor, struct redis_script *script,
                             const struct bytes *keys, int key_count, const struct bytes *args,
                             int arg_count, anchor_done_fn done, void *context)
{
    return redis_calls_eval(&anchor->calls, script, keys, key_count, args, arg_count,
                            redis_anchor_on_reply,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

static int redis_anchor_send(struct redis_anchor *anchor, const struct bytes *argv, int argc,
                             anchor_done_fn done, void *context)
{
    return redis_calls_send(&anchor->calls, argv, argc, redis_anchor_on_reply,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

static int redis_anchor_look(void *self, anchor_look_fn done, void *context)
{
    struct redis_anchor *anchor = self;
    struct bytes keys[] = {bytes_text(anchor->ask), bytes_text(anchor->flag),
                           bytes_text(anchor->doc), bytes_text(anchor->gap)};
    return redis_calls_eval(&anchor->calls, &anchor->look, keys, 4, NULL, 0, redis_anchor_on_look,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

static int redis_anchor_claim(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done,
                              void *context)
{
    struct redis_anchor *anchor = self;
    struct redis_calls_number ttl;
    struct bytes argv[] = {BYTES_LITERAL("SET"), bytes_text(anchor->flag),
                           bytes_text(token),    BYTES_LITERAL("NX"),
                           BYTES_LITERAL("PX"),  redis_calls_u64(&ttl, (uint64_t)ttl_ms)};
    return redis_anchor_send(anchor, argv, 6, done, context);
}

static int redis_anchor_renew(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done,
                              void *context)
{
    struct redis_anchor *anchor = self;
    struct redis_calls_number ttl;
    struct bytes keys[] = {bytes_text(anchor->flag)};
    struct bytes args[] = {bytes_text(token), redis_calls_u64(&ttl, (uint64_t)ttl_ms)};
    return redis_anchor_eval(anchor, &anchor->renew, keys, 1, args, 2, done, context);
}

static int redis_anchor_hand(void *self, const char *token, struct bytes document, int64_t ttl_ms,
                             anchor_done_fn done, void *context)
{
    struct redis_anchor *anchor = self;
    struct redis_calls_number ttl;
    struct bytes keys[] = {bytes_text(anchor->flag), bytes_text(anchor->doc)};
    struct bytes args[] = {bytes_text(token), document, redis_calls_u64(&ttl, (uint64_t)ttl_ms)};
    return redis_anchor_eval(anchor, &anchor->hand, keys, 2, args, 3, done, context);
}

static int redis_anchor_drop(void *self, const char *token, anchor_done_fn done, void *context)
{
    struct redis_anchor *anchor = self;
    struct bytes keys[] = {bytes_text(anchor->flag), bytes_text(anchor->doc)};
    struct bytes args[] = {bytes_text(token)};
    return redis_anchor_eval(anchor, &anchor->drop, keys, 2, args, 1, done, context);
}

static int redis_anchor_audit(void *self, const struct state_pair *pairs, int count,
                              anchor_done_fn done, void *context)
{
    struct redis_anchor *anchor = self;
    struct bytes argv[6 + 2 * REDIS_ANCHOR_PAIRS_MAX];
    PRE(count > 0 && count <= REDIS_ANCHOR_PAIRS_MAX);
    int argc = redis_calls_xadd(argv, bytes_text(anchor->events),
                                BYTES_LITERAL(REDIS_ANCHOR_EVENTS_MAX), pairs, count);
    return redis_anchor_send(anchor, argv, argc, done, context);
}

static int redis_anchor_do_work(void *self, int64_t mono_us)
{
    return redis_link_do_work(((struct redis_anchor *)self)->calls.link, mono_us);
}

int redis_anchor_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                      struct redis_anchor **out, struct err *err)
{
    struct redis_anchor *anchor = calloc(1, sizeof(*anchor));
    if (anchor == NULL)
        return err_set(err, ERR_MEMORY, "redis anchor of %s: out of memory", symbol);
    state_key(STATE_REANCHOR_ASK, style, symbol, anchor->ask);
    state_key(STATE_REANCHOR, style, symbol, anchor->flag);
    state_key(STATE_REANCHOR_DOC, style, symbol, anchor->doc);
    state_key(STATE_GAP, style, symbol, anchor->gap);
    /* One stream for all symbols, but in a cluster it has to lie in the symbol's slot. */
    if (style == STATE_KEYS_HASHTAG)
        snprintf(anchor->events, sizeof(anchor->events), REDIS_ANCHOR_EVENTS ":{%.64s}", symbol);
    else
        snprintf(anchor->events, sizeof(anchor->events), REDIS_ANCHOR_EVENTS);
    redis_link_bind(link, anchor->gap);
    anchor->look = (struct redis_script){.name = "look", .source = redis_anchor_look_source};
    anchor->renew = (struct redis_script){.name = "renew", .source = redis_anchor_renew_source};
    anchor->hand = (struct redis_script){.name = "hand", .source = redis_anchor_hand_source};
    anchor->drop = (struct redis_script){.name = "drop", .source = redis_anchor_drop_source};
    redis_calls_open(&anchor->calls, link, anchor, anchor->slots, REDIS_ANCHOR_CALLS_MAX);
    *out = anchor;
    return ERR_OK;
}

void redis_anchor_close(struct redis_anchor *anchor)
{
    free(anchor);
}

struct anchor_claim_port redis_anchor_port(struct redis_anchor *anchor)
{
    return (struct anchor_claim_port){.self = anchor,
                                      .ready = redis_anchor_ready,
                                      .look = redis_anchor_look,
                                      .claim = redis_anchor_claim,
                                      .renew = redis_anchor_renew,
                                      .hand = redis_anchor_hand,
                                      .drop = redis_anchor_drop,
                                      .audit = redis_anchor_audit,
                                      .do_work = redis_anchor_do_work};
}
