/* Gets sealed envelopes into the streams in order, whatever the stream does meanwhile:
 * retries, back-pressure, resend after a reconnect or failover, memory ring, then disk
 * spool, then the oldest are dropped and counted (DESIGN.md section 5, Streams).
 *
 * States: away (not connected, collecting) -> asking (the streams' tops, to learn what
 * they have) -> streaming; fenced when a newer ingestor has written (for good).
 *
 * Order: the spool's entries are older than the ring's and go first. A refused entry stops
 * everything behind it until all answers are in, then sending goes back to it; what is
 * already acknowledged is skipped.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_PUBLISHER_H
#define BTCAST_HOT_INGEST_PUBLISHER_H

#include "hot/ingest/backlog.h"
#include "hot/ingest/spool_port.h"

#define PUBLISHER_FLIGHTS_MAX     16
#define PUBLISHER_BATCH_RECORDS   128
#define PUBLISHER_RETRY_MIN_US    1000
#define PUBLISHER_RETRY_MAX_US    100000
#define PUBLISHER_TOPS_TIMEOUT_US 2000000

enum publisher_state {
    PUBLISHER_AWAY,
    PUBLISHER_ASKING,
    PUBLISHER_STREAMING,
    PUBLISHER_FENCED,
};
const char *publisher_state_text(enum publisher_state state);

struct publisher_counters {
    uint64_t entries_written, records_written, duplicates, retries, lost, resent;
    uint64_t spooled, unspooled, spool_failed, entries_dropped, tops_asked, epoch_moves;
};

struct publisher_options {
    const struct stream_producer *producer; /* borrowed for the publisher's life */
    const struct spool_port *spool;         /* may be NULL */
    size_t ring_bytes_max;
    uint64_t epoch;
    /* An entry was acknowledged whose oldest record arrived at since_us. May be NULL. */
    void (*on_ack)(void *context, int64_t since_us);
    void *context;
};

struct publisher;

int publisher_open(const struct publisher_options *options, struct publisher **publisher,
                   struct err *err) MUST_CHECK;
void publisher_close(struct publisher *publisher);
/* Takes a sealed entry (copied). Never refuses: see the policy above. */
void publisher_add(struct publisher *publisher, const struct backlog_entry *entry);
/* Puts what is not acknowledged into the spool: before a stop without the stream. */
void publisher_save(struct publisher *publisher);
/* The producer's completion callback (a stream_put_fn with the publisher as context). */
void publisher_on_put(void *publisher, uint64_t ticket, const enum stream_outcome *outcome,
                      int count);
/* The connection was lost or has been made: whatever was acknowledged may be gone. */
void publisher_reconnected(struct publisher *publisher);
/* Sends what can be sent. Returns entries handed to the producer. */
int publisher_do_work(struct publisher *publisher, int64_t mono_us);
/* True if an entry added now would leave at once. */
bool publisher_idle(const struct publisher *publisher);
/* True if something waits and no answer is due that would set it going again. */
bool publisher_wants_retry(const struct publisher *publisher);
/* Where new records are stamped; grows once when the streams already hold a newer epoch
 * at the first contact. */
uint64_t publisher_epoch(const struct publisher *publisher);
enum publisher_state publisher_state(const struct publisher *publisher);
/* Entries not acknowledged yet, ring and spool. */
uint64_t publisher_pending(const struct publisher *publisher);
size_t publisher_ring_bytes(const struct publisher *publisher);
const struct publisher_counters *publisher_counters(const struct publisher *publisher);

#endif
