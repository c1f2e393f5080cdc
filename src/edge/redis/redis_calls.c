/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_calls.h"

#include "base/text.h"

static void redis_calls_give(struct redis_call *call)
{
    call->next = call->calls->free;
    call->calls->free = call;
}

static struct redis_call *redis_calls_take(struct redis_calls *calls, struct redis_call start)
{
    struct redis_call *call = calls->free;
    if (call == NULL)
        return NULL;
    calls->free = call->next;
    *call = start;
    call->calls = calls;
    call->sent_ns = loop_mono_ns();
    return call;
}

static int redis_calls_started(struct redis_call *call, int result)
{
    if (result != ERR_OK)
        redis_calls_give(call);
    else
        redis_link_flush(call->calls->link);
    return result;
}

void redis_calls_open(struct redis_calls *calls, struct redis_link *link, void *port,
                      struct redis_call *slots, int count)
{
    *calls = (struct redis_calls){.link = link, .port = port};
    for (int i = 0; i < count; i++) {
        slots[i].calls = calls;
        redis_calls_give(&slots[i]);
    }
}

int redis_calls_eval(struct redis_calls *calls, struct redis_script *script,
                     const struct bytes *keys, int key_count, const struct bytes *args,
                     int arg_count, redis_reply_fn reply, struct redis_call call)
{
    struct redis_call *slot = redis_calls_take(calls, call);
    if (slot == NULL)
        return ERR_AGAIN;
    return redis_calls_started(
        slot, redis_link_eval(calls->link, script, keys, key_count, args, arg_count, reply, slot));
}

int redis_calls_send(struct redis_calls *calls, const struct bytes *argv, int argc,
                     redis_reply_fn reply, struct redis_call call)
{
    struct redis_call *slot = redis_calls_take(calls, call);
    if (slot == NULL)
        return ERR_AGAIN;
    return redis_calls_started(slot, redis_link_send(calls->link, argv, argc, reply, slot));
}

struct redis_call redis_calls_end(void *slot)
{
    struct redis_call call = *(struct redis_call *)slot;
    redis_calls_give(slot);
    return call;
}

struct bytes redis_calls_u64(struct redis_calls_number *number, uint64_t value)
{
    struct text text = text_begin(number->text, sizeof(number->text));
    text_add_u64(&text, value);
    return bytes_of(number->text, text.size);
}

int redis_calls_pairs(struct bytes *argv, int argc, const struct state_pair *pairs, int count)
{
    for (int i = 0; i < count; i++) {
        argv[argc++] = pairs[i].field;
        argv[argc++] = pairs[i].value;
    }
    return argc;
}

int redis_calls_xadd(struct bytes *argv, struct bytes key, struct bytes limit,
                     const struct state_pair *pairs, int count)
{
    argv[0] = BYTES_LITERAL("XADD");
    argv[1] = key;
    argv[2] = BYTES_LITERAL("MAXLEN");
    argv[3] = BYTES_LITERAL("~");
    argv[4] = limit;
    argv[5] = BYTES_LITERAL("*");
    return redis_calls_pairs(argv, 6, pairs, count);
}
