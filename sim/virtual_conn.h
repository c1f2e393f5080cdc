/* A connection between a process and the model server, and what travels on it: requests one way,
 * answers the other, each late by the network's own measure and never past another one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_CONN_H
#define BTCAST_SIM_VIRTUAL_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "sim/model/model_redis.h"

#define VIRTUAL_MULTI_MAX   16
#define VIRTUAL_STREAMS_MAX 8

struct process;
struct redis_link;
struct virtual_conn;
struct virtual_server;

struct virtual_request {
    struct virtual_conn *conn;
    const char *source; /* of a script; NULL: a command */
    int64_t block_us;
    int key_count, count; /* keys first, then arguments */
    struct virtual_request *next;
    struct bytes words[];
};

/* The server's end of a connection; outlives the link while anything of it is under way. */
struct virtual_conn {
    int refs;
    struct virtual_server *server;
    struct process *process;
    struct redis_link *link; /* NULL: hung up */
    bool cut;                /* what is still under way is lost */
    int64_t out_us, in_us;   /* arrival of the last message, each way: order is kept */
    bool multi, aborted;     /* a command was not taken into it */
    struct virtual_request *queued[VIRTUAL_MULTI_MAX];
    int queued_count;
    struct virtual_request *blocked; /* an XREAD that waits */
    int blocked_keys[VIRTUAL_STREAMS_MAX], blocked_key_count;
    uint64_t block_number;
    struct virtual_request *behind, *behind_last; /* came after it */
    struct virtual_conn *next;                    /* among all */
};

/* One that is being dialled; one reference, the link's. */
struct virtual_conn *virtual_conn_open(struct virtual_server *server, struct process *process,
                                       struct redis_link *link);
void virtual_conn_drop(struct virtual_conn *conn);
/* The server forgets what it has of a connection that is over. */
void virtual_conn_forget(struct virtual_conn *conn);
/* The link's end is gone; takes the link's reference. */
void virtual_conn_hang_up(struct virtual_conn *conn);
/* Both ends learn of it; what is under way is lost, or half of it: what had been sent to the
 * server may have arrived. */
void virtual_conn_break(struct virtual_conn *conn, bool all_lost);

/* When a message sent now is there. What a partition holds up is sent again by TCP until it
 * is over, or until somebody hangs up. */
int64_t virtual_passes_us(struct process *process);
/* Takes the reply to the link, if there still is one. */
void virtual_answer(struct virtual_conn *conn, struct model_reply *reply);

/* Copies the words; holds a reference to the connection. */
struct virtual_request *virtual_request_make(struct virtual_conn *conn, const struct bytes *keys,
                                             int key_count, const struct bytes *args,
                                             int arg_count);
/* Takes it to the server. */
void virtual_request_send(struct virtual_request *request);
void virtual_request_free(struct virtual_request *request);
void virtual_request_free_list(struct virtual_request **list);

#endif
