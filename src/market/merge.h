/* Merging the three streams of a symbol back into (epoch, seq) order: n+1 only; a
 * later record waits for the missing one, then a hole is declared (DESIGN.md section 4). Each
 * stream ascends by itself: once all of them have shown something later than what is missing it
 * cannot come any more, and hold_us is waited. As long as one has not, it may still bring it (its
 * producer sends again after a failover, or hangs between two writes), and patience_us is waited.
 * Copies what has to wait into a bounded arena; what arrives in order passes through uncopied.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_MERGE_H
#define BTCAST_MARKET_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "market/record.h"

#define MERGE_HOLD_US_REDIS   50000
#define MERGE_HOLD_US_KINESIS 1000000
#define MERGE_PATIENCE_US     1000000
#define MERGE_LANES_MAX       4

struct merge; /* opaque */

/* The clock of the wait, for who reads from streams: what is missing may still lie unread in its
 * stream, so it runs only while all there is has been read. A step counts MERGE_STEP_US_MAX at
 * most: a process that was stopped has read nothing meanwhile. Begins as {0}. */
#define MERGE_STEP_US_MAX 10000
struct merge_clock {
    int64_t now_us; /* for merge_push and merge_expire */
    int64_t last_us;
};
/* Call it once a round; drained: nothing is left to read. */
void merge_clock_pass(struct merge_clock *clock, int64_t mono_us, bool drained);

/* Called for each record in order, and for a declared hole with a RECORD_HOLE record
 * (built by merge; its (epoch, seq) is the last one before the hole). */
typedef void (*merge_emit_fn)(void *context, const struct record *record);

struct merge_options {
    int64_t hold_us;
    size_t arena_bytes_max; /* waiting records; full: the hole is declared at once */
    int records_max;
    int64_t patience_us; /* below hold_us: hold_us */
    int lanes;           /* streams merged, 1 to MERGE_LANES_MAX */
};

struct merge_counters {
    uint64_t emitted, duplicates, waited, holes, records_missing, full;
};

int merge_open(const struct merge_options *options, merge_emit_fn emit, void *context,
               struct merge **merge, struct err *err) MUST_CHECK;
void merge_close(struct merge *merge);
/* The next record wanted is the one after (epoch, seq). Without this call the order starts with
 * the lowest record of the first hold_us, or patience_us as long as a stream has shown none: the
 * streams are read one after the other, so the first one seen need not be the first there is. */
void merge_start_after(struct merge *merge, uint64_t epoch, uint64_t seq);
/* A data record from the stream `lane`, which ascends (payload borrowed for the call). now_us
 * never falls. */
void merge_push(struct merge *merge, int lane, const struct record *record, int64_t now_us);
/* Declares holes whose wait is over. Returns microseconds until the next one is due, or
 * -1 when nothing waits. */
int64_t merge_expire(struct merge *merge, int64_t now_us);
const struct merge_counters *merge_counters(const struct merge *merge);

#endif
