/* The ingestor's agent, pure: raw frames from up to two connections in, stamped envelopes
 * out. check (wire/sbe) -> splice (two connections into one, by id) -> stamp (epoch, seq,
 * recv_us) -> envelope of its stream -> publisher (DESIGN.md section 5, Ingest).
 *
 * seq counts from 1 over the three streams together without a gap; recv_us never falls.
 * Envelopes are sealed all three together when the caller flushes (its socket is drained)
 * and the stream can take them, or when one has grown to INGEST_ENVELOPE_BYTES; so each
 * cut covers one unbroken range of seq, and batching grows by itself under back-pressure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_INGEST_H
#define BTCAST_HOT_INGEST_INGEST_H

#include "base/clock.h"
#include "hot/ingest/publisher.h"
#include "base/slew.h"
#include "hot/ingest/splice.h"
#include "market/record.h"

#define INGEST_ENVELOPE_BYTES   (64u * 1024)
#define INGEST_QUARANTINE_PER_S 10
#define INGEST_STREAMS          3 /* trade, depth, best bid ask */

struct ingest_options {
    char symbol[RECORD_SYMBOL_SIZE];
    struct clock_now now;
    /* Its epoch: max(wall ms, highest known + 1). Without a producer the records go to the
     * tap only (a stand-alone recorder). */
    struct publisher_options publisher;
    /* A refused frame, at most INGEST_QUARANTINE_PER_S a second. May be NULL. */
    void (*quarantine)(void *context, enum sbe_verdict verdict, size_t offset, struct bytes frame);
    /* Each stamped record, in order, before it is published. May be NULL. */
    void (*tap)(void *context, const struct record *record);
    void *context;
};

struct ingest_counters {
    uint64_t verdicts[SBE_VERDICT_COUNT]; /* refused frames by cause; SBE_OK: accepted ones */
    uint64_t messages[SPLICE_STREAMS];    /* accepted frames by kind, before the splice */
    uint64_t bytes;
    uint64_t oversize;      /* frames over RECORD_PAYLOAD_MAX */
    uint64_t trailing;      /* bytes after the symbol: a newer version, tolerated */
    uint64_t longer_block;  /* a root block that a newer version appended to, tolerated */
    uint64_t newer_version; /* version > 0: compatible by the exchange's own rule */
    uint64_t ticks, records, envelopes;
    uint64_t recv_clamped; /* the clock fell: the last time stood in */
};

struct ingest; /* opaque */

int ingest_open(const struct ingest_options *options, struct ingest **ingest,
                struct err *err) MUST_CHECK;
void ingest_close(struct ingest *ingest);
/* A connection came up or went down: 0 .. SPLICE_SOURCES - 1. The next tick says that one came
 * up: a market without frames is quiet then, and not cut off. */
void ingest_source(struct ingest *ingest, int source, bool live, struct clock_now now);
/* One whole message from a connection; flags: enum record_flag. Returns the verdict. */
enum sbe_verdict ingest_frame(struct ingest *ingest, int source, struct bytes frame, uint8_t flags,
                              struct clock_now now);
/* Ticks, waits that are over, flush, publishing. Call after each service round. */
int ingest_do_work(struct ingest *ingest, struct clock_now now);
/* Seals what is open whatever the stream does: for a clean stop. */
void ingest_seal(struct ingest *ingest);
/* Microseconds until do_work has something to do by itself (next tick at the latest). */
int64_t ingest_wait_us(const struct ingest *ingest, struct clock_now now);
/* NULL without a producer. */
struct publisher *ingest_publisher(const struct ingest *ingest);
const struct splice *ingest_splice(const struct ingest *ingest);
const struct ingest_counters *ingest_counters(const struct ingest *ingest);
uint64_t ingest_epoch(const struct ingest *ingest);
uint64_t ingest_seq(const struct ingest *ingest);
/* Steps of the wall clock that were not followed. */
uint64_t ingest_clock_steps(const struct ingest *ingest);
/* The stamp clock now: recv_us of a frame that came at this moment. */
int64_t ingest_now_us(struct ingest *ingest, struct clock_now now);

#endif
