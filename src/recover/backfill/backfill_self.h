/* The state of the backfill agent and the calls between its files. Private to
 * src/recover/backfill. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_BACKFILL_BACKFILL_SELF_H
#define BTCAST_RECOVER_BACKFILL_BACKFILL_SELF_H

#include "recover/backfill/backfill.h"
#include "recover/poll/rest_shelf.h"
#include "wire/rest_json.h"

#define BACKFILL_SCALE ((struct sbe_scale){-8, -8})

enum backfill_step {
    BACKFILL_IDLE,
    BACKFILL_ASKING,    /* trades by id */
    BACKFILL_SEARCHING, /* aggregates by time, then by id */
    BACKFILL_NOTING,    /* saves which page is about to be archived */
    BACKFILL_STORING,
    BACKFILL_SNAPPING, /* the depth snapshot */
    BACKFILL_SHELVING, /* … into the archive */
    BACKFILL_SAVING,   /* the place behind the entry */
};

/* The identity of a loss (hot/state/gap_event.h). */
struct backfill_identity {
    int64_t kind, epoch, seq;
};

struct backfill {
    struct backfill_options options;
    struct clock_now now;
    enum backfill_step step;
    struct rest_errand trades, depth;
    struct rest_shelf shelf;

    struct gap_feed_entry queue[GAP_FEED_ENTRIES_MAX];
    int queue_count, queue_next;
    bool reading;
    int64_t look_us, save_us; /* monotonic */
    struct backfill_identity seen[BACKFILL_SEEN_MAX];
    unsigned seen_count;

    /* the entry under way */
    struct gap_event event;
    char reason[112];
    bool resumes; /* its place in the ids comes from before a restart */
    uint64_t fetched, gone;
    bool uses_aggregates;
    int64_t back_us, search_id; /* aggregates: how far back, and where to go on; 0: by time */
    int64_t snapshot_us;        /* wall: the last snapshot; it serves all losses before it */

    /* persistent */
    struct gap_feed_place place; /* behind it everything is to be done */
    int64_t next_id;             /* of the entry under way: the first id not archived; 0: none */
    int64_t page_first, page_last, page_count, page_type;
    int64_t page_requested_us, page_received_us;
    struct backfill_identity last; /* the last loss that is done */

    bool repeats;
    union {
        struct {
            struct trade list[REST_JSON_LIST_MAX];
            int64_t times_us[REST_JSON_LIST_MAX];
        } single;
        struct rest_agg_trade aggregates[REST_JSON_LIST_MAX];
    };
    struct backfill_status status;
    struct metric *done, *trades_total, *lost_total, *snapshots, *malformed, *waiting, *save_errors;
};

/* Durable; false: to be tried again. */
bool backfill_save(struct backfill *backfill);
/* The ids first … last are not to be had. */
void backfill_lose(struct backfill *backfill, int64_t first, int64_t last);
/* Asks for the next part of the hole, or goes on to the snapshot when there is none. */
void backfill_trades_begin(struct backfill *backfill);
void backfill_trades_do_work(struct backfill *backfill);
void backfill_depth_begin(struct backfill *backfill);

#endif
