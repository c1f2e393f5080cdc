/* The encoding half of wire/sbe: schema version 0 frames, byte for byte as BINANCE.md
 * section 5 lays them out. SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe.h"

#include <string.h>

#include "base/decimal.h"

/* Where the next byte goes; too small a buffer only sets `failed`, so the callers check
 * once at the end. */
struct sbe_writer {
    uint8_t *out;
    size_t capacity;
    size_t size;
    bool failed;
};

static bool sbe_writer_room(struct sbe_writer *writer, size_t size)
{
    if (writer->failed || writer->capacity - writer->size < size)
        writer->failed = true;
    return !writer->failed;
}

static void sbe_put_u8(struct sbe_writer *writer, uint8_t value)
{
    if (sbe_writer_room(writer, 1))
        writer->out[writer->size++] = value;
}

static void sbe_put_u16(struct sbe_writer *writer, uint16_t value)
{
    if (!sbe_writer_room(writer, sizeof(value)))
        return;
    bytes_store_u16(writer->out + writer->size, value);
    writer->size += sizeof(value);
}

static void sbe_put_u32(struct sbe_writer *writer, uint32_t value)
{
    if (!sbe_writer_room(writer, sizeof(value)))
        return;
    bytes_store_u32(writer->out + writer->size, value);
    writer->size += sizeof(value);
}

/* Times, ids, prices and quantities: a negative one is not in the schema's range. */
static void sbe_put_i64(struct sbe_writer *writer, int64_t value)
{
    if (value < 0)
        writer->failed = true;
    if (!sbe_writer_room(writer, sizeof(value)))
        return;
    bytes_store_i64(writer->out + writer->size, value);
    writer->size += sizeof(value);
}

static void sbe_put_header(struct sbe_writer *writer, uint16_t block_length, uint16_t template_id)
{
    sbe_put_u16(writer, block_length);
    sbe_put_u16(writer, template_id);
    sbe_put_u16(writer, SBE_SCHEMA_ID);
    sbe_put_u16(writer, 0);
}

static void sbe_put_exponent(struct sbe_writer *writer, int8_t exponent)
{
    if (exponent < -DECIMAL_EXPONENT_MAX || exponent > DECIMAL_EXPONENT_MAX)
        writer->failed = true;
    sbe_put_u8(writer, (uint8_t)exponent);
}

static void sbe_put_scale(struct sbe_writer *writer, struct sbe_scale scale)
{
    sbe_put_exponent(writer, scale.price_exponent);
    sbe_put_exponent(writer, scale.qty_exponent);
}

static void sbe_put_levels(struct sbe_writer *writer, const struct sbe_level *levels,
                           uint32_t count, uint32_t limit)
{
    if (count > limit) {
        writer->failed = true;
        return;
    }
    sbe_put_u16(writer, sizeof(struct sbe_level));
    sbe_put_u16(writer, (uint16_t)count);
    for (uint32_t i = 0; i < count && !writer->failed; i++) {
        sbe_put_i64(writer, levels[i].price);
        sbe_put_i64(writer, levels[i].qty);
    }
}

/* The symbol ends every frame. */
static size_t sbe_finish(struct sbe_writer *writer, const char *symbol)
{
    struct bytes text = bytes_text(symbol);
    if (!sbe_symbol_valid(text))
        return 0;
    sbe_put_u8(writer, (uint8_t)text.size);
    if (!sbe_writer_room(writer, text.size))
        return 0;
    memcpy(writer->out + writer->size, text.data, text.size);
    return writer->size + text.size;
}

size_t sbe_encode_trades(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                         int64_t event_us, int64_t transact_us, const struct trade *trades,
                         uint32_t count)
{
    struct sbe_writer writer = {.out = out, .capacity = capacity};
    if (count > SBE_TRADES_MAX)
        return 0;
    sbe_put_header(&writer, 18, SBE_TRADES);
    sbe_put_i64(&writer, event_us);
    sbe_put_i64(&writer, transact_us);
    sbe_put_scale(&writer, scale);
    sbe_put_u16(&writer, 25);
    sbe_put_u32(&writer, count);
    for (uint32_t i = 0; i < count && !writer.failed; i++) {
        sbe_put_i64(&writer, trades[i].id);
        sbe_put_i64(&writer, trades[i].price);
        sbe_put_i64(&writer, trades[i].qty);
        sbe_put_u8(&writer, trades[i].is_buyer_maker);
    }
    return sbe_finish(&writer, symbol);
}

size_t sbe_encode_quote(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                        int64_t event_us, int64_t book_id, struct sbe_level bid,
                        struct sbe_level ask)
{
    struct sbe_writer writer = {.out = out, .capacity = capacity};
    sbe_put_header(&writer, 50, SBE_BEST_BID_ASK);
    sbe_put_i64(&writer, event_us);
    sbe_put_i64(&writer, book_id);
    sbe_put_scale(&writer, scale);
    sbe_put_i64(&writer, bid.price);
    sbe_put_i64(&writer, bid.qty);
    sbe_put_i64(&writer, ask.price);
    sbe_put_i64(&writer, ask.qty);
    return sbe_finish(&writer, symbol);
}

size_t sbe_encode_snapshot(uint8_t *out, size_t capacity, const char *symbol,
                           struct sbe_scale scale, int64_t event_us, int64_t book_id,
                           const struct sbe_level *bids, uint32_t bid_count,
                           const struct sbe_level *asks, uint32_t ask_count)
{
    struct sbe_writer writer = {.out = out, .capacity = capacity};
    sbe_put_header(&writer, 18, SBE_DEPTH_SNAPSHOT);
    sbe_put_i64(&writer, event_us);
    sbe_put_i64(&writer, book_id);
    sbe_put_scale(&writer, scale);
    sbe_put_levels(&writer, bids, bid_count, SBE_SNAPSHOT_LEVELS_MAX);
    sbe_put_levels(&writer, asks, ask_count, SBE_SNAPSHOT_LEVELS_MAX);
    return sbe_finish(&writer, symbol);
}

size_t sbe_encode_diff(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                       int64_t event_us, int64_t first_id, int64_t last_id,
                       const struct sbe_level *bids, uint32_t bid_count,
                       const struct sbe_level *asks, uint32_t ask_count)
{
    struct sbe_writer writer = {.out = out, .capacity = capacity};
    if (first_id > last_id)
        return 0;
    sbe_put_header(&writer, 26, SBE_DEPTH_DIFF);
    sbe_put_i64(&writer, event_us);
    sbe_put_i64(&writer, first_id);
    sbe_put_i64(&writer, last_id);
    sbe_put_scale(&writer, scale);
    sbe_put_levels(&writer, bids, bid_count, SBE_DIFF_LEVELS_MAX);
    sbe_put_levels(&writer, asks, ask_count, SBE_DIFF_LEVELS_MAX);
    return sbe_finish(&writer, symbol);
}
