/* The world behind the REST view: trades and ticks in the order of their times, books as
 * anchors. Private to src/recover/poll. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_VIEW_WORLD_H
#define BTCAST_RECOVER_POLL_VIEW_WORLD_H

#include "hot/state/rest_view.h"
#include "recover/poll/view_maker.h"
#include "wire/rest_json.h"

/* Replies over which the exchange's clock is compared with ours: a minute. */
#define VIEW_WORLD_LAGS  32
#define VIEW_WORLD_SCALE ((struct sbe_scale){-8, -8})

struct view_world {
    char symbol[RECORD_SYMBOL_SIZE];
    int64_t (*next_tick_us)(int64_t wall_us);
    struct world *world;
    uint64_t epoch, seq;
    int64_t tick_us;    /* the last tick applied; 0: none */
    int64_t book_us;    /* when the last book came; 0: none */
    int64_t history_us; /* since when there is no hole */
    int64_t book_id;
    /* Receive time minus exchange time of each reply's newest trade; the smallest is what the
     * clocks differ by, with the way. */
    int64_t lags[VIEW_WORLD_LAGS];
    unsigned lag_count;
    int refused; /* books in a row that the world did not want */
    uint8_t trades[VIEW_MAKER_RAW_MAX * 25];
};

int view_world_open(struct view_world *self, const struct view_maker_options *options,
                    struct err *err) MUST_CHECK;
void view_world_close(struct view_world *self);
/* Everything up to wall_us, then the book. trades: new ones, ids rising. False when the
 * world refused the book. */
bool view_world_apply(struct view_world *self, const struct rest_depth *depth,
                      const struct rest_agg_trade *trades, uint32_t count, int64_t wall_us);
/* Everything is forgotten: a new market. ERR_MEMORY: nothing has changed. */
int view_world_reset(struct view_world *self, struct err *err) MUST_CHECK;
/* The first tick after the last book: at wall_us or before it. True when it was applied. */
bool view_world_tick(struct view_world *self, int64_t wall_us);
/* As of the last tick. PRE: a book was applied. */
void view_world_fill(const struct view_world *self, struct rest_view *view);

#endif
