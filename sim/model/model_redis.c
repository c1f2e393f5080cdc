/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model/model_redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "sim/model/model_self.h"

/* The replica is brought up to what no failover can lose when the log has grown to this. */
#define MODEL_LOG_MAX     8192
#define MODEL_LOST_US_MAX 2000000

const char *model_id_text(struct model_id id, char *out)
{
    snprintf(out, MODEL_ID_TEXT, "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.seq);
    return out;
}

bool model_id_parse(struct bytes text, struct model_id *id)
{
    uint64_t parts[2] = {0, 0};
    int part = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-' && part == 0) {
            part = 1;
            continue;
        }
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        parts[part] = parts[part] * 10 + (uint64_t)(text.data[i] - '0');
    }
    *id = (struct model_id){parts[0], parts[1]};
    return true;
}

redisReply *model_reply_entry(struct model_reply *reply, const struct model_entry *entry)
{
    struct bytes rest = blob_bytes(entry->pairs), field, value;
    char text[MODEL_ID_TEXT];
    size_t count = 0;
    for (struct bytes at = rest; blob_next_pair(&at, &field, &value);)
        count++;
    redisReply *both = model_reply_array(reply, 2);
    both->element[0] = model_reply_string(reply, bytes_text(model_id_text(entry->id, text)));
    both->element[1] = model_reply_array(reply, 2 * count);
    for (size_t i = 0; blob_next_pair(&rest, &field, &value); i += 2) {
        both->element[1]->element[i] = model_reply_string(reply, field);
        both->element[1]->element[i + 1] = model_reply_string(reply, value);
    }
    return both;
}

double model_real(struct bytes text)
{
    char buffer[40];
    size_t size = text.size < sizeof(buffer) - 1 ? text.size : sizeof(buffer) - 1;
    if (size > 0)
        memcpy(buffer, text.data, size);
    buffer[size] = '\0';
    return strtod(buffer, NULL);
}

int64_t model_number(struct bytes text)
{
    char buffer[32];
    size_t size = text.size < sizeof(buffer) - 1 ? text.size : sizeof(buffer) - 1;
    memcpy(buffer, text.data, size);
    buffer[size] = '\0';
    return strtoll(buffer, NULL, 10);
}

struct model_redis *model_redis_open(const struct model_redis_options *options)
{
    struct model_redis *redis = calloc(1, sizeof(*redis));
    CHECK(redis != NULL);
    redis->options = *options;
    return redis;
}

static void model_clear_value(struct model_value *value)
{
    blob_drop(value->data);
    for (int i = 0; i < value->stream.count; i++)
        blob_drop(value->stream.entries[value->stream.first + i].pairs);
    free(value->stream.entries);
    *value = (struct model_value){0};
}

static void model_clear_space(struct model_redis *redis, struct model_space *space)
{
    for (int i = 0; i < redis->key_count; i++)
        model_clear_value(&space->values[i]);
}

static void model_drop_log(struct model_redis *redis)
{
    for (size_t i = 0; i < redis->log_count; i++)
        blob_drop(redis->log[redis->log_first + i].data);
    redis->log_first = redis->log_count = 0;
}

void model_redis_close(struct model_redis *redis)
{
    if (redis == NULL)
        return;
    model_clear_space(redis, &redis->spaces[0]);
    model_clear_space(redis, &redis->spaces[1]);
    model_drop_log(redis);
    free(redis->log);
    free(redis);
}

int model_redis_key(struct model_redis *redis, struct bytes name)
{
    enum { SLOTS = sizeof(redis->slots) / sizeof(redis->slots[0]) };
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ name.data[i]) * 16777619u;
    for (uint32_t at = hash % SLOTS;; at = (at + 1) % SLOTS) {
        int key = redis->slots[at] - 1;
        if (key >= 0 && blob_same(bytes_text(redis->names[key]), name))
            return key;
        if (key >= 0)
            continue;
        CHECK(redis->key_count < MODEL_KEYS_MAX && name.size < MODEL_KEY_NAME);
        key = redis->key_count++;
        memcpy(redis->names[key], name.data, name.size);
        redis->slots[at] = (int16_t)(key + 1);
        return key;
    }
}

int model_redis_key_count(const struct model_redis *redis)
{
    return redis->key_count;
}

const char *model_redis_key_name(const struct model_redis *redis, int key)
{
    return redis->names[key];
}

uint64_t model_redis_writes(const struct model_redis *redis)
{
    return redis->writes;
}

uint64_t model_redis_touched(const struct model_redis *redis)
{
    return redis->touched;
}

/* --- effects ------------------------------------------------------------------------- */

static void model_stream_append(struct model_stream *stream, const struct model_effect *effect)
{
    if (stream->first + stream->count == stream->room) {
        if (stream->first > stream->room / 2) {
            memmove(stream->entries, stream->entries + stream->first,
                    (size_t)stream->count * sizeof(*stream->entries));
            stream->first = 0;
        } else {
            stream->room = stream->room == 0 ? 256 : 2 * stream->room;
            stream->entries =
                realloc(stream->entries, (size_t)stream->room * sizeof(*stream->entries));
            CHECK(stream->entries != NULL);
        }
    }
    stream->entries[stream->first + stream->count++] =
        (struct model_entry){effect->id, blob_hold(effect->data)};
    stream->last = effect->id;
}

static void model_stream_trim(struct model_stream *stream, struct model_id id)
{
    while (stream->count > 0 && model_id_compare(stream->entries[stream->first].id, id) < 0) {
        stream->trimmed = stream->entries[stream->first].id;
        blob_drop(stream->entries[stream->first].pairs);
        stream->first++;
        stream->count--;
    }
}

static void model_apply(struct model_redis *redis, struct model_space *space,
                        const struct model_effect *effect)
{
    struct model_value *value = &space->values[effect->key];
    switch (effect->kind) {
    case MODEL_EFFECT_SET:
        if (value->type == MODEL_STREAM)
            model_clear_value(value);
        blob_drop(value->data);
        value->data = blob_hold(effect->data);
        value->type = effect->type;
        value->expire_us = effect->expire_us;
        break;
    case MODEL_EFFECT_DELETE:
        model_clear_value(value);
        break;
    case MODEL_EFFECT_EXPIRE:
        value->expire_us = effect->expire_us;
        break;
    case MODEL_EFFECT_APPEND:
        value->type = MODEL_STREAM;
        model_stream_append(&value->stream, effect);
        break;
    case MODEL_EFFECT_TRIM:
        model_stream_trim(&value->stream, effect->id);
        break;
    case MODEL_EFFECT_FLUSH:
        model_clear_space(redis, space);
        break;
    }
}

/* Brings the replica up to everything written until until_us. */
static void model_replicate(struct model_redis *redis, int64_t until_us)
{
    struct model_space *replica = &redis->spaces[1 - redis->primary];
    while (redis->log_count > 0 && redis->log[redis->log_first].time_us <= until_us) {
        struct model_effect *effect = &redis->log[redis->log_first++];
        redis->log_count--;
        model_apply(redis, replica, effect);
        blob_drop(effect->data);
    }
    if (redis->log_count == 0)
        redis->log_first = 0;
}

static void model_remember(struct model_redis *redis, const struct model_effect *effect)
{
    if (redis->log_first + redis->log_count == redis->log_room) {
        if (redis->log_count >= MODEL_LOG_MAX)
            model_replicate(redis, redis->now_us - MODEL_LOST_US_MAX);
        if (redis->log_first > redis->log_room / 2) {
            memmove(redis->log, redis->log + redis->log_first,
                    redis->log_count * sizeof(*redis->log));
            redis->log_first = 0;
        } else if (redis->log_first + redis->log_count == redis->log_room) {
            redis->log_room = redis->log_room == 0 ? 2 * MODEL_LOG_MAX : 2 * redis->log_room;
            redis->log = realloc(redis->log, redis->log_room * sizeof(*redis->log));
            CHECK(redis->log != NULL);
        }
    }
    struct model_effect *kept = &redis->log[redis->log_first + redis->log_count++];
    *kept = *effect;
    if (kept->data != NULL)
        blob_hold(kept->data);
}

/* Does it on the primary, and later on the replica. effect->data stays the caller's. */
static void model_write(struct model_redis *redis, struct model_effect effect)
{
    effect.time_us = redis->now_us;
    model_apply(redis, &redis->spaces[redis->primary], &effect);
    if (redis->options.replicated)
        model_remember(redis, &effect);
    redis->dirty = redis->wrote = true;
    redis->touched |= 1ull << (effect.key & 63);
}

void model_begin(struct model_redis *redis, int64_t now_us)
{
    redis->now_us = now_us;
    redis->dirty = redis->wrote = false;
    redis->touched = 0;
    redis->error[0] = '\0';
}

void model_end(struct model_redis *redis)
{
    if (!redis->dirty)
        return;
    redis->writes++;
    if (redis->options.changed != NULL)
        redis->options.changed(redis->options.context);
}

void model_redis_failover(struct model_redis *redis, int64_t now_us, int64_t lost_us)
{
    CHECK(redis->options.replicated && lost_us <= MODEL_LOST_US_MAX);
    model_begin(redis, now_us);
    model_replicate(redis, now_us - lost_us);
    model_drop_log(redis);
    struct model_space *old = &redis->spaces[redis->primary];
    redis->primary = 1 - redis->primary;
    /* The old primary comes back as a replica and is told everything. */
    model_clear_space(redis, old);
    for (int key = 0; key < redis->key_count; key++) {
        const struct model_value *value = &redis->spaces[redis->primary].values[key];
        struct model_value *copy = &old->values[key];
        *copy = (struct model_value){.type = value->type, .expire_us = value->expire_us};
        copy->data = value->data == NULL ? NULL : blob_hold(value->data);
        for (int i = 0; i < value->stream.count; i++) {
            const struct model_entry *entry = &value->stream.entries[value->stream.first + i];
            model_stream_append(&copy->stream,
                                &(struct model_effect){.id = entry->id, .data = entry->pairs});
        }
        copy->stream.last = value->stream.last;
        copy->stream.trimmed = value->stream.trimmed;
    }
    redis->dirty = true;
    redis->touched = UINT64_MAX;
    model_end(redis);
}

void model_redis_flush_all(struct model_redis *redis, int64_t now_us)
{
    model_begin(redis, now_us);
    model_write(redis, (struct model_effect){.kind = MODEL_EFFECT_FLUSH});
    redis->touched = UINT64_MAX;
    model_end(redis);
}

void model_redis_set_full(struct model_redis *redis, bool full)
{
    redis->full = full;
}

bool model_redis_is_full(const struct model_redis *redis)
{
    return redis->full;
}

/* --- reads --------------------------------------------------------------------------- */

const struct model_value *model_redis_value(const struct model_redis *redis, int key,
                                            int64_t now_us)
{
    static const struct model_value none;
    const struct model_value *value = &redis->spaces[redis->primary].values[key];
    bool expired = value->expire_us != 0 && value->expire_us <= now_us;
    return expired ? &none : value;
}

struct model_value *model_live(struct model_redis *redis, int key)
{
    struct model_value *value = &redis->spaces[redis->primary].values[key];
    if (value->expire_us != 0 && value->expire_us <= redis->now_us) {
        /* As the real one: expired keys go when they are looked at, told to the replica. */
        bool dirty = redis->dirty, wrote = redis->wrote;
        uint64_t touched = redis->touched;
        model_write(redis, (struct model_effect){.kind = MODEL_EFFECT_DELETE, .key = key});
        redis->dirty = dirty;
        redis->wrote = wrote;
        redis->touched = touched;
    }
    return value;
}

struct blob *model_get(struct model_redis *redis, int key)
{
    struct model_value *value = model_live(redis, key);
    return value->type == MODEL_STRING ? value->data : NULL;
}

struct bytes model_hget(struct model_redis *redis, int key, const char *field)
{
    struct model_value *value = model_live(redis, key);
    if (value->type != MODEL_HASH)
        return (struct bytes){NULL, 0};
    return blob_find(value->data, bytes_text(field));
}

/* --- writes -------------------------------------------------------------------------- */

bool model_may_grow(struct model_redis *redis)
{
    if (!redis->full || redis->wrote) {
        redis->wrote = true;
        return true;
    }
    snprintf(redis->error, sizeof(redis->error),
             "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
}

static void model_write_blob(struct model_redis *redis, int key, enum model_type type,
                             struct blob *data, int64_t expire_us)
{
    model_write(redis, (struct model_effect){.kind = MODEL_EFFECT_SET,
                                             .type = type,
                                             .key = key,
                                             .data = data,
                                             .expire_us = expire_us});
    blob_drop(data);
}

bool model_set(struct model_redis *redis, int key, struct bytes value, int64_t expire_us)
{
    if (!model_may_grow(redis))
        return false;
    model_write_blob(redis, key, MODEL_STRING, blob_copy(value), expire_us);
    return true;
}

bool model_set_hash(struct model_redis *redis, int key, const struct bytes *pairs, int count)
{
    if (!model_may_grow(redis))
        return false;
    model_write_blob(redis, key, MODEL_HASH, blob_pairs(pairs, count), 0);
    return true;
}

static int model_hash_list(const struct model_value *value, struct bytes *list)
{
    struct bytes rest, field, content;
    int count = 0;
    if (value->type != MODEL_HASH)
        return 0;
    for (rest = blob_bytes(value->data); blob_next_pair(&rest, &field, &content); count++) {
        CHECK(2 * count + 2 <= MODEL_ARGS_MAX);
        list[2 * count] = field;
        list[2 * count + 1] = content;
    }
    return count;
}

bool model_hset(struct model_redis *redis, int key, const struct bytes *pairs, int count)
{
    struct bytes list[MODEL_ARGS_MAX];
    struct model_value *value = model_live(redis, key);
    int have = model_hash_list(value, list);
    int64_t expire_us = value->expire_us;
    if (!model_may_grow(redis))
        return false;
    for (int i = 0; i < count; i++) {
        int at = 0;
        while (at < have && !blob_same(list[2 * at], pairs[2 * i]))
            at++;
        CHECK(2 * at + 2 <= MODEL_ARGS_MAX);
        list[2 * at] = pairs[2 * i];
        list[2 * at + 1] = pairs[2 * i + 1];
        have += at == have;
    }
    model_write_blob(redis, key, MODEL_HASH, blob_pairs(list, have), expire_us);
    return true;
}

bool model_hdel(struct model_redis *redis, int key, struct bytes field)
{
    struct bytes list[MODEL_ARGS_MAX];
    struct model_value *value = model_live(redis, key);
    int have = model_hash_list(value, list), kept = 0;
    for (int i = 0; i < have; i++) {
        if (blob_same(list[2 * i], field))
            continue;
        list[2 * kept] = list[2 * i];
        list[2 * kept + 1] = list[2 * i + 1];
        kept++;
    }
    if (kept == have)
        return false;
    if (kept == 0)
        model_delete(redis, key);
    else
        model_write_blob(redis, key, MODEL_HASH, blob_pairs(list, kept), value->expire_us);
    return true;
}

void model_delete(struct model_redis *redis, int key)
{
    redis->wrote = true;
    if (model_live(redis, key)->type != MODEL_NONE)
        model_write(redis, (struct model_effect){.kind = MODEL_EFFECT_DELETE, .key = key});
}

void model_expire(struct model_redis *redis, int key, int64_t expire_us)
{
    redis->wrote = true;
    if (model_live(redis, key)->type != MODEL_NONE)
        model_write(redis, (struct model_effect){
                               .kind = MODEL_EFFECT_EXPIRE, .key = key, .expire_us = expire_us});
}

void model_rename(struct model_redis *redis, int from, int to)
{
    struct model_value *value = model_live(redis, from);
    CHECK(value->type == MODEL_HASH || value->type == MODEL_STRING);
    enum model_type type = value->type;
    int64_t expire_us = value->expire_us;
    struct blob *data = blob_hold(value->data);
    model_delete(redis, from);
    model_write_blob(redis, to, type, data, expire_us);
}

bool model_append(struct model_redis *redis, int key, struct model_id id, const struct bytes *pairs,
                  int count)
{
    struct model_value *value = model_live(redis, key);
    if (!model_may_grow(redis))
        return false;
    if (model_id_compare(id, value->stream.last) <= 0) {
        snprintf(redis->error, sizeof(redis->error),
                 "ERR The ID specified in XADD is equal or smaller than the target stream top "
                 "item");
        return false;
    }
    struct blob *data = blob_pairs(pairs, count);
    model_write(redis, (struct model_effect){
                           .kind = MODEL_EFFECT_APPEND, .key = key, .data = data, .id = id});
    blob_drop(data);
    return true;
}

struct model_id model_next_id(struct model_redis *redis, int key)
{
    struct model_id last = model_live(redis, key)->stream.last;
    uint64_t ms = (uint64_t)(redis->now_us / 1000);
    if (ms > last.ms)
        return (struct model_id){ms, 0};
    return (struct model_id){last.ms, last.seq + 1};
}

int model_redis_stream_above(const struct model_stream *stream, struct model_id id)
{
    int low = 0, high = stream->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (model_id_compare(stream->entries[stream->first + middle].id, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int model_trim(struct model_redis *redis, int key, struct model_id id)
{
    struct model_value *value = model_live(redis, key);
    int before = value->stream.count;
    if (before == 0 || model_id_compare(value->stream.entries[value->stream.first].id, id) >= 0)
        return 0;
    model_write(redis, (struct model_effect){.kind = MODEL_EFFECT_TRIM, .key = key, .id = id});
    return before - value->stream.count;
}

int model_trim_length(struct model_redis *redis, int key, int64_t length)
{
    const struct model_stream *stream = &model_live(redis, key)->stream;
    if (stream->count <= length)
        return 0;
    int first = stream->first + stream->count - (int)length;
    struct model_id id =
        length == 0 ? (struct model_id){UINT64_MAX, UINT64_MAX} : stream->entries[first].id;
    return model_trim(redis, key, id);
}
