/* The feature vector: names, order, schema hash. The same code makes it live, in
 * replay and for training (DESIGN.md sections 4 and 7).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_FEATURE_H
#define BTCAST_MARKET_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#define FEATURE_COUNT 32

/* A vector exists only at a tick; all its inputs have recv_us <= as_of_us. */
struct feature_vector {
    uint64_t schema; /* feature_schema_hash() */
    uint64_t epoch;  /* of the tick */
    uint64_t seq;
    int64_t as_of_us; /* the tick's recv_us */
    int64_t mid2;     /* best bid + best ask: the mid exactly, times two, as a mantissa … */
    int price_exponent; /* … at this exponent */
    bool valid;       /* false: no mid yet, values are all zero */
    float values[FEATURE_COUNT];
};

/* Names in order; static. Their meaning, unit and formula: docs/features.md. */
const char *feature_name(int index);
/* 64-bit hash over version, count, names and order; a model must carry the same. */
uint64_t feature_schema_hash(void);

#endif
