/* Replies of XREAD and XINFO STREAM taken apart; every shape a server could send is looked
 * at before it is used. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_REPLY_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_REPLY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "edge/redis/redis_stream_id.h"

/* One entry, [id, [field, value, …]]: its id. ERR_MALFORMED. */
int redis_stream_reply_id(const redisReply *entry, struct redis_stream_id *id) MUST_CHECK;
/* Its envelope, the value of the first field `e`, borrowed. ERR_MALFORMED: not ours. */
int redis_stream_reply_envelope(const redisReply *entry, struct bytes *envelope) MUST_CHECK;

struct redis_stream_info {
    struct redis_stream_id last;  /* generated, also when trimmed away */
    struct redis_stream_id first; /* oldest entry that is left */
    bool has_first;
};

/* An error reply ("no such key") is an empty stream: all zero. */
struct redis_stream_info redis_stream_reply_info(const redisReply *reply);

#endif
