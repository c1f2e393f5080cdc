/* What takers do, order by order: how one-sided the small orders are, how often the price
 * is moved by force, and whether such a move is likely to go on. Constant work per trade;
 * decays are taken when read. docs/features.md, "Takers".
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_BURST_H
#define BTCAST_MARKET_BURST_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"
#include "market/scale.h"

/* A taker's order: trades in a row with one time of trade and one aggressor, in one frame or
 * in several. A sweep is an order that takes more than one price; sweeps that follow each
 * other in one direction within moments are a burst. */
struct burst {
    int64_t order_us;    /* the last order: the exchange's time, 0: none yet … */
    int64_t order_price; /* … its first price … */
    bool order_is_sell, order_is_sweep;
    double sign_before;  /* … and sign_mean without it */
    double sign_mean;    /* of orders at a single price, +1 the buyer took; weight 1/12 each */
    double heat;         /* bursts begun, decayed, as of heat_us */
    int64_t heat_us;     /* receive time of the last sweep of either side; 0: none yet */
    int64_t sweep_us[2]; /* … of the last one of buyers [0] and sellers [1] */
};

void burst_init(struct burst *burst);
/* The clock was set back: forgets when, keeps the mean. */
void burst_restart(struct burst *burst);
/* A trade received at now_us (never decreasing), of the order at transact_us. */
void burst_on_trade(struct burst *burst, int64_t now_us, int64_t transact_us, int64_t price,
                    bool is_sell);
/* Bursts a second, lately. */
double burst_rate(const struct burst *burst, int64_t now_us);
/* Probability that buyers' burst still runs less that of the sellers'. */
double burst_pending(const struct burst *burst, int64_t now_us);
bool burst_can_rescale(const struct burst *burst, struct scale_step step);
void burst_rescale(struct burst *burst, struct scale_step step);
void burst_code(struct burst *burst, struct codec *codec);

#endif
