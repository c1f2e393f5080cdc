/* Anchor after anchor under load: a market of so many frames a second that loses a diff
 * again and again, a reader in a process of its own that takes all four keys in one MULTI
 * without a pause, and how long each swap took at the client.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_SWAP_STORM_H
#define BTCAST_TESTS_SWAP_STORM_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/hot_fixture.h"

#define STORM_SWAPS_MAX   4096
#define STORM_BURST_MAX   64
#define STORM_PATIENCE_US 12000000
#define STORM_KEYS        4

/* What the reader saw; shared with it. */
struct storm_seen {
    volatile bool stop;
    volatile bool reading; /* it has begun */
    volatile uint64_t reads, missing, mixed, crossed, errors;
};

static struct storm {
    struct state_port real;
    int64_t sent_ns, took_ns[STORM_SWAPS_MAX];
    int swaps;
    state_done_fn done;
    void *context;
    struct storm_seen *seen;
    pid_t reader;
    int64_t rate, start_us, worst_us; /* worst: from the lost diff to the live book */
    uint64_t start_seq;
} storm;

/* --- the reader's process ----------------------------------------------------------- */

static inline const char *storm_text(const redisReply *hash, size_t index)
{
    const redisReply *value = hash->element[index];
    return value->type == REDIS_REPLY_STRING ? value->str : NULL;
}

static inline void storm_judge(const redisReply *exec)
{
    const char *epoch = NULL, *seq = NULL;
    for (size_t i = 0; i < STORM_KEYS; i++) {
        const char *own_epoch = storm_text(exec->element[i], 0);
        const char *own_seq = storm_text(exec->element[i], 1);
        if (own_epoch == NULL || own_seq == NULL) {
            storm.seen->missing++;
            return;
        }
        if (i > 0 && (strcmp(epoch, own_epoch) != 0 || strcmp(seq, own_seq) != 0))
            storm.seen->mixed++;
        epoch = own_epoch;
        seq = own_seq;
    }
    const char *bid = storm_text(exec->element[0], 2), *ask = storm_text(exec->element[0], 3);
    if (bid == NULL || ask == NULL || strtod(bid, NULL) >= strtod(ask, NULL))
        storm.seen->crossed++;
}

static inline bool storm_read(redisContext *redis)
{
    static const char *const keys[STORM_KEYS] = {"ob:" FAKE_SYMBOL, "tr:" FAKE_SYMBOL ":1s",
                                                 "tr:" FAKE_SYMBOL ":5s", "feat:" FAKE_SYMBOL};
    redisReply *reply = NULL;
    redisAppendCommand(redis, "MULTI");
    for (int i = 0; i < STORM_KEYS; i++)
        redisAppendCommand(redis, "HMGET %s epoch seq best_bid best_ask", keys[i]);
    redisAppendCommand(redis, "EXEC");
    for (int i = 0; i < STORM_KEYS + 2; i++) {
        if (reply != NULL)
            freeReplyObject(reply);
        if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
            return false;
    }
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == STORM_KEYS;
    if (good)
        storm_judge(reply);
    freeReplyObject(reply);
    storm.seen->reads++;
    storm.seen->reading = true;
    return good;
}

static inline void storm_reader(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    redisContext *redis = redisConnectUnix(scene.redis.socket);
    if (redis == NULL || redis->err != REDIS_OK)
        storm.seen->errors++;
    while (storm.seen->errors == 0 && !storm.seen->stop)
        if (!storm_read(redis))
            storm.seen->errors++;
    _exit(0);
}

/* --- the swap's stopwatch ------------------------------------------------------------- */

static inline void storm_on_swap(void *context, const struct state_reply *reply)
{
    (void)context;
    if (reply->result == ERR_OK && storm.swaps < STORM_SWAPS_MAX)
        storm.took_ns[storm.swaps++] = loop_mono_ns() - storm.sent_ns;
    storm.done(storm.context, reply);
}

static inline int storm_swap(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                             state_done_fn done, void *context)
{
    storm.done = done;
    storm.context = context;
    storm.sent_ns = loop_mono_ns();
    return storm.real.anchor_swap(self, epoch, token, wall_ms, storm_on_swap, context);
}

static inline struct state_port storm_wrap(struct state_port real)
{
    storm.real = real;
    real.anchor_swap = storm_swap;
    return real;
}

/* --- the market ------------------------------------------------------------------------ */

/* As many frames as are due by now. */
static inline void storm_turn(void)
{
    int64_t due = (loop_mono_us() - storm.start_us) * storm.rate / CLOCK_US_PER_S;
    for (int i = 0; i < STORM_BURST_MAX && (int64_t)(scene.market.seq - storm.start_seq) < due; i++)
        market_step();
    turn();
    streams_forget();
}

/* reader: with one that polls. */
static inline void storm_begin(int64_t rate, bool reader)
{
    memset(&storm, 0, sizeof(storm));
    scene_open(NULL);
    scene.wrap = storm_wrap;
    storm.rate = rate;
    storm.seen =
        mmap(NULL, sizeof(*storm.seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(storm.seen != MAP_FAILED);
    go_live();
    if (reader) {
        storm.reader = fork();
        assert_true(storm.reader >= 0);
        if (storm.reader == 0)
            storm_reader();
    }
    storm.swaps = 0;
    storm.start_us = loop_mono_us();
    storm.start_seq = scene.market.seq;
    while (reader && !storm.seen->reading && storm.seen->errors == 0)
        storm_turn();
}

/* A diff gets lost; until the book is live again. */
static inline void storm_anchor(void)
{
    uint64_t anchors = status_of(0).anchors;
    int64_t lost_us = loop_mono_us();
    scene.market.update_id += 7;
    while (status_of(0).anchors == anchors) {
        storm_turn();
        if (loop_mono_us() - lost_us > STORM_PATIENCE_US)
            fail_msg("no anchor within %d ms", STORM_PATIENCE_US / 1000);
    }
    if (loop_mono_us() - lost_us > storm.worst_us)
        storm.worst_us = loop_mono_us() - lost_us;
}

static inline double storm_frames_per_s(void)
{
    return (double)(scene.market.seq - storm.start_seq) * 1e6 /
           (double)(loop_mono_us() - storm.start_us);
}

static inline int storm_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts; then took_ns[swaps * q] is the quantile q. */
static inline int64_t storm_quantile_ns(double q)
{
    qsort(storm.took_ns, (size_t)storm.swaps, sizeof(storm.took_ns[0]), storm_compare);
    int index = (int)((double)storm.swaps * q);
    return storm.swaps == 0 ? 0 : storm.took_ns[index < storm.swaps ? index : storm.swaps - 1];
}

static inline void storm_end(void)
{
    storm.seen->stop = true;
    if (storm.reader > 0)
        waitpid(storm.reader, NULL, 0);
    scene_close();
    munmap(storm.seen, sizeof(*storm.seen));
}

#endif
