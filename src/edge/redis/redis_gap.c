/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_gap.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/redis/redis_calls.h"

#define REDIS_GAP_AUDIT_PAIRS_MAX 16
#define REDIS_GAP_LOOK_PARTS      6

/* KEYS events ob tr1s feat gap override memory; ARGV after count. */
static const char redis_gap_look_source[] =
    "local entries, newest = {}, ''\n"
    "if ARGV[1] == '' then\n"
    "  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)\n"
    "  if last[1] then newest = last[1][1] end\n"
    "else\n"
    "  entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])\n"
    "end\n"
    "local shown = redis.call('HMGET', KEYS[2], 'last_update_id', 'ts_us', 'event_us',\n"
    "  'book_live', 'source')\n"
    "shown[6] = redis.call('HGET', KEYS[3], 'last_ts_us')\n"
    "shown[7] = redis.call('HGET', KEYS[4], 'mid')\n"
    "return {entries, newest, shown, redis.call('HGET', KEYS[5], 'anchor_token') or '',\n"
    "  redis.call('GET', KEYS[6]) or '', redis.call('GET', KEYS[7]) or ''}\n";

/* KEYS verdict ask gap memory; ARGV verdict ttl_ms ask ttl_ms token memory. An ask for a book
 * that has been swapped since is none. */
static const char redis_gap_say_source[] =
    "if ARGV[1] == '' then redis.call('DEL', KEYS[1])\n"
    "else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end\n"
    "if ARGV[3] ~= '' and (redis.call('HGET', KEYS[3], 'anchor_token') or '') == ARGV[5] then\n"
    "  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])\n"
    "end\n"
    "if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6]) end\n"
    "return 1\n";

struct redis_gap {
    char keys[STATE_KEY_COUNT][STATE_KEY_SIZE];
    struct redis_script look, say;
    struct redis_calls calls;
    struct redis_call slots[REDIS_GAP_CALLS_MAX];
    /* Of the look being handed over. */
    struct gap_entry entries[GAP_ENTRIES_MAX];
    struct state_pair pairs[GAP_ENTRIES_MAX][GAP_PAIRS_MAX];
};

static struct bytes redis_gap_key(const struct redis_gap *gap, enum state_key key)
{
    return bytes_text(gap->keys[key]);
}

static bool redis_gap_ready(void *self)
{
    return redis_link_connected(((const struct redis_gap *)self)->calls.link);
}

static int redis_gap_result(int result, const redisReply *reply)
{
    if (reply == NULL)
        return result;
    return reply->type == REDIS_REPLY_ERROR ? ERR_IO : ERR_OK;
}

static void redis_gap_on_done(void *slot, int result, const redisReply *reply)
{
    struct redis_call call = redis_calls_end(slot);
    ((gap_done_fn)call.done)(call.context, redis_gap_result(result, reply));
}

/* --- a look --------------------------------------------------------------------------- */

static bool redis_gap_is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

/* Anything but text, nil included: no bytes. */
static struct bytes redis_gap_bytes(const redisReply *reply)
{
    return redis_gap_is_text(reply) ? bytes_of(reply->str, reply->len) : bytes_of(NULL, 0);
}

/* One entry [id, [field, value, …]]; more pairs than fit are left out. */
static bool redis_gap_entry(const redisReply *reply, struct gap_entry *entry,
                            struct state_pair *pairs)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !redis_gap_is_text(reply->element[0]) || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *list = reply->element[1];
    *entry = (struct gap_entry){.id = redis_gap_bytes(reply->element[0]), .pairs = pairs};
    for (size_t i = 0; i + 1 < list->elements && entry->count < GAP_PAIRS_MAX; i += 2)
        pairs[entry->count++] = (struct state_pair){redis_gap_bytes(list->element[i]),
                                                    redis_gap_bytes(list->element[i + 1])};
    return true;
}

static bool redis_gap_parse(struct redis_gap *gap, const redisReply *reply, struct gap_look *look)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != REDIS_GAP_LOOK_PARTS ||
        reply->element[0]->type != REDIS_REPLY_ARRAY ||
        reply->element[2]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *entries = reply->element[0], *shown = reply->element[2];
    look->entries = gap->entries;
    for (size_t i = 0; i < entries->elements && look->count < GAP_ENTRIES_MAX; i++, look->count++)
        if (!redis_gap_entry(entries->element[i], &gap->entries[look->count],
                             gap->pairs[look->count]))
            return false;
    for (size_t i = 0; i < shown->elements && i < GAP_SHOWN_COUNT; i++)
        look->shown[i] = redis_gap_bytes(shown->element[i]);
    look->newest = redis_gap_bytes(reply->element[1]);
    look->swapped = redis_gap_bytes(reply->element[3]);
    look->override = redis_gap_bytes(reply->element[4]);
    look->memory = redis_gap_bytes(reply->element[5]);
    return true;
}

static void redis_gap_on_look(void *slot, int result, const redisReply *reply)
{
    struct redis_call call = redis_calls_end(slot);
    struct gap_look look = {.result = redis_gap_result(result, reply)};
    if (look.result == ERR_OK && !redis_gap_parse(call.calls->port, reply, &look))
        look = (struct gap_look){.result = ERR_IO};
    ((gap_look_fn)call.done)(call.context, &look);
}

static int redis_gap_look(void *self, const char *after, gap_look_fn done, void *context)
{
    static const enum state_key order[] = {STATE_GAP_EVENTS, STATE_OB,  STATE_TR_1S,
                                           STATE_FEAT,       STATE_GAP, STATE_GAP_OVERRIDE,
                                           STATE_GAP_MEMORY};
    enum { KEYS = sizeof(order) / sizeof(order[0]) };
    struct redis_gap *gap = self;
    struct bytes keys[KEYS];
    struct redis_calls_number count;
    struct bytes args[] = {bytes_text(after), redis_calls_u64(&count, GAP_ENTRIES_MAX)};
    for (int i = 0; i < KEYS; i++)
        keys[i] = redis_gap_key(gap, order[i]);
    return redis_calls_eval(&gap->calls, &gap->look, keys, KEYS, args, 2, redis_gap_on_look,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

/* --- saying ----------------------------------------------------------------------------- */

static int redis_gap_say(void *self, const struct gap_saying *saying, gap_done_fn done,
                         void *context)
{
    struct redis_gap *gap = self;
    struct redis_calls_number verdict_ttl, ask_ttl;
    struct bytes keys[] = {redis_gap_key(gap, STATE_GAP_VERDICT),
                           redis_gap_key(gap, STATE_REANCHOR_ASK), redis_gap_key(gap, STATE_GAP),
                           redis_gap_key(gap, STATE_GAP_MEMORY)};
    struct bytes args[] = {saying->verdict,
                           redis_calls_u64(&verdict_ttl, saying->verdict_ttl_ms > 0
                                                             ? (uint64_t)saying->verdict_ttl_ms
                                                             : 1),
                           saying->ask,
                           redis_calls_u64(&ask_ttl, (uint64_t)saying->ask_ttl_ms),
                           saying->swapped,
                           saying->memory};
    return redis_calls_eval(&gap->calls, &gap->say, keys, 4, args, 6, redis_gap_on_done,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

static int redis_gap_audit(void *self, const struct state_pair *pairs, int count, gap_done_fn done,
                           void *context)
{
    struct redis_gap *gap = self;
    struct bytes argv[6 + 2 * REDIS_GAP_AUDIT_PAIRS_MAX];
    PRE(count > 0 && count <= REDIS_GAP_AUDIT_PAIRS_MAX);
    int argc = redis_calls_xadd(argv, redis_gap_key(gap, STATE_GAP_AUDIT),
                                BYTES_LITERAL(REDIS_GAP_AUDIT_MAX), pairs, count);
    return redis_calls_send(&gap->calls, argv, argc, redis_gap_on_done,
                            (struct redis_call){.done = (redis_calls_fn)done, .context = context});
}

static int redis_gap_do_work(void *self, int64_t mono_us)
{
    return redis_link_do_work(((struct redis_gap *)self)->calls.link, mono_us);
}

int redis_gap_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                   struct redis_gap **out, struct err *err)
{
    struct redis_gap *gap = calloc(1, sizeof(*gap));
    if (gap == NULL)
        return err_set(err, ERR_MEMORY, "redis gap of %s: out of memory", symbol);
    for (int key = 0; key < STATE_KEY_COUNT; key++)
        state_key((enum state_key)key, style, symbol, gap->keys[key]);
    redis_link_bind(link, gap->keys[STATE_GAP]);
    gap->look = (struct redis_script){.name = "gap_look", .source = redis_gap_look_source};
    gap->say = (struct redis_script){.name = "gap_say", .source = redis_gap_say_source};
    redis_calls_open(&gap->calls, link, gap, gap->slots, REDIS_GAP_CALLS_MAX);
    *out = gap;
    return ERR_OK;
}

void redis_gap_close(struct redis_gap *gap)
{
    free(gap);
}

struct gap_port redis_gap_port(struct redis_gap *gap)
{
    return (struct gap_port){.self = gap,
                             .ready = redis_gap_ready,
                             .look = redis_gap_look,
                             .say = redis_gap_say,
                             .audit = redis_gap_audit,
                             .do_work = redis_gap_do_work};
}
