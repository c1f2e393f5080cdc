/* The model server's end of its connections: transactions, reads that wait, faults. What is lost,
 * late, executed without an answer or answered to nobody is decided here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_SERVER_H
#define BTCAST_SIM_VIRTUAL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/model/model_redis.h"

struct process;
struct simulation;
struct virtual_conn;
struct virtual_request;

struct virtual_server {
    struct simulation *simulation;
    struct model_redis *redis;
    bool down;
    int64_t paused_until_us;
    struct virtual_request *stalled, *stalled_last; /* came while it stood still */
    struct virtual_conn *conns;
    uint64_t executed, lost_requests, lost_replies;
};

/* What is being executed right now, for the checkers. */
struct virtual_step {
    struct process *process;
    const char *script;       /* name of a script, NULL: a command */
    const struct bytes *args; /* ARGV of the script, or the command's words */
    int arg_count;
};

void virtual_server_open(struct virtual_server *server, struct simulation *simulation,
                         struct model_redis *redis);
void virtual_server_close(struct virtual_server *server);
/* --- faults */
/* Dies with all connections; comes back with virtual_server_up. */
void virtual_server_down(struct virtual_server *server);
void virtual_server_up(struct virtual_server *server);
void virtual_server_pause(struct virtual_server *server, int64_t until_us);
/* Cuts the connections of one process: what is under way may or may not arrive. */
void virtual_server_cut(struct virtual_server *server, struct process *process);
/* The request as the checkers see it. */
struct virtual_step virtual_step_of(struct virtual_server *server,
                                    const struct virtual_request *request);
/* A request is there. */
void virtual_server_take(struct virtual_server *server, struct virtual_request *request);

#endif
