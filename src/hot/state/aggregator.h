/* The aggregator: the only writer of the hot state of a symbol. Follows the streams with a
 * world in memory; while it holds the writer lease it flushes that world into Redis in one
 * fenced step, checkpoints it each second, asks for anchors when the book is lost and
 * swaps them in, and logs anchors and holes as control records. A standby does all of it
 * but the writing, and takes over without reloading (DESIGN.md sections 5 and 6). Pure:
 * ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_AGGREGATOR_H
#define BTCAST_HOT_STATE_AGGREGATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "hot/state/state_port.h"
#include "hot/stream/stream_port.h"
#include "market/world.h"

/* A flush leaves when the input is drained, or so long after the first change. */
#define AGGREGATOR_FLUSH_DELAY_US 1000
#define AGGREGATOR_CHECKPOINT_US  1000000
#define AGGREGATOR_COMMIT_US      1000000
/* Records waiting for a missing one (market/merge): about an hour of one stream ahead. */
#define AGGREGATOR_ARENA_BYTES   ((size_t)32 * 1024 * 1024)
#define AGGREGATOR_ARENA_RECORDS (1 << 17)
/* Control records on their way out; more: the oldest is given up, counted. */
#define AGGREGATOR_OUTBOX_MAX 8

struct aggregator;

struct aggregator_options {
    const char *symbol;
    const char *owner; /* unique for this process and start */
    const char *kin;   /* how the owners of its former lives begin; NULL: unknown */
    int64_t lease_ttl_us, lease_renew_us;  /* 0: WRITER_LEASE_… */
    int64_t hold_us;                       /* 0: MERGE_HOLD_US_REDIS */
    int64_t flush_delay_us, checkpoint_us; /* 0: as above */
    struct state_port state;
    struct stream_consumer consumer;
    struct stream_producer control; /* for STREAM_CONTROL; its callback: aggregator_on_put */
    struct metrics *metrics;        /* required */
    int64_t (*stopwatch_ns)(void);  /* times feature computation; NULL: not measured */
};

enum aggregator_phase {
    AGGREGATOR_LOADING,   /* waits for the checkpoint */
    AGGREGATOR_CONTROLS,  /* reads the control records first, so that they find their places */
    AGGREGATOR_FOLLOWING, /* follows everything */
};

/* A snapshot for health and logs. */
struct aggregator_status {
    enum aggregator_phase phase;
    bool active, caught_up, book_live, state_ready, consumer_ready, anchoring;
    uint64_t fence, epoch, seq;
    int64_t recv_us;    /* of the last record */
    int64_t flushed_us; /* wall time of the last acknowledged flush; 0: never */
    uint64_t flushes, writes_refused, anchors, anchors_refused, restores, resyncs;
    char holder[STATE_OWNER_SIZE];
};

int aggregator_open(const struct aggregator_options *options, struct aggregator **aggregator,
                    struct err *err) MUST_CHECK;
/* Gives the lease back if the store can still be told; the caller then lets the link
 * finish. Close the aggregator after its ports are closed: they answer what is owed. */
void aggregator_stop(struct aggregator *aggregator);
void aggregator_close(struct aggregator *aggregator);

/* The stream consumer's and the control producer's callbacks. */
void aggregator_on_record(void *aggregator, const struct stream_record *record,
                          const char *position);
void aggregator_on_put(void *aggregator, uint64_t ticket, const enum stream_outcome *outcome,
                       int count);

/* Returns how much was done. */
int aggregator_do_work(struct aggregator *aggregator, struct clock_now now);
/* Microseconds until do_work has something to do even if nothing arrives. */
int64_t aggregator_wait_us(const struct aggregator *aggregator, struct clock_now now);
void aggregator_status(const struct aggregator *aggregator, struct aggregator_status *status);
/* The world, for tests and checkers. */
const struct world *aggregator_world(const struct aggregator *aggregator);

#endif
