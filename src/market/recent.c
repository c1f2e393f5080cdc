/* SPDX-License-Identifier: Apache-2.0 */
#include "market/recent.h"

#include "base/check.h"

void recent_init(struct recent *recent)
{
    recent_restart(recent, 0);
    recent->head = recent->tail = 0;
    recent->level_head = 0;
}

void recent_restart(struct recent *recent, int64_t last_id)
{
    recent->tail = recent->head;
    recent->last_id = last_id;
}

static struct recent_diff *recent_slot(struct recent *recent, uint64_t number)
{
    return &recent->diffs[number % RECENT_DIFFS_MAX];
}

/* Where `count` levels go: a diff's levels lie together, so one that would run over the
 * end of the ring starts at its beginning. */
static uint64_t recent_place(const struct recent *recent, uint64_t count)
{
    uint64_t at = recent->level_head % RECENT_LEVELS_MAX;
    uint64_t pad = at + count > RECENT_LEVELS_MAX ? RECENT_LEVELS_MAX - at : 0;
    return recent->level_head + pad;
}

static bool recent_has_room(struct recent *recent, uint64_t start, uint64_t count)
{
    if (recent->head == recent->tail)
        return true;
    return recent->head - recent->tail < RECENT_DIFFS_MAX &&
           start + count - recent_slot(recent, recent->tail)->start <= RECENT_LEVELS_MAX;
}

static void recent_copy(uint8_t *to, const struct level_view *view)
{
    if (view->count == 0)
        return;
    if (view->stride == RECENT_LEVEL_SIZE) {
        memcpy(to, view->at, (size_t)view->count * RECENT_LEVEL_SIZE);
        return;
    }
    for (uint32_t i = 0; i < view->count; i++)
        memcpy(to + (size_t)i * RECENT_LEVEL_SIZE, view->at + (size_t)i * view->stride,
               RECENT_LEVEL_SIZE);
}

uint32_t recent_push(struct recent *recent, const struct event *event, int64_t now_us)
{
    const struct level_view *bids = &event->diff.bids;
    const struct level_view *asks = &event->diff.asks;
    PRE(event->diff.last_id > recent->last_id);
    if (recent->last_id == 0 || event->diff.first_id > recent->last_id + 1)
        recent_restart(recent, 0);
    recent->last_id = event->diff.last_id;
    uint64_t count = (uint64_t)bids->count + asks->count;
    if (count > RECENT_LEVELS_MAX) {
        uint32_t gone = recent_count(recent) + 1;
        recent_restart(recent, event->diff.last_id);
        return gone;
    }
    uint32_t gone = 0;
    uint64_t start = recent_place(recent, count);
    for (; !recent_has_room(recent, start, count); gone++)
        recent->tail++;
    *recent_slot(recent, recent->head++) =
        (struct recent_diff){.first_id = event->diff.first_id,
                             .last_id = event->diff.last_id,
                             .recv_us = now_us,
                             .event_us = event->event_us,
                             .start = start,
                             .bid_count = bids->count,
                             .ask_count = asks->count,
                             .scale = {event->price_exponent, event->qty_exponent}};
    uint8_t *at = recent->levels + start % RECENT_LEVELS_MAX * RECENT_LEVEL_SIZE;
    recent_copy(at, bids);
    recent_copy(at + (size_t)bids->count * RECENT_LEVEL_SIZE, asks);
    recent->level_head = start + count;
    return gone;
}

void recent_trim(struct recent *recent, int64_t recv_us)
{
    while (recent->tail != recent->head && recent_slot(recent, recent->tail)->recv_us <= recv_us)
        recent->tail++;
}

int64_t recent_join_min(const struct recent *recent)
{
    if (recent->head == recent->tail)
        return recent->last_id;
    return recent_at(recent, 0)->first_id - 1;
}

const struct recent_diff *recent_at(const struct recent *recent, uint32_t index)
{
    PRE(index < recent_count(recent));
    return &recent->diffs[(recent->tail + index) % RECENT_DIFFS_MAX];
}

void recent_views(const struct recent *recent, const struct recent_diff *diff,
                  struct level_view *bids, struct level_view *asks)
{
    const uint8_t *at = recent->levels + diff->start % RECENT_LEVELS_MAX * RECENT_LEVEL_SIZE;
    *bids = (struct level_view){at, diff->bid_count, RECENT_LEVEL_SIZE};
    *asks = (struct level_view){at + (size_t)diff->bid_count * RECENT_LEVEL_SIZE, diff->ask_count,
                                RECENT_LEVEL_SIZE};
}

bool recent_fits(const struct recent *recent, struct scale scale)
{
    for (uint32_t i = 0; i < recent_count(recent); i++) {
        const struct recent_diff *diff = recent_at(recent, i);
        struct scale_step step = scale_between(diff->scale, scale);
        struct level_view bids, asks;
        recent_views(recent, diff, &bids, &asks);
        if (scale_fit_levels(&bids, step) != SCALE_FITS ||
            scale_fit_levels(&asks, step) != SCALE_FITS)
            return false;
    }
    return true;
}

static void recent_save_diff(const struct recent *recent, uint32_t index, struct codec *codec)
{
    struct recent_diff diff = *recent_at(recent, index);
    codec_i64(codec, &diff.first_id);
    codec_i64(codec, &diff.last_id);
    codec_i64(codec, &diff.recv_us);
    codec_i64(codec, &diff.event_us);
    codec_int(codec, &diff.scale.price_exponent, INT8_MIN, INT8_MAX);
    codec_int(codec, &diff.scale.qty_exponent, INT8_MIN, INT8_MAX);
    codec_u32(codec, &diff.bid_count, RECENT_LEVELS_MAX);
    codec_u32(codec, &diff.ask_count, RECENT_LEVELS_MAX);
    struct level_view bids, asks;
    recent_views(recent, &diff, &bids, &asks);
    uint8_t *levels = (uint8_t *)bids.at; /* only read when saving */
    codec_bytes(codec, levels, ((size_t)bids.count + asks.count) * RECENT_LEVEL_SIZE);
}

/* Reads one diff as an event whose views point into the saved bytes. */
static void recent_load_diff(struct recent *recent, struct codec *codec)
{
    struct event event = {.kind = EVENT_DIFF};
    int64_t recv_us = 0;
    codec_i64(codec, &event.diff.first_id);
    codec_i64(codec, &event.diff.last_id);
    codec_i64(codec, &recv_us);
    codec_i64(codec, &event.event_us);
    codec_int(codec, &event.price_exponent, INT8_MIN, INT8_MAX);
    codec_int(codec, &event.qty_exponent, INT8_MIN, INT8_MAX);
    codec_u32(codec, &event.diff.bids.count, RECENT_LEVELS_MAX);
    codec_u32(codec, &event.diff.asks.count, RECENT_LEVELS_MAX);
    size_t bid_size = (size_t)event.diff.bids.count * RECENT_LEVEL_SIZE;
    size_t ask_size = (size_t)event.diff.asks.count * RECENT_LEVEL_SIZE;
    codec_expect(codec, bid_size + ask_size <= codec->size - codec->at);
    codec_expect(codec, event.diff.first_id > 0 && event.diff.last_id >= event.diff.first_id);
    codec_expect(codec, event.diff.last_id > recent->last_id);
    codec_expect(codec, scale_is_sane((struct scale){event.price_exponent, event.qty_exponent}));
    if (codec->failed)
        return;
    event.diff.bids.at = codec->in + codec->at;
    event.diff.asks.at = event.diff.bids.at + bid_size;
    event.diff.bids.stride = event.diff.asks.stride = RECENT_LEVEL_SIZE;
    codec->at += bid_size + ask_size;
    codec_expect(codec, scale_levels_are_sane(&event.diff.bids) &&
                            scale_levels_are_sane(&event.diff.asks));
    if (!codec->failed)
        codec_expect(codec, recent_push(recent, &event, recv_us) == 0);
}

void recent_code(struct recent *recent, struct codec *codec)
{
    uint32_t count = recent_count(recent);
    /* The ring's layout follows from where its first diff lies. */
    uint64_t start = count > 0 ? recent_at(recent, 0)->start : recent->level_head;
    start %= RECENT_LEVELS_MAX;
    int64_t last_id = recent->last_id;
    codec_i64(codec, &last_id);
    codec_u64(codec, &start);
    codec_u32(codec, &count, RECENT_DIFFS_MAX);
    codec_expect(codec, last_id >= 0 && start < RECENT_LEVELS_MAX);
    if (!codec_is_loading(codec)) {
        for (uint32_t i = 0; i < count; i++)
            recent_save_diff(recent, i, codec);
        return;
    }
    recent_init(recent);
    recent->level_head = codec->failed ? 0 : start;
    for (uint32_t i = 0; i < count && !codec->failed; i++)
        recent_load_diff(recent, codec);
    codec_expect(codec, count == 0 || recent->last_id == last_id);
    recent->last_id = codec->failed ? 0 : last_id;
}
