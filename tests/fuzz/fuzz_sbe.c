/* covers: src/wire/sbe.c src/wire/sbe_encode.c src/wire/sbe_json.c */
/* Any bytes as an SBE frame: never reads outside, every view is readable, and an accepted
 * version-0 frame encodes back to itself. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define LEVELS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_levels(const struct level_view *view, struct sbe_level *levels)
{
    for (uint32_t i = 0; i < view->count; i++)
        levels[i] = (struct sbe_level){level_price(view, i), level_qty(view, i)};
}

static size_t encode_sides(const struct sbe_frame *frame, const char *symbol,
                           struct sbe_scale scale, uint8_t *out, size_t capacity)
{
    struct sbe_level bids[LEVELS];
    struct sbe_level asks[LEVELS];
    const struct event *event = &frame->event;
    bool diff = event->kind == EVENT_DIFF;
    const struct level_view *b = diff ? &event->diff.bids : &event->snapshot.bids;
    const struct level_view *a = diff ? &event->diff.asks : &event->snapshot.asks;
    copy_levels(b, bids);
    copy_levels(a, asks);
    if (diff)
        return sbe_encode_diff(out, capacity, symbol, scale, event->event_us, event->diff.first_id,
                               event->diff.last_id, bids, b->count, asks, a->count);
    return sbe_encode_snapshot(out, capacity, symbol, scale, event->event_us,
                               event->snapshot.book_id, bids, b->count, asks, a->count);
}

static size_t encode(const struct sbe_frame *frame, uint8_t *out, size_t capacity)
{
    const struct event *event = &frame->event;
    char symbol[SBE_SYMBOL_MAX + 1] = {0};
    memcpy(symbol, frame->symbol.data, frame->symbol.size);
    struct sbe_scale scale = {(int8_t)event->price_exponent, (int8_t)event->qty_exponent};
    if (event->kind == EVENT_QUOTE)
        return sbe_encode_quote(out, capacity, symbol, scale, event->event_us, event->quote.book_id,
                                (struct sbe_level){event->quote.bid_price, event->quote.bid_qty},
                                (struct sbe_level){event->quote.ask_price, event->quote.ask_qty});
    if (event->kind != EVENT_TRADES)
        return encode_sides(frame, symbol, scale, out, capacity);
    struct trade trades[LEVELS];
    for (uint32_t i = 0; i < event->trades.list.count; i++)
        trades[i] = trade_at(&event->trades.list, i);
    return sbe_encode_trades(out, capacity, symbol, scale, event->event_us,
                             event->trades.transact_us, trades, event->trades.list.count);
}

/* Groups small enough for the arrays above, and nothing a version 0 does not have. */
static bool comparable(const struct sbe_frame *frame, size_t size)
{
    static const uint16_t roots[] = {18, 50, 18, 26};
    const struct event *event = &frame->event;
    if (frame->version != 0 || frame->trailing > 0 || size > 2 * LEVELS * 16 ||
        frame->block_length != roots[frame->template_id - SBE_TRADES])
        return false;
    switch (event->kind) {
    case EVENT_TRADES:
        return event->trades.list.count <= LEVELS && event->trades.list.stride == 25;
    case EVENT_QUOTE:
        return true;
    case EVENT_SNAPSHOT:
        return event->snapshot.bids.stride == 16 && event->snapshot.asks.stride == 16;
    default:
        return event->diff.bids.count <= LEVELS && event->diff.asks.count <= LEVELS &&
               event->diff.bids.stride == 16 && event->diff.asks.stride == 16;
    }
}

static void check_again(const uint8_t *data, size_t size, const struct sbe_frame *frame)
{
    static uint8_t again[4 * LEVELS * 16];
    if (!comparable(frame, size))
        return;
    size_t written = encode(frame, again, sizeof(again));
    CHECK(written == size && memcmp(again, data, size) == 0);
    CHECK(encode(frame, again, size - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *line;
    if (size > 65536)
        return 0;
    if (line == NULL)
        line = malloc(SBE_JSON_SIZE(65536));
    struct sbe_frame frame;
    size_t offset = SIZE_MAX;
    enum sbe_verdict verdict = sbe_decode(bytes_of(data, size), &frame, &offset);
    CHECK(verdict == SBE_OK || offset <= size);
    struct text text = text_begin(line, SBE_JSON_SIZE(size));
    CHECK(sbe_json_write(&text, bytes_of(data, size)) == (verdict == SBE_OK));
    CHECK(!text.truncated && strlen(sbe_verdict_text(verdict)) > 0);
    if (verdict == SBE_OK)
        check_again(data, size, &frame);
    return 0;
}
