/* Calls of the state port under way on a Redis link: slots, answers, metrics. Private to
 * edge/redis/redis_state*. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STATE_CALL_H
#define BTCAST_EDGE_REDIS_REDIS_STATE_CALL_H

#include "edge/redis/redis_calls.h"
#include "edge/redis/redis_state.h"

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
    REDIS_STATE_VERIFY,
    REDIS_STATE_GAP_REPORT,
    REDIS_STATE_OP_COUNT,
};

struct redis_state {
    char keys[STATE_KEY_COUNT][STATE_KEY_SIZE];
    struct redis_script scripts[REDIS_STATE_OP_COUNT];
    struct redis_calls calls;
    struct redis_call slots[REDIS_STATE_CALLS_MAX];
    struct metric *ok[REDIS_STATE_OP_COUNT], *error[REDIS_STATE_OP_COUNT];
    struct metric *refused[REDIS_STATE_OP_COUNT];
    struct metric *duration[REDIS_STATE_OP_COUNT];
};

/* Fills scripts, slots and metrics (NULL: none) of a zeroed state. */
void redis_state_call_open(struct redis_state *state, struct redis_link *link,
                           struct metrics *metrics);
/* Starts a script. ERR_AGAIN with too many under way, ERR_CONNECTION. */
int redis_state_eval(struct redis_state *state, enum redis_state_op op, const struct bytes *keys,
                     int key_count, const struct bytes *args, int arg_count, state_done_fn done,
                     void *context) MUST_CHECK;
/* Starts a plain command; fn is one of the two below. */
int redis_state_send(struct redis_state *state, enum redis_state_op op, const struct bytes *argv,
                     int argc, redis_reply_fn fn, state_done_fn done, void *context) MUST_CHECK;
/* The answer to a GET: reply.data, or ERR_EMPTY. */
void redis_state_on_value(void *slot, int result, const redisReply *reply);
/* The answer to a command whose value nobody needs. */
void redis_state_on_plain(void *slot, int result, const redisReply *reply);

#endif
