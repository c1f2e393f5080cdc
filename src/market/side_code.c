/* A side's rescaling, saving and loading: the seldom part.
 * SPDX-License-Identifier: Apache-2.0 */
#include "market/side.h"

_Static_assert(SIDE_TICKS - 1 <= UINT16_MAX, "a place is saved in 16 bits");

static int64_t side_qty_at(const struct side *side, int64_t key)
{
    return side->qty[(uint64_t)key & (SIDE_TICKS - 1)];
}

static bool side_fits(struct world_level level, struct scale_step step)
{
    return scale_fit_value(level.price, step.price_shift) == SCALE_FITS &&
           scale_fit_value(level.qty, step.qty_shift) == SCALE_FITS;
}

/* Moves *key up to the next occupied place of the array, itself included. */
static bool side_next(const struct side *side, int64_t *key)
{
    while (*key < side->low + SIDE_TICKS) {
        uint64_t place = (uint64_t)*key & (SIDE_TICKS - 1);
        uint64_t rest = side->words[place >> 6] >> (place & 63);
        if (rest != 0) {
            *key += __builtin_ctzll(rest);
            return *key < side->low + SIDE_TICKS; /* a word may hold both ends */
        }
        *key += 64 - (int64_t)(place & 63);
    }
    return false;
}

bool side_can_rescale(const struct side *side, struct scale_step step)
{
    if (scale_fit_value(side->grid.tick, step.price_shift) != SCALE_FITS)
        return false;
    for (int64_t key = side->low; side_next(side, &key); key++)
        if (!side_fits((struct world_level){side_key_price(side, key), side_qty_at(side, key)},
                       step))
            return false;
    for (uint32_t i = 0; i < side->far_count; i++)
        if (!side_fits(side->far[i], step))
            return false;
    return true;
}

void side_rescale(struct side *side, struct scale_step step)
{
    for (int64_t key = side->low; side_next(side, &key); key++)
        side_put(side, key, scale_value(side_qty_at(side, key), step.qty_shift));
    for (uint32_t i = 0; i < side->far_count; i++) {
        side->far[i].price = scale_value(side->far[i].price, step.price_shift);
        side->far[i].qty = scale_value(side->far[i].qty, step.qty_shift);
    }
    /* Prices and tick grow alike, so every key stays. */
    side->grid = side_grid_of(scale_value(side->grid.tick, step.price_shift));
}

static void side_save_near(const struct side *side, struct codec *codec)
{
    for (int64_t key = side->low; side_next(side, &key); key++) {
        uint16_t place = (uint16_t)(key - side->low);
        int64_t qty = side_qty_at(side, key);
        codec_bytes(codec, &place, sizeof(place));
        codec_i64(codec, &qty);
    }
}

static bool side_price_is_sane(const struct side *side, int64_t key)
{
    int64_t price;
    return !__builtin_mul_overflow(side->sign * key, side->grid.tick, &price) && price > 0 &&
           price <= SCALE_VALUE_MAX;
}

static void side_load_near(struct side *side, uint32_t count, struct codec *codec)
{
    int last = -1;
    for (uint32_t i = 0; i < count && !codec->failed; i++) {
        uint16_t place = 0;
        int64_t qty = 0;
        codec_bytes(codec, &place, sizeof(place));
        codec_i64(codec, &qty);
        codec_expect(codec, place > last && qty > 0 && qty <= SCALE_VALUE_MAX &&
                                side_price_is_sane(side, side->low + place));
        if (codec->failed)
            return;
        side_put(side, side->low + place, qty);
        side->best = side->low + place;
        last = place;
    }
}

static void side_code_far(struct side *side, struct codec *codec)
{
    for (uint32_t i = 0; i < side->far_count && !codec->failed; i++) {
        struct world_level *level = &side->far[i];
        codec_i64(codec, &level->price);
        codec_i64(codec, &level->qty);
        codec_expect(codec, level->price > 0 && level->price <= SCALE_VALUE_MAX && level->qty > 0 &&
                                level->qty <= SCALE_VALUE_MAX);
        if (codec->failed)
            return;
        codec_expect(codec, side_key_floor(side, level->price) < side->low);
        codec_expect(codec,
                     i == 0 || side->sign * side->far[i - 1].price < side->sign * level->price);
    }
}

static void side_load_head(struct side *side, struct codec *codec, uint32_t *near_count)
{
    side_init(side, side->sign > 0);
    int64_t tick = 0;
    codec_i64(codec, &tick);
    codec_expect(codec, tick > 0 && tick <= SCALE_VALUE_MAX);
    side->grid = side_grid_of(codec->failed ? 1 : tick);
    codec_i64(codec, &side->low);
    codec_expect(codec, side->low <= 2 * SCALE_VALUE_MAX && side->low >= -2 * SCALE_VALUE_MAX);
    side->low = codec->failed ? 0 : side->low;
    side->best = side->low;
    codec_u32(codec, near_count, SIDE_TICKS);
}

void side_code(struct side *side, struct codec *codec)
{
    uint32_t near_count = side_near_count(side);
    if (codec_is_loading(codec)) {
        side_load_head(side, codec, &near_count);
    } else {
        codec_i64(codec, &side->grid.tick);
        codec_i64(codec, &side->low);
        codec_u32(codec, &near_count, SIDE_TICKS);
    }
    codec_u32(codec, &side->far_count, SIDE_FAR_MAX);
    if (codec_is_loading(codec))
        side_load_near(side, near_count, codec);
    else
        side_save_near(side, codec);
    side_code_far(side, codec);
    codec_expect(codec, near_count > 0 || side->far_count == 0);
}
