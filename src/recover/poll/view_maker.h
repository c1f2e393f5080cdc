/* Makes the REST view of a symbol (hot/state/rest_view.h): every 2 s (up to 6 s when request
 * weight is short), half a second before the slot, a depth snapshot and the trades since the last
 * time feed a world of their own, the same state machine as the hot path's, with ticks at the same
 * phases. So the view has a mid, slot mids and, once the world has seen the longest span, a feature
 * vector.
 *
 * What a REST world cannot know: books between two snapshots (order flow within an interval
 * is zero), quotes (their rate is zero). Trades come as aggregates and count as the raw
 * trades they are made of, at the exchange's time. When the weight budget is short the view
 * is what yields first. Pure: ports and clocks are handed in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_VIEW_MAKER_H
#define BTCAST_RECOVER_POLL_VIEW_MAKER_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "hot/state/rest_view.h"
#include "recover/poll/rest_desk.h"

#define VIEW_MAKER_DEPTH_LIMIT  100 /* weight 5 */
#define VIEW_MAKER_TRADES_LIMIT 1000
#define VIEW_MAKER_WEIGHT       9 /* of both calls */
/* When weight is short a view comes each 4 or 6 s: within VIEW_MAKER_HOLE_US. */
#define VIEW_MAKER_PERIODS_MAX 3
#define VIEW_MAKER_PHASE_US    1500000  /* behind the slot's beginning */
#define VIEW_MAKER_HISTORY_US  30000000 /* a vector's longest span */
#define VIEW_MAKER_HOLE_US     7000000  /* no book for so long: what was before is cut off */
#define VIEW_MAKER_PATIENCE_US 300000   /* the book waits so long for its trades */
/* So many books in a row refused as old: the exchange's ids have begun anew. */
#define VIEW_MAKER_REFUSED_MAX 5
#define VIEW_MAKER_RAW_MAX     512 /* raw trades that one aggregate counts as, at most */

struct view_maker;

struct view_maker_options {
    const char *symbol;
    struct rest_desk *desk; /* borrowed */
    /* The first tick strictly after a wall time, as the ingestor's. */
    int64_t (*next_tick_us)(int64_t wall_us);
    /* Where a view goes; it is borrowed for the call. */
    void (*put)(void *context, const struct rest_view *view);
    void *context;
    struct metrics *metrics; /* required */
};

struct view_maker_status {
    uint64_t written, yields, malformed;
    int64_t written_us; /* wall; 0: none yet */
    bool has_vector;
};

/* ERR_MEMORY. */
int view_maker_open(const struct view_maker_options *options, struct view_maker **maker,
                    struct err *err) MUST_CHECK;
/* After the desk's REST port has answered everything. */
void view_maker_close(struct view_maker *maker);
/* After rest_desk_do_work of the same cycle. */
int view_maker_do_work(struct view_maker *maker, struct clock_now now);
void view_maker_status(const struct view_maker *maker, struct view_maker_status *status);

#endif
