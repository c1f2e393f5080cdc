/* The plain commands that our engines send. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <strings.h>

#include "base/check.h"
#include "sim/model/model_self.h"

struct model_call {
    struct model_redis *redis;
    struct model_reply *reply;
    const struct bytes *argv;
    int argc;
    int only_key;
    bool blocked;
};

static bool model_is(struct bytes text, const char *word)
{
    return text.size == strlen(word) && strncasecmp((const char *)text.data, word, text.size) == 0;
}

static int model_arg_key(struct model_call *call, int index)
{
    return model_redis_key(call->redis, call->argv[index]);
}

static redisReply *model_refused(struct model_call *call)
{
    return model_reply_error(call->reply, call->redis->error);
}

static redisReply *model_do_get(struct model_call *call)
{
    struct blob *value = model_get(call->redis, model_arg_key(call, 1));
    return value == NULL ? model_reply_nil(call->reply) : model_reply_blob(call->reply, value);
}

/* SET key value [NX] [PX ms | EX s] */
static redisReply *model_do_set(struct model_call *call)
{
    int key = model_arg_key(call, 1);
    bool only_new = false;
    int64_t expire_us = 0;
    for (int i = 3; i < call->argc; i++) {
        if (model_is(call->argv[i], "NX"))
            only_new = true;
        else if (i + 1 < call->argc && model_is(call->argv[i], "PX"))
            expire_us = call->redis->now_us + model_number(call->argv[++i]) * 1000;
        else if (i + 1 < call->argc && model_is(call->argv[i], "EX"))
            expire_us = call->redis->now_us + model_number(call->argv[++i]) * 1000000;
    }
    bool there = model_live(call->redis, key)->type != MODEL_NONE;
    if (call->redis->full) {
        (void)model_set(call->redis, key, call->argv[2], expire_us);
        return model_refused(call);
    }
    if (only_new && there)
        return model_reply_nil(call->reply);
    (void)model_set(call->redis, key, call->argv[2], expire_us);
    return model_reply_status(call->reply, "OK");
}

static redisReply *model_do_del(struct model_call *call)
{
    long long count = 0;
    for (int i = 1; i < call->argc; i++) {
        int key = model_arg_key(call, i);
        count += model_live(call->redis, key)->type != MODEL_NONE;
        model_delete(call->redis, key);
    }
    return model_reply_integer(call->reply, count);
}

static redisReply *model_do_hset(struct model_call *call)
{
    int key = model_arg_key(call, 1), pairs = (call->argc - 2) / 2;
    long long fresh = 0;
    for (int i = 0; i < pairs; i++) {
        const struct model_value *value = model_live(call->redis, key);
        fresh +=
            value->type != MODEL_HASH || blob_find(value->data, call->argv[2 + 2 * i]).data == NULL;
    }
    if (!model_hset(call->redis, key, call->argv + 2, pairs))
        return model_refused(call);
    return model_reply_integer(call->reply, fresh);
}

static redisReply *model_do_hmget(struct model_call *call)
{
    const struct model_value *value = model_live(call->redis, model_arg_key(call, 1));
    redisReply *list = model_reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        struct bytes found = {NULL, 0};
        if (value->type == MODEL_HASH)
            found = blob_find(value->data, call->argv[i]);
        list->element[i - 2] = found.data == NULL ? model_reply_nil(call->reply)
                                                  : model_reply_string(call->reply, found);
    }
    return list;
}

static redisReply *model_do_hgetall(struct model_call *call)
{
    const struct model_value *value = model_live(call->redis, model_arg_key(call, 1));
    struct bytes rest = {NULL, 0}, field, content;
    size_t count = 0;
    if (value->type == MODEL_HASH)
        rest = blob_bytes(value->data);
    for (struct bytes at = rest; blob_next_pair(&at, &field, &content);)
        count++;
    redisReply *list = model_reply_array(call->reply, 2 * count);
    for (size_t i = 0; blob_next_pair(&rest, &field, &content); i += 2) {
        list->element[i] = model_reply_string(call->reply, field);
        list->element[i + 1] = model_reply_string(call->reply, content);
    }
    return list;
}

/* XADD key [MAXLEN ~ n] id field value … */
static redisReply *model_do_xadd(struct model_call *call)
{
    int key = model_arg_key(call, 1), at = 2;
    int64_t length = -1;
    struct model_id id;
    char text[MODEL_ID_TEXT];
    if (model_is(call->argv[at], "MAXLEN")) {
        at += 1 + (model_is(call->argv[at + 1], "~") || model_is(call->argv[at + 1], "="));
        length = model_number(call->argv[at++]);
    }
    if (model_is(call->argv[at], "*"))
        id = model_next_id(call->redis, key);
    else if (!model_id_parse(call->argv[at], &id))
        return model_reply_error(call->reply, "ERR Invalid stream ID specified as stream command "
                                              "argument");
    at++;
    if (!model_append(call->redis, key, id, call->argv + at, (call->argc - at) / 2))
        return model_refused(call);
    if (length >= 0)
        model_trim_length(call->redis, key, length);
    return model_reply_string(call->reply, bytes_text(model_id_text(id, text)));
}

static redisReply *model_entries_reply(struct model_call *call, const struct model_stream *stream,
                                       int from, int count)
{
    redisReply *list = model_reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++)
        list->element[i] =
            model_reply_entry(call->reply, &stream->entries[stream->first + from + i]);
    return list;
}

static redisReply *model_do_xinfo(struct model_call *call)
{
    const struct model_value *value = model_live(call->redis, model_arg_key(call, 2));
    char text[MODEL_ID_TEXT];
    if (value->type != MODEL_STREAM)
        return model_reply_error(call->reply, "ERR no such key");
    const struct model_stream *stream = &value->stream;
    redisReply *list = model_reply_array(call->reply, 4);
    list->element[0] = model_reply_string(call->reply, BYTES_LITERAL("last-generated-id"));
    list->element[1] =
        model_reply_string(call->reply, bytes_text(model_id_text(stream->last, text)));
    list->element[2] = model_reply_string(call->reply, BYTES_LITERAL("first-entry"));
    list->element[3] = stream->count == 0
                           ? model_reply_nil(call->reply)
                           : model_reply_entry(call->reply, &stream->entries[stream->first]);
    return list;
}

/* XREAD COUNT n [BLOCK ms] STREAMS key … id …; one that was blocked is served for the one
 * stream that has grown. */
static redisReply *model_do_xread(struct model_call *call)
{
    int at = 1, names = 0, served = 0;
    int64_t limit = INT64_MAX;
    for (; !model_is(call->argv[at], "STREAMS"); at += 2)
        if (model_is(call->argv[at], "COUNT"))
            limit = model_number(call->argv[at + 1]);
    names = (call->argc - at - 1) / 2;
    redisReply *list = NULL; /* most of them find nothing and wait */
    for (int i = 0; i < names; i++) {
        int key = model_arg_key(call, at + 1 + i);
        const struct model_value *value = model_live(call->redis, key);
        struct model_id id;
        if ((call->only_key >= 0 && call->only_key != key) || value->type != MODEL_STREAM)
            continue;
        CHECK(model_id_parse(call->argv[at + 1 + names + i], &id));
        int from = model_redis_stream_above(&value->stream, id);
        int count = value->stream.count - from;
        if (count == 0)
            continue;
        if (list == NULL)
            list = model_reply_array(call->reply, (size_t)names);
        redisReply *both = model_reply_array(call->reply, 2);
        both->element[0] = model_reply_string(call->reply, call->argv[at + 1 + i]);
        both->element[1] =
            model_entries_reply(call, &value->stream, from, count < limit ? count : (int)limit);
        list->element[served++] = both;
    }
    call->blocked = served == 0;
    if (served == 0)
        return model_reply_nil(call->reply);
    list->elements = (size_t)served;
    return list;
}

/* XRANGE key from + COUNT n and XREVRANGE key + - COUNT n, as far as we use them. */
static redisReply *model_do_xrange(struct model_call *call)
{
    const struct model_value *value = model_live(call->redis, model_arg_key(call, 1));
    struct model_id from = {0, 0};
    int limit = call->argc > 5 ? (int)model_number(call->argv[5]) : INT32_MAX;
    if (value->type != MODEL_STREAM)
        return model_reply_array(call->reply, 0);
    struct bytes text = call->argv[2];
    bool beyond = text.size > 0 && text.data[0] == '(';
    if (beyond)
        text = bytes_of(text.data + 1, text.size - 1);
    if (!model_is(text, "-") && !model_id_parse(text, &from))
        return model_reply_error(call->reply, "ERR Invalid stream ID");
    int at = beyond ? model_redis_stream_above(&value->stream, from) : 0;
    while (at < value->stream.count &&
           model_id_compare(value->stream.entries[value->stream.first + at].id, from) < 0)
        at++;
    int count = value->stream.count - at;
    return model_entries_reply(call, &value->stream, at, count < limit ? count : limit);
}

static redisReply *model_do_pexpire(struct model_call *call)
{
    int key = model_arg_key(call, 1);
    if (model_live(call->redis, key)->type == MODEL_NONE)
        return model_reply_integer(call->reply, 0);
    model_expire(call->redis, key, call->redis->now_us + model_number(call->argv[2]) * 1000);
    return model_reply_integer(call->reply, 1);
}

static redisReply *model_do_exists(struct model_call *call)
{
    long long count = 0;
    for (int i = 1; i < call->argc; i++)
        count += model_live(call->redis, model_arg_key(call, i))->type != MODEL_NONE;
    return model_reply_integer(call->reply, count);
}

static redisReply *model_do_pttl(struct model_call *call)
{
    const struct model_value *value = model_live(call->redis, model_arg_key(call, 1));
    if (value->type == MODEL_NONE)
        return model_reply_integer(call->reply, -2);
    if (value->expire_us == 0)
        return model_reply_integer(call->reply, -1);
    return model_reply_integer(call->reply, (value->expire_us - call->redis->now_us + 999) / 1000);
}

static const struct {
    const char *name;
    int args_min;
    redisReply *(*fn)(struct model_call *call);
} model_commands[] = {
    {"GET", 2, model_do_get},         {"SET", 3, model_do_set},
    {"DEL", 2, model_do_del},         {"HSET", 4, model_do_hset},
    {"HMGET", 3, model_do_hmget},     {"HGETALL", 2, model_do_hgetall},
    {"XADD", 5, model_do_xadd},       {"XREAD", 4, model_do_xread},
    {"XINFO", 3, model_do_xinfo},     {"XRANGE", 4, model_do_xrange},
    {"PEXPIRE", 3, model_do_pexpire}, {"EXISTS", 2, model_do_exists},
    {"PTTL", 2, model_do_pttl},
};

struct model_reply *model_redis_command(struct model_redis *redis, int64_t now_us,
                                        const struct bytes *argv, int argc, int only_key,
                                        bool *blocked)
{
    struct model_call call = {redis, model_reply_new(), argv, argc, only_key, false};
    model_begin(redis, now_us);
    redisReply *root = NULL;
    for (size_t i = 0; i < sizeof(model_commands) / sizeof(model_commands[0]); i++)
        if (model_is(argv[0], model_commands[i].name) && argc >= model_commands[i].args_min)
            root = model_commands[i].fn(&call);
    if (root == NULL)
        root = model_reply_error(call.reply, "ERR unknown command");
    model_reply_set_root(call.reply, root);
    model_end(redis);
    if (blocked != NULL)
        *blocked = call.blocked;
    return call.reply;
}
