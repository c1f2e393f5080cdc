/* Listens to one sentinel of several for `+switch-master`: the primary has moved. A link
 * under Sentinel has one beside it, because a primary that hangs or was cut off says nothing
 * itself. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_WATCH_H
#define BTCAST_EDGE_REDIS_REDIS_WATCH_H

#include "edge/redis/redis_link.h"
#include "edge/redis/redis_target.h"

struct redis_watch;

/* The primary is there now. Not to close the watch from inside. */
typedef void (*redis_watch_fn)(void *context, const struct redis_address *primary);

/* options: those of the link it belongs to. ERR_CONFIG, ERR_MEMORY. */
int redis_watch_open(const struct redis_link_options *options, const struct redis_target *target,
                     struct loop *loop, redis_watch_fn fn, void *context,
                     struct redis_watch **watch, struct err *err) MUST_CHECK;
void redis_watch_close(struct redis_watch *watch);
/* Keeps the connection, or goes on to the next sentinel. */
void redis_watch_do_work(struct redis_watch *watch, int64_t mono_us);

#endif
