/* From the streams to the world: envelopes opened, records merged into their order,
 * decoded, applied; controls of other writers put in at their place; and for each stream
 * the position behind which everything has been applied, so that a restart from there
 * loses nothing (DESIGN.md section 4, "Order of the world"). Pure: the consumer and the
 * clock are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_FEED_H
#define BTCAST_HOT_STATE_STATE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hot/stream/stream_port.h"
#include "market/merge.h"
#include "market/world.h"

/* Entries delivered but not yet applied whose positions are remembered, a stream. Beyond:
 * the position stays behind, which costs a redelivery and nothing else. */
#define STATE_FEED_PENDING_MAX 256

struct state_feed;

struct state_feed_options {
    const char *symbol;
    int64_t hold_us;        /* MERGE_HOLD_US_REDIS or _KINESIS */
    size_t arena_bytes_max; /* records waiting for a missing one */
    int records_max;
    int64_t (*stopwatch_ns)(void); /* times ticks; NULL: not measured */
};

struct state_feed_counters {
    uint64_t envelopes[STREAM_COUNT], envelopes_bad[STREAM_COUNT];
    uint64_t records[STREAM_COUNT], records_refused;
    uint64_t controls_placed, controls_late, controls_dropped;
    uint64_t controls_known; /* delivered again after a restart that had them already */
};

/* After each event applied: what it did, and the record. A hole of our own making comes
 * as RECORD_HOLE with own = true: the active writer logs it. */
typedef void (*state_feed_fn)(void *context, unsigned effects, const struct record *record,
                              bool own);

int state_feed_open(const struct state_feed_options *options, struct world *world, state_feed_fn fn,
                    void *context, struct state_feed **feed, struct err *err) MUST_CHECK;
void state_feed_close(struct state_feed *feed);

/* Goes on after (epoch, seq) from these positions (a checkpoint's): forgets what waited.
 * anchored: the world has the anchor that was adopted at this very place. */
int state_feed_restart(struct state_feed *feed, uint64_t epoch, uint64_t seq, bool anchored,
                       const struct stream_position *positions, struct err *err) MUST_CHECK;
/* One delivery of the consumer; the consumer's record callback. */
void state_feed_record(void *feed, const struct stream_record *record, const char *position);
/* Time passes: drained says that the streams were read to their ends just now. */
void state_feed_expire(struct state_feed *feed, int64_t mono_us, bool drained);
/* Microseconds until a waiting record gives up, -1: none waits. */
int64_t state_feed_wait_us(const struct state_feed *feed);
/* An active writer places its own controls: those that come back through the stream and
 * lie behind are its own. A follower applies them late and reports them (controls_late). */
void state_feed_set_active(struct state_feed *feed, bool active);

/* Applies an anchor document here and now; returns enum world_effect bits, *record is
 * the control record to log (payload borrowed from document). */
unsigned state_feed_anchor(struct state_feed *feed, struct bytes document, struct record *record);

/* The world was taken back to before this one. */
void state_feed_anchor_undone(struct state_feed *feed, const struct record *record);
/* An anchor was adopted where the world stands now: another one would have its place. */
bool state_feed_is_anchored(const struct state_feed *feed);

/* The last record that has passed (applied or refused): epoch 0 before the first. */
void state_feed_place(const struct state_feed *feed, uint64_t *epoch, uint64_t *seq,
                      int64_t *recv_us);
void state_feed_positions(const struct state_feed *feed, struct stream_position *positions);
const struct state_feed_counters *state_feed_counters(const struct state_feed *feed);
const struct merge_counters *state_feed_merge_counters(const struct state_feed *feed);
/* Nanoseconds the last tick took to apply; 0 without stopwatch or since the last call. */
int64_t state_feed_take_tick_ns(struct state_feed *feed);

#endif
