/* Minute volumes: the exact sum of trade quantities by minute of the exchange's own trade
 * time, to hold against the closed kline (DESIGN.md section 6, Verdict). The exchange's
 * time serves here and in latencies alone (section 4). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_MINUTE_H
#define BTCAST_MARKET_MINUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"
#include "market/scale.h"

#define MINUTE_US INT64_C(60000000)
/* Closed minutes kept. */
#define MINUTES_KEPT 5
/* A minute closes with the first trade beyond it, or this long after its end by our own
 * clock less what the last trade was late by it (clocks are wrong). */
#define MINUTE_GRACE_US INT64_C(10000000)
/* Trade times this far ahead of our clock are malformed. */
#define MINUTE_AHEAD_US_MAX INT64_C(3600000000)
/* Receive times that jump by this much say that nobody listened meanwhile. */
#define MINUTE_DEAF_US INT64_C(5000000)

struct minute {
    int64_t minute; /* trade time / 60 s */
    int64_t volume; /* at the world's quantity exponent */
    uint64_t trades;
    int64_t first_id, last_id; /* trade ids; -1: no trade */
    /* Followed from before its start to its end: ids without a jump, no records missing.
     * Only then must volume and trades equal the kline's. */
    bool is_complete;
};

struct minutes {
    bool is_started;
    int64_t last_id;     /* of the last trade; -1: none yet */
    int64_t last_minute; /* of the last trade */
    int64_t now_us;      /* receive time of the last record */
    int64_t lag_us;      /* the last trade's receive time less its own */
    struct minute open;
    uint64_t count; /* closed ever; the newest MINUTES_KEPT are in list */
    struct minute list[MINUTES_KEPT];
};

void minutes_init(struct minutes *minutes);
/* Time passes: true when a minute closed. */
bool minutes_advance(struct minutes *minutes, int64_t now_us);
/* A trade with an id above the last one's, qty at the world's exponent, after
 * minutes_advance: true when a minute closed. */
bool minutes_add(struct minutes *minutes, int64_t transact_us, int64_t id, int64_t qty);
/* Records were lost: what they held is unknown. */
void minutes_spoil(struct minutes *minutes);
/* Newest first; returns how many were filled. */
int minutes_newest(const struct minutes *minutes, struct minute *out, int capacity);
/* Never refuses: a volume that does not fit is 0 in a minute that is not complete. */
void minutes_rescale(struct minutes *minutes, struct scale_step step);
void minutes_code(struct minutes *minutes, struct codec *codec);
#define MINUTES_CODE_SIZE_MAX (8 * 7 + (size_t)(MINUTES_KEPT + 1) * (5 * 8 + 8))

#endif
