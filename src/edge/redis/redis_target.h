/* What `redis.target` may say: one server, the sentinels of a primary, or nodes of a
 * cluster, plain or over TLS (docs/redis.md). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_TARGET_H
#define BTCAST_EDGE_REDIS_REDIS_TARGET_H

#include "edge/redis/redis_dial.h"

#define REDIS_TARGET_SIZE          512
#define REDIS_TARGET_ADDRESSES_MAX 8
#define REDIS_TARGET_MASTER_SIZE   64

enum redis_target_kind {
    REDIS_TARGET_SINGLE,   /* this server and no other */
    REDIS_TARGET_SENTINEL, /* the primary that sentinels name */
    REDIS_TARGET_CLUSTER,  /* the node that serves the link's slot */
};

struct redis_target {
    enum redis_target_kind kind;
    bool tls;
    char master[REDIS_TARGET_MASTER_SIZE];                    /* Sentinel: the primary's name */
    struct redis_address address[REDIS_TARGET_ADDRESSES_MAX]; /* server, sentinels or nodes */
    int count;
};

/* unix:/path, host:port, rediss://host:port, sentinel:host:port[,host:port…]/name,
 * cluster:host:port[,host:port…]; `sentinel+tls:` and `cluster+tls:` over TLS.
 * ERR_CONFIG with the reason. */
int redis_target_parse(const char *text, struct redis_target *target, struct err *err) MUST_CHECK;

#endif
