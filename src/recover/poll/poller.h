/* The minute's polls of one symbol: depth, aggTrades and klines into the archive.
 *
 * aggTrades are one chain by id: each page begins with the id behind the last one that is
 * archived. Klines are fetched once closed, by the exchange's own clock. Before a page goes
 * to the archive its bounds and times are saved, and after it is durable the position: a
 * crash in between fetches the very same page again under the same name, which overwrites
 * itself. A depth snapshot is of its moment and is not made up for.
 * Pure: ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_POLLER_H
#define BTCAST_RECOVER_POLL_POLLER_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "learn/lake/archive_port.h"
#include "recover/poll/progress.h"
#include "recover/poll/rest_desk.h"

#define POLLER_DEPTH_LIMIT 1000 /* weight 50 (CONTRACTS.md section 12, row 25) */
#define POLLER_PAGE_LIMIT  1000
#define POLLER_INFO_US     3600000000LL
/* A kline counts as closed so long after its end, and polls come so long after the minute. */
#define POLLER_SETTLE_US 3000000
#define POLLER_KLINE_US  60000000
/* A page whose ids have a hole is asked for so often before it is taken as it is. */
#define POLLER_BREAK_TRIES 3
/* After so many rounds without a new aggregate the newest one is asked for: is the chain
 * still the exchange's? */
#define POLLER_QUIET_ROUNDS 3

struct poller;

struct poller_options {
    const char *symbol;
    int64_t period_us;                  /* 60 s unless configured */
    int64_t lookback_us;                /* how far the very first poll goes back */
    int page_limit;                     /* at most POLLER_PAGE_LIMIT; 0: that */
    struct rest_desk *desk;             /* borrowed */
    const struct archive_port *archive; /* borrowed; run by its owner */
    struct progress_port progress;
    struct metrics *metrics; /* required */
};

struct poller_status {
    bool limit_known;
    bool trading; /* as exchangeInfo says */
    bool trades_busy, klines_busy, depth_busy;
    int64_t depth_us, trades_us, klines_us; /* wall: the last round that was complete; 0: none */
    int64_t next_agg_id, next_open_us;
    uint64_t pages, lost_ids, missed;
};

/* ERR_MEMORY. A position that cannot be read is reported, and polling begins anew. */
int poller_open(const struct poller_options *options, struct poller **poller,
                struct err *err) MUST_CHECK;
/* After the desk's REST port and the archive have answered everything. */
void poller_close(struct poller *poller);
/* After rest_desk_do_work of the same cycle. */
int poller_do_work(struct poller *poller, struct clock_now now);
void poller_status(const struct poller *poller, struct poller_status *status);

#endif
