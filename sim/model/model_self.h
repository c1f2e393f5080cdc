/* Inside the model server: effects (what a write does, on primary and replica alike) and
 * the reads and writes that commands and scripts are made of. Private to sim/model.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_MODEL_MODEL_SELF_H
#define BTCAST_SIM_MODEL_MODEL_SELF_H

#include "sim/model/model_redis.h"

#define MODEL_KEY_NAME 96
#define MODEL_ERROR    96

enum model_effect_kind {
    MODEL_EFFECT_SET, /* the whole value of a string or hash */
    MODEL_EFFECT_DELETE,
    MODEL_EFFECT_EXPIRE,
    MODEL_EFFECT_APPEND,
    MODEL_EFFECT_TRIM,  /* entries below id go */
    MODEL_EFFECT_FLUSH, /* everything goes */
};

struct model_effect {
    int64_t time_us;
    enum model_effect_kind kind;
    enum model_type type;
    int key;
    struct blob *data;
    struct model_id id;
    int64_t expire_us;
};

struct model_space {
    struct model_value values[MODEL_KEYS_MAX];
};

struct model_redis {
    struct model_redis_options options;
    char names[MODEL_KEYS_MAX][MODEL_KEY_NAME];
    int16_t slots[4 * MODEL_KEYS_MAX]; /* by hash of the name: key + 1, 0: free */
    int key_count;
    struct model_space spaces[2];
    int primary;
    struct model_effect *log; /* not yet applied to the replica */
    size_t log_first, log_count, log_room;
    int64_t now_us;
    bool full;
    bool dirty; /* this call has changed something */
    bool wrote; /* it has run a writing command: full memory does not stop it any more */
    char error[MODEL_ERROR]; /* why this call was refused; "" */
    uint64_t writes, touched;
    struct {
        const char *source;
        int index; /* into the table of scripts, -1: unknown */
    } known[64];
    int known_count;
};

/* Reads: of the primary, NULL or MODEL_NONE when absent or expired. */
struct model_value *model_live(struct model_redis *redis, int key);
struct blob *model_get(struct model_redis *redis, int key);
/* The value of a hash's field; data NULL when absent. */
struct bytes model_hget(struct model_redis *redis, int key, const char *field);

/* A command that may need memory is refused (with error set) when there is none, unless the
 * same call has written already (Redis 7, scriptCall). */
bool model_may_grow(struct model_redis *redis);
/* Writes. False: refused for lack of memory (error is set), the script ends. */
bool model_set(struct model_redis *redis, int key, struct bytes value, int64_t expire_us);
bool model_set_hash(struct model_redis *redis, int key, const struct bytes *pairs, int count);
/* Sets fields of a hash, keeping the others and the TTL. */
bool model_hset(struct model_redis *redis, int key, const struct bytes *pairs, int count);
bool model_hdel(struct model_redis *redis, int key, struct bytes field);
void model_delete(struct model_redis *redis, int key);
/* expire_us 0: persists. Nothing when the key is not there. */
void model_expire(struct model_redis *redis, int key, int64_t expire_us);
void model_rename(struct model_redis *redis, int from, int to);
/* XADD; ERR text in error when the id is not above the last one. */
bool model_append(struct model_redis *redis, int key, struct model_id id, const struct bytes *pairs,
                  int count);
struct model_id model_next_id(struct model_redis *redis, int key);
/* Entries below id go; returns how many. */
int model_trim(struct model_redis *redis, int key, struct model_id id);
/* All but the newest `length` go. */
int model_trim_length(struct model_redis *redis, int key, int64_t length);
/* Begin and end of a call. */
void model_begin(struct model_redis *redis, int64_t now_us);
void model_end(struct model_redis *redis);

int64_t model_number(struct bytes text);
double model_real(struct bytes text);
/* [id, [field, value, …]] */
redisReply *model_reply_entry(struct model_reply *reply, const struct model_entry *entry);

#endif
