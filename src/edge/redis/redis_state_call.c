/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_state_call.h"

#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_state_scripts.h"

static const struct {
    const char *operation;
    const char *key_type;
    const char *source; /* NULL: plain commands */
} redis_state_ops[REDIS_STATE_OP_COUNT] = {
    [REDIS_STATE_LEASE_TAKE] = {"lease_take", "lease", redis_state_lease_take},
    [REDIS_STATE_LEASE_RENEW] = {"lease_renew", "lease", redis_state_lease_renew},
    [REDIS_STATE_LEASE_RELEASE] = {"lease_release", "lease", redis_state_lease_release},
    [REDIS_STATE_FLUSH] = {"flush", "state", redis_state_flush},
    [REDIS_STATE_LOAD] = {"load", "checkpoint", NULL},
    [REDIS_STATE_ASK] = {"ask", "anchor", redis_state_ask},
    [REDIS_STATE_LOOK] = {"look", "anchor", redis_state_look},
    [REDIS_STATE_REFUSE] = {"refuse", "anchor", redis_state_refuse},
    [REDIS_STATE_STAGE] = {"stage", "state", redis_state_stage},
    [REDIS_STATE_SWAP] = {"swap", "state", redis_state_swap},
    [REDIS_STATE_VERIFY] = {"verify", "state", redis_state_verify},
    [REDIS_STATE_GAP_REPORT] = {"report", "gap", NULL},
};

static void redis_state_count(const struct redis_call *call, int result)
{
    const struct redis_state *state = call->calls->port;
    if (state->ok[call->op] == NULL)
        return;
    bool refusal = result == ERR_FENCED || result == ERR_REFUSED || result == ERR_NOT_FOUND;
    if (result == ERR_OK || result == ERR_EMPTY)
        metric_add(state->ok[call->op], 1);
    else
        metric_add(refusal ? state->refused[call->op] : state->error[call->op], 1);
    metric_observe_ns(state->duration[call->op], loop_mono_ns() - call->sent_ns);
}

static void redis_state_finish(void *slot, const struct state_reply *reply)
{
    struct redis_call call = redis_calls_end(slot);
    redis_state_count(&call, reply->result);
    ((state_done_fn)call.done)(call.context, reply);
}

static const redisReply *redis_state_element(const redisReply *reply, size_t index)
{
    return reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index]
                                                                       : NULL;
}

static bool redis_state_is_text(const redisReply *reply)
{
    return reply != NULL &&
           (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

/* The first word of a script's answer -> result. */
static int redis_state_verdict(const redisReply *word)
{
    static const struct {
        const char *word;
        int result;
    } verdicts[] = {{"ok", ERR_OK},          {"fenced", ERR_FENCED},     {"held", ERR_REFUSED},
                    {"token", ERR_REFUSED},  {"missing", ERR_NOT_FOUND}, {"empty", ERR_EMPTY},
                    {"wrong", ERR_MALFORMED}};
    for (size_t i = 0; redis_state_is_text(word) && i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (strcmp(word->str, verdicts[i].word) == 0)
            return verdicts[i].result;
    return ERR_MALFORMED;
}

static struct state_reply redis_state_translate(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return (struct state_reply){.result = ERR_IO, .text = reply->str};
    struct state_reply out = {.result = redis_state_verdict(redis_state_element(reply, 0)),
                              .text = ""};
    const redisReply *second = redis_state_element(reply, 1);
    const redisReply *third = redis_state_element(reply, 2);
    const redisReply *fourth = redis_state_element(reply, 3);
    if (second != NULL && second->type == REDIS_REPLY_INTEGER && second->integer >= 0)
        out.epoch = (uint64_t)second->integer;
    if (redis_state_is_text(second))
        out.text = second->str;
    if (redis_state_is_text(third))
        out.data = bytes_of(third->str, third->len);
    if (redis_state_is_text(fourth))
        out.verdict = bytes_of(fourth->str, fourth->len);
    return out;
}

static struct state_reply redis_state_lost(int result)
{
    return (struct state_reply){.result = result, .text = err_text(result)};
}

static void redis_state_on_script(void *slot, int result, const redisReply *reply)
{
    struct state_reply out =
        reply == NULL ? redis_state_lost(result) : redis_state_translate(reply);
    redis_state_finish(slot, &out);
}

int redis_state_eval(struct redis_state *state, enum redis_state_op op, const struct bytes *keys,
                     int key_count, const struct bytes *args, int arg_count, state_done_fn done,
                     void *context)
{
    return redis_calls_eval(
        &state->calls, &state->scripts[op], keys, key_count, args, arg_count, redis_state_on_script,
        (struct redis_call){.done = (redis_calls_fn)done, .context = context, .op = (int)op});
}

/* The answer to a plain GET: a checkpoint, or none. */
void redis_state_on_value(void *slot, int result, const redisReply *reply)
{
    struct state_reply out;
    if (reply == NULL)
        out = redis_state_lost(result);
    else if (reply->type == REDIS_REPLY_STRING)
        out = (struct state_reply){.data = bytes_of(reply->str, reply->len), .text = ""};
    else if (reply->type == REDIS_REPLY_NIL)
        out = redis_state_lost(ERR_EMPTY);
    else
        out = (struct state_reply){.result = ERR_IO, .text = reply->str != NULL ? reply->str : ""};
    redis_state_finish(slot, &out);
}

/* The answer to a plain command whose value nobody needs. */
void redis_state_on_plain(void *slot, int result, const redisReply *reply)
{
    struct state_reply out = {.result = ERR_OK, .text = ""};
    if (reply == NULL)
        out = redis_state_lost(result);
    else if (reply->type == REDIS_REPLY_ERROR)
        out = (struct state_reply){.result = ERR_IO, .text = reply->str};
    redis_state_finish(slot, &out);
}

int redis_state_send(struct redis_state *state, enum redis_state_op op, const struct bytes *argv,
                     int argc, redis_reply_fn fn, state_done_fn done, void *context)
{
    return redis_calls_send(
        &state->calls, argv, argc, fn,
        (struct redis_call){.done = (redis_calls_fn)done, .context = context, .op = (int)op});
}

static void redis_state_measure(struct redis_state *state, struct metrics *metrics)
{
    static const char *const help = "Calls to the hot state's store, by outcome.";
    for (int op = 0; op < REDIS_STATE_OP_COUNT; op++) {
        char base[64];
        char labels[METRICS_LABELS_SIZE];
        snprintf(base, sizeof(base), "operation=\"%s\",key_type=\"%s\"",
                 redis_state_ops[op].operation, redis_state_ops[op].key_type);
        state->duration[op] =
            metrics_histogram(metrics, "aggregator_redis_operation_duration_seconds", base,
                              "From sending a call to the hot state's store to its answer.");
        snprintf(labels, sizeof(labels), "%s,status=\"ok\"", base);
        state->ok[op] = metrics_counter(metrics, "aggregator_redis_operations_total", labels, help);
        snprintf(labels, sizeof(labels), "%s,status=\"error\"", base);
        state->error[op] =
            metrics_counter(metrics, "aggregator_redis_operations_total", labels, help);
        snprintf(labels, sizeof(labels), "%s,status=\"refused\"", base);
        state->refused[op] =
            metrics_counter(metrics, "aggregator_redis_operations_total", labels, help);
    }
}

void redis_state_call_open(struct redis_state *state, struct redis_link *link,
                           struct metrics *metrics)
{
    for (int op = 0; op < REDIS_STATE_OP_COUNT; op++) {
        state->scripts[op].name = redis_state_ops[op].operation;
        state->scripts[op].source = redis_state_ops[op].source;
    }
    redis_calls_open(&state->calls, link, state, state->slots, REDIS_STATE_CALLS_MAX);
    if (metrics != NULL)
        redis_state_measure(state, metrics);
}
