/* The state of the poller and the calls between its files. Private to src/recover/poll.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_POLLER_SELF_H
#define BTCAST_RECOVER_POLL_POLLER_SELF_H

#include "recover/poll/poller.h"
#include "recover/poll/rest_shelf.h"
#include "wire/rest_json.h"

enum poller_step {
    POLLER_IDLE,
    POLLER_TIMING, /* klines only: asks the exchange's clock */
    POLLER_ASKING,
    POLLER_NOTING, /* saves which page is about to be archived */
    POLLER_STORING,
    POLLER_SAVING, /* the position behind the page */
};

/* One kind of thing that is fetched in rounds. */
struct poller_track {
    struct rest_errand errand;
    struct rest_shelf shelf;
    enum poller_step step;
    int64_t due_us;  /* wall: the next round */
    bool late;       /* a round waits until the archive has the last one's */
    bool more;       /* behind this page comes another one of the same round */
    int64_t save_us; /* monotonic: no save before */
    int64_t done_us; /* wall: end of the last complete round */
    struct metric *archived;
};

/* A page as it is, or was, about to be archived. count 0: none. */
struct poller_page {
    int64_t first, last, count; /* ids, or open times in us */
    int64_t requested_us, received_us;
};

struct poller {
    struct poller_options options;
    struct clock_now now;
    struct poller_track depth, trades, klines;
    struct rest_errand info;
    int64_t info_us; /* monotonic */
    bool limit_known, trading;

    /* persistent */
    int64_t start_us; /* where the chain of trades begins, until an id is known */
    int64_t next_agg_id, next_open_us;
    struct poller_page trades_page, klines_page;

    int quiet_rounds;
    bool probes_trades;                  /* asks for the newest aggregate, only to look at its id */
    bool repeats_trades, repeats_klines; /* what is asked for now was noted before a restart */
    int64_t last_raw_id;                 /* of the last aggregate; -1: none yet */
    int64_t klines_end_us;
    int64_t depth_id;
    struct rest_agg_trade list[REST_JSON_LIST_MAX];
    struct rest_kline bars[REST_JSON_LIST_MAX];

    uint64_t pages, lost_ids, missed;
    struct metric *lost, *breaks, *malformed, *quarantined, *rounds_missed, *save_errors, *ids;
};

/* True when a round of the track is due; the next one is set. */
bool poller_due(struct poller *poller, struct poller_track *track);
/* True when saved; not tried again at once when it failed. */
bool poller_save(struct poller *poller, struct poller_track *track);
void poller_reject(struct poller *poller, struct poller_track *track, const char *why);
void poller_put(struct poller *poller, struct poller_track *track, enum archive_rest type,
                const struct poller_page *page, int64_t first_id);
/* True when the page is in the archive, or beside it. */
bool poller_stored(struct poller *poller, struct poller_track *track);
void poller_trades_do_work(struct poller *poller);
void poller_klines_do_work(struct poller *poller);

#endif
