/* SPDX-License-Identifier: Apache-2.0 */
#include "market/backlog.h"

#include "base/check.h"

void backlog_init(struct backlog *backlog)
{
    backlog_restart(backlog, 0);
    backlog->head = backlog->tail = 0;
    backlog->level_head = 0;
}

void backlog_restart(struct backlog *backlog, int64_t last_id)
{
    backlog->tail = backlog->head;
    backlog->last_id = last_id;
}

static struct backlog_diff *backlog_slot(struct backlog *backlog, uint64_t number)
{
    return &backlog->diffs[number % BACKLOG_DIFFS_MAX];
}

/* Where `count` levels go: a diff's levels lie together, so one that would run over the
 * end of the ring starts at its beginning. */
static uint64_t backlog_place(const struct backlog *backlog, uint64_t count)
{
    uint64_t at = backlog->level_head % BACKLOG_LEVELS_MAX;
    uint64_t pad = at + count > BACKLOG_LEVELS_MAX ? BACKLOG_LEVELS_MAX - at : 0;
    return backlog->level_head + pad;
}

static bool backlog_has_room(struct backlog *backlog, uint64_t start, uint64_t count)
{
    if (backlog->head == backlog->tail)
        return true;
    return backlog->head - backlog->tail < BACKLOG_DIFFS_MAX &&
           start + count - backlog_slot(backlog, backlog->tail)->start <= BACKLOG_LEVELS_MAX;
}

static void backlog_copy(uint8_t *to, const struct level_view *view)
{
    if (view->count == 0)
        return;
    if (view->stride == BACKLOG_LEVEL_SIZE) {
        memcpy(to, view->at, (size_t)view->count * BACKLOG_LEVEL_SIZE);
        return;
    }
    for (uint32_t i = 0; i < view->count; i++)
        memcpy(to + (size_t)i * BACKLOG_LEVEL_SIZE, view->at + (size_t)i * view->stride,
               BACKLOG_LEVEL_SIZE);
}

uint32_t backlog_push(struct backlog *backlog, const struct event *event, int64_t now_us)
{
    const struct level_view *bids = &event->diff.bids;
    const struct level_view *asks = &event->diff.asks;
    PRE(event->diff.last_id > backlog->last_id);
    if (backlog->last_id == 0 || event->diff.first_id > backlog->last_id + 1)
        backlog_restart(backlog, 0);
    backlog->last_id = event->diff.last_id;
    uint64_t count = (uint64_t)bids->count + asks->count;
    if (count > BACKLOG_LEVELS_MAX) {
        uint32_t gone = backlog_count(backlog) + 1;
        backlog_restart(backlog, event->diff.last_id);
        return gone;
    }
    uint32_t gone = 0;
    uint64_t start = backlog_place(backlog, count);
    for (; !backlog_has_room(backlog, start, count); gone++)
        backlog->tail++;
    *backlog_slot(backlog, backlog->head++) = (struct backlog_diff){
        .first_id = event->diff.first_id, .last_id = event->diff.last_id,
        .recv_us = now_us, .event_us = event->event_us, .start = start,
        .bid_count = bids->count, .ask_count = asks->count,
        .scale = {event->price_exponent, event->qty_exponent}};
    uint8_t *at = backlog->levels + start % BACKLOG_LEVELS_MAX * BACKLOG_LEVEL_SIZE;
    backlog_copy(at, bids);
    backlog_copy(at + (size_t)bids->count * BACKLOG_LEVEL_SIZE, asks);
    backlog->level_head = start + count;
    return gone;
}

void backlog_trim(struct backlog *backlog, int64_t recv_us)
{
    while (backlog->tail != backlog->head &&
           backlog_slot(backlog, backlog->tail)->recv_us <= recv_us)
        backlog->tail++;
}

int64_t backlog_join_min(const struct backlog *backlog)
{
    if (backlog->head == backlog->tail)
        return backlog->last_id;
    return backlog_at(backlog, 0)->first_id - 1;
}

const struct backlog_diff *backlog_at(const struct backlog *backlog, uint32_t index)
{
    PRE(index < backlog_count(backlog));
    return &backlog->diffs[(backlog->tail + index) % BACKLOG_DIFFS_MAX];
}

void backlog_views(const struct backlog *backlog, const struct backlog_diff *diff,
                   struct level_view *bids, struct level_view *asks)
{
    const uint8_t *at = backlog->levels + diff->start % BACKLOG_LEVELS_MAX * BACKLOG_LEVEL_SIZE;
    *bids = (struct level_view){at, diff->bid_count, BACKLOG_LEVEL_SIZE};
    *asks = (struct level_view){at + (size_t)diff->bid_count * BACKLOG_LEVEL_SIZE,
                                diff->ask_count, BACKLOG_LEVEL_SIZE};
}

bool backlog_fits(const struct backlog *backlog, struct scale scale)
{
    for (uint32_t i = 0; i < backlog_count(backlog); i++) {
        const struct backlog_diff *diff = backlog_at(backlog, i);
        struct scale_step step = scale_between(diff->scale, scale);
        struct level_view bids, asks;
        backlog_views(backlog, diff, &bids, &asks);
        if (scale_fit_levels(&bids, step) != SCALE_FITS ||
            scale_fit_levels(&asks, step) != SCALE_FITS)
            return false;
    }
    return true;
}

static void backlog_save_diff(const struct backlog *backlog, uint32_t index,
                              struct codec *codec)
{
    struct backlog_diff diff = *backlog_at(backlog, index);
    codec_i64(codec, &diff.first_id);
    codec_i64(codec, &diff.last_id);
    codec_i64(codec, &diff.recv_us);
    codec_i64(codec, &diff.event_us);
    codec_int(codec, &diff.scale.price_exponent, INT8_MIN, INT8_MAX);
    codec_int(codec, &diff.scale.qty_exponent, INT8_MIN, INT8_MAX);
    codec_u32(codec, &diff.bid_count, BACKLOG_LEVELS_MAX);
    codec_u32(codec, &diff.ask_count, BACKLOG_LEVELS_MAX);
    struct level_view bids, asks;
    backlog_views(backlog, &diff, &bids, &asks);
    uint8_t *levels = (uint8_t *)(uintptr_t)bids.at; /* only read when saving */
    codec_bytes(codec, levels, ((size_t)bids.count + asks.count) * BACKLOG_LEVEL_SIZE);
}

/* Reads one diff as an event whose views point into the saved bytes. */
static void backlog_load_diff(struct backlog *backlog, struct codec *codec)
{
    struct event event = {.kind = EVENT_DIFF};
    int64_t recv_us = 0;
    codec_i64(codec, &event.diff.first_id);
    codec_i64(codec, &event.diff.last_id);
    codec_i64(codec, &recv_us);
    codec_i64(codec, &event.event_us);
    codec_int(codec, &event.price_exponent, INT8_MIN, INT8_MAX);
    codec_int(codec, &event.qty_exponent, INT8_MIN, INT8_MAX);
    codec_u32(codec, &event.diff.bids.count, BACKLOG_LEVELS_MAX);
    codec_u32(codec, &event.diff.asks.count, BACKLOG_LEVELS_MAX);
    size_t bid_size = (size_t)event.diff.bids.count * BACKLOG_LEVEL_SIZE;
    size_t ask_size = (size_t)event.diff.asks.count * BACKLOG_LEVEL_SIZE;
    codec_expect(codec, bid_size + ask_size <= codec->size - codec->at);
    codec_expect(codec, event.diff.first_id > 0 && event.diff.last_id >= event.diff.first_id);
    codec_expect(codec, event.diff.last_id > backlog->last_id);
    codec_expect(codec, scale_is_sane((struct scale){event.price_exponent, event.qty_exponent}));
    if (codec->failed)
        return;
    event.diff.bids.at = codec->in + codec->at;
    event.diff.asks.at = event.diff.bids.at + bid_size;
    event.diff.bids.stride = event.diff.asks.stride = BACKLOG_LEVEL_SIZE;
    codec->at += bid_size + ask_size;
    codec_expect(codec, scale_levels_are_sane(&event.diff.bids) &&
                            scale_levels_are_sane(&event.diff.asks));
    if (!codec->failed)
        codec_expect(codec, backlog_push(backlog, &event, recv_us) == 0);
}

void backlog_code(struct backlog *backlog, struct codec *codec)
{
    uint32_t count = backlog_count(backlog);
    /* The ring's layout follows from where its first diff lies. */
    uint64_t start = count > 0 ? backlog_at(backlog, 0)->start : backlog->level_head;
    start %= BACKLOG_LEVELS_MAX;
    int64_t last_id = backlog->last_id;
    codec_i64(codec, &last_id);
    codec_u64(codec, &start);
    codec_u32(codec, &count, BACKLOG_DIFFS_MAX);
    codec_expect(codec, last_id >= 0 && start < BACKLOG_LEVELS_MAX);
    if (!codec_is_loading(codec)) {
        for (uint32_t i = 0; i < count; i++)
            backlog_save_diff(backlog, i, codec);
        return;
    }
    backlog_init(backlog);
    backlog->level_head = codec->failed ? 0 : start;
    for (uint32_t i = 0; i < count && !codec->failed; i++)
        backlog_load_diff(backlog, codec);
    codec_expect(codec, count == 0 || backlog->last_id == last_id);
    backlog->last_id = codec->failed ? 0 : last_id;
}
