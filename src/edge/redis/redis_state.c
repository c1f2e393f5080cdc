/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_state.h"

#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_state_call.h"

/* Pairs of four hashes, seven numbers in front, a blob behind. */
#define REDIS_STATE_ARGS_MAX      (STATE_HASH_COUNT * STATE_PAIRS_MAX * 2 + 8)
#define REDIS_STATE_GAP_PAIRS_MAX 32

static struct bytes redis_state_key(const struct redis_state *state, enum state_key key)
{
    return bytes_text(state->keys[key]);
}

static bool redis_state_ready(void *self)
{
    const struct redis_state *state = self;
    return redis_link_connected(state->calls.link);
}

static int redis_state_do_lease_take(void *self, const struct state_lease *lease, int64_t wall_ms,
                                     state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_calls_number ttl, wall;
    struct bytes keys[] = {redis_state_key(state, STATE_LEASE),
                           redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {bytes_text(lease->owner), redis_calls_u64(&ttl, (uint64_t)lease->ttl_ms),
                           redis_calls_u64(&wall, (uint64_t)wall_ms), bytes_text(lease->kin)};
    return redis_state_eval(state, REDIS_STATE_LEASE_TAKE, keys, 2, args, 4, done, context);
}

static int redis_state_do_lease_renew(void *self, const struct state_lease *lease, uint64_t epoch,
                                      state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_calls_number ttl, number;
    struct bytes keys[] = {redis_state_key(state, STATE_LEASE),
                           redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {bytes_text(lease->owner), redis_calls_u64(&ttl, (uint64_t)lease->ttl_ms),
                           redis_calls_u64(&number, epoch)};
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
                                  int ttl_feat_s, struct redis_calls_number *numbers,
                                  struct bytes *args)
{
    int count = 0;
    args[count++] = redis_calls_u64(numbers++, epoch);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        args[count++] = redis_calls_u64(numbers++, (uint64_t)image->count[hash]);
    args[count++] = redis_calls_u64(numbers++, (uint64_t)ttl_tr_s);
    args[count++] = redis_calls_u64(numbers++, (uint64_t)ttl_feat_s);
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
    struct redis_calls_number numbers[7];
    struct bytes args[REDIS_STATE_ARGS_MAX];
    int count =
        redis_state_image_args(image, epoch, STATE_TTL_TR_S, STATE_TTL_FEAT_S, numbers, args);
    struct bytes keys[] = {
        redis_state_key(state, STATE_OB),    redis_state_key(state, STATE_TR_1S),
        redis_state_key(state, STATE_TR_5S), redis_state_key(state, STATE_FEAT),
        redis_state_key(state, STATE_FENCE), redis_state_key(state, STATE_CHECKPOINT)};
    if (checkpoint.size > 0)
        args[count++] = checkpoint;
    return redis_state_eval(state, REDIS_STATE_FLUSH, keys, checkpoint.size > 0 ? 6 : 5, args,
                            count, done, context);
}

static int redis_state_do_stage(void *self, uint64_t epoch, const struct state_image *image,
                                state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_calls_number numbers[7];
    struct bytes args[REDIS_STATE_ARGS_MAX];
    int count =
        redis_state_image_args(image, epoch, STATE_TTL_NEW_S, STATE_TTL_NEW_S, numbers, args);
    struct bytes keys[] = {
        redis_state_key(state, STATE_NEW_OB), redis_state_key(state, STATE_NEW_TR_1S),
        redis_state_key(state, STATE_NEW_TR_5S), redis_state_key(state, STATE_NEW_FEAT),
        redis_state_key(state, STATE_FENCE)};
    return redis_state_eval(state, REDIS_STATE_STAGE, keys, 5, args, count, done, context);
}

static int redis_state_do_swap(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                               state_done_fn done, void *context)
{
    struct redis_state *state = self;
    static const enum state_key order[] = {
        STATE_NEW_OB,       STATE_NEW_TR_1S, STATE_NEW_TR_5S, STATE_NEW_FEAT, STATE_OB,
        STATE_TR_1S,        STATE_TR_5S,     STATE_FEAT,      STATE_REANCHOR, STATE_REANCHOR_DOC,
        STATE_REANCHOR_ASK, STATE_FENCE,     STATE_GAP};
    enum { KEYS = sizeof(order) / sizeof(order[0]) };
    struct redis_calls_number numbers[4];
    struct bytes keys[KEYS];
    for (int i = 0; i < KEYS; i++)
        keys[i] = redis_state_key(state, order[i]);
    struct bytes args[] = {redis_calls_u64(&numbers[0], epoch), bytes_text(token),
                           redis_calls_u64(&numbers[1], STATE_TTL_TR_S),
                           redis_calls_u64(&numbers[2], STATE_TTL_FEAT_S),
                           redis_calls_u64(&numbers[3], (uint64_t)wall_ms)};
    return redis_state_eval(state, REDIS_STATE_SWAP, keys, KEYS, args, 5, done, context);
}

static int redis_state_do_ask(void *self, uint64_t epoch, struct bytes json, int64_t ttl_ms,
                              state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_calls_number number, ttl;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_ASK),
                           redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {redis_calls_u64(&number, epoch), json,
                           redis_calls_u64(&ttl, (uint64_t)ttl_ms)};
    return redis_state_eval(state, REDIS_STATE_ASK, keys, 2, args, 3, done, context);
}

static int redis_state_do_look(void *self, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_DOC),
                           redis_state_key(state, STATE_REANCHOR),
                           redis_state_key(state, STATE_GAP_VERDICT)};
    return redis_state_eval(state, REDIS_STATE_LOOK, keys, 3, NULL, 0, done, context);
}

static int redis_state_do_verify(void *self, uint64_t epoch, const struct state_image *image,
                                 state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct redis_calls_number numbers[5];
    struct bytes keys[] = {redis_state_key(state, STATE_OB), redis_state_key(state, STATE_TR_1S),
                           redis_state_key(state, STATE_TR_5S), redis_state_key(state, STATE_FEAT),
                           redis_state_key(state, STATE_FENCE)};
    struct bytes args[] = {
        redis_calls_u64(&numbers[0], epoch),           redis_calls_u64(&numbers[1], image->epoch),
        redis_calls_u64(&numbers[2], image->seq),      BYTES_LITERAL("-1"),
        redis_calls_u64(&numbers[3], STATE_TTL_TR_S),  redis_calls_u64(&numbers[3], STATE_TTL_TR_S),
        redis_calls_u64(&numbers[4], STATE_TTL_FEAT_S)};
    return redis_state_eval(state, REDIS_STATE_VERIFY, keys, 5, args, 7, done, context);
}

static int redis_state_do_refuse(void *self, const char *token, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes keys[] = {redis_state_key(state, STATE_REANCHOR_DOC)};
    struct bytes args[] = {bytes_text(token)};
    return redis_state_eval(state, REDIS_STATE_REFUSE, keys, 1, args, 1, done, context);
}

static int redis_state_do_load(void *self, state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes argv[] = {BYTES_LITERAL("GET"), redis_state_key(state, STATE_CHECKPOINT)};
    return redis_state_send(state, REDIS_STATE_LOAD, argv, 2, redis_state_on_value, done, context);
}

/* The event first, without an answer: the hash, answered, comes after it in the pipeline. */
static int redis_state_do_gap_report(void *self, const struct state_pair *pairs, int count,
                                     state_done_fn done, void *context)
{
    struct redis_state *state = self;
    struct bytes argv[6 + 2 * REDIS_STATE_GAP_PAIRS_MAX];
    PRE(count > 0 && count <= REDIS_STATE_GAP_PAIRS_MAX);
    int argc = redis_calls_xadd(argv, redis_state_key(state, STATE_GAP_EVENTS),
                                BYTES_LITERAL(REDIS_STATE_GAP_EVENTS_MAX), pairs, count);
    int result = redis_link_send(state->calls.link, argv, argc, NULL, NULL);
    if (result != ERR_OK)
        return result;
    argv[0] = BYTES_LITERAL("HSET");
    argv[1] = redis_state_key(state, STATE_GAP);
    return redis_state_send(state, REDIS_STATE_GAP_REPORT, argv,
                            redis_calls_pairs(argv, 2, pairs, count), redis_state_on_plain, done,
                            context);
}

static int redis_state_do_work(void *self, int64_t mono_us)
{
    struct redis_state *state = self;
    return redis_link_do_work(state->calls.link, mono_us);
}

int redis_state_open(const struct redis_state_options *options, struct redis_state **out,
                     struct err *err)
{
    struct redis_state *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return err_set(err, ERR_MEMORY, "redis state of %s: out of memory", options->symbol);
    for (int key = 0; key < STATE_KEY_COUNT; key++)
        state_key((enum state_key)key, options->style, options->symbol, state->keys[key]);
    redis_link_bind(options->link, state->keys[STATE_OB]);
    redis_state_call_open(state, options->link, options->metrics);
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
                               .anchor_verify = redis_state_do_verify,
                               .gap_report = redis_state_do_gap_report,
                               .do_work = redis_state_do_work};
}
