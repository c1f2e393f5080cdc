/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checks.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/stream/stream_key.h"
#include "sim/simulation.h"
#include "wire/sbe.h"

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
    checks->trades = calloc(CHECK_TRADES_MAX, sizeof(*checks->trades));
    CHECK(checks->trades != NULL);
}

void checks_close(struct checks *checks)
{
    free(checks->trades);
}

bool check_number(struct checks *checks, enum state_key key, const char *field, int64_t *value)
{
    struct simulation *simulation = checks->simulation;
    const struct model_value *hash =
        model_redis_value(simulation->redis, checks->keys[key], simulation->queue.now_us);
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

void checks_before_step(struct checks *checks, const struct virtual_step *step)
{
    (void)checks;
    (void)step;
}

void checks_after_step(struct checks *checks, const struct virtual_step *step,
                       const redisReply *reply)
{
    if (step->script == NULL && step->arg_count > 3 &&
        blob_same(step->args[0], BYTES_LITERAL("SET")))
        check_anchor_step(checks, step, reply);
    if (step->script == NULL)
        return;
    if (strcmp(step->script, "swap") == 0)
        check_anchor_step(checks, step, reply);
    if (strcmp(step->script, "commit") == 0)
        check_commit_step(checks, step);
    if (strcmp(step->script, "flush") == 0 && reply->type == REDIS_REPLY_ARRAY)
        checks->simulation->result.flushes += strcmp(reply->element[0]->str, "ok") == 0;
}

static bool checks_touched(const struct checks *checks, int key)
{
    return (model_redis_touched(checks->simulation->redis) >> (key & 63) & 1u) != 0;
}

static void check_fence(struct checks *checks)
{
    struct simulation *simulation = checks->simulation;
    const struct model_value *value =
        model_redis_value(simulation->redis, checks->keys[STATE_FENCE], simulation->queue.now_us);
    if (value->type != MODEL_STRING)
        return;
    uint64_t fence = strtoull((const char *)value->data->data, NULL, 10);
    if (fence < checks->fence)
        simulation_fail(simulation, CHECK_FENCE_MONOTONE, "fence %llu after %llu",
                        (unsigned long long)fence, (unsigned long long)checks->fence);
    checks->fence = fence;
}

void checks_changed(struct checks *checks)
{
    bool state = false;
    for (int hash = 0; hash < CHECK_HASHES; hash++)
        state |= checks_touched(checks, checks->keys[hash]);
    if (state)
        check_reader(checks);
    if (checks_touched(checks, checks->keys[STATE_FENCE]))
        check_fence(checks);
    if (checks_touched(checks, checks->keys[STATE_PREDICTIONS]))
        check_slots_appended(checks);
    for (int i = 0; i < STREAM_CONTROL; i++)
        if (checks_touched(checks, checks->streams[i])) {
            check_streams_appended(checks);
            break;
        }
}

void checks_end(struct checks *checks)
{
    struct simulation *simulation = checks->simulation;
    int64_t value;
    check_slots_end(checks);
    check_streams_end(checks);
    if (!check_number(checks, STATE_OB, STATE_FIELD_BOOK_LIVE, &value) || value != 1)
        simulation_fail(simulation, CHECK_END_LIVE, "book_live is not 1");
    if (!check_number(checks, STATE_OB, STATE_FIELD_TS_US, &value) ||
        simulation->queue.now_us - value > 1000000)
        simulation_fail(simulation, CHECK_END_FRESH, "the newest record is %lld us old",
                        (long long)(simulation->queue.now_us - value));
}
