/* One non-blocking Redis connection: commands out in a pipeline, replies back in order,
 * reconnect with full-jitter backoff. Sits on its own socket (unix or TCP) with hiredis'
 * reader and formatter, so that TLS, Sentinel and Cluster can come below the same face.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_LINK_H
#define BTCAST_EDGE_REDIS_REDIS_LINK_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/metrics.h"
#include "edge/loop/loop.h"

struct redis_link;

struct redis_link_options {
    char target[128];   /* "unix:/path/redis.sock" or "host:port" */
    char username[64];  /* AUTH; empty: none */
    char password[128];
    int database;
    int64_t connect_timeout_us;  /* default 500 ms */
    int64_t reply_timeout_us;    /* no reply for so long while some are owed: reconnect; default
                                    1 s; a blocking command's own wait comes on top */
    int64_t backoff_min_us, backoff_max_us; /* default 10 ms, 1 s; full jitter */
    size_t out_bytes_max;        /* default 64 MiB; above: redis_link_send returns ERR_AGAIN */
    int in_flight_max;           /* default 65536 */
    uint64_t seed;               /* jitter */
};

/* reply is NULL with result ERR_CONNECTION / ERR_TIMEOUT when the link was lost before the
 * answer; a Redis error reply comes as REDIS_REPLY_ERROR with result ERR_OK. reply is
 * borrowed for the call. */
typedef void (*redis_reply_fn)(void *context, int result, const redisReply *reply);

int redis_link_open(const struct redis_link_options *options, struct loop *loop,
                    struct redis_link **link, struct err *err) MUST_CHECK;
void redis_link_close(struct redis_link *link);
/* Called at each (re)connect, after AUTH and SELECT; and when the connection was lost. */
typedef void (*redis_state_fn)(void *context, bool connected);
void redis_link_on_state(struct redis_link *link, redis_state_fn fn, void *context);
bool redis_link_connected(const struct redis_link *link);
/* Queues one command; it is written at the next redis_link_flush or do_work. fn may be
 * NULL (reply dropped). ERR_CONNECTION when not connected, ERR_AGAIN when full. */
int redis_link_send(struct redis_link *link, const struct bytes *argv, int argc,
                    redis_reply_fn fn, void *context) MUST_CHECK;
/* A blocking command (XREAD BLOCK): its reply may take block_us longer. */
int redis_link_send_blocking(struct redis_link *link, const struct bytes *argv, int argc,
                             int64_t block_us, redis_reply_fn fn, void *context) MUST_CHECK;
/* Writes what is queued now. */
void redis_link_flush(struct redis_link *link);
/* Timeouts, reconnects; call each cycle. */
int redis_link_do_work(struct redis_link *link, int64_t mono_us);
/* Runs the loop until nothing is owed or the deadline: for start-up and for the paced
 * inference read. Returns true if all replies came. */
bool redis_link_wait(struct redis_link *link, int64_t deadline_mono_us);
/* The descriptor (for a spinning wait), -1 when not connected. */
int redis_link_fd(const struct redis_link *link);

/* A Lua script known by SHA: EVALSHA, and on NOSCRIPT once more by EVAL (so a SCRIPT FLUSH
 * or a fresh server heals itself). */
struct redis_script {
    const char *name;   /* for metrics and logs */
    const char *source; /* static */
    char sha[41];       /* filled on first use */
};
int redis_link_eval(struct redis_link *link, struct redis_script *script,
                    const struct bytes *keys, int key_count, const struct bytes *args,
                    int arg_count, redis_reply_fn fn, void *context) MUST_CHECK;

#endif
