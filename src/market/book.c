/* SPDX-License-Identifier: Apache-2.0 */
#include "market/book.h"

#define BOOK_DEPTH_MAX 20

void book_init(struct book *book)
{
    book->id = book->event_us = 0;
    book->known_bid_min = book->known_ask_max = 0;
    side_init(&book->bids, true);
    side_init(&book->asks, false);
}

static bool book_is_sorted(const struct level_view *view, bool descending)
{
    for (uint32_t i = 0; i < view->count; i++) {
        if (level_qty(view, i) == 0)
            return false;
        if (i == 0)
            continue;
        int64_t step = level_price(view, i) - level_price(view, i - 1);
        if (descending ? step >= 0 : step <= 0)
            return false;
    }
    return true;
}

bool book_snapshot_is_good(const struct level_view *bids, const struct level_view *asks)
{
    return bids->count > 0 && asks->count > 0 && book_is_sorted(bids, true) &&
           book_is_sorted(asks, false) && level_price(bids, 0) < level_price(asks, 0);
}

static int64_t book_gcd(const struct level_view *view, struct scale_step step, int64_t gcd)
{
    for (uint32_t i = 0; i < view->count && gcd != 1; i++) {
        int64_t other = scale_value(level_price(view, i), step.price_shift);
        while (other != 0) {
            int64_t rest = gcd % other;
            gcd = other;
            other = rest;
        }
    }
    return gcd;
}

void book_load(struct book *book, int64_t id, const struct level_view *bids,
               const struct level_view *asks, uint32_t asked, struct scale_step step)
{
    int64_t tick = book_gcd(asks, step, book_gcd(bids, step, 0));
    side_load(&book->bids, bids, step, tick);
    side_load(&book->asks, asks, step, tick);
    book->id = id;
    book->event_us = 0;
    book->known_bid_min = scale_value(level_price(bids, bids->count - 1), step.price_shift);
    book->known_ask_max = scale_value(level_price(asks, asks->count - 1), step.price_shift);
    book->bids_whole = bids->count < asked;
    book->asks_whole = asks->count < asked;
}

void book_apply(struct book *book, const struct level_view *bids, const struct level_view *asks,
                struct scale_step step)
{
    side_apply(&book->bids, bids, step);
    side_apply(&book->asks, asks, step);
}

struct book_touch book_touch(const struct book *book)
{
    struct book_touch touch = {0};
    if (!side_is_empty(&book->bids)) {
        struct world_level best = side_best(&book->bids);
        touch.bid_price = best.price;
        touch.bid_qty = best.qty;
    }
    if (!side_is_empty(&book->asks)) {
        struct world_level best = side_best(&book->asks);
        touch.ask_price = best.price;
        touch.ask_qty = best.qty;
    }
    return touch;
}

bool book_is_crossed(const struct book *book)
{
    return !side_is_empty(&book->bids) && !side_is_empty(&book->asks) &&
           side_best(&book->bids).price >= side_best(&book->asks).price;
}

bool book_is_near_known_edge(const struct book *book)
{
    if (side_is_empty(&book->bids) || side_is_empty(&book->asks))
        return book->id != 0;
    int64_t margin = (book->known_ask_max - book->known_bid_min) / 20;
    return (!book->bids_whole && side_best(&book->bids).price - book->known_bid_min < margin) ||
           (!book->asks_whole && book->known_ask_max - side_best(&book->asks).price < margin);
}

bool book_side_matches(const struct side *side, const struct world_level *top, uint32_t count,
                       uint32_t depth)
{
    struct world_level own[BOOK_DEPTH_MAX];
    uint32_t own_count = side_top(side, own, depth < BOOK_DEPTH_MAX ? depth : BOOK_DEPTH_MAX);
    if (own_count < count || (own_count > count && count < depth))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (own[i].price != top[i].price || own[i].qty != top[i].qty)
            return false;
    return true;
}

bool book_can_rescale(const struct book *book, struct scale_step step)
{
    return scale_fit_value(book->known_bid_min, step.price_shift) == SCALE_FITS &&
           scale_fit_value(book->known_ask_max, step.price_shift) == SCALE_FITS &&
           side_can_rescale(&book->bids, step) && side_can_rescale(&book->asks, step);
}

void book_rescale(struct book *book, struct scale_step step)
{
    book->known_bid_min = scale_value(book->known_bid_min, step.price_shift);
    book->known_ask_max = scale_value(book->known_ask_max, step.price_shift);
    side_rescale(&book->bids, step);
    side_rescale(&book->asks, step);
}

void book_code(struct book *book, struct codec *codec)
{
    codec_i64(codec, &book->id);
    codec_i64(codec, &book->event_us);
    codec_i64(codec, &book->known_bid_min);
    codec_i64(codec, &book->known_ask_max);
    codec_bool(codec, &book->bids_whole);
    codec_bool(codec, &book->asks_whole);
    codec_expect(codec, book->id >= 0);
    codec_expect(codec, book->known_bid_min >= 0 && book->known_bid_min <= SCALE_VALUE_MAX);
    codec_expect(codec, book->known_ask_max >= 0 && book->known_ask_max <= SCALE_VALUE_MAX);
    side_code(&book->bids, codec);
    side_code(&book->asks, codec);
}
