/* The inside of a link, shared by redis_link.c (connection), redis_hop.c (which server),
 * redis_connect.c, redis_meter.c, redis_traffic.c, redis_greet.c (what is said first on a new
 * connection) and redis_eval.c (scripts); nobody else includes it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_LINK_SELF_H
#define BTCAST_EDGE_REDIS_REDIS_LINK_SELF_H

#include "base/log.h"
#include "base/prng.h"
#include "edge/redis/redis_buffer.h"
#include "edge/redis/redis_dial.h"
#include "edge/redis/redis_link.h"
#include "edge/redis/redis_owed.h"
#include "edge/redis/redis_route.h"
#include "edge/redis/redis_tls.h"
#include "edge/redis/redis_watch.h"

#define REDIS_LINK_INPUT_BYTES ((size_t)64 << 10)
/* Scripts remembered as loaded on this connection; more go by EVAL each time. */
#define REDIS_LINK_SCRIPTS_MAX   32
#define REDIS_LINK_SLOT_KEY_SIZE 128

enum redis_link_state {
    REDIS_LINK_DOWN,     /* waits for retry_us */
    REDIS_LINK_DIALING,  /* until redis_dial_step says connected */
    REDIS_LINK_SECURING, /* TLS handshake */
    REDIS_LINK_GREETING, /* AUTH, SELECT, CLIENT SETNAME, PING under way */
    REDIS_LINK_UP,
};

struct redis_link {
    struct redis_link_options options;
    struct loop *loop;
    struct redis_dial dial;
    enum redis_link_state state;
    redisReader *reader;
    bool want_write; /* EPOLLOUT is armed */

    struct redis_buffer out; /* on the way to the socket */
    struct redis_owed owed;  /* the replies to it */
    /* While scripts are being repeated after NOSCRIPT, new commands wait here;
     * repair_owed counts the replies that were owed when the first one failed. */
    struct redis_buffer held_out;
    struct redis_owed held;
    int repair_owed;
    const struct redis_script *loaded[REDIS_LINK_SCRIPTS_MAX];
    int loaded_count;

    int depth;  /* > 0: inside a handler */
    int broken; /* an ERR_ code: lose the connection when depth is 0 again */
    struct err error;
    int greetings;       /* replies of the greeting still owed */
    int64_t progress_us; /* since then the oldest owed reply is waited for */
    int64_t started_us;  /* of the dial */

    /* Where to: redis_hop.c. */
    struct redis_route route;
    struct redis_hop hop;                    /* being tried or used; when down the next one */
    char where[REDIS_ADDRESS_TEXT_SIZE];     /* of it */
    char server[REDIS_ADDRESS_TEXT_SIZE];    /* connected to last; "": never */
    bool hop_answered;                       /* a sentinel's part is done */
    char slot_key[REDIS_LINK_SLOT_KEY_SIZE]; /* of redis_link_bind */
    int slot;                                /* in a cluster; -1: not known */
    int64_t dials_left, dials_us;            /* the budget of connections */
    int64_t down_us;                         /* without a connection since */
    struct redis_tls_context *tls_context;   /* NULL: no TLS */
    struct redis_tls *tls;
    struct redis_watch *watch; /* under Sentinel */
    struct log_limit log_lost;
    redis_push_fn push;
    void *push_context;

    int64_t retry_us;
    unsigned attempts; /* without success */
    struct prng prng;
    int handled; /* replies since the last do_work */

    struct {
        redis_state_fn fn;
        void *context;
    } listeners[REDIS_LINK_LISTENERS_MAX];
    int listener_count;
    struct redis_link_stats stats;
    struct {
        struct metric *connected, *losses, *timeouts, *refused, *script_reloads;
        struct metric *reconnects, *failovers, *redirects;
    } metrics;
    uint8_t input[REDIS_LINK_INPUT_BYTES];
};

/* Marks the connection as lost for this reason; the rest happens when no handler runs. */
void redis_link_break(struct redis_link *link, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Room for one more command of `size` bytes, or ERR_AGAIN / ERR_MEMORY. */
int redis_link_reserve(struct redis_link *link, size_t size) MUST_CHECK;
/* Where a new command goes: out and owed, or the held ones during a repair. */
struct redis_buffer *redis_link_buffer(struct redis_link *link);
void redis_link_push(struct redis_link *link, redis_reply_fn fn, void *context, int64_t block_us,
                     struct redis_eval *eval);
/* Counts a refused command and gives its code back. */
int redis_link_refuse(struct redis_link *link, int code);
/* A connection that answers: state, counters, listeners. */
void redis_link_up(struct redis_link *link);

/* Watches the descriptor for these events; breaks the link when it cannot. */
int redis_link_watch(struct redis_link *link, uint32_t events);

/* redis_connect.c. Begins the next hop if the budget allows; the steps that follow, when the
 * descriptor is ready. */
void redis_connect_begin(struct redis_link *link, int64_t mono_us);
void redis_connect_step(struct redis_link *link);
void redis_connect_secure(struct redis_link *link);

/* redis_meter.c. Registers the metrics; counts a connection or a try that is over. */
void redis_meter_open(struct redis_link *link, struct metrics *metrics);
void redis_meter_loss(struct redis_link *link, bool was_up, int code);

/* redis_hop.c. The first round; a link begins down. */
void redis_hop_begin(struct redis_link *link, int64_t mono_us);
/* After a connection or a try is over: sets hop and retry_us; true if at once. */
bool redis_hop_plan(struct redis_link *link, bool was_up, int64_t mono_us) MUST_CHECK;
/* Takes one of the budget; false: later (retry_us). */
bool redis_hop_may_dial(struct redis_link *link, int64_t mono_us) MUST_CHECK;
/* How long the present try may take. */
int64_t redis_hop_patience_us(const struct redis_link *link);
/* Looks at an error reply: true when the link was broken for it, to go elsewhere. */
bool redis_hop_redirects(struct redis_link *link, const char *text) MUST_CHECK;
/* Counts and logs. */
void redis_hop_up(struct redis_link *link);
void redis_hop_lost(struct redis_link *link, bool was_up, int64_t mono_us);
/* A sentinel has announced a new primary (redis_watch_fn). */
void redis_hop_on_primary(void *context, const struct redis_address *primary);

/* redis_traffic.c. Writes as much as the socket takes, asks for EPOLLOUT for the rest. */
void redis_traffic_write(struct redis_link *link);
/* Reads what is there and calls the handlers; breaks the link when it is closed. */
void redis_traffic_read(struct redis_link *link);

/* redis_greet.c: queues the greeting and its handlers. */
void redis_greet_start(struct redis_link *link);

/* redis_eval.c. Looks at the reply of a script: true if it was NOSCRIPT and the script is
 * on its way again; then fn is not called yet. */
bool redis_eval_repeats(struct redis_link *link, struct redis_owed_reply *owed,
                        const redisReply *reply);
/* After each reply: ends a repair when the last one owed at its start has come. */
void redis_eval_settle(struct redis_link *link);
void redis_eval_free(struct redis_eval *eval);

#endif
