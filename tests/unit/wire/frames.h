/* Random valid frames for property tests, and the real ones. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_UNIT_WIRE_FRAMES_H
#define BTCAST_TESTS_UNIT_WIRE_FRAMES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "wire/sbe.h"

#define FRAMES_SIZE_MAX  4096
#define FRAMES_GROUP_MAX 60
#define FRAMES_DATA      BTCAST_SOURCE_DIR "/../shared/data/"

/* Sizes differ by orders of magnitude, as ids, prices and times do. */
static inline int64_t frames_value(struct prng *prng)
{
    return (int64_t)(prng_u64(prng) >> (1 + prng_below(prng, 63)));
}

static inline struct sbe_level frames_level(struct prng *prng)
{
    struct sbe_level level = {.price = frames_value(prng), .qty = frames_value(prng)};
    return level;
}

static inline uint32_t frames_levels(struct prng *prng, struct sbe_level *levels, uint32_t limit)
{
    uint32_t count = (uint32_t)prng_below(prng, limit + 1);
    for (uint32_t i = 0; i < count; i++)
        levels[i] = frames_level(prng);
    return count;
}

static inline size_t frames_trades(struct prng *prng, uint8_t *out, struct sbe_scale scale)
{
    struct trade trades[FRAMES_GROUP_MAX];
    uint32_t count = (uint32_t)prng_below(prng, FRAMES_GROUP_MAX + 1);
    for (uint32_t i = 0; i < count; i++)
        trades[i] = (struct trade){.id = frames_value(prng),
                                   .price = frames_value(prng),
                                   .qty = frames_value(prng),
                                   .is_buyer_maker = prng_below(prng, 2) == 1};
    return sbe_encode_trades(out, FRAMES_SIZE_MAX, "BTCUSDT", scale, frames_value(prng),
                             frames_value(prng), trades, count);
}

static inline size_t frames_book(struct prng *prng, uint8_t *out, struct sbe_scale scale,
                                 bool snapshot)
{
    struct sbe_level bids[FRAMES_GROUP_MAX];
    struct sbe_level asks[FRAMES_GROUP_MAX];
    uint32_t limit = snapshot ? SBE_SNAPSHOT_LEVELS_MAX : FRAMES_GROUP_MAX;
    uint32_t bid_count = frames_levels(prng, bids, limit);
    uint32_t ask_count = frames_levels(prng, asks, limit);
    int64_t id = frames_value(prng) / 2;
    if (snapshot)
        return sbe_encode_snapshot(out, FRAMES_SIZE_MAX, "1000SATS-X_Y.Z", scale,
                                   frames_value(prng), id, bids, bid_count, asks, ask_count);
    return sbe_encode_diff(out, FRAMES_SIZE_MAX, "BTCUSDT", scale, frames_value(prng), id,
                           id + (int64_t)prng_below(prng, 1000), bids, bid_count, asks, ask_count);
}

/* A valid frame of one of the four templates; returns its size. */
static inline size_t frames_random(struct prng *prng, uint8_t *out)
{
    struct sbe_scale scale = {.price_exponent = (int8_t)((int)prng_below(prng, 37) - 18),
                              .qty_exponent = (int8_t)((int)prng_below(prng, 37) - 18)};
    switch (prng_below(prng, 4)) {
    case 0:
        return frames_trades(prng, out, scale);
    case 1:
        return sbe_encode_quote(out, FRAMES_SIZE_MAX, "ETHUSDT", scale, frames_value(prng),
                                frames_value(prng), frames_level(prng), frames_level(prng));
    case 2:
        return frames_book(prng, out, scale, true);
    default:
        return frames_book(prng, out, scale, false);
    }
}

/* The whole file, NUL-terminated behind its end; NULL when it is not there. Caller frees. */
static inline char *frames_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "SKIPPED: %s is not there\n", path);
        return NULL;
    }
    char *data = malloc(1 << 20);
    *size = fread(data, 1, (1 << 20) - 1, file);
    data[*size] = '\0';
    fclose(file);
    return data;
}

#endif
