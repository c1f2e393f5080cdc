/* Small valid frames for the tests of hot/ingest. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_HOT_INGEST_FRAMES_H
#define BTCAST_TESTS_HOT_INGEST_FRAMES_H

#include "base/check.h"
#include "wire/sbe.h"

#define FRAMES_SIZE 4096

static const struct sbe_scale frames_scale = {-8, -8};

static inline size_t frames_trades(uint8_t *out, int64_t first_id, uint32_t count)
{
    struct trade trades[64];
    CHECK(count <= 64);
    for (uint32_t i = 0; i < count; i++)
        trades[i] = (struct trade){first_id + i, 6000000000000 + first_id + i, 1000 + i, i % 2};
    return sbe_encode_trades(out, FRAMES_SIZE, "BTCUSDT", frames_scale, 1, 1, trades, count);
}

static inline size_t frames_diff(uint8_t *out, int64_t first_id, int64_t last_id)
{
    struct sbe_level bid = {6000000000000, last_id}, ask = {6000001000000, last_id};
    return sbe_encode_diff(out, FRAMES_SIZE, "BTCUSDT", frames_scale, 1, first_id, last_id, &bid, 1,
                           &ask, 1);
}

static inline size_t frames_quote(uint8_t *out, const char *symbol, int64_t id)
{
    struct sbe_level bid = {6000000000000, 1 + id}, ask = {6000001000000, 1 + id};
    return sbe_encode_quote(out, FRAMES_SIZE, symbol, frames_scale, 1, id, bid, ask);
}

static inline size_t frames_snapshot(uint8_t *out, int64_t id)
{
    struct sbe_level bid = {6000000000000, 1}, ask = {6000001000000, 1};
    return sbe_encode_snapshot(out, FRAMES_SIZE, "BTCUSDT", frames_scale, 1, id, &bid, 1, &ask, 1);
}

#endif
