/* The feature vector: names, order, schema hash. The same code makes it live, in
 * replay and for training (DESIGN.md sections 4 and 7).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_FEATURE_H
#define BTCAST_MARKET_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#define FEATURE_COUNT 32
/* Grows when a formula changes although its name stays. */
#define FEATURE_VERSION 2

/* Places in the vector. The name in feature_name() is the constant's in lower case.
 * A feature whose name ends in _bp is in basis points: the hash field ret_1s (a
 * fraction) is values[FEATURE_RET_1S_BP] / 1e4. */
enum feature {
    FEATURE_MICROPRICE_DEV_BP,
    FEATURE_RET_1S_BP,
    FEATURE_RET_5S_BP,
    FEATURE_VOL_IMBALANCE,
    FEATURE_SPREAD_BP,
    FEATURE_OB_IMBALANCE,
    FEATURE_TRADE_INTENSITY,
    FEATURE_RET_500MS_BP,
    FEATURE_RET_10S_BP,
    FEATURE_RET_30S_BP,
    FEATURE_TOUCH_IMBALANCE,
    FEATURE_DEPTH5_IMBALANCE,
    FEATURE_OFI_1S,
    FEATURE_OFI_5S,
    FEATURE_OFI_DEEP_1S,
    FEATURE_OFI_DEEP_5S,
    FEATURE_VOLATILITY_5S_BP,
    FEATURE_VOLATILITY_30S_BP,
    FEATURE_PRESSURE_5S,
    FEATURE_PRESSURE_20S,
    FEATURE_VOL_IMBALANCE_5S,
    FEATURE_VWAP_DEV_1S_BP,
    FEATURE_INTENSITY_RATIO,
    FEATURE_TRADE_SIZE_LOG,
    FEATURE_QUOTE_INTENSITY_LOG,
    FEATURE_TRADE_SILENCE_LOG,
    FEATURE_DEPTH_BID_LOG,
    FEATURE_DEPTH_ASK_LOG,
    FEATURE_OB_IMBALANCE_MEAN,
    FEATURE_TRADE_SIGN_MEAN,
    FEATURE_BURST_RATE,
    FEATURE_BURST_PENDING,
};

/* A vector exists only at a tick; all its inputs have recv_us <= as_of_us. */
struct feature_vector {
    uint64_t schema; /* feature_schema_hash() */
    uint64_t epoch;  /* of the tick */
    uint64_t seq;
    int64_t as_of_us;   /* the tick's recv_us */
    int64_t mid2;       /* best bid + best ask: the mid exactly, times two, as a mantissa … */
    int price_exponent; /* … at this exponent */
    bool valid;         /* false: no mid yet, values are all zero */
    bool book_live;     /* the book was synced at the tick */
    float values[FEATURE_COUNT];
};

/* The range a value is clamped to. */
float feature_minimum(int index);
float feature_maximum(int index);
/* Clamps raw features into their ranges; what is not a number is 0. */
void feature_clamp(const double raw[FEATURE_COUNT], float values[FEATURE_COUNT]);
/* Bids for asks, buyers for sellers, up for down: the place and the sign with which a feature
 * comes back. feature(mirrored market)[index] = sign * feature(market)[place]. */
int feature_mirror(int index, float *sign);
/* Place of a name, or -1. */
int feature_index(const char *name);
/* Names in order; static. Their meaning, unit and formula: docs/features.md. */
const char *feature_name(int index);
/* 64-bit hash over version, count, names and order; a model must carry the same. */
uint64_t feature_schema_hash(void);

#endif
