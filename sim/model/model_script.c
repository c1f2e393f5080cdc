/* The scripts of our engines, each told again in C: what it reads, what it writes, what it
 * answers. A script is known by the checksum of its source, so that a changed one is found
 * out at once instead of being modelled wrongly. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "sim/model/model_self.h"

struct model_script_call {
    struct model_redis *redis;
    struct model_reply *reply;
    const struct bytes *keys;
    int key_count;
    const struct bytes *args;
    int arg_count;
};

static int script_key(struct model_script_call *call, int index)
{
    return model_redis_key(call->redis, call->keys[index - 1]);
}

static struct bytes script_arg(const struct model_script_call *call, int index)
{
    return call->args[index - 1];
}

static int64_t script_number(const struct model_script_call *call, int index)
{
    return model_number(script_arg(call, index));
}

/* {word, text} */
static redisReply *script_text(struct model_script_call *call, const char *word, struct bytes text)
{
    redisReply *both = model_reply_array(call->reply, 2);
    both->element[0] = model_reply_string(call->reply, bytes_text(word));
    both->element[1] = model_reply_string(call->reply, text);
    return both;
}

/* {word, number} */
static redisReply *script_value(struct model_script_call *call, const char *word, int64_t value)
{
    redisReply *both = model_reply_array(call->reply, 2);
    both->element[0] = model_reply_string(call->reply, bytes_text(word));
    both->element[1] = model_reply_integer(call->reply, value);
    return both;
}

static redisReply *script_refused(struct model_script_call *call)
{
    char text[MODEL_ERROR + 64];
    snprintf(text, sizeof(text), "%s script: model, on @user_script:1.", call->redis->error);
    return model_reply_error(call->reply, text);
}

static struct bytes script_get(struct model_script_call *call, int index)
{
    struct blob *value = model_get(call->redis, script_key(call, index));
    return value == NULL ? (struct bytes){NULL, 0} : blob_bytes(value);
}

static int64_t script_fence(struct model_script_call *call, int index)
{
    struct bytes text = script_get(call, index);
    return text.data == NULL ? 0 : model_number(text);
}

static bool script_set_number(struct model_script_call *call, int index, int64_t value)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%lld", (long long)value);
    return model_set(call->redis, script_key(call, index), bytes_of(text, (size_t)size), 0);
}

static int64_t script_after_ms(const struct model_script_call *call, int64_t ms)
{
    return call->redis->now_us + ms * 1000;
}

/* --- writer lease */

static redisReply *script_lease_take(struct model_script_call *call)
{
    struct bytes held = script_get(call, 1), owner = script_arg(call, 1), kin = script_arg(call, 4);
    bool is_kin = held.data != NULL && kin.size > 0 && held.size >= kin.size &&
                  memcmp(held.data, kin.data, kin.size) == 0;
    if (held.data != NULL && !blob_same(held, owner) && !is_kin)
        return script_text(call, "held", held);
    int64_t epoch = script_fence(call, 2) + 1;
    if (epoch < script_number(call, 3))
        epoch = script_number(call, 3);
    if (!script_set_number(call, 2, epoch) ||
        !model_set(call->redis, script_key(call, 1), owner,
                   script_after_ms(call, script_number(call, 2))))
        return script_refused(call);
    return script_value(call, "ok", epoch);
}

static redisReply *script_lease_renew(struct model_script_call *call)
{
    int64_t stored = script_fence(call, 2);
    if (script_number(call, 3) < stored)
        return script_value(call, "fenced", stored);
    struct bytes held = script_get(call, 1);
    if (held.data != NULL && !blob_same(held, script_arg(call, 1)))
        return script_text(call, "held", held);
    if (!model_set(call->redis, script_key(call, 2), script_arg(call, 3), 0) ||
        !model_set(call->redis, script_key(call, 1), script_arg(call, 1),
                   script_after_ms(call, script_number(call, 2))))
        return script_refused(call);
    return script_value(call, "ok", script_number(call, 3));
}

static redisReply *script_lease_release(struct model_script_call *call)
{
    struct bytes held = script_get(call, 1);
    if (!blob_same(held, script_arg(call, 1)))
        return script_text(call, "held", held);
    model_delete(call->redis, script_key(call, 1));
    return script_value(call, "ok", 0);
}

/* --- the four hashes */

/* Replaces hashes 1 to 4 by what stands from ARGV[8] on; returns the next index, 0: refused. */
static int script_hashes(struct model_script_call *call, const int64_t *ttl_s)
{
    int at = 8;
    for (int i = 1; i <= 4; i++) {
        int pairs = (int)script_number(call, 1 + i);
        int key = script_key(call, i);
        model_delete(call->redis, key);
        if (!model_set_hash(call->redis, key, &call->args[at - 1], pairs))
            return 0;
        if (ttl_s[i - 1] > 0)
            model_expire(call->redis, key, script_after_ms(call, ttl_s[i - 1] * 1000));
        at += 2 * pairs;
    }
    return at;
}

static redisReply *script_flush(struct model_script_call *call)
{
    int64_t stored = script_fence(call, 5), epoch = script_number(call, 1);
    if (epoch < stored)
        return script_value(call, "fenced", stored);
    if (epoch > stored && !model_set(call->redis, script_key(call, 5), script_arg(call, 1), 0))
        return script_refused(call);
    const int64_t ttl_s[4] = {0, script_number(call, 6), script_number(call, 6),
                              script_number(call, 7)};
    int at = script_hashes(call, ttl_s);
    if (at == 0 || (call->key_count >= 6 &&
                    !model_set(call->redis, script_key(call, 6), script_arg(call, at), 0)))
        return script_refused(call);
    return script_value(call, "ok", epoch);
}

static redisReply *script_stage(struct model_script_call *call)
{
    int64_t stored = script_fence(call, 5), epoch = script_number(call, 1);
    if (epoch < stored)
        return script_value(call, "fenced", stored);
    int64_t ttl = script_number(call, 6);
    const int64_t ttl_s[4] = {ttl, ttl, ttl, ttl};
    return script_hashes(call, ttl_s) == 0 ? script_refused(call) : script_value(call, "ok", epoch);
}

static redisReply *script_swap(struct model_script_call *call)
{
    for (int i = 1; i <= 4; i++)
        if (model_live(call->redis, script_key(call, i))->type == MODEL_NONE)
            return script_text(call, "missing", call->keys[i - 1]);
    struct bytes token = script_get(call, 9);
    if (token.data == NULL || !blob_same(token, script_arg(call, 2)))
        return script_text(call, "token", token);
    int64_t stored = script_fence(call, 12), epoch = script_number(call, 1);
    if (epoch < stored)
        return script_value(call, "fenced", stored);
    for (int i = 1; i <= 4; i++)
        model_rename(call->redis, script_key(call, i), script_key(call, 4 + i));
    model_expire(call->redis, script_key(call, 5), 0);
    for (int i = 6; i <= 8; i++)
        model_expire(call->redis, script_key(call, i),
                     script_after_ms(call, script_number(call, i == 8 ? 4 : 3) * 1000));
    (void)script_set_number(call, 12, epoch + 1);
    for (int i = 9; i <= 11; i++)
        model_delete(call->redis, script_key(call, i));
    struct bytes pairs[4] = {BYTES_LITERAL("anchor_token"), script_arg(call, 2),
                             BYTES_LITERAL("anchor_ms"), script_arg(call, 5)};
    (void)model_hset(call->redis, script_key(call, 13), pairs, 2);
    return script_value(call, "ok", epoch + 1);
}

/* --- anchors */

static redisReply *script_ask(struct model_script_call *call)
{
    int64_t stored = script_fence(call, 2);
    if (script_number(call, 1) < stored)
        return script_value(call, "fenced", stored);
    if (!model_set(call->redis, script_key(call, 1), script_arg(call, 2),
                   script_after_ms(call, script_number(call, 3))))
        return script_refused(call);
    return script_value(call, "ok", stored);
}

static redisReply *script_look(struct model_script_call *call)
{
    struct blob *document = model_get(call->redis, script_key(call, 1));
    redisReply *list = model_reply_array(call->reply, 4);
    list->element[0] =
        model_reply_string(call->reply, bytes_text(document == NULL ? "empty" : "ok"));
    list->element[1] =
        model_reply_string(call->reply, document == NULL ? bytes_text("") : script_get(call, 2));
    list->element[2] = document == NULL ? model_reply_string(call->reply, bytes_text(""))
                                        : model_reply_blob(call->reply, document);
    list->element[3] = model_reply_string(call->reply, script_get(call, 3));
    return list;
}

/* TTL as the server says it: -2 none, -1 for ever, else rounded to the nearest second. */
static int64_t script_ttl_s(struct model_script_call *call, int index)
{
    const struct model_value *value = model_live(call->redis, script_key(call, index));
    if (value->type == MODEL_NONE)
        return -2;
    if (value->expire_us == 0)
        return -1;
    return ((value->expire_us - call->redis->now_us) / 1000 + 500) / 1000;
}

static redisReply *script_wrong(struct model_script_call *call, int index, const char *what)
{
    char text[160];
    snprintf(text, sizeof(text), "%.*s %s", (int)call->keys[index - 1].size,
             (const char *)call->keys[index - 1].data, what);
    return script_text(call, "wrong", bytes_text(text));
}

static redisReply *script_verify(struct model_script_call *call)
{
    static const char *const touch[] = {"best_bid", "best_ask", "bid1_p", "ask1_p", "spread"};
    int64_t stored = script_fence(call, 5);
    if (script_number(call, 1) < stored)
        return script_value(call, "fenced", stored);
    for (int i = 1; i <= 4; i++) {
        int key = script_key(call, i);
        if (!blob_same(model_hget(call->redis, key, "epoch"), script_arg(call, 2)) ||
            !blob_same(model_hget(call->redis, key, "seq"), script_arg(call, 3)))
            return script_wrong(call, i, "is elsewhere");
        int64_t ttl = script_ttl_s(call, i), most = script_number(call, 3 + i);
        if ((most < 0 && ttl != -1) || (most > 0 && (ttl < 0 || ttl > most)))
            return script_wrong(call, i, "has another TTL");
    }
    for (int i = 0; i < 5; i++)
        if (model_hget(call->redis, script_key(call, 1), touch[i]).data == NULL)
            return script_wrong(call, 1, "has no touch");
    double bid = model_real(model_hget(call->redis, script_key(call, 1), "best_bid"));
    double ask = model_real(model_hget(call->redis, script_key(call, 1), "best_ask"));
    if (bid <= 0 || bid >= ask)
        return script_wrong(call, 1, "is crossed");
    return script_value(call, "ok", stored);
}

static redisReply *script_refuse(struct model_script_call *call)
{
    char wanted[160];
    struct bytes document = script_get(call, 1), token = script_arg(call, 1);
    if (document.data == NULL)
        return script_text(call, "empty", bytes_text(""));
    int size = snprintf(wanted, sizeof(wanted), "\"token\":\"%.*s\"", (int)token.size,
                        (const char *)token.data);
    if (memmem(document.data, document.size, wanted, (size_t)size) == NULL)
        return script_text(call, "token", bytes_text(""));
    model_delete(call->redis, script_key(call, 1));
    return script_value(call, "ok", 0);
}

static redisReply *script_anchor_look(struct model_script_call *call)
{
    redisReply *list = model_reply_array(call->reply, 4);
    int document = script_key(call, 3);
    list->element[0] = model_reply_string(call->reply, script_get(call, 1));
    list->element[1] = model_reply_string(call->reply, script_get(call, 2));
    list->element[2] =
        model_reply_integer(call->reply, model_live(call->redis, document)->type != MODEL_NONE);
    list->element[3] = model_reply_string(
        call->reply, model_hget(call->redis, script_key(call, 4), "anchor_token"));
    return list;
}

static bool script_is_ours(struct model_script_call *call)
{
    struct bytes flag = script_get(call, 1);
    return flag.data != NULL && blob_same(flag, script_arg(call, 1));
}

static redisReply *script_anchor_renew(struct model_script_call *call)
{
    if (!script_is_ours(call))
        return model_reply_integer(call->reply, 0);
    model_expire(call->redis, script_key(call, 1), script_after_ms(call, script_number(call, 2)));
    return model_reply_integer(call->reply, 1);
}

static redisReply *script_anchor_hand(struct model_script_call *call)
{
    if (!script_is_ours(call))
        return model_reply_integer(call->reply, 0);
    if (!model_set(call->redis, script_key(call, 2), script_arg(call, 2),
                   script_after_ms(call, script_number(call, 3))))
        return script_refused(call);
    return model_reply_integer(call->reply, 1);
}

static redisReply *script_anchor_drop(struct model_script_call *call)
{
    if (!script_is_ours(call))
        return model_reply_integer(call->reply, 0);
    model_delete(call->redis, script_key(call, 1));
    model_delete(call->redis, script_key(call, 2));
    return model_reply_integer(call->reply, 1);
}

/* --- predictions */

static redisReply *script_read(struct model_script_call *call)
{
    redisReply *list = model_reply_array(call->reply, 5);
    int at = 1;
    for (int i = 1; i <= 4; i++) {
        int count = (int)script_number(call, at), key = script_key(call, i);
        redisReply *hash = model_reply_array(call->reply, (size_t)count);
        const struct model_value *value = model_live(call->redis, key);
        for (int j = 0; j < count; j++) {
            struct bytes found = {NULL, 0};
            if (value->type == MODEL_HASH)
                found = blob_find(value->data, script_arg(call, at + 1 + j));
            hash->element[j] = found.data == NULL ? model_reply_nil(call->reply)
                                                  : model_reply_string(call->reply, found);
        }
        list->element[i - 1] = hash;
        at += 1 + count;
    }
    struct blob *fold = model_get(call->redis, script_key(call, 5));
    list->element[4] =
        fold == NULL ? model_reply_nil(call->reply) : model_reply_blob(call->reply, fold);
    return list;
}

static redisReply *script_publish_answer(struct model_script_call *call, int outcome, int64_t top,
                                         const struct model_entry *record)
{
    redisReply *list = model_reply_array(call->reply, record == NULL ? 2 : 3);
    list->element[0] = model_reply_integer(call->reply, outcome);
    list->element[1] = model_reply_integer(call->reply, top);
    if (record == NULL)
        return list;
    struct bytes rest = blob_bytes(record->pairs), field, value;
    size_t count = 0;
    for (struct bytes at = rest; blob_next_pair(&at, &field, &value);)
        count += 2;
    list->element[2] = model_reply_array(call->reply, count);
    for (size_t i = 0; blob_next_pair(&rest, &field, &value); i += 2) {
        list->element[2]->element[i] = model_reply_string(call->reply, field);
        list->element[2]->element[i + 1] = model_reply_string(call->reply, value);
    }
    return list;
}

static bool script_publish_add(struct model_script_call *call, int64_t slot)
{
    int key = script_key(call, 1);
    struct model_id id = {(uint64_t)slot, 0};
    if (!model_append(call->redis, key, id, &call->args[6], (call->arg_count - 6) / 2))
        return false;
    model_trim_length(call->redis, key, script_number(call, 3));
    return true;
}

/* What the stream says about the slot when it does not simply continue: NULL: add it. */
static redisReply *script_publish_judge(struct model_script_call *call, int64_t slot)
{
    const struct model_stream *stream = &model_live(call->redis, script_key(call, 1))->stream;
    if (stream->count == 0)
        return NULL;
    const struct model_entry *newest = &stream->entries[stream->first + stream->count - 1];
    int64_t top = (int64_t)newest->id.ms;
    if (top == slot)
        return script_publish_answer(call, 0, top, newest);
    for (int i = 0; top > slot && i < stream->count; i++) {
        const struct model_entry *entry = &stream->entries[stream->first + i];
        if (entry->id.ms == (uint64_t)slot && entry->id.seq == 0)
            return script_publish_answer(call, 0, top, entry);
    }
    if (top > slot)
        return script_publish_answer(call, -2, top, NULL);
    bool allow_hole = !blob_same(script_arg(call, 2), BYTES_LITERAL("0"));
    if (top < slot - 1 && !allow_hole)
        return model_may_grow(call->redis) ? script_publish_answer(call, -1, top, NULL)
                                           : script_refused(call);
    return NULL;
}

static redisReply *script_publish(struct model_script_call *call)
{
    int64_t slot = script_number(call, 1);
    int hash = script_key(call, 2);
    struct bytes before = model_hget(call->redis, hash, "slot");
    bool added =
        before.data != NULL && model_number(before) == slot - 1 && script_publish_add(call, slot);
    if (!added) {
        redisReply *verdict = script_publish_judge(call, slot);
        if (verdict != NULL)
            return verdict;
        if (!script_publish_add(call, slot))
            return model_reply_error(call->reply, call->redis->error);
    }
    if (!model_hset(call->redis, hash, &call->args[6], (call->arg_count - 6) / 2))
        return script_refused(call);
    model_expire(call->redis, hash, script_after_ms(call, script_number(call, 4) * 1000));
    if (script_arg(call, 6).size > 0 &&
        !model_set(call->redis, script_key(call, 3), script_arg(call, 6),
                   script_after_ms(call, script_number(call, 5) * 1000)))
        return script_refused(call);
    return script_publish_answer(call, 1, slot, NULL);
}

/* --- gap detector, silence */

static redisReply *script_field(struct model_script_call *call, int index, const char *field,
                                bool nil)
{
    struct bytes value = model_hget(call->redis, script_key(call, index), field);
    return value.data == NULL && nil ? model_reply_nil(call->reply)
                                     : model_reply_string(call->reply, value);
}

static redisReply *script_gap_look(struct model_script_call *call)
{
    static const char *const shown[] = {"last_update_id", "ts_us", "event_us", "book_live",
                                        "source"};
    const struct model_stream *events = &model_live(call->redis, script_key(call, 1))->stream;
    struct model_id after = {0, 0};
    char newest[MODEL_ID_TEXT] = "";
    bool begins = script_arg(call, 1).size == 0;
    int from = events->count, limit = (int)script_number(call, 2);
    if (begins && events->count > 0)
        model_id_text(events->entries[events->first + events->count - 1].id, newest);
    if (!begins && model_id_parse(script_arg(call, 1), &after))
        from = model_redis_stream_above(events, after);
    int count = events->count - from < limit ? events->count - from : limit;
    redisReply *list = model_reply_array(call->reply, 6);
    list->element[0] = model_reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++)
        list->element[0]->element[i] =
            model_reply_entry(call->reply, &events->entries[events->first + from + i]);
    list->element[1] = model_reply_string(call->reply, bytes_text(newest));
    list->element[2] = model_reply_array(call->reply, 7);
    for (int i = 0; i < 5; i++)
        list->element[2]->element[i] = script_field(call, 2, shown[i], true);
    list->element[2]->element[5] = script_field(call, 3, "last_ts_us", true);
    list->element[2]->element[6] = script_field(call, 4, "mid", true);
    list->element[3] = script_field(call, 5, "anchor_token", false);
    list->element[4] = model_reply_string(call->reply, script_get(call, 6));
    list->element[5] = model_reply_string(call->reply, script_get(call, 7));
    return list;
}

static redisReply *script_gap_say(struct model_script_call *call)
{
    struct bytes verdict = script_arg(call, 1), ask = script_arg(call, 3);
    struct bytes memory = script_arg(call, 6);
    if (verdict.size == 0)
        model_delete(call->redis, script_key(call, 1));
    else if (!model_set(call->redis, script_key(call, 1), verdict,
                        script_after_ms(call, script_number(call, 2))))
        return script_refused(call);
    struct bytes token = model_hget(call->redis, script_key(call, 3), "anchor_token");
    if (ask.size > 0 && blob_same(token, script_arg(call, 5)) &&
        !model_set(call->redis, script_key(call, 2), ask,
                   script_after_ms(call, script_number(call, 4))))
        return script_refused(call);
    if (memory.size > 0 && !model_set(call->redis, script_key(call, 4), memory, 0))
        return script_refused(call);
    return model_reply_integer(call->reply, 1);
}

static redisReply *script_silence(struct model_script_call *call)
{
    struct bytes old = script_get(call, 1);
    int64_t until_ms = script_number(call, 1);
    if (until_ms > (old.data == NULL ? 0 : model_number(old)) &&
        !model_set(call->redis, script_key(call, 1), script_arg(call, 1), until_ms * 1000))
        return script_refused(call);
    return model_reply_integer(call->reply, 1);
}

/* --- streams */

static redisReply *script_put(struct model_script_call *call)
{
    char letters[MODEL_ARGS_MAX / 3 + 1];
    char refusal[MODEL_ERROR] = "";
    uint64_t stopped = 0;
    int count = call->arg_count / 3;
    CHECK(count < (int)sizeof(letters));
    for (int i = 0; i < count; i++) {
        int index = (int)script_number(call, 3 * i + 1), key = script_key(call, index);
        struct bytes id_text = script_arg(call, 3 * i + 2);
        struct bytes pair[2] = {BYTES_LITERAL("e"), script_arg(call, 3 * i + 3)};
        struct model_id id = {0, 0};
        letters[i] = 'R';
        if (stopped >> index & 1u)
            continue;
        if (id_text.size == 1)
            id = model_next_id(call->redis, key);
        else
            CHECK(model_id_parse(id_text, &id));
        if (model_append(call->redis, key, id, pair, 1)) {
            letters[i] = 'W';
        } else if (strstr(call->redis->error, "equal or smaller") != NULL) {
            letters[i] = model_live(call->redis, key)->stream.last.ms == id.ms ? 'D' : 'F';
        } else {
            stopped |= 1ull << index;
            if (refusal[0] == '\0')
                snprintf(refusal, sizeof(refusal), "%s", call->redis->error);
        }
    }
    redisReply *both = model_reply_array(call->reply, 2);
    both->element[0] = model_reply_string(call->reply, bytes_of(letters, (size_t)count));
    both->element[1] = model_reply_string(call->reply, bytes_text(refusal));
    return both;
}

static redisReply *script_tops(struct model_script_call *call)
{
    redisReply *list = model_reply_array(call->reply, (size_t)call->key_count);
    for (int i = 1; i <= call->key_count; i++) {
        char text[MODEL_ID_TEXT];
        struct model_id last = model_live(call->redis, script_key(call, i))->stream.last;
        list->element[i - 1] =
            model_reply_string(call->reply, bytes_text(model_id_text(last, text)));
    }
    return list;
}

/* "id wall_ms" of a registered consumer. */
static bool script_registered(struct bytes value, struct model_id *id, int64_t *seen_ms)
{
    const uint8_t *space = value.size == 0 ? NULL : memchr(value.data, ' ', value.size);
    if (space == NULL)
        return false;
    size_t size = (size_t)(space - value.data);
    *seen_ms = model_number(bytes_of(space + 1, value.size - size - 1));
    return model_id_parse(bytes_of(value.data, size), id);
}

/* What the registry of consumers says. */
struct script_registry {
    struct model_id slowest;
    bool any, settled;
    int expired;
};

static void script_registry_read(struct model_script_call *call, int key,
                                 struct script_registry *registry)
{
    const struct model_value *value = model_live(call->redis, key);
    int64_t now_ms = call->redis->now_us / 1000, seen_ms;
    struct model_id id;
    *registry = (struct script_registry){.settled = true};
    if (value->type != MODEL_HASH)
        return;
    struct blob *held = blob_hold(value->data);
    struct bytes rest = blob_bytes(held), field, text;
    while (blob_next_pair(&rest, &field, &text)) {
        if (blob_same(field, BYTES_LITERAL("@since"))) {
            registry->settled = now_ms - model_number(text) >= script_number(call, 4);
        } else if (!script_registered(text, &id, &seen_ms) ||
                   now_ms - seen_ms > script_number(call, 1)) {
            model_hdel(call->redis, key, field);
            registry->expired++;
        } else if (!registry->any || model_id_compare(id, registry->slowest) < 0) {
            registry->slowest = id;
            registry->any = true;
        }
    }
    blob_drop(held);
    if (!registry->any)
        model_delete(call->redis, key);
}

/* The position in the stored checkpoint holds it back; without one nothing goes. */
static void script_registry_hold(struct model_script_call *call, struct script_registry *registry)
{
    struct bytes stored = script_get(call, 3);
    size_t at = (size_t)script_number(call, 5), size = 0;
    struct model_id id;
    while (at + size < stored.size && stored.data[at + size] != '\0')
        size++;
    if (size == 0 || !model_id_parse(bytes_of(stored.data + at, size), &id))
        registry->settled = false;
    else if (model_id_compare(id, registry->slowest) < 0)
        registry->slowest = id;
}

static redisReply *script_trim(struct model_script_call *call)
{
    redisReply *list = model_reply_array(call->reply, 4);
    long long values[4] = {0, 0, 0, 0};
    int key = script_key(call, 1);
    if (model_live(call->redis, key)->type != MODEL_NONE) {
        struct script_registry registry;
        script_registry_read(call, script_key(call, 2), &registry);
        if (registry.any && call->key_count >= 3)
            script_registry_hold(call, &registry);
        if (registry.any && registry.settled)
            values[0] = model_trim(call->redis, key, registry.slowest);
        values[1] = model_trim_length(call->redis, key, script_number(call, 2));
        const struct model_stream *stream = &model_live(call->redis, key)->stream;
        values[2] = values[1] > 0 && registry.any && stream->count > 0 &&
                    model_id_compare(registry.slowest, stream->entries[stream->first].id) < 0;
        values[3] = registry.expired;
    }
    for (int i = 0; i < 4; i++)
        list->element[i] = model_reply_integer(call->reply, values[i]);
    return list;
}

/* HSETNX of the time at which the registry began. */
static bool script_since(struct model_script_call *call, int key)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%lld", (long long)(call->redis->now_us / 1000));
    struct bytes pair[2] = {BYTES_LITERAL("@since"), bytes_of(text, (size_t)size)};
    return model_hget(call->redis, key, "@since").data != NULL ||
           model_hset(call->redis, key, pair, 1);
}

static redisReply *script_commit(struct model_script_call *call)
{
    for (int i = 1; i <= call->key_count; i++) {
        char text[96];
        struct bytes id = script_arg(call, i + 1);
        int size = snprintf(text, sizeof(text), "%.*s %lld", (int)id.size, (const char *)id.data,
                            (long long)(call->redis->now_us / 1000));
        struct bytes pair[2] = {script_arg(call, 1), bytes_of(text, (size_t)size)};
        if (!script_since(call, script_key(call, i)) ||
            !model_hset(call->redis, script_key(call, i), pair, 1))
            return script_refused(call);
    }
    return model_reply_integer(call->reply, call->key_count);
}

/* --- the table */

/* name, checksum of its source, what it does. A checksum that is not here: the script has
 * changed; look whether its model still holds, and put the new one in. */
static const struct {
    const char *name;
    uint32_t crc;
    redisReply *(*fn)(struct model_script_call *call);
} model_scripts[] = {
    {"lease_take", 0x17695aa5, script_lease_take},
    {"lease_renew", 0x1d1b3d3c, script_lease_renew},
    {"lease_release", 0xc5212134, script_lease_release},
    {"flush", 0x6fb2b59f, script_flush},
    {"stage", 0x92b5933b, script_stage},
    {"swap", 0x9e286970, script_swap},
    {"verify", 0xe55c7c8c, script_verify},
    {"ask", 0xbe626089, script_ask},
    {"look", 0x09074245, script_look},
    {"refuse", 0xbb0f52f0, script_refuse},
    {"anchor_look", 0xef3e2e59, script_anchor_look},
    {"renew", 0x56c52916, script_anchor_renew},
    {"hand", 0x691b8b09, script_anchor_hand},
    {"drop", 0xbe7ac337, script_anchor_drop},
    {"read", 0xe575b18a, script_read},
    {"publish", 0xcbe1f0ea, script_publish},
    {"gap_look", 0x47de8034, script_gap_look},
    {"gap_say", 0x91af6ac5, script_gap_say},
    {"silence", 0xb5d86308, script_silence},
    {"put", 0xf0c5b50a, script_put},
    {"tops", 0x6ec9ce71, script_tops},
    {"trim", 0xe88260c8, script_trim},
    {"commit", 0x3fe6c635, script_commit},
};
enum { MODEL_SCRIPTS = sizeof(model_scripts) / sizeof(model_scripts[0]) };

static int model_script_find(struct model_redis *redis, const char *source)
{
    for (int i = 0; i < redis->known_count; i++)
        if (redis->known[i].source == source)
            return redis->known[i].index;
    CHECK(redis->known_count < 64);
    uint32_t crc = crc32c(0, source, strlen(source));
    int index = -1;
    for (int i = 0; i < MODEL_SCRIPTS; i++)
        if (model_scripts[i].crc == crc)
            index = i;
    redis->known[redis->known_count].source = source;
    redis->known[redis->known_count++].index = index;
    return index;
}

const char *model_redis_script_name(struct model_redis *redis, const char *source)
{
    int index = model_script_find(redis, source);
    return index < 0 ? NULL : model_scripts[index].name;
}

struct model_reply *model_redis_script(struct model_redis *redis, int64_t now_us,
                                       const char *source, const struct bytes *keys, int key_count,
                                       const struct bytes *args, int arg_count)
{
    struct model_script_call call = {redis, model_reply_new(), keys, key_count, args, arg_count};
    int index = model_script_find(redis, source);
    model_begin(redis, now_us);
    redisReply *root;
    if (index < 0)
        root = model_reply_error(call.reply, "ERR the model does not know this script");
    else
        root = model_scripts[index].fn(&call);
    model_reply_set_root(call.reply, root);
    model_end(redis);
    return call.reply;
}
