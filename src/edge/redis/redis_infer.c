/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* KEYS: predictions stream, pred hash, calibration. ARGV: slot, allow_hole, stream limit,
 * pred TTL, calibration's TTL, calibration ("" leaves it), then field, value, …
 * Returns {outcome, top slot, record}: 1 published, 0 existed (with its record), -1 hole,
 * -2 the stream is past the slot.
 * pred: is always the newest entry of the stream, so mostly its slot tells at little cost that
 * the entry continues the stream; XADD itself refuses what does not.
 * A hole is answered only by a server that could take what fills it: a key that is there is not
 * set by SET NX, but a full server refuses the command (so does a replica). */
static struct redis_script redis_infer_publish_script = {
    .name = "publish",
    .source = "local slot = tonumber(ARGV[1])\n"
              "local id = ARGV[1] .. '-0'\n"
              "local function add()\n"
              "  return redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], id, unpack(ARGV, 7))\n"
              "end\n"
              "local added\n"
              "if redis.call('HGET', KEYS[2], 'slot') == string.format('%d', slot - 1) then\n"
              "  added = add()\n"
              "end\n"
              "if added == nil or added.err then\n"
              "  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)\n"
              "  if #newest > 0 then\n"
              "    local top = tonumber(string.match(newest[1][1], '^(%d+)-'))\n"
              "    if top == slot then return {0, top, newest[1][2]} end\n"
              "    if top > slot then\n"
              "      local same = redis.call('XRANGE', KEYS[1], id, id)\n"
              "      if #same > 0 then return {0, top, same[1][2]} end\n"
              "      return {-2, top}\n"
              "    end\n"
              "    if top < slot - 1 and ARGV[2] == '0' then\n"
              "      redis.call('SET', KEYS[1], '', 'NX')\n"
              "      return {-1, top}\n"
              "    end\n"
              "  end\n"
              "  added = add()\n"
              "  if added.err then return added end\n"
              "end\n"
              "redis.call('HSET', KEYS[2], unpack(ARGV, 7))\n"
              "redis.call('EXPIRE', KEYS[2], ARGV[4])\n"
              "if ARGV[6] ~= '' then redis.call('SET', KEYS[3], ARGV[6], 'EX', ARGV[5]) end\n"
              "return {1, slot}\n",
};

/* The same read as a script, with the same form of answer. A full server takes no command
 * into a MULTI, not even a read (EXECABORT), but runs a script that only reads.
 * KEYS: four hashes, calibration. ARGV: for each hash the count of fields, then these. */
static struct redis_script redis_infer_read_script = {
    .name = "read",
    .source = "local out, at = {}, 1\n"
              "for i = 1, 4 do\n"
              "  local last = at + tonumber(ARGV[at])\n"
              "  out[i] = redis.call('HMGET', KEYS[i], unpack(ARGV, at + 1, last))\n"
              "  at = last + 1\n"
              "end\n"
              "out[5] = redis.call('GET', KEYS[5])\n"
              "return out\n",
};

/* MULTI, four HMGET, GET, EXEC. */
#define REDIS_INFER_REPLIES 5
#define REDIS_INFER_CALLS   8

struct redis_infer_read_call {
    struct redis_infer *infer;
    infer_read_fn done;
    void *context;
};

struct redis_infer_publish_call {
    infer_publish_fn done;
    void *context;
    bool busy;
};

struct redis_infer {
    struct redis_link *link;
    char keys[STATE_KEY_COUNT][STATE_KEY_SIZE];
    char calibration[STATE_KEY_SIZE + 20]; /* of the model in use */
    struct redis_infer_read_call reads[REDIS_INFER_CALLS];
    unsigned next_read;
    struct redis_infer_publish_call publish;
};

static const enum state_key redis_infer_hashes[STATE_READ_HASHES] = {STATE_OB, STATE_TR_1S,
                                                                     STATE_TR_5S, STATE_FEAT};

static void redis_infer_model(void *self, uint64_t identity)
{
    struct redis_infer *infer = self;
    snprintf(infer->calibration, sizeof(infer->calibration), "%s:%016llx",
             infer->keys[STATE_CALIBRATION], (unsigned long long)identity);
}

int redis_infer_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                     struct redis_infer **out, struct err *err)
{
    struct redis_infer *infer = calloc(1, sizeof(*infer));
    if (infer == NULL)
        return err_set(err, ERR_MEMORY, "inference port");
    infer->link = link;
    for (int key = 0; key < STATE_KEY_COUNT; key++)
        state_key((enum state_key)key, style, symbol, infer->keys[key]);
    redis_link_bind(link, infer->keys[STATE_OB]);
    redis_infer_model(infer, 0);
    *out = infer;
    return ERR_OK;
}

void redis_infer_close(struct redis_infer *infer)
{
    free(infer);
}

static struct bytes redis_infer_bytes(const redisReply *reply)
{
    return bytes_of(reply->str, reply->len);
}

static bool redis_infer_is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

/* The values of HMGET, in the order of state_parse_fields; nil: the field is not there. True
 * if any was. */
static bool redis_infer_parse_hash(struct state_read *state, enum state_key key,
                                   const redisReply *reply)
{
    const char *const *names;
    int count = state_parse_fields(key, &names);
    bool any = false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != (size_t)count)
        return false;
    for (int i = 0; i < count; i++) {
        const redisReply *value = reply->element[i];
        if (!redis_infer_is_text(value))
            continue;
        any = true;
        state_parse_field(state, key, bytes_text(names[i]), redis_infer_bytes(value));
    }
    return any;
}

/* True when the read is under way once more, as a script. */
static bool redis_infer_read_again(struct redis_infer_read_call *call, redis_reply_fn done)
{
    struct redis_infer *infer = call->infer;
    struct bytes keys[REDIS_INFER_REPLIES];
    struct bytes args[STATE_READ_HASHES * (1 + STATE_PARSE_FIELDS_MAX)];
    char counts[STATE_READ_HASHES][12];
    int used = 0;
    for (int i = 0; i < STATE_READ_HASHES; i++) {
        const char *const *names;
        int count = state_parse_fields(redis_infer_hashes[i], &names);
        keys[i] = bytes_text(infer->keys[redis_infer_hashes[i]]);
        snprintf(counts[i], sizeof(counts[i]), "%d", count);
        args[used++] = bytes_text(counts[i]);
        for (int field = 0; field < count; field++)
            args[used++] = bytes_text(names[field]);
    }
    keys[STATE_READ_HASHES] = bytes_text(infer->calibration);
    int result = redis_link_eval(infer->link, &redis_infer_read_script, keys, REDIS_INFER_REPLIES,
                                 args, used, done, call);
    redis_link_flush(infer->link);
    return result == ERR_OK;
}

static void redis_infer_read_done(void *context, int result, const redisReply *reply)
{
    struct redis_infer_read_call call = *(struct redis_infer_read_call *)context;
    struct infer_read read = {0};
    if (result == ERR_OK && reply->type == REDIS_REPLY_ERROR &&
        strncmp(reply->str, "EXECABORT", 9) == 0 &&
        redis_infer_read_again(context, redis_infer_read_done))
        return;
    if (result != ERR_OK) {
        call.done(call.context, result, NULL);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != REDIS_INFER_REPLIES) {
        call.done(call.context, ERR_MALFORMED, NULL);
        return;
    }
    bool any = false;
    state_parse_begin(&read.state);
    for (int i = 0; i < STATE_READ_HASHES; i++)
        any |= redis_infer_parse_hash(&read.state, redis_infer_hashes[i], reply->element[i]);
    state_parse_finish(&read.state);
    const redisReply *calibration = reply->element[STATE_READ_HASHES];
    if (redis_infer_is_text(calibration))
        read.calibration = redis_infer_bytes(calibration);
    call.done(call.context, any ? ERR_OK : ERR_EMPTY, &read);
}

static int redis_infer_queue(struct redis_infer *infer, const char *command, const char *key)
{
    struct bytes argv[2] = {bytes_text(command)};
    if (key != NULL)
        argv[1] = bytes_text(key);
    return redis_link_send(infer->link, argv, key == NULL ? 1 : 2, NULL, NULL);
}

static int redis_infer_queue_hash(struct redis_infer *infer, enum state_key key)
{
    const char *const *names;
    int count = state_parse_fields(key, &names);
    struct bytes argv[2 + STATE_PARSE_FIELDS_MAX] = {BYTES_LITERAL("HMGET"),
                                                     bytes_text(infer->keys[key])};
    for (int i = 0; i < count; i++)
        argv[2 + i] = bytes_text(names[i]);
    return redis_link_send(infer->link, argv, 2 + count, NULL, NULL);
}

static int redis_infer_read(void *self, infer_read_fn done, void *context)
{
    struct redis_infer *infer = self;
    if (!redis_link_connected(infer->link))
        return ERR_CONNECTION;
    int result = redis_infer_queue(infer, "MULTI", NULL);
    for (int i = 0; i < STATE_READ_HASHES && result == ERR_OK; i++)
        result = redis_infer_queue_hash(infer, redis_infer_hashes[i]);
    if (result == ERR_OK)
        result = redis_infer_queue(infer, "GET", infer->calibration);
    if (result != ERR_OK)
        return result;
    struct redis_infer_read_call *call = &infer->reads[infer->next_read++ % REDIS_INFER_CALLS];
    *call = (struct redis_infer_read_call){.infer = infer, .done = done, .context = context};
    struct bytes exec = BYTES_LITERAL("EXEC");
    result = redis_link_send(infer->link, &exec, 1, redis_infer_read_done, call);
    redis_link_flush(infer->link);
    return result;
}

/* A published record, as a flat array of fields and values. */
static int redis_infer_record(const redisReply *reply, struct prediction *prediction)
{
    *prediction = (struct prediction){0};
    if (reply->type != REDIS_REPLY_ARRAY)
        return ERR_MALFORMED;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i];
        const redisReply *value = reply->element[i + 1];
        if (!redis_infer_is_text(name) || !redis_infer_is_text(value))
            return ERR_MALFORMED;
        int result = prediction_set(prediction, redis_infer_bytes(name), redis_infer_bytes(value));
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

static enum infer_published redis_infer_outcome(long long code)
{
    return code == 1    ? INFER_PUBLISHED
           : code == 0  ? INFER_EXISTED
           : code == -1 ? INFER_HOLE
                        : INFER_OLD;
}

static void redis_infer_publish_done(void *context, int result, const redisReply *reply)
{
    struct redis_infer_publish_call call = *(struct redis_infer_publish_call *)context;
    ((struct redis_infer_publish_call *)context)->busy = false;
    struct prediction record;
    if (result == ERR_OK && reply->type == REDIS_REPLY_ERROR)
        result = ERR_REFUSED;
    if (result == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
                             reply->element[0]->type != REDIS_REPLY_INTEGER ||
                             reply->element[1]->type != REDIS_REPLY_INTEGER))
        result = ERR_MALFORMED;
    if (result != ERR_OK) {
        call.done(call.context, result, INFER_OLD, 0, NULL);
        return;
    }
    enum infer_published outcome = redis_infer_outcome(reply->element[0]->integer);
    if (outcome == INFER_EXISTED)
        result =
            reply->elements < 3 ? ERR_MALFORMED : redis_infer_record(reply->element[2], &record);
    call.done(call.context, result, outcome, reply->element[1]->integer,
              outcome == INFER_EXISTED ? &record : NULL);
}

static int redis_infer_publish(void *self, const struct infer_publish *request,
                               infer_publish_fn done, void *context)
{
    struct redis_infer *infer = self;
    if (infer->publish.busy)
        return ERR_AGAIN;
    char slot[24];
    char limit[24];
    char ttl[24];
    char calibration_ttl[24];
    snprintf(slot, sizeof(slot), "%lld", (long long)request->slot);
    snprintf(limit, sizeof(limit), "%d", REDIS_INFER_PREDICTIONS_MAX);
    snprintf(ttl, sizeof(ttl), "%d", STATE_TTL_PRED_S);
    snprintf(calibration_ttl, sizeof(calibration_ttl), "%d", STATE_TTL_CALIBRATION_S);
    struct bytes keys[3] = {bytes_text(infer->keys[STATE_PREDICTIONS]),
                            bytes_text(infer->keys[STATE_PRED]), bytes_text(infer->calibration)};
    struct bytes args[6 + 2 * PREDICTION_FIELDS] = {bytes_text(slot),
                                                    bytes_text(request->allow_hole ? "1" : "0"),
                                                    bytes_text(limit),
                                                    bytes_text(ttl),
                                                    bytes_text(calibration_ttl),
                                                    request->calibration};
    int count = 6;
    for (int field = 0; field < PREDICTION_FIELDS; field++) {
        args[count++] = bytes_text(prediction_field_name((enum prediction_field)field));
        args[count++] = bytes_text(request->prediction->value[field]);
    }
    infer->publish =
        (struct redis_infer_publish_call){.done = done, .context = context, .busy = true};
    int result = redis_link_eval(infer->link, &redis_infer_publish_script, keys, 3, args, count,
                                 redis_infer_publish_done, &infer->publish);
    if (result != ERR_OK)
        infer->publish.busy = false;
    redis_link_flush(infer->link);
    return result;
}

struct infer_port redis_infer_port(struct redis_infer *infer)
{
    return (struct infer_port){.self = infer,
                               .read = redis_infer_read,
                               .publish = redis_infer_publish,
                               .model = redis_infer_model};
}
