/* What the simulated exchange remembers: trades, aggregated trades, one-second bars, the
 * best ten levels by update id, and full books of the last seconds. All bounded rings; the
 * oldest go first. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_TAPE_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "market/event.h"
#include "services/exchange-sim/sim_book.h"

/* About two and a half hours at the real market's rate. */
#define SIM_TAPE_TRADES_MAX     262144
#define SIM_TAPE_AGGREGATES_MAX 131072
/* One-second bars: a day. */
#define SIM_TAPE_BARS_MAX 90000
/* Full books for stale snapshots: one each SIM_TAPE_COPY_US. */
#define SIM_TAPE_COPIES_MAX  32
#define SIM_TAPE_COPY_LEVELS 1000
#define SIM_TAPE_COPY_US     250000

struct sim_tape_trade {
    struct trade trade;
    int64_t time_us;
};

/* Fills of one taker order at one price (BINANCE.md section 7). */
struct sim_aggregate {
    int64_t id, first_id, last_id;
    int64_t price, qty, time_us;
    bool is_buyer_maker;
};

/* Open time in seconds; prices and volumes at SIM_EXPONENT. */
struct sim_bar {
    int64_t second;
    int64_t open, high, low, close;
    int64_t volume, quote_volume, buy_volume, buy_quote_volume;
    int64_t trades;
};

/* True from update id `id` up to the next entry's. */
struct sim_top {
    int64_t id;
    int counts[2];
    struct sbe_level levels[2][SIM_TOP_LEVELS];
};

struct sim_copy {
    int64_t id;
    int counts[2];
    struct sbe_level levels[2][SIM_TAPE_COPY_LEVELS];
};

struct sim_tape {
    struct sim_tape_trade *trades;
    struct sim_aggregate *aggregates;
    struct sim_bar *bars;
    struct sim_top *tops;
    struct sim_copy *copies;
    /* Totals ever added: the newest is at (total - 1) % capacity. */
    int64_t trade_total, aggregate_total, bar_total, top_total, copy_total;
    int64_t tops_max;
    int64_t next_aggregate_id;
    int64_t next_copy_us;
};

int sim_tape_open(struct sim_tape *tape, int64_t tops_max, struct err *err) MUST_CHECK;
void sim_tape_close(struct sim_tape *tape);
void sim_tape_add(struct sim_tape *tape, int64_t time_us, const struct trade *trades, int count);
void sim_tape_add_top(struct sim_tape *tape, const struct sim_book *book);
/* Keeps a copy of the book when the last one is SIM_TAPE_COPY_US old. */
void sim_tape_copy(struct sim_tape *tape, int64_t time_us, const struct sim_book *book);
/* The best ten as of update id; NULL when it lies before what is kept. */
const struct sim_top *sim_tape_top(const struct sim_tape *tape, int64_t id);
/* The newest copy with an id <= id, or the oldest kept; NULL when there is none. */
const struct sim_copy *sim_tape_copy_at(const struct sim_tape *tape, int64_t id);

/* How many are kept, and the i-th of them, the oldest first. */
int64_t sim_tape_trade_count(const struct sim_tape *tape);
const struct sim_tape_trade *sim_tape_trade(const struct sim_tape *tape, int64_t i);
int64_t sim_tape_aggregate_count(const struct sim_tape *tape);
const struct sim_aggregate *sim_tape_aggregate(const struct sim_tape *tape, int64_t i);
int64_t sim_tape_bar_count(const struct sim_tape *tape);
const struct sim_bar *sim_tape_bar(const struct sim_tape *tape, int64_t i);
/* Bars [second, second + span) as one; false when nothing is known of them. */
bool sim_tape_span(const struct sim_tape *tape, int64_t second, int64_t span, struct sim_bar *bar);

#endif
