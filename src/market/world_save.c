/* Checkpoints: the whole state of a world as bytes. Layout: magic, version, feature
 * schema, symbol, state, CRC-32C over all before it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/crc32c.h"
#include "market/world_state.h"

#define WORLD_SAVE_MAGIC     "BTWORLD\n"
#define WORLD_SAVE_VERSION   6
#define WORLD_SAVE_HEAD_SIZE (8 + 8 + 8 + 24)
#define WORLD_SAVE_CRC_SIZE  4
/* Clocks, ids, touches, the waiting snapshot and the vector. */
#define WORLD_SAVE_SELF_SIZE_MAX 2048
#define WORLD_SAVE_SIZE_MAX                                                                        \
    (WORLD_SAVE_HEAD_SIZE + WORLD_SAVE_SELF_SIZE_MAX + SLOTS_CODE_SIZE_MAX + FLOW_CODE_SIZE_MAX +  \
     HISTORY_CODE_SIZE_MAX + WINDOWS_CODE_SIZE_MAX + RECENT_CODE_SIZE_MAX + BOOK_CODE_SIZE_MAX +   \
     MINUTES_CODE_SIZE_MAX + LOST_CODE_SIZE_MAX + WORLD_SAVE_CRC_SIZE)

size_t world_save_size_max(const struct world *world)
{
    (void)world;
    return WORLD_SAVE_SIZE_MAX;
}

static void world_code_value(int64_t *value, struct codec *codec)
{
    codec_i64(codec, value);
    codec_expect(codec, *value >= 0 && *value <= SCALE_VALUE_MAX);
}

static void world_code_touch(struct book_touch *touch, struct codec *codec)
{
    world_code_value(&touch->bid_price, codec);
    world_code_value(&touch->bid_qty, codec);
    world_code_value(&touch->ask_price, codec);
    world_code_value(&touch->ask_qty, codec);
}

static void world_code_levels(struct world_level *levels, uint32_t *count, struct codec *codec)
{
    codec_u32(codec, count, WORLD_SNAPSHOT_LEVELS);
    for (uint32_t i = 0; i < *count; i++) {
        world_code_value(&levels[i].price, codec);
        world_code_value(&levels[i].qty, codec);
    }
}

static void world_code_pending(struct world_pending *pending, struct codec *codec)
{
    codec_bool(codec, &pending->is_there);
    if (!pending->is_there) {
        /* What an answered snapshot left behind is no state. */
        if (codec_is_loading(codec))
            *pending = (struct world_pending){0};
        return;
    }
    codec_i64(codec, &pending->id);
    world_code_levels(pending->bids, &pending->bid_count, codec);
    world_code_levels(pending->asks, &pending->ask_count, codec);
}

static void world_code_vector(struct feature_vector *vector, struct codec *codec)
{
    codec_u64(codec, &vector->epoch);
    codec_u64(codec, &vector->seq);
    codec_i64(codec, &vector->as_of_us);
    codec_i64(codec, &vector->mid2);
    codec_int(codec, &vector->price_exponent, INT8_MIN, INT8_MAX);
    codec_bool(codec, &vector->valid);
    codec_bool(codec, &vector->book_live);
    for (int i = 0; i < FEATURE_COUNT; i++) {
        codec_f32(codec, &vector->values[i]);
        codec_expect(codec, isfinite(vector->values[i]));
    }
}

static void world_code_self(struct world *world, struct codec *codec)
{
    codec_u64(codec, &world->epoch);
    codec_u64(codec, &world->seq);
    codec_i64(codec, &world->now_us);
    codec_expect(codec, world->now_us >= 0 && world->now_us <= WORLD_TIME_US_MAX);
    codec_bool(codec, &world->has_scale);
    codec_int(codec, &world->scale.price_exponent, INT8_MIN, INT8_MAX);
    codec_int(codec, &world->scale.qty_exponent, INT8_MIN, INT8_MAX);
    codec_expect(codec, scale_is_sane(world->scale));
    codec_bool(codec, &world->is_live);
    codec_int(codec, &world->crossed_streak, 0, INT16_MAX);
    codec_bool(codec, &world->hole_is_open);
    codec_bool(codec, &world->book_is_rest);
    codec_i64(codec, &world->market_us);
    codec_expect(codec, world->market_us >= 0 && world->market_us <= world->now_us);
    codec_i64(codec, &world->lag_us);
    codec_expect(codec, world_lag_is_sane(world->lag_us));
    world_code_pending(&world->pending, codec);
    codec_i64(codec, &world->quote_id);
    codec_expect(codec, world->quote_id >= 0);
    world_code_touch(&world->quote, codec);
    world_code_touch(&world->touch, codec);
    world->mid2 = world->touch.bid_price + world->touch.ask_price;
    codec_bool(codec, &world->touch_flagged);
    codec_i64(codec, &world->last_trade_id);
    codec_expect(codec, world->last_trade_id >= -1);
    codec_i64(codec, &world->streamed_trade_id);
    codec_expect(codec, world->streamed_trade_id >= -1 &&
                            world->streamed_trade_id <= world->last_trade_id);
    codec_i64(codec, &world->last_trade_us);
    codec_expect(codec, world->last_trade_us >= 0 && world->last_trade_us <= world->now_us);
    lost_code(&world->lost, codec);
    world_code_vector(&world->vector, codec);
}

/* What only holds between the parts. */
static void world_expect_consistent(const struct world *world, struct codec *codec)
{
    const struct windows *windows = &world->windows;
    if (windows->head > 0)
        codec_expect(codec, windows->trades[(windows->head - 1) % WINDOW_TRADES_MAX].recv_us <=
                                world->now_us);
    const struct history_sample *sample = history_last(&world->history);
    codec_expect(codec, sample == NULL || sample->recv_us <= world->now_us);
    codec_expect(codec, world->flow.tick_us <= world->now_us);
    codec_expect(codec, world->burst.heat_us <= world->now_us);
    codec_expect(codec, world->lean.sample_us <= world->now_us);
    codec_expect(codec, !world->is_live ||
                            (world->book.id > 0 && world->book.id == world->recent.last_id));
    codec_expect(codec, recent_fits(&world->recent, world->scale));
}

/* Saving only reads, although it shares its functions with loading. */
static void world_code(struct world *world, struct codec *codec)
{
    world_code_self(world, codec);
    slots_code(&world->slots, codec);
    minutes_code(&world->minutes, codec);
    flow_code(&world->flow, codec);
    burst_code(&world->burst, codec);
    lean_code(&world->lean, codec);
    history_code(&world->history, codec);
    windows_code(&world->windows, codec);
    recent_code(&world->recent, codec);
    book_code(&world->book, codec);
}

static void world_code_head(struct codec *codec, uint8_t magic[8], uint64_t *version,
                            uint64_t *schema, char symbol[24])
{
    codec_bytes(codec, magic, 8);
    codec_u64(codec, version);
    codec_u64(codec, schema);
    codec_bytes(codec, symbol, 24);
}

int world_save(const struct world *world, uint8_t *out, size_t capacity, size_t *size,
               struct err *err)
{
    struct world *self = (struct world *)world;
    struct codec codec = codec_save(out, capacity);
    uint8_t magic[8];
    uint64_t version = WORLD_SAVE_VERSION, schema = feature_schema_hash();
    memcpy(magic, WORLD_SAVE_MAGIC, sizeof(magic));
    world_code_head(&codec, magic, &version, &schema, self->symbol);
    world_code(self, &codec);
    uint32_t crc = codec.failed ? 0 : crc32c(0, out, codec.at);
    codec_bytes(&codec, &crc, sizeof(crc));
    if (codec.failed)
        return err_set(err, ERR_FULL, "world: the checkpoint needs more than %zu bytes", capacity);
    *size = codec.at;
    return ERR_OK;
}

static int world_check_head(const struct world *world, struct bytes saved, struct codec *codec,
                            struct err *err)
{
    uint8_t magic[8];
    uint64_t version = 0, schema = 0;
    char symbol[24];
    world_code_head(codec, magic, &version, &schema, symbol);
    if (codec->failed || saved.size < codec->at + WORLD_SAVE_CRC_SIZE ||
        memcmp(magic, WORLD_SAVE_MAGIC, sizeof(magic)) != 0)
        return err_set(err, ERR_MALFORMED, "world: not a checkpoint (%zu bytes)", saved.size);
    codec->size = saved.size - WORLD_SAVE_CRC_SIZE;
    if (crc32c(0, saved.data, codec->size) != bytes_load_u32(saved.data + codec->size))
        return err_set(err, ERR_CORRUPT, "world: the checkpoint's checksum is wrong");
    if (version != WORLD_SAVE_VERSION || schema != feature_schema_hash())
        return err_set(err, ERR_SCHEMA,
                       "world: the checkpoint has version %llu and feature schema %016llx, "
                       "this program has %d and %016llx",
                       (unsigned long long)version, (unsigned long long)schema, WORLD_SAVE_VERSION,
                       (unsigned long long)feature_schema_hash());
    if (memcmp(symbol, world->symbol, sizeof(symbol)) != 0)
        return err_set(err, ERR_SCHEMA, "world: the checkpoint is of another symbol than %s",
                       world->symbol);
    return ERR_OK;
}

int world_load(struct world *world, struct bytes saved, struct err *err)
{
    world_reset(world);
    struct codec codec = codec_load(saved);
    int code = world_check_head(world, saved, &codec, err);
    if (code != ERR_OK)
        return code;
    world_code(world, &codec);
    if (!codec.failed)
        world_expect_consistent(world, &codec);
    if (!codec.failed && codec.at == codec.size)
        return ERR_OK;
    size_t at = codec.at;
    world_reset(world);
    return err_set(err, ERR_MALFORMED, "world: the checkpoint is inconsistent near byte %zu", at);
}
