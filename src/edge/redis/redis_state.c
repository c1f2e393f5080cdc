/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "edge/redis/redis_state_scripts.h"

/* Pairs of four hashes, seven numbers in front, a blob behind. */
#define REDIS_STATE_ARGS_MAX (STATE_HASH_COUNT * STATE_PAIRS_MAX * 2 + 8)
#define REDIS_STATE_GAP_PAIRS_MAX 24
#define REDIS_STATE_GAP_EVENTS "gap-events"

enum redis_state_op {
    REDIS_STATE_LEASE_TAKE,
    REDIS_STATE_LEASE_RENEW,
    REDIS_STATE_LEASE_RELEASE,
    REDIS_STATE_FLUSH,
    REDIS_STATE_LOAD,
    REDIS_STATE_ASK,
    REDIS_STATE_LOOK,
    REDIS_STATE_REFUSE,
    REDIS_STATE_STAGE,
    REDIS_STATE_SWAP,
    REDIS_STATE_GAP_REPORT,
    REDIS_STATE_OP_COUNT,
};

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
    [REDIS_STATE_GAP_REPORT] = {"report", "gap", NULL},
};

/* One call under way. */
struct redis_state_call {
    struct redis_state *state;
    enum redis_state_op op;
    state_done_fn done;
    void *context;
    int64_t sent_ns;
    struct redis_state_call *next; /* free list */
};

struct redis_state {
    struct redis_link *link;
    char keys[STATE_KEY_COUNT][STATE_KEY_SIZE];
    struct redis_script scripts[REDIS_STATE_OP_COUNT];
    struct redis_state_call calls[REDIS_STATE_CALLS_MAX];
    struct redis_state_call *free;
    struct metric *ok[REDIS_STATE_OP_COUNT], *error[REDIS_STATE_OP_COUNT];
    struct metric *refused[REDIS_STATE_OP_COUNT];
    struct metric *duration[REDIS_STATE_OP_COUNT];
};

static struct bytes redis_state_key(const struct redis_state *state, enum state_key key)
{
    return bytes_text(state->keys[key]);
}

static bool redis_state_ready(void *self)
{
    const struct redis_state *state = self;
    return redis_link_connected(state->link);
}

/* A decimal argument in the caller's buffer. */
struct redis_state_number {
    char text[24];
};

static struct bytes redis_state_u64(struct redis_state_number *number, uint64_t value)
{
    struct text text = text_begin(number->text, sizeof(number->text));
    text_add_u64(&text, value);
    return bytes_of(number->text, text.size);
}

static struct redis_state_call *redis_state_call_take(struct redis_state *state,
                                                      enum redis_state_op op, state_done_fn done,
                                                      void *context)
{
    struct redis_state_call *call = state->free;
    if (call == NULL)
        return NULL;
    state->free = call->next;
    *call = (struct redis_state_call){.state = state,
                                      .op = op,
                                      .done = done,
                                      .context = context,
                                      .sent_ns = loop_mono_ns()};
    return call;
}

static void redis_state_call_give(struct redis_state_call *call)
{
    struct redis_state *state = call->state;
    call->next = state->free;
    state->free = call;
}

static void redis_state_count(const struct redis_state_call *call, int result)
{
    const struct redis_state *state = call->state;
    if (state->ok[call->op] == NULL)
        return;
    bool refusal = result == ERR_FENCED || result == ERR_REFUSED || result == ERR_NOT_FOUND;
    if (result == ERR_OK || result == ERR_EMPTY)
        metric_add(state->ok[call->op], 1);
    else
        metric_add(refusal ? state->refused[call->op] : state->error[call->op], 1);
    metric_observe_ns(state->duration[call->op], loop_mono_ns() - call->sent_ns);
}

/* The call is over: its slot is free again before the caller hears of it. */
static void redis_state_finish(struct redis_state_call *call, const struct state_reply *reply)
{
    state_done_fn done = call->done;
    void *context = call->context;
    redis_state_count(call, reply->result);
    redis_state_call_give(call);
    done(context, reply);
}

static const redisReply *redis_state_element(const redisReply *reply, size_t index)
{
    return reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index]
                                                                       : NULL;
}

static bool redis_state_is_text(const redisReply *reply)
{
    return reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

/* The first word of a script's answer -> result. */
static int redis_state_verdict(const redisReply *word)
{
    static const struct {
        const char *word;
        int result;
    } verdicts[] = {{"ok", ERR_OK},           {"fenced", ERR_FENCED},     {"held", ERR_REFUSED},
                    {"token", ERR_REFUSED},   {"missing", ERR_NOT_FOUND}, {"empty", ERR_EMPTY}};
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
    if (second != NULL && second->type == REDIS_REPLY_INTEGER && second->integer >= 0)
        out.epoch = (uint64_t)second->integer;
    if (redis_state_is_text(second))
        out.text = second->str;
    if (redis_state_is_text(third))
        out.data = bytes_of(third->str, third->len);
    return out;
}

static struct state_reply redis_state_lost(int result)
{
    return (struct state_reply){.result = result, .text = err_text(result)};
}

static void redis_state_on_script(void *context, int result, const redisReply *reply)
{
    struct state_reply out =
        reply == NULL ? redis_state_lost(result) : redis_state_translate(reply);
    redis_state_finish(context, &out);
}

/* Starts a script; the slot goes back when the link does not take it. */
static int redis_state_eval(struct redis_state *state, enum redis_state_op op,
                            const struct bytes *keys, int key_count, const struct bytes *args,
                            int arg_count, state_done_fn done, void *context)
{
    struct redis_state_call *call = redis_state_call_take(state, op, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    int result = redis_link_eval(state->link, &state->scripts[op], keys, key_count, args,
                                 arg_count, redis_state_on_script, call);
    if (result != ERR_OK)
        redis_state_call_give(call);
    else
        redis_link_flush(state->link);
    return result;
}

static int redis_state_do_lease_take(void *self, const struct state_lease *lease, int64_t wall_ms,
                                     state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_state_number ttl, wall;
    struct bytes keys[] = {redis_state_key(state, STATE_LEASE), redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {bytes_text(lease->owner), redis_state_u64(&ttl, (uint64_t)lease->ttl_ms),
                           redis_state_u64(&wall, (uint64_t)wall_ms), bytes_text(lease->kin)};
    return redis_state_eval(state, REDIS_STATE_LEASE_TAKE, keys, 2, args, 4, done, context);
}

static int redis_state_do_lease_renew(void *self, const struct state_lease *lease, uint64_t epoch,
                                      state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_state_number ttl, number;
    struct bytes keys[] = {redis_state_key(state, STATE_LEASE), redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {bytes_text(lease->owner), redis_state_u64(&ttl, (uint64_t)lease->ttl_ms),
                           redis_state_u64(&number, epoch)};
    return redis_state_eval(state, REDIS_STATE_LEASE_RENEW, keys, 2, args, 3, done, context);
}

static int redis_state_do_lease_release(void *self, const struct state_lease *lease,
                                        state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes keys[] = {redis_state_key(state, STATE_LEASE)};
    struct bytes args[] = {bytes_text(lease->owner)};
    return redis_state_eval(state, REDIS_STATE_LEASE_RELEASE, keys, 1, args, 1, done, context);
}

/* epoch, four counts, two TTLs and the pairs of an image into args; returns how many. */
static int redis_state_image_args(const struct state_image *image, uint64_t epoch, int ttl_tr_s,
                                  int ttl_feat_s, struct redis_state_number *numbers,
                                  struct bytes *args)
{
    int count = 0;
    args[count++] = redis_state_u64(numbers++, epoch);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        args[count++] = redis_state_u64(numbers++, (uint64_t)image->count[hash]);
    args[count++] = redis_state_u64(numbers++, (uint64_t)ttl_tr_s);
    args[count++] = redis_state_u64(numbers++, (uint64_t)ttl_feat_s);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        for (int i = 0; i < image->count[hash]; i++) {
            args[count++] = image->pairs[hash][i].field;
            args[count++] = image->pairs[hash][i].value;
        }
    return count;
}

static int redis_state_do_flush(void *self, uint64_t epoch, const struct state_image *image,
                                struct bytes checkpoint, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_state_number numbers[7];
    struct bytes args[REDIS_STATE_ARGS_MAX];
    int count = redis_state_image_args(image, epoch, STATE_TTL_TR_S, STATE_TTL_FEAT_S, numbers, args);
    struct bytes keys[] = {redis_state_key(state, STATE_OB),      redis_state_key(state, STATE_TR_1S),
                           redis_state_key(state, STATE_TR_5S),   redis_state_key(state, STATE_FEAT),
                           redis_state_key(state, STATE_FENCE),   redis_state_key(state, STATE_CHECKPOINT)};
    if (checkpoint.size > 0)
        args[count++] = checkpoint;
    return redis_state_eval(state, REDIS_STATE_FLUSH, keys, checkpoint.size > 0 ? 6 : 5, args, count,
                            done, context);
}

static int redis_state_do_stage(void *self, uint64_t epoch, const struct state_image *image,
                                state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_state_number numbers[7];
    struct bytes args[REDIS_STATE_ARGS_MAX];
    int count = redis_state_image_args(image, epoch, STATE_TTL_NEW_S, STATE_TTL_NEW_S, numbers, args);
    struct bytes keys[] = {redis_state_key(state, STATE_NEW_OB), redis_state_key(state, STATE_NEW_TR_1S),
                           redis_state_key(state, STATE_NEW_TR_5S),
                           redis_state_key(state, STATE_NEW_FEAT), redis_state_key(state, STATE_FENCE)};
    return redis_state_eval(state, REDIS_STATE_STAGE, keys, 5, args, count, done, context);
}

static int redis_state_do_swap(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                               state_done_fn done, void *context)
{
    struct redis_state *state = self;
    static const enum state_key order[] = {
        STATE_NEW_OB, STATE_NEW_TR_1S,  STATE_NEW_TR_5S,    STATE_NEW_FEAT,     STATE_OB,
        STATE_TR_1S,  STATE_TR_5S,      STATE_FEAT,         STATE_REANCHOR,     STATE_REANCHOR_DOC,
        STATE_REANCHOR_ASK, STATE_FENCE, STATE_GAP};
    enum { KEYS = sizeof(order) / sizeof(order[0]) };
    struct redis_state_number numbers[4];
    struct bytes keys[KEYS];
    for (int i = 0; i < KEYS; i++)
        keys[i] = redis_state_key(state, order[i]);
    struct bytes args[] = {redis_state_u64(&numbers[0], epoch), bytes_text(token),
                           redis_state_u64(&numbers[1], STATE_TTL_TR_S),
                           redis_state_u64(&numbers[2], STATE_TTL_FEAT_S),
                           redis_state_u64(&numbers[3], (uint64_t)wall_ms)};
    return redis_state_eval(state, REDIS_STATE_SWAP, keys, KEYS, args, 5, done, context);
}

static int redis_state_do_ask(void *self, uint64_t epoch, struct bytes json, int64_t ttl_ms,
                              state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_state_number number, ttl;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_ASK),
                           redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {redis_state_u64(&number, epoch), json,
                           redis_state_u64(&ttl, (uint64_t)ttl_ms)};
    return redis_state_eval(state, REDIS_STATE_ASK, keys, 2, args, 3, done, context);
}

static int redis_state_do_look(void *self, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_DOC),
                           redis_state_key(state, STATE_REANCHOR)};
    return redis_state_eval(state, REDIS_STATE_LOOK, keys, 2, NULL, 0, done, context);
}

static int redis_state_do_refuse(void *self, const char *token, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_DOC)};
    struct bytes args[] = {bytes_text(token)};
    return redis_state_eval(state, REDIS_STATE_REFUSE, keys, 1, args, 1, done, context);
}

/* The answer to a plain GET: a checkpoint, or none. */
static void redis_state_on_load(void *context, int result, const redisReply *reply)
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
    redis_state_finish(context, &out);
}

/* The answer to a plain command whose value nobody needs. */
static void redis_state_on_plain(void *context, int result, const redisReply *reply)
{
    struct state_reply out = {.result = ERR_OK, .text = ""};
    if (reply == NULL)
        out = redis_state_lost(result);
    else if (reply->type == REDIS_REPLY_ERROR)
        out = (struct state_reply){.result = ERR_IO, .text = reply->str};
    redis_state_finish(context, &out);
}

static int redis_state_send(struct redis_state *state, enum redis_state_op op,
                            const struct bytes *argv, int argc, redis_reply_fn fn,
                            state_done_fn done, void *context)
{
    struct redis_state_call *call = redis_state_call_take(state, op, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    int result = redis_link_send(state->link, argv, argc, fn, call);
    if (result != ERR_OK)
        redis_state_call_give(call);
    else
        redis_link_flush(state->link);
    return result;
}

static int redis_state_do_load(void *self, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes argv[] = {BYTES_LITERAL("GET"), redis_state_key(state, STATE_CHECKPOINT)};
    return redis_state_send(state, REDIS_STATE_LOAD, argv, 2, redis_state_on_load, done, context);
}

static int redis_state_add_pairs(struct bytes *argv, int argc, const struct state_pair *pairs,
                                 int count)
{
    for (int i = 0; i < count; i++) {
        argv[argc++] = pairs[i].field;
        argv[argc++] = pairs[i].value;
    }
    return argc;
}

/* The event first, without an answer: the hash, answered, comes after it in the pipeline. */
static int redis_state_do_gap_report(void *self, const struct state_pair *pairs, int count,
                                     state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes argv[6 + 2 * REDIS_STATE_GAP_PAIRS_MAX];
    PRE(count > 0 && count <= REDIS_STATE_GAP_PAIRS_MAX);
    argv[0] = BYTES_LITERAL("XADD");
    argv[1] = BYTES_LITERAL(REDIS_STATE_GAP_EVENTS);
    argv[2] = BYTES_LITERAL("MAXLEN");
    argv[3] = BYTES_LITERAL("~");
    argv[4] = BYTES_LITERAL(REDIS_STATE_GAP_EVENTS_MAX);
    argv[5] = BYTES_LITERAL("*");
    int result = redis_link_send(state->link, argv, redis_state_add_pairs(argv, 6, pairs, count),
                                 NULL, NULL);
    if (result != ERR_OK)
        return result;
    argv[0] = BYTES_LITERAL("HSET");
    argv[1] = redis_state_key(state, STATE_GAP);
    return redis_state_send(state, REDIS_STATE_GAP_REPORT, argv,
                            redis_state_add_pairs(argv, 2, pairs, count), redis_state_on_plain, done,
                            context);
}

static int redis_state_do_work(void *self, int64_t mono_us)
{
    struct redis_state *state = self;
    return redis_link_do_work(state->link, mono_us);
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

int redis_state_open(const struct redis_state_options *options, struct redis_state **out,
                     struct err *err)
{
    struct redis_state *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return err_set(err, ERR_MEMORY, "redis state of %s: out of memory", options->symbol);
    state->link = options->link;
    for (int key = 0; key < STATE_KEY_COUNT; key++)
        state_key((enum state_key)key, options->style, options->symbol, state->keys[key]);
    for (int op = 0; op < REDIS_STATE_OP_COUNT; op++) {
        state->scripts[op].name = redis_state_ops[op].operation;
        state->scripts[op].source = redis_state_ops[op].source;
    }
    for (int i = 0; i < REDIS_STATE_CALLS_MAX; i++) {
        state->calls[i].state = state;
        redis_state_call_give(&state->calls[i]);
    }
    if (options->metrics != NULL)
        redis_state_measure(state, options->metrics);
    *out = state;
    return ERR_OK;
}

void redis_state_close(struct redis_state *state)
{
    free(state);
}

struct state_port redis_state_port(struct redis_state *state)
{
    return (struct state_port){.self = state,
                               .ready = redis_state_ready,
                               .lease_take = redis_state_do_lease_take,
                               .lease_renew = redis_state_do_lease_renew,
                               .lease_release = redis_state_do_lease_release,
                               .flush = redis_state_do_flush,
                               .load = redis_state_do_load,
                               .anchor_ask = redis_state_do_ask,
                               .anchor_look = redis_state_do_look,
                               .anchor_refuse = redis_state_do_refuse,
                               .anchor_stage = redis_state_do_stage,
                               .anchor_swap = redis_state_do_swap,
                               .gap_report = redis_state_do_gap_report,
                               .do_work = redis_state_do_work};
}
