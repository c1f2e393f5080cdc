/* Fetches what a gap lost into the archive: the trades of an id hole one by one
 * (historicalTrades; where that is not served, the aggTrades that cover them), and a depth
 * snapshot for every loss of the book. The queue is the stream gap-events itself: entries
 * are taken in order, one at a time, and the place behind the last one that is wholly done
 * is persistent, so nothing is forgotten while the exchange, the archive or this process is
 * away; the stream's own cap bounds it. What the exchange no longer has is reported as lost.
 * Pure: ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_BACKFILL_BACKFILL_H
#define BTCAST_RECOVER_BACKFILL_BACKFILL_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "learn/lake/archive_port.h"
#include "recover/backfill/gap_feed_port.h"
#include "recover/poll/progress.h"
#include "recover/poll/rest_desk.h"

#define BACKFILL_LOOK_US     500000
#define BACKFILL_PAGE_LIMIT  1000
#define BACKFILL_DEPTH_LIMIT 1000
/* An empty reply is believed after so many: the exchange's REST may be behind its streams. */
#define BACKFILL_EMPTY_TRIES 4
/* Where the search for aggregates begins: so long before the loss was seen; then sixteen
 * times as long, and so on, at most BACKFILL_BACK_MAX_US. */
#define BACKFILL_BACK_US     60000000LL
#define BACKFILL_BACK_MAX_US 86400000000LL
/* An aggregator that takes over tells the same loss once more: so many are remembered. */
#define BACKFILL_SEEN_MAX 64

struct backfill;

struct backfill_options {
    const char *symbol;
    struct rest_desk *desk;             /* borrowed */
    const struct archive_port *archive; /* borrowed; run by its owner */
    struct gap_feed_port feed;
    struct progress_port progress;
    struct metrics *metrics; /* required */
};

struct backfill_status {
    bool busy;     /* an entry is being worked on */
    int waiting;   /* entries read and not begun */
    uint64_t done; /* losses wholly backfilled */
    uint64_t trades, lost, snapshots;
    bool uses_aggregates;
};

/* ERR_MEMORY. */
int backfill_open(const struct backfill_options *options, struct backfill **backfill,
                  struct err *err) MUST_CHECK;
/* After the desk's REST port, the feed and the archive have answered everything. */
void backfill_close(struct backfill *backfill);
/* After rest_desk_do_work of the same cycle. */
int backfill_do_work(struct backfill *backfill, struct clock_now now);
void backfill_status(const struct backfill *backfill, struct backfill_status *status);

#endif
