/* Merging the three streams of a symbol back into (epoch, seq) order: n+1 only; a
 * later record waits for the missing one at most hold_us, then a hole is declared
 * (DESIGN.md section 4). Copies what has to wait into a bounded arena; what arrives in
 * order passes through uncopied. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_MERGE_H
#define BTCAST_MARKET_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "market/record.h"

#define MERGE_HOLD_US_REDIS   50000
#define MERGE_HOLD_US_KINESIS 1000000

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
};

struct merge_counters {
    uint64_t emitted, duplicates, waited, holes, records_missing, full;
};

int merge_open(const struct merge_options *options, merge_emit_fn emit, void *context,
               struct merge **merge, struct err *err) MUST_CHECK;
void merge_close(struct merge *merge);
/* The next record wanted is the one after (epoch, seq). Without this call the lowest record
 * of the first hold_us starts the order: the streams are read one after the other, so the
 * first one seen need not be the first one there is. */
void merge_start_after(struct merge *merge, uint64_t epoch, uint64_t seq);
/* A data record from any stream (payload borrowed for the call). now_us never falls. */
void merge_push(struct merge *merge, const struct record *record, int64_t now_us);
/* Declares holes whose wait is over. Returns microseconds until the next one is due, or
 * -1 when nothing waits. */
int64_t merge_expire(struct merge *merge, int64_t now_us);
const struct merge_counters *merge_counters(const struct merge *merge);

#endif
