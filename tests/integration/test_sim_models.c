/* The simulation's model server against the real one: the same random commands and scripts
 * to both, every reply and the whole state compared. The scripts are the engines' own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "edge/loop/loop.h"
/* For their scripts, which are nobody else's business. */
#include "edge/redis/redis_anchor.c"
#include "edge/redis/redis_gap.c"
#include "edge/redis/redis_infer.c"
#include "edge/redis/redis_silence.c"
#include "edge/redis/redis_state_scripts.h"
#include "edge/redis/redis_stream_script.h"
#include "sim/model/model_redis.h"
#include "tests/lib/redis_fixture.h"

#define MODELS_STEPS 6000
#define MODELS_WORDS 64
#define MODELS_TEXT  48

struct models {
    struct redis_fixture fixture;
    struct model_redis *model;
    struct prng prng;
    char texts[MODELS_WORDS][MODELS_TEXT];
    struct bytes keys[16], args[MODELS_WORDS];
    int key_count, arg_count;
    int64_t slot, seq;
    bool full;
    char last[64]; /* what was called last */
};

static uint64_t models_below(struct models *models, uint64_t bound)
{
    return prng_below(&models->prng, bound);
}

static void models_begin(struct models *models)
{
    models->key_count = models->arg_count = 0;
}

static void models_key(struct models *models, const char *key)
{
    models->keys[models->key_count++] = bytes_text(key);
}

__attribute__((format(printf, 2, 3))) static void models_arg(struct models *models,
                                                             const char *format, ...)
{
    char *text = models->texts[models->arg_count];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, MODELS_TEXT, format, args);
    va_end(args);
    assert_in_range(size, 0, MODELS_TEXT - 1);
    models->args[models->arg_count++] = bytes_of(text, (size_t)size);
}

/* --- comparing -------------------------------------------------------------------------- */

/* The number that commit adds is the server's own time. */
static size_t models_comparable(const redisReply *reply)
{
    const char *space = reply->len == 0 ? NULL : memchr(reply->str, ' ', reply->len);
    bool is_time = space != NULL && memchr(reply->str, '-', (size_t)(space - reply->str)) != NULL;
    return is_time ? (size_t)(space - reply->str) : reply->len;
}

static bool models_same(const redisReply *a, const redisReply *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == REDIS_REPLY_ERROR)
        return strncmp(a->str, b->str, 3) == 0;
    if (a->type == REDIS_REPLY_INTEGER)
        return a->integer == b->integer;
    if (a->type == REDIS_REPLY_NIL)
        return true;
    if (a->type != REDIS_REPLY_ARRAY)
        return models_comparable(a) == models_comparable(b) &&
               memcmp(a->str, b->str, models_comparable(a)) == 0;
    bool same = a->elements == b->elements;
    for (size_t i = 0; same && i < a->elements; i++)
        same = models_same(a->element[i], b->element[i]);
    return same;
}

/* The reasons that two scripts give in words are ours in the model. */
static bool models_words_differ(const redisReply *a, const redisReply *b)
{
    return a->type == REDIS_REPLY_ARRAY && b->type == REDIS_REPLY_ARRAY && a->elements == 2 &&
           b->elements == 2 && a->element[0]->type == REDIS_REPLY_STRING &&
           b->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(a->element[0]->str, b->element[0]->str) == 0 &&
           strcmp(a->element[0]->str, "wrong") == 0;
}

static void models_compare(struct models *models, const redisReply *real,
                           struct model_reply *modelled)
{
    const redisReply *root = model_reply_root(modelled);
    if (!models_same(real, root) && !models_words_differ(real, root))
        fail_msg("after %s the real server answers type %d \"%s\", the model type %d \"%s\"",
                 models->last, real->type, real->str == NULL ? "" : real->str, root->type,
                 root->str == NULL ? "" : root->str);
    model_reply_free(modelled);
}

static redisReply *models_real(struct models *models, const struct bytes *words, int count)
{
    const char *argv[2 * MODELS_WORDS];
    size_t sizes[2 * MODELS_WORDS];
    for (int i = 0; i < count; i++) {
        argv[i] = (const char *)words[i].data;
        sizes[i] = words[i].size;
    }
    redisReply *reply = redisCommandArgv(models->fixture.context, count, argv, sizes);
    assert_non_null(reply);
    return reply;
}

static void models_script(struct models *models, const char *source)
{
    struct bytes words[2 * MODELS_WORDS] = {BYTES_LITERAL("EVAL"), bytes_text(source)};
    char number[12];
    snprintf(number, sizeof(number), "%d", models->key_count);
    words[2] = bytes_text(number);
    int count = 3;
    for (int i = 0; i < models->key_count; i++)
        words[count++] = models->keys[i];
    for (int i = 0; i < models->arg_count; i++)
        words[count++] = models->args[i];
    const char *name = model_redis_script_name(models->model, source);
    assert_non_null(name);
    snprintf(models->last, sizeof(models->last), "%s", name);
    redisReply *real = models_real(models, words, count);
    models_compare(models, real,
                   model_redis_script(models->model, loop_wall_us(), source, models->keys,
                                      models->key_count, models->args, models->arg_count));
    freeReplyObject(real);
}

static void models_command(struct models *models)
{
    bool blocked = false;
    snprintf(models->last, sizeof(models->last), "%s", models->texts[0]);
    redisReply *real = models_real(models, models->args, models->arg_count);
    models_compare(models, real,
                   model_redis_command(models->model, loop_wall_us(), models->args,
                                       models->arg_count, -1, &blocked));
    freeReplyObject(real);
}

/* --- the state --------------------------------------------------------------------------- */

static void models_compare_ttl(struct models *models, const char *key)
{
    redisReply *real = redis_fixture_command(&models->fixture, "PTTL %s", key);
    struct bytes words[] = {BYTES_LITERAL("PTTL"), bytes_text(key)};
    struct model_reply *modelled =
        model_redis_command(models->model, loop_wall_us(), words, 2, -1, NULL);
    long long ours = model_reply_root(modelled)->integer;
    if (llabs(ours - real->integer) > 2000)
        fail_msg("%s lives %lld ms, in the model %lld", key, real->integer, ours);
    model_reply_free(modelled);
    freeReplyObject(real);
}

/* A time of the server's own clock, in milliseconds: the model is asked a moment earlier. */
static bool models_is_same_time(struct bytes field, const char *real, struct bytes content)
{
    char text[24];
    if (field.size != 6 || memcmp(field.data, "@since", 6) != 0 || content.size >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)content.size, (const char *)content.data);
    return llabs(strtoll(real, NULL, 10) - strtoll(text, NULL, 10)) <= 2000;
}

/* Fields of a hash come in any order. */
static void models_compare_hash(struct models *models, int key, const struct model_value *value)
{
    const char *name = model_redis_key_name(models->model, key);
    struct bytes rest = blob_bytes(value->data), field, content;
    long long count = 0;
    while (blob_next_pair(&rest, &field, &content)) {
        redisReply *real =
            redis_fixture_command(&models->fixture, "HGET %s %b", name, field.data, field.size);
        if (real->type != REDIS_REPLY_STRING ||
            (!models_is_same_time(field, real->str, content) &&
             (models_comparable(real) > content.size ||
              memcmp(real->str, content.data, models_comparable(real)) != 0)))
            fail_msg("%s: field %.*s differs", name, (int)field.size, (const char *)field.data);
        freeReplyObject(real);
        count++;
    }
    assert_int_equal(count, redis_fixture_integer(&models->fixture, "HLEN %s", name));
}

static void models_compare_key(struct models *models, int key)
{
    const char *name = model_redis_key_name(models->model, key);
    const struct model_value *value = model_redis_value(models->model, key, loop_wall_us());
    static const char *const types[] = {"none", "string", "hash", "stream"};
    redisReply *type = redis_fixture_command(&models->fixture, "TYPE %s", name);
    if (strcmp(type->str, types[value->type]) != 0)
        fail_msg("%s is a %s, in the model a %s", name, type->str, types[value->type]);
    freeReplyObject(type);
    if (value->type != MODEL_NONE)
        models_compare_ttl(models, name);
    if (value->type == MODEL_HASH)
        models_compare_hash(models, key, value);
    models_begin(models);
    if (value->type == MODEL_STREAM) {
        models_arg(models, "XRANGE");
        models_arg(models, "%s", name);
        models_arg(models, "%s", key % 2 == 0 ? "-" : "(1-0");
        models_arg(models, "+");
        models_command(models);
    } else if (value->type == MODEL_STRING) {
        models_arg(models, "GET");
        models_arg(models, "%s", name);
        models_command(models);
    }
}

/* --- what is called ------------------------------------------------------------------------ */

static void models_owner(struct models *models)
{
    models_arg(models, "%c/%d", (char)('a' + (int)models_below(models, 3)),
               (int)models_below(models, 2));
}

static void models_epoch(struct models *models)
{
    models_arg(models, "%d", 100 + (int)models_below(models, 20));
}

static void models_lease(struct models *models)
{
    uint64_t which = models_below(models, 3);
    models_begin(models);
    models_key(models, "lease");
    if (which != 2)
        models_key(models, "fence");
    models_owner(models);
    if (which != 2)
        models_arg(models, "60000");
    if (which != 2)
        models_epoch(models);
    if (which == 0)
        models_arg(models, models_below(models, 2) == 0 ? "" : "a/");
    models_script(models, which == 0   ? redis_state_lease_take
                          : which == 1 ? redis_state_lease_renew
                                       : redis_state_lease_release);
}

/* flush, or the temporary keys of a swap. */
static void models_image(struct models *models, bool stage)
{
    static const char *const live[] = {"ob", "tr1", "tr5", "feat"};
    static const char *const next[] = {"ob:new", "tr1:new", "tr5:new", "feat:new"};
    int pairs[4];
    models_begin(models);
    for (int i = 0; i < 4; i++)
        models_key(models, stage ? next[i] : live[i]);
    models_key(models, "fence");
    bool saved = !stage && models_below(models, 3) == 0;
    if (saved)
        models_key(models, "checkpoint");
    models_epoch(models);
    for (int i = 0; i < 4; i++) {
        pairs[i] = 2 + (int)models_below(models, 4);
        models_arg(models, "%d", pairs[i]);
    }
    models_arg(models, "300");
    models_arg(models, stage ? "300" : "120");
    int seq = (int)models_below(models, 2);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < pairs[i]; j++) {
            static const char *const names[] = {"epoch", "seq", "best_bid", "best_ask", "bid1_p"};
            models_arg(models, "%s", names[j]);
            models_arg(models, "%d", j == 1 ? seq : j + 1);
        }
    if (saved)
        models_arg(models, "saved-%d", seq);
    models_script(models, stage ? redis_state_stage : redis_state_flush);
}

static void models_swap(struct models *models)
{
    static const char *const keys[] = {"ob:new", "tr1:new", "tr5:new", "feat:new", "ob",
                                       "tr1",    "tr5",     "feat",    "flag",     "doc",
                                       "ask",    "fence",   "gap"};
    models_begin(models);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        models_key(models, keys[i]);
    models_epoch(models);
    models_arg(models, "t%d", (int)models_below(models, 2));
    models_arg(models, "300");
    models_arg(models, "120");
    models_arg(models, "1700000000000");
    models_script(models, redis_state_swap);
}

static void models_verify(struct models *models)
{
    models_begin(models);
    models_key(models, "ob");
    models_key(models, "tr1");
    models_key(models, "tr5");
    models_key(models, "feat");
    models_key(models, "fence");
    models_epoch(models);
    models_arg(models, "1");
    models_arg(models, "%d", (int)models_below(models, 2));
    models_arg(models, "-1");
    models_arg(models, "300");
    models_arg(models, "300");
    models_arg(models, "120");
    models_script(models, redis_state_verify);
}

static void models_anchor(struct models *models)
{
    uint64_t which = models_below(models, 7);
    int token = (int)models_below(models, 2);
    models_begin(models);
    if (which == 0) { /* the claim */
        models_arg(models, "SET");
        models_arg(models, "flag");
        models_arg(models, "t%d", token);
        models_arg(models, "NX");
        models_arg(models, "PX");
        models_arg(models, "60000");
        models_command(models);
        return;
    }
    static const char *const one[] = {"flag"}, *const two[] = {"flag", "doc"};
    static const char *const look[] = {"ask", "flag", "doc", "gap"}, *const ask[] = {"ask",
                                                                                     "fence"};
    const char *const *keys = which == 1 ? one : which <= 3 ? two : which == 4 ? look : ask;
    int count = which == 1 ? 1 : which <= 3 ? 2 : which == 4 ? 4 : 2;
    const char *source = which == 1   ? redis_anchor_renew_source
                         : which == 2 ? redis_anchor_hand_source
                         : which == 3 ? redis_anchor_drop_source
                         : which == 4 ? redis_anchor_look_source
                                      : redis_state_ask;
    if (which == 6) {
        models_key(models, "doc");
        models_arg(models, "t%d", token);
        models_script(models, redis_state_refuse);
        return;
    }
    for (int i = 0; i < count; i++)
        models_key(models, keys[i]);
    if (which == 5)
        models_epoch(models);
    else if (which != 4)
        models_arg(models, "t%d", token);
    if (which == 2)
        models_arg(models, "{\"token\":\"t%d\"}", token);
    if (which == 5)
        models_arg(models, "{\"cause\":\"x\"}");
    if (which == 1 || which == 2 || which == 5)
        models_arg(models, "50000");
    models_script(models, source);
}

static void models_publish(struct models *models)
{
    models_begin(models);
    models_key(models, "predictions");
    models_key(models, "pred");
    models_key(models, "calibration");
    models->slot += (int64_t)models_below(models, 4) - 1;
    int64_t slot = models->slot - (int64_t)models_below(models, 2);
    models_arg(models, "%lld", (long long)slot);
    models_arg(models, "%d", models_below(models, 4) == 0);
    models_arg(models, "86400");
    models_arg(models, "600");
    models_arg(models, "3600");
    models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "fold");
    models_arg(models, "slot");
    models_arg(models, "%lld", (long long)slot);
    models_arg(models, "by");
    models_arg(models, "%d", (int)models_below(models, 2));
    models_script(models, redis_infer_publish_script.source);
}

static void models_streams(struct models *models)
{
    uint64_t which = models_below(models, 4);
    models_begin(models);
    for (int i = 0; i < 3; i++)
        models_key(models, which < 2 ? (const char *const[]){"s1", "s2", "s3"}[i]
                                     : (const char *const[]){"c1", "c2", "c3"}[i]);
    if (which == 0) {
        int count = 1 + (int)models_below(models, 5);
        for (int i = 0; i < count; i++) {
            models->seq += (int64_t)models_below(models, 3);
            models_arg(models, "%d", 1 + (int)models_below(models, 3));
            models_arg(models, "%d-%lld", 5 - (models_below(models, 20) == 0),
                       (long long)models->seq);
            models_arg(models, "envelope %d", i);
        }
        models_script(models, redis_stream_script_put);
    } else if (which == 1) {
        models_script(models, redis_stream_script_tops);
    } else if (which == 2) {
        models_arg(models, "reader-%d", (int)models_below(models, 2));
        for (int i = 0; i < 3; i++)
            models_arg(models, "5-%lld", (long long)models->seq);
        models_script(models, redis_stream_script_commit);
    } else {
        models_begin(models);
        models_arg(models, "XREAD");
        models_arg(models, "COUNT");
        models_arg(models, "5");
        models_arg(models, "STREAMS");
        models_arg(models, "s1");
        models_arg(models, "s2");
        for (int i = 0; i < 2; i++)
            models_arg(models, "5-%lld",
                       (long long)(models->seq - (int64_t)models_below(models, 9)));
        models_command(models);
    }
}

static void models_gap(struct models *models)
{
    static const char *const look[] = {"events", "ob", "tr1", "feat", "gap", "override", "memory"};
    models_begin(models);
    if (models_below(models, 2) == 0) {
        models_key(models, "verdict");
        models_key(models, "ask");
        models_key(models, "gap");
        models_key(models, "memory");
        models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "{}");
        models_arg(models, "40000");
        models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "{\"cause\":\"gap\"}");
        models_arg(models, "50000");
        models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "t1");
        models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "remembered");
        models_script(models, redis_gap_say_source);
        return;
    }
    for (int i = 0; i < 7; i++)
        models_key(models, look[i]);
    models_arg(models, "%s", models_below(models, 2) == 0 ? "" : "0-1");
    models_arg(models, "10");
    models_script(models, redis_gap_look_source);
}

static void models_full(struct models *models)
{
    models->full = !models->full && models_below(models, 2) == 0;
    freeReplyObject(redis_fixture_command(&models->fixture, "CONFIG SET maxmemory %s",
                                          models->full ? "1" : "0"));
    model_redis_set_full(models->model, models->full);
}

static void models_step(struct models *models)
{
    switch (models_below(models, 9)) {
    case 0:
        models_lease(models);
        break;
    case 1:
        models_image(models, false);
        break;
    case 2:
        models_image(models, true);
        break;
    case 3:
        models_swap(models);
        break;
    case 4:
        models_verify(models);
        break;
    case 5:
        models_anchor(models);
        break;
    case 6:
        models_publish(models);
        break;
    case 7:
        models_streams(models);
        break;
    default:
        models_gap(models);
        break;
    }
}

static void models_run(uint64_t seed)
{
    static struct models models;
    memset(&models, 0, sizeof(models));
    prng_init(&models.prng, seed);
    models.model = model_redis_open(&(struct model_redis_options){.replicated = false});
    models.slot = 1000;
    models.seq = 10;
    redis_fixture_start(&models.fixture, NULL);
    freeReplyObject(redis_fixture_command(&models.fixture, "PING"));
    for (int step = 1; step <= MODELS_STEPS; step++) {
        models_step(&models);
        if (step % 40 == 0)
            models_full(&models);
        if (step % 200 == 0)
            for (int key = 0; key < model_redis_key_count(models.model); key++)
                models_compare_key(&models, key);
    }
    redis_fixture_stop(&models.fixture);
    model_redis_close(models.model);
    model_reply_drain();
}

static void test_model_and_server_answer_alike_and_hold_the_same(void **state)
{
    (void)state;
    models_run(1);
    models_run(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_and_server_answer_alike_and_hold_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
