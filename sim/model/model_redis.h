/* The model of a Redis server that the simulation stores everything in: strings, hashes and
 * streams with TTLs, the commands and scripts that our engines use, a replica that lags
 * behind (so that a failover loses the last writes), FLUSHALL and full memory. One call is
 * one step. tests/integration/test_sim_models.c holds it against the real server, the
 * scripts' sources included. Time is handed in: `now_us` is the server's clock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_MODEL_MODEL_REDIS_H
#define BTCAST_SIM_MODEL_MODEL_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/model/blob.h"
#include "sim/model/model_reply.h"

#define MODEL_KEYS_MAX 128
/* Arguments of one call at most. */
#define MODEL_ARGS_MAX 2048

enum model_type { MODEL_NONE, MODEL_STRING, MODEL_HASH, MODEL_STREAM };

struct model_id {
    uint64_t ms, seq;
};
static inline int model_id_compare(struct model_id a, struct model_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}
#define MODEL_ID_TEXT 48
/* "ms-seq" into out[MODEL_ID_TEXT]; returns out. */
const char *model_id_text(struct model_id id, char *out);
/* "ms-seq" or "ms"; false when it is neither. */
bool model_id_parse(struct bytes text, struct model_id *id);

struct model_entry {
    struct model_id id;
    struct blob *pairs;
};

struct model_stream {
    struct model_entry *entries; /* [first, first + count) in a buffer that is moved down */
    int first, count, room;
    struct model_id last;
    struct model_id trimmed; /* the newest entry that was trimmed away */
};

struct model_value {
    enum model_type type;
    int64_t expire_us; /* 0: never */
    struct blob *data; /* string, or pairs of a hash */
    struct model_stream stream;
};

struct model_redis;

/* After each call that has changed something: the mask of kinds is the caller's own. */
typedef void (*model_changed_fn)(void *context);

struct model_redis_options {
    bool replicated; /* keep a log for the replica */
    model_changed_fn changed;
    void *context;
};

struct model_redis *model_redis_open(const struct model_redis_options *options);
void model_redis_close(struct model_redis *redis);

/* One command as it comes over the wire. *blocked: an XREAD that found nothing; it is to be
 * asked again when a stream has grown, with only_key >= 0 naming that stream. */
struct model_reply *model_redis_command(struct model_redis *redis, int64_t now_us,
                                        const struct bytes *argv, int argc, int only_key,
                                        bool *blocked);
/* One script by its source. */
struct model_reply *model_redis_script(struct model_redis *redis, int64_t now_us,
                                       const char *source, const struct bytes *keys, int key_count,
                                       const struct bytes *args, int arg_count);
/* The name of a script the model knows, NULL otherwise: its source has changed or is new. */
const char *model_redis_script_name(struct model_redis *redis, const char *source);

/* --- faults */
/* The replica becomes the primary without what was written in the last lost_us. */
void model_redis_failover(struct model_redis *redis, int64_t now_us, int64_t lost_us);
void model_redis_flush_all(struct model_redis *redis, int64_t now_us);
void model_redis_set_full(struct model_redis *redis, bool full);
bool model_redis_is_full(const struct model_redis *redis);

/* --- what the checkers see */
/* The number of a key's name, made on first use. */
int model_redis_key(struct model_redis *redis, struct bytes name);
/* The primary's value; type MODEL_NONE when it is not there or has expired. */
const struct model_value *model_redis_value(const struct model_redis *redis, int key,
                                            int64_t now_us);
/* The first entry above id, counted from stream.first; stream.count if there is none. */
int model_redis_stream_above(const struct model_stream *stream, struct model_id id);
/* Grows by one with each call that has changed something. */
uint64_t model_redis_writes(const struct model_redis *redis);
/* Keys changed by the last call, as a bit per key number modulo 64. */
uint64_t model_redis_touched(const struct model_redis *redis);
int model_redis_key_count(const struct model_redis *redis);
const char *model_redis_key_name(const struct model_redis *redis, int key);

#endif
