/* One non-blocking Redis connection: commands out in a pipeline, replies back in order,
 * reconnect with full-jitter backoff. Below the same face: one server, the primary that
 * sentinels name, or the cluster node that serves the slot the link is bound to; a unix
 * socket, TCP or TLS (docs/redis.md). Sits on its own socket with hiredis' reader.
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
#include "edge/redis/redis_target.h"

struct redis_link;

struct redis_link_options {
    char target[REDIS_TARGET_SIZE]; /* redis_target_parse says what it may be */
    char username[64];              /* AUTH; empty: none */
    char password[128];
    char sentinel_username[64]; /* of the sentinels; empty: none */
    char sentinel_password[128];
    char tls_ca_file[256];   /* empty: the system's certificates */
    char tls_cert_file[256]; /* for servers that want one of ours; empty: none */
    char tls_key_file[256];  /* empty: in tls_cert_file */
    int database;
    int64_t connect_timeout_us; /* default 500 ms */
    int64_t reply_timeout_us;   /* no reply for so long while some are owed: reconnect; default
                                   1 s; a blocking command's own wait comes on top */
    int64_t backoff_min_us, backoff_max_us; /* default 10 ms, 1 s; full jitter */
    size_t out_bytes_max;    /* default 64 MiB; above: redis_link_send returns ERR_AGAIN */
    int in_flight_max;       /* default 65536 */
    uint64_t seed;           /* jitter */
    char name[32];           /* CLIENT SETNAME (no spaces), label of the metrics; empty: none */
    struct metrics *metrics; /* redis_link_*; NULL: none */
    bool quiet;              /* logs nothing */
};

/* What a link has seen since it was opened. */
struct redis_link_stats {
    uint64_t connects;       /* connections that answered */
    uint64_t failures;       /* tries that did not get so far */
    uint64_t losses;         /* working connections lost, timeouts included */
    uint64_t timeouts;       /* replies that did not come in time */
    uint64_t commands;       /* accepted by redis_link_send and _eval */
    uint64_t refused;        /* not accepted: not connected or full */
    uint64_t replies;        /* received */
    uint64_t script_reloads; /* scripts sent again after NOSCRIPT */
    uint64_t reconnects;     /* connects after the first */
    uint64_t failovers;      /* of them those to another server than before */
    uint64_t redirects;      /* replies that send elsewhere: MOVED, ASK, READONLY… */
};

#define REDIS_LINK_LISTENERS_MAX 8

/* reply is NULL with result ERR_CONNECTION / ERR_TIMEOUT when the link was lost before the
 * answer; a Redis error reply comes as REDIS_REPLY_ERROR with result ERR_OK. reply is
 * borrowed for the call. */
typedef void (*redis_reply_fn)(void *context, int result, const redisReply *reply);

/* A reply that no command owes: a message of a subscribed channel. */
typedef void (*redis_push_fn)(void *context, const redisReply *reply);

/* Never fails for an unreachable server: the link keeps trying, full jitter apart. ERR_CONFIG
 * for a target that cannot be one or a certificate that cannot be read. options are copied;
 * zeros mean the defaults. */
int redis_link_open(const struct redis_link_options *options, struct loop *loop,
                    struct redis_link **link, struct err *err) MUST_CHECK;
/* Owed replies are dropped without a call. Not from inside a handler. */
void redis_link_close(struct redis_link *link);
/* Called at each (re)connect, after AUTH and SELECT and once the server has answered a PING
 * (one that is loading or stopped is not connected); and when the connection was lost,
 * after all owed replies were answered. Up to REDIS_LINK_LISTENERS_MAX listeners, called in
 * the order of their registration; one that comes late is not told the present state. */
typedef void (*redis_state_fn)(void *context, bool connected);
void redis_link_on_state(struct redis_link *link, redis_state_fn fn, void *context);
/* In a cluster: connect to the node that serves this key (whole, with its hash tag). The
 * first call counts. Without it the first MOVED binds. A command for a key of another slot
 * gets its MOVED as an error reply; keys without the tag need a link of their own. */
void redis_link_bind(struct redis_link *link, const char *key);
void redis_link_on_push(struct redis_link *link, redis_push_fn fn, void *context);
/* An error that a script caught may say that this server is the wrong one ("READONLY…"):
 * then the connection is given up and the right one is looked for. */
void redis_link_distrust(struct redis_link *link, const char *reply);
bool redis_link_connected(const struct redis_link *link);
const struct redis_link_stats *redis_link_stats(const struct redis_link *link);
/* The server it talks or talked to last, "host:port" or "unix:/path". */
const char *redis_link_server(const struct redis_link *link);
/* Why the last connection or try was lost; "" if never. */
const char *redis_link_error(const struct redis_link *link);
/* Replies owed now. */
int redis_link_owed(const struct redis_link *link);
/* Queues one command (copied); it is written at the next redis_link_flush or do_work. fn may
 * be NULL (reply dropped). ERR_CONNECTION when not connected, ERR_AGAIN when full. Allowed
 * from inside a handler. */
int redis_link_send(struct redis_link *link, const struct bytes *argv, int argc, redis_reply_fn fn,
                    void *context) MUST_CHECK;
/* A blocking command (XREAD BLOCK): its reply may take block_us longer. */
int redis_link_send_blocking(struct redis_link *link, const struct bytes *argv, int argc,
                             int64_t block_us, redis_reply_fn fn, void *context) MUST_CHECK;
/* Writes what is queued now. Calls nothing back: a connection found broken is no longer
 * connected, but its owed replies are answered by do_work or the loop. */
void redis_link_flush(struct redis_link *link);
/* Writes, timeouts, reconnects; call each cycle. Returns the replies handled since the last
 * call (handlers run inside loop_run_once). */
int redis_link_do_work(struct redis_link *link, int64_t mono_us);
/* Runs the loop until nothing is owed or the deadline: for start-up and for the paced
 * inference read. Returns true if all replies came. Not from inside a handler. */
bool redis_link_wait(struct redis_link *link, int64_t deadline_mono_us);
/* Runs the loop until connected or the deadline: for --require-redis and tests. */
bool redis_link_wait_connected(struct redis_link *link, int64_t deadline_mono_us);
/* The descriptor (for a spinning wait), -1 when not connected. */
int redis_link_fd(const struct redis_link *link);

/* A Lua script known by SHA: the first use on a connection goes by EVAL, the next ones by
 * EVALSHA, and on NOSCRIPT once more by EVAL (so a SCRIPT FLUSH or a fresh server heals
 * itself). fn is called once, with the final reply. The order of scripts is kept also then:
 * what is sent during such a repair waits until the repeated ones are on their way. Plain
 * commands pipelined between a script and its NOSCRIPT have run before its repetition. */
struct redis_script {
    const char *name;   /* for metrics and logs */
    const char *source; /* static */
    char sha[41];       /* filled on first use; zero-initialise */
};
int redis_link_eval(struct redis_link *link, struct redis_script *script, const struct bytes *keys,
                    int key_count, const struct bytes *args, int arg_count, redis_reply_fn fn,
                    void *context) MUST_CHECK;

#endif
