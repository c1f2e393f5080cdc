/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checks.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/stream/stream_key.h"
#include "sim/simulation.h"

const char *check_rule_name(enum check_rule rule)
{
    static const char *const names[CHECK_RULES] = {
#define X(constant, name, text) name,
        CHECK_RULE_TABLE(X)
#undef X
    };
    return names[rule];
}

const char *check_rule_text(enum check_rule rule)
{
    static const char *const texts[CHECK_RULES] = {
#define X(constant, name, text) text,
        CHECK_RULE_TABLE(X)
#undef X
    };
    return texts[rule];
}

void checks_open(struct checks *checks, struct simulation *simulation)
{
    char name[STATE_KEY_SIZE];
    checks->simulation = simulation;
    for (int key = 0; key < STATE_KEY_COUNT; key++)
        checks->keys[key] = model_redis_key(
            simulation->redis,
            bytes_text(state_key((enum state_key)key, STATE_KEYS_PLAIN, SIMULATION_SYMBOL, name)));
    for (int i = 0; i < STREAM_COUNT; i++) {
        checks->streams[i] = model_redis_key(
            simulation->redis, bytes_text(stream_key((enum stream_name)i, STREAM_KEYS_PLAIN,
                                                     SIMULATION_SYMBOL, name)));
        checks->consumers[i] =
            model_redis_key(simulation->redis,
                            bytes_text(stream_key_consumers((enum stream_name)i, STREAM_KEYS_PLAIN,
                                                            SIMULATION_SYMBOL, name)));
    }
}

void checks_close(struct checks *checks)
{
    for (int i = 0; i < checks->epoch_count; i++) {
        free(checks->epochs[i].stream);
        free(checks->epochs[i].bronze);
    }
    free(checks->trades);
}

const struct model_value *check_value(struct checks *checks, int key)
{
    struct simulation *simulation = checks->simulation;
    return model_redis_value(simulation->redis, key, simulation->queue.now_us);
}

bool check_number(struct checks *checks, enum state_key key, const char *field, int64_t *value)
{
    const struct model_value *hash = check_value(checks, checks->keys[key]);
    struct bytes text = {NULL, 0};
    char buffer[32];
    if (hash->type == MODEL_HASH)
        text = blob_find(hash->data, bytes_text(field));
    if (text.data == NULL || text.size == 0 || text.size >= sizeof(buffer))
        return false;
    memcpy(buffer, text.data, text.size);
    buffer[text.size] = '\0';
    *value = strtoll(buffer, NULL, 10);
    return true;
}

/* SET flag token NX PX ttl was answered with OK. */
static bool checks_is_claim(const struct checks *checks, const struct virtual_step *step,
                            const redisReply *reply)
{
    const char *flag =
        model_redis_key_name(checks->simulation->redis, checks->keys[STATE_REANCHOR]);
    return step->script == NULL && reply->type == REDIS_REPLY_STATUS && step->arg_count > 3 &&
           blob_same(step->args[0], BYTES_LITERAL("SET")) &&
           blob_same(step->args[1], bytes_text(flag));
}

void checks_after_step(struct checks *checks, const struct virtual_step *step,
                       const redisReply *reply)
{
    bool ok = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
              reply->element[0]->type == REDIS_REPLY_STRING &&
              strcmp(reply->element[0]->str, "ok") == 0;
    if (checks_is_claim(checks, step, reply))
        check_claim(checks, step);
    if (step->script == NULL)
        return;
    if (ok && strcmp(step->script, "swap") == 0)
        check_swap(checks, step);
    if (ok && strcmp(step->script, "flush") == 0)
        checks->simulation->result.flushes++;
    if (strcmp(step->script, "trim") == 0)
        check_trim(checks);
}

static bool checks_touched(const struct checks *checks, int key)
{
    return (model_redis_touched(checks->simulation->redis) >> (key & 63) & 1u) != 0;
}

void checks_store_lost(struct checks *checks, bool everything)
{
    checks->relearn = true;
    checks->losses++;
    if (!everything)
        return;
    for (int i = 0; i < checks->epoch_count; i++)
        checks->epochs[i].floor = checks->epochs[i].stamped;
}

/* What is left after a loss is where the rules begin anew. */
static void checks_relearn(struct checks *checks)
{
    checks->relearn = false;
    checks->live = false;
    checks->fence = 0;
    checks->writer = 0;
    check_anchor_relearn(checks);
    check_slots_relearn(checks);
    check_streams_relearn(checks);
}

void checks_changed(struct checks *checks)
{
    bool state = false, streams = false;
    if (checks->relearn)
        checks_relearn(checks);
    for (int hash = 0; hash < CHECK_HASHES; hash++)
        state |= checks_touched(checks, checks->keys[hash]);
    for (int i = 0; i < STREAM_CONTROL; i++)
        streams |= checks_touched(checks, checks->streams[i]);
    if (streams)
        check_streams_appended(checks);
    if (state)
        check_reader(checks);
    if (checks_touched(checks, checks->keys[STATE_FENCE]))
        check_fence(checks);
    if (checks_touched(checks, checks->keys[STATE_PREDICTIONS]))
        check_slots_appended(checks);
}

void checks_end(struct checks *checks)
{
    struct simulation *simulation = checks->simulation;
    int64_t value;
    check_slots_end(checks);
    check_streams_end(checks);
    check_worlds(checks);
    if (!check_number(checks, STATE_OB, STATE_FIELD_BOOK_LIVE, &value) || value != 1)
        simulation_fail(simulation, CHECK_END_LIVE, "book_live is not 1");
    if (!check_number(checks, STATE_OB, STATE_FIELD_TS_US, &value) ||
        llabs(simulation->queue.now_us - value) > 1000000)
        simulation_fail(simulation, CHECK_END_FRESH, "the newest record is %lld us old",
                        (long long)(simulation->queue.now_us - value));
    const struct model_value *pred = check_value(checks, checks->keys[STATE_PRED]);
    struct bytes mode = {NULL, 0};
    if (pred->type == MODEL_HASH)
        mode = blob_find(pred->data, BYTES_LITERAL("mode"));
    if (!blob_same(mode, BYTES_LITERAL("live")))
        simulation_fail(simulation, CHECK_END_MODE, "the last prediction is \"%.*s\"",
                        (int)mode.size, (const char *)mode.data);
    check_bronze_end(checks);
}
