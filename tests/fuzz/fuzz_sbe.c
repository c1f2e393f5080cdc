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

/* Arguments nobody checked: what an encoder takes, the decoder reads. */
static void encode_anything(const uint8_t *data, size_t size)
{
    static uint8_t out[4 * LEVELS * 16];
    struct trade trades[2] = {{0}};
    struct sbe_level levels[2];
    int64_t values[8];
    char symbol[8] = {0};
    if (size < sizeof(values) + 16)
        return;
    memcpy(values, data, sizeof(values));
    data += sizeof(values);
    memcpy(symbol, data, sizeof(symbol) - 1);
    struct sbe_scale scale = {.price_exponent = (int8_t)data[8], .qty_exponent = (int8_t)data[9]};
    size_t capacity = (size_t)data[10] * 2;
    for (int i = 0; i < 2; i++) {
        levels[i] = (struct sbe_level){values[4 + i], values[6 + i]};
        trades[i] = (struct trade){.id = values[2 + i], .price = values[4 + i]};
    }
    size_t written[4] = {
        sbe_encode_quote(out, capacity, symbol, scale, values[0], values[1], levels[0], levels[1]),
        sbe_encode_trades(out, capacity, symbol, scale, values[0], values[1], trades,
                          data[11] < 250 ? data[11] % 3 : SBE_TRADES_MAX + 1),
        sbe_encode_snapshot(out, capacity, symbol, scale, values[0], values[1], levels,
                            data[12] < 250 ? data[12] % 3 : SBE_SNAPSHOT_LEVELS_MAX + 1, levels,
                            data[13] < 250 ? data[13] % 3 : SBE_SNAPSHOT_LEVELS_MAX + 1),
        sbe_encode_diff(out, capacity, symbol, scale, values[0], values[1], values[2], levels,
                        data[12] % 3, levels, data[13] % 3),
    };
    struct sbe_frame frame;
    for (int i = 0; i < 4; i++)
        CHECK(written[i] <= capacity);
    if (written[3] > 0)
        CHECK(sbe_decode(bytes_of(out, written[3]), &frame, NULL) == SBE_OK);
}

/* The payload of every kind of record, as a JSON line. */
static void print_records(const uint8_t *data, size_t size, char *line, size_t capacity)
{
    for (uint8_t kind = 0; kind <= RECORD_SLOT + 1; kind++) {
        struct record record = {.kind = kind, .payload = bytes_of(data, size)};
        struct text text = text_begin(line, capacity);
        bool good = sbe_json_write_record(&text, &record);
        CHECK(!text.truncated && (!good || (kind >= RECORD_FRAME && kind <= RECORD_SLOT)));
        CHECK(memchr(text.at, '\n', text.size) == NULL);
    }
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
    print_records(data, size, line, SBE_JSON_SIZE(65536));
    encode_anything(data, size);
    return 0;
}
