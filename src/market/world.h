/* The world of one symbol: the one pure state machine over merge order, book, trade
 * windows, quotes and features (DESIGN.md section 4). Aggregator, replay, training and
 * simulation call nothing else. No I/O, no clock, no allocation after world_open; the
 * same events give the same bytes everywhere. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_WORLD_H
#define BTCAST_MARKET_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "market/event.h"
#include "market/feature.h"
#include "market/minute.h"

/* Levels a side in the readers' view. */
#define WORLD_LEVELS 10
/* Slot mids kept for outcomes: 16 slots are 32 s. */
#define WORLD_SLOT_MIDS 16
/* Without a market frame for so long (ticks do not count) an anchor is all there is: the
 * book is REST's until a diff is applied again (DESIGN.md section 5, Degradation). */
#define WORLD_SILENCE_US INT64_C(30000000)

struct world; /* opaque; one block, taken at world_open */

/* What one event did, or'ed together. */
enum world_effect {
    WORLD_CHANGED = 1,      /* readers would see something new */
    WORLD_TICKED = 2,       /* a new feature vector exists */
    WORLD_GAP = 4,          /* the book was lost just now: an anchor is needed */
    WORLD_ANCHORED = 8,     /* this anchor was adopted; the book is live */
    WORLD_ANCHOR_OLD = 16,  /* snapshot older than the buffer: fetch again */
    WORLD_ANCHOR_BAD = 32,  /* anchor malformed or crossed: not adopted */
    WORLD_REJECTED = 64,    /* the event was malformed or inconsistent; counted */
    WORLD_DIVERGED = 128,   /* depth20 at an equal id differs: also a gap */
    WORLD_TRADE_HOLE = 256, /* trade ids jumped: a candidate loss */
    WORLD_MINUTE = 512,     /* a minute of trades closed (world_minutes) */
    /* The stream left out trades that an anchor had brought: the windows have them, but
     * nobody else does. */
    WORLD_TRADES_ABSENT = 1024,
};

/* Why the book is not live, or what happened to events (all since world_open). */
struct world_counters {
    uint64_t diffs_applied, diffs_stale, diffs_buffered, diffs_dropped_full;
    uint64_t gaps, anchors, anchors_old, anchors_bad;
    uint64_t quotes, quotes_stale, trades, trades_duplicate, trade_holes, trades_missing;
    uint64_t snapshots, snapshots_verified, snapshots_diverged, snapshots_unmatched;
    uint64_t crossed_events, rejected, holes, ticks, far_levels_dropped, trades_evicted_full;
    uint64_t depth_ids_missing;
    uint64_t trades_refilled;   /* lost ones that an anchor brought back */
    uint64_t anchor_trades_bad; /* lists in anchors that were no chain of sane trades */
};

struct world_level {
    int64_t price;
    int64_t qty;
};

/* The readers' view, filled by world_view: everything the Redis hashes hold. */
struct world_view {
    uint64_t epoch, seq; /* last record applied */
    int64_t recv_us;     /* its receive time */
    int price_exponent, qty_exponent;
    bool book_live;    /* synced: false before the first anchor and after a gap */
    bool book_is_rest; /* the levels are an anchor's that came in silence, no diff since */
    /* receive time of the last market frame, or of a tick behind a connection that was opened;
     * before either: of the first record */
    int64_t market_us;
    int64_t join_min; /* an anchor has to have at least this id; 0: any will do */
    int64_t book_id;  /* lastUpdateId of the levels below; 0: never had a book */
    int64_t book_event_us;
    int bid_count, ask_count; /* levels present, at most WORLD_LEVELS */
    struct world_level bids[WORLD_LEVELS], asks[WORLD_LEVELS];
    int64_t mid2;               /* from the fresher of book and quote; 0: unknown */
    int64_t best_bid, best_ask; /* of that touch */
    bool touch_flagged; /* crossed or one-sided just now: the three above are the last good */
    int64_t known_bid_min, known_ask_max; /* range the last anchor covered; 0: none yet */
    bool bids_whole, asks_whole; /* … which has no end on this side: all of the book was in it */
    bool near_known_edge;        /* the touch nears the end of that range: refresh the anchor */
    struct world_window {
        uint64_t count;
        int64_t vol, signed_vol; /* at qty_exponent */
        double vwap_minus_mid;   /* quote currency; 0 when empty */
        double interarr_mean_s, interarr_var_s2;
        int64_t last_us;          /* recv_us of the last trade ever, 0: none */
    } one_second, five_seconds;   /* aged to recv_us */
    struct feature_vector vector; /* as of the last tick */
};

/* Outcome of a slot boundary: the mid as of the last record with recv_us <= boundary;
 * known once a record beyond the boundary has been applied (DESIGN.md section 4). */
struct world_slot_mid {
    int64_t slot;
    int64_t mid2; /* at world_view.price_exponent */
    bool valid;   /* false: no live book at the boundary, or a gap since the last one */
};

/* memory_limit_bytes caps the one allocation; 0 = default. */
struct world_options {
    char symbol[24];
};

int world_open(const struct world_options *options, struct world **world,
               struct err *err) MUST_CHECK;
void world_close(struct world *world);
/* Applies the next event in order; the caller has merged the streams (market/merge).
 * Returns enum world_effect bits. */
unsigned world_apply(struct world *world, const struct event *event);
void world_view(const struct world *world, struct world_view *view);
/* Time without a market frame and without a connection being opened, by the order's own clock; 0
 * before the first record. A market with a connection but without frames is quiet: the ingestor
 * opens another one every few seconds then. */
int64_t world_silence_us(const struct world *world);
/* As world_view has them. */
bool world_book_is_rest(const struct world *world);
bool world_book_is_near_edge(const struct world *world);
const struct world_counters *world_counters(const struct world *world);
/* Newest first; returns how many were filled (at most WORLD_SLOT_MIDS). */
int world_slot_mids(const struct world *world, struct world_slot_mid *mids, int capacity);

/* Closed minutes, newest first, volumes at world_view.qty_exponent; returns how many were
 * filled (at most MINUTES_KEPT). */
int world_minutes(const struct world *world, struct minute *minutes, int capacity);
/* First and last of the trade ids that the last WORLD_TRADE_HOLE left out. */
void world_trade_hole(const struct world *world, int64_t *first_id, int64_t *last_id);
/* The same of the last WORLD_TRADES_ABSENT. */
void world_trades_absent(const struct world *world, int64_t *first_id, int64_t *last_id);

/* Checkpoint: the whole state as bytes (with magic, version, feature schema and CRC);
 * loading it and going on equals never having stopped. world_save returns the size
 * written or ERR_FULL; world_save_size_max is a safe capacity. */
size_t world_save_size_max(const struct world *world);
int world_save(const struct world *world, uint8_t *out, size_t capacity, size_t *size,
               struct err *err) MUST_CHECK;
/* On error the world is as after world_open. ERR_CORRUPT, ERR_SCHEMA, ERR_MALFORMED. */
int world_load(struct world *world, struct bytes saved, struct err *err) MUST_CHECK;

#endif
