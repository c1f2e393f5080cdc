/* A seeded market of one symbol: order book, taker orders, bursts of sweeps and the
 * makers behind them, calibrated to a real capture of BTCUSDT (docs/exchange-sim.md). Pure:
 * the caller says up to which time it shall run; the same seed gives the same events.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_MARKET_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_MARKET_H

#include <stdint.h>

#include "base/err.h"
#include "base/prng.h"
#include "services/exchange-sim/sim_book.h"
#include "services/exchange-sim/sim_signal.h"
#include "services/exchange-sim/sim_sink.h"

/* One tick of 0.01 and one lot of 0.00001 as mantissas. */
#define SIM_TICK 1000000LL
#define SIM_LOT  1000LL
/* From the match to its publication; transactTime lies so far before eventTime. */
#define SIM_PUBLISH_DELAY_US 150
/* Fills one taker order can have. */
#define SIM_GROUP_TRADES_MAX 1024

struct sim_market_options {
    uint64_t seed;
    int64_t start_us;         /* model time of the first event */
    double price;             /* first best bid */
    int64_t diff_interval_us; /* 20 ms, as the exchange does now */
    double move_scale;        /* multiplies sweep sizes; 1 for the calibrated market */
    bool fast_only;           /* the diffs of SIM_CADENCE_100MS are wanted by nobody */
};

enum sim_market_event {
    SIM_EVENT_SWEEP,   /* the next sweep of a running burst */
    SIM_EVENT_REFILL,  /* makers close the spread behind a sweep, a step at a time */
    SIM_EVENT_GROUP,   /* a taker order that stays within the touch */
    SIM_EVENT_BURST,   /* candidate of a new burst */
    SIM_EVENT_PASSIVE, /* a level behind the touch is set or cancelled */
    SIM_EVENT_TOUCH,   /* the touch is requoted */
    SIM_EVENT_LEAN,    /* 100 ms grid: the book's lean moves on */
    SIM_EVENT_DIFF,
    SIM_EVENT_DIFF_100MS,
    SIM_EVENT_SNAPSHOT, /* behind the diffs of the same moment: equal ids */
    SIM_EVENT_COUNT,
};

struct sim_market {
    struct sim_market_options options;
    struct prng prng;
    struct sim_signal signal;
    struct sim_book book;
    struct sim_sink sink;
    int64_t now_us;
    int64_t due_us[SIM_EVENT_COUNT];
    double burst_bound; /* intensity bound the burst candidate was drawn with */
    int64_t fair;       /* tick where the best bid belongs; the ask is one above */
    int64_t next_trade_id;
    struct sbe_level quoted[2];                /* the touch as last told */
    struct sim_diff *diff;                     /* scratch */
    struct trade trades[SIM_GROUP_TRADES_MAX]; /* scratch */
    int trade_count;
};

int sim_market_open(struct sim_market *market, const struct sim_market_options *options,
                    const struct sim_sink *sink, struct err *err) MUST_CHECK;
void sim_market_close(struct sim_market *market);
/* Model time of the next event. */
int64_t sim_market_next_us(const struct sim_market *market);
/* Runs every event with time < until_us; now_us becomes until_us. */
void sim_market_run(struct sim_market *market, int64_t until_us);
/* E[log return over the next 10 s | public history] in basis points, now. */
double sim_market_oracle_bp(struct sim_market *market);

/* sim_flow.c: what each event does to the book and the tape. */
void sim_flow_fill(struct sim_market *market);
void sim_flow_group(struct sim_market *market);
void sim_flow_sweep(struct sim_market *market, int sign);
/* One step; returns false when the spread is closed. */
bool sim_flow_refill(struct sim_market *market);
void sim_flow_passive(struct sim_market *market);
void sim_flow_touch(struct sim_market *market);
/* Sets the touch so that the ten-level imbalance is exactly what the lean says. */
void sim_flow_lean(struct sim_market *market);
/* Tells the sink when the touch or the top ten changed. */
void sim_flow_publish(struct sim_market *market);

#endif
