/* The faults of a seed: what can go wrong, when, and for how long. A plan is drawn from the
 * seed: several times the book is made to be lost, each time with a fault aimed at one step
 * of the re-anchor that follows, and others fall at any time. Every fault that is injected
 * is counted by the step it falls into. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_FAULTS_H
#define BTCAST_SIM_FAULTS_H

#include "base/prng.h"
#include "sim/anchor_steps.h"

/* constant, name, what happens */
#define FAULT_TABLE(X)                                                                             \
    X(FAULT_DROP_DIFF, "drop-diff", "depth diffs are lost")                                        \
    X(FAULT_DROP_TRADE, "drop-trade", "trade frames are lost")                                     \
    X(FAULT_DROP_FRAMES, "drop-frames", "a few frames of any kind are lost")                       \
    X(FAULT_DELAY, "delay-frames", "frames come late")                                             \
    X(FAULT_DUPLICATE, "duplicate", "frames come twice")                                           \
    X(FAULT_REORDER, "reorder", "a diff is overtaken by the next one")                             \
    X(FAULT_TRUNCATE, "truncate", "frames are cut short")                                          \
    X(FAULT_STALL, "stall", "a connection goes silent")                                            \
    X(FAULT_DISCONNECT, "disconnect", "the connections to the exchange are cut")                   \
    X(FAULT_REFUSE, "refuse", "cut, and not let in again for a while")                             \
    X(FAULT_CRASH_INGESTOR, "crash-ingestor", "kill -9 of the ingestor")                           \
    X(FAULT_CRASH_ACTIVE, "crash-active", "kill -9 of the writing aggregator")                     \
    X(FAULT_CRASH_BEHIND, "crash-behind",                                                          \
      "kill -9 of the writing aggregator while the other one's clock is far behind")               \
    X(FAULT_CRASH_STANDBY, "crash-standby", "kill -9 of the other aggregator")                     \
    X(FAULT_CRASH_COORDINATOR, "crash-coordinator", "kill -9 of the coordinator at work")          \
    X(FAULT_CRASH_DETECTOR, "crash-detector", "kill -9 of the gap detector")                       \
    X(FAULT_CRASH_REPLICA, "crash-replica", "kill -9 of an inference replica")                     \
    X(FAULT_CRASH_ARCHIVE, "crash-archive", "kill -9 of the data-connector")                       \
    X(FAULT_CRASH_POLLER, "crash-poller", "kill -9 of the rest-ingestor")                          \
    X(FAULT_PAUSE_INGESTOR, "pause-ingestor", "SIGSTOP of the ingestor")                           \
    X(FAULT_PAUSE_ACTIVE, "pause-active", "SIGSTOP of the writing aggregator")                     \
    X(FAULT_PAUSE_COORDINATOR, "pause-coordinator", "SIGSTOP of the coordinator at work")          \
    X(FAULT_PAUSE_REPLICA, "pause-replica", "SIGSTOP of an inference replica")                     \
    X(FAULT_SLOW, "slow-reader", "the writing aggregator gets little processor time")              \
    X(FAULT_CLOCK_JUMP, "clock-jump", "a wall clock jumps")                                        \
    X(FAULT_CUT, "cut-link", "connections of a process to the store are reset")                    \
    X(FAULT_PARTITION_INGESTOR, "partition-ingestor", "the ingestor does not reach the store")     \
    X(FAULT_PARTITION_ACTIVE, "partition-active", "the writer does not reach the store")           \
    X(FAULT_PARTITION_COORDINATOR, "partition-coordinator",                                        \
      "the coordinator does not reach the store")                                                  \
    X(FAULT_PARTITION_REPLICA, "partition-replica", "a replica does not reach the store")          \
    X(FAULT_PARTITION_REST, "partition-rest", "the coordinators do not reach the exchange")        \
    X(FAULT_SLOW_LINK, "slow-link", "messages to and from the store take long")                    \
    X(FAULT_STORE_PAUSE, "store-pause", "SIGSTOP of the store")                                    \
    X(FAULT_FAILOVER, "failover", "the store dies, its replica follows without the last writes")   \
    X(FAULT_FLUSHALL, "flushall", "somebody empties the store")                                    \
    X(FAULT_FULL, "full-memory", "the store refuses what needs memory")                            \
    X(FAULT_LAKE, "lake-away", "the lake is away")                                                 \
    X(FAULT_REST_429, "rest-429", "REST: 429 with Retry-After")                                    \
    X(FAULT_REST_418, "rest-418", "REST: 418 with Retry-After")                                    \
    X(FAULT_REST_5XX, "rest-5xx", "REST: 500 or 503")                                              \
    X(FAULT_REST_SLOW, "rest-slow", "REST answers late or too late")                               \
    X(FAULT_REST_PARTIAL, "rest-partial", "half a REST reply")                                     \
    X(FAULT_REST_STALE, "rest-stale", "a snapshot older than the buffer")

enum fault_kind {
#define X(constant, name, text) constant,
    FAULT_TABLE(X)
#undef X
        FAULT_COUNT
};
const char *fault_name(enum fault_kind kind);
const char *fault_text(enum fault_kind kind);
/* FAULT_COUNT for an unknown name. */
enum fault_kind fault_find(const char *name);

#define FAULT_AIMED_MAX 8

struct simulation;

struct faults {
    struct simulation *simulation;
    struct prng prng;
    struct {
        enum fault_kind kind;
        enum anchor_step step;
        bool fired;
    } aimed[FAULT_AIMED_MAX];
    int aimed_open;                  /* those before this one may fire */
    int64_t replica_bad_until_us[2]; /* a replica in trouble: the other one is left alone */
    int64_t last_end_us;             /* when the last one is over */
    uint32_t hits[FAULT_COUNT][STEP_COUNT + 1];
    uint32_t total;
};

/* Draws the plan and puts it into the queue. */
void faults_open(struct faults *faults, struct simulation *simulation);
/* A step of a re-anchor begins; span_us: about how long it lasts. */
void faults_on_step(struct faults *faults, enum anchor_step step, int64_t span_us);
/* One fault, now (fault_apply.c). False when it would take the last replica away. */
bool fault_apply(struct faults *faults, enum fault_kind kind);
/* Remembers that this fault is over at until_us. */
void faults_lasts(struct faults *faults, int64_t until_us);

#endif
