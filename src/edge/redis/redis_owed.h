/* The replies a server owes, oldest first: Redis answers in the order of the commands.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_OWED_H
#define BTCAST_EDGE_REDIS_REDIS_OWED_H

#include "edge/redis/redis_link.h"

struct redis_eval;

struct redis_owed_reply {
    redis_reply_fn fn; /* NULL: dropped */
    void *context;
    int64_t block_us;        /* a blocking command may take so much longer */
    struct redis_eval *eval; /* owned; NULL: a plain command */
};

/* A ring that grows by doubling; zero-initialise. */
struct redis_owed {
    struct redis_owed_reply *replies;
    int capacity, head, count;
};

void redis_owed_close(struct redis_owed *owed);
/* Makes room for one more; ERR_MEMORY. */
int redis_owed_reserve(struct redis_owed *owed) MUST_CHECK;
/* PRE: reserved. */
void redis_owed_push(struct redis_owed *owed, const struct redis_owed_reply *reply);
/* The oldest; PRE: not empty. */
const struct redis_owed_reply *redis_owed_first(const struct redis_owed *owed);
struct redis_owed_reply redis_owed_pop(struct redis_owed *owed);

#endif
