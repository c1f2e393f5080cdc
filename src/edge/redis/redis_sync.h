/* Blocking Redis calls for command-line tools and tests; services use redis_link.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_SYNC_H
#define BTCAST_EDGE_REDIS_REDIS_SYNC_H

#include <hiredis/hiredis.h>

#include "base/bytes.h"
#include "base/err.h"
#include "edge/redis/redis_link.h"

struct redis_sync {
    redisContext *context;
    char target[sizeof(((struct redis_link_options *)0)->target)];
};

/* Connects with the options' target, AUTH, SELECT and timeouts. ERR_CONFIG,
 * ERR_CONNECTION, ERR_REFUSED (wrong password, no such database). */
int redis_sync_open(struct redis_sync *sync, const struct redis_link_options *options,
                    struct err *err) MUST_CHECK;
void redis_sync_close(struct redis_sync *sync);
/* One command and its reply, to be freed with freeReplyObject. ERR_CONNECTION,
 * ERR_TIMEOUT; an error reply of the server is ERR_REFUSED with its text, *reply NULL. */
int redis_sync_command(struct redis_sync *sync, const struct bytes *argv, int argc,
                       redisReply **reply, struct err *err) MUST_CHECK;

#endif
