/* What stands in for edge/redis' redis_link (same header, same promises) and for edge/loop's
 * clocks, so that the engines above them (state, claim, inference, producer, consumer) are the real
 * ones: a process' end of its connections to the model server.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_LINK_H
#define BTCAST_SIM_VIRTUAL_LINK_H

#include <hiredis/hiredis.h>

struct process;
struct loop;
struct redis_link;
struct virtual_conn;

struct loop *virtual_loop_open(struct process *process);
/* PRE: its links are closed. */
void virtual_loop_close(struct loop *loop);

/* An answer that came over `conn`; ignored when the link has another one by now. */
void virtual_link_answered(struct redis_link *link, const struct virtual_conn *conn,
                           const redisReply *reply);
/* `conn` was reset under the link. */
void virtual_link_reset(struct redis_link *link, const struct virtual_conn *conn);

#endif
