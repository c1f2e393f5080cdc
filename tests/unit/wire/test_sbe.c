/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/wire/frames.h"

#define ROUNDS 2000

static const struct sbe_scale scale_8 = {.price_exponent = -8, .qty_exponent = -8};

static const struct sbe_level example_bids[] = {{9553554000000, 150000000}, {9553550000000, 0}};
static const struct sbe_level example_asks[] = {{9553555000000, 5000000}};

/* BINANCE.md section 5, example B. */
static size_t example_diff(uint8_t *out)
{
    return sbe_encode_diff(out, FRAMES_SIZE_MAX, "BTCUSDT", scale_8, 1770000000123456, 77453519762,
                           77453519765, example_bids, 2, example_asks, 1);
}

static size_t example_quote(uint8_t *out)
{
    return sbe_encode_quote(out, FRAMES_SIZE_MAX, "BTCUSDT", scale_8, 1770000000123456, 77,
                            (struct sbe_level){100, 5}, (struct sbe_level){101, 6});
}

static size_t example_trades(uint8_t *out)
{
    struct trade trades[] = {{5000000001, 9553554000000, 12345000, false},
                             {5000000002, 9553555000000, 100000000, true}};
    return sbe_encode_trades(out, FRAMES_SIZE_MAX, "BTCUSDT", scale_8, 1770000000123766,
                             1770000000123456, trades, 2);
}

static size_t example_snapshot(uint8_t *out)
{
    return sbe_encode_snapshot(out, FRAMES_SIZE_MAX, "BTCUSDT", scale_8, 1770000000123456, 78,
                               example_bids, 2, example_asks, 1);
}

/* Decodes from an exactly sized heap block, so that ASan sees every byte read too far. */
static enum sbe_verdict decode_tight(const uint8_t *data, size_t size, struct sbe_frame *frame,
                                     size_t *offset)
{
    uint8_t *tight = malloc(size + (size == 0));
    memcpy(tight, data, size);
    enum sbe_verdict verdict = sbe_decode(bytes_of(tight, size), frame, offset);
    if (offset != NULL && verdict != SBE_OK)
        assert_true(*offset <= size);
    free(tight);
    return verdict;
}

/* Reads every value of every view, so that a view reaching too far is caught. */
static int64_t touch(const struct sbe_frame *frame)
{
    int64_t sum = 0;
    const struct event *event = &frame->event;
    if (event->kind == EVENT_TRADES)
        for (uint32_t i = 0; i < event->trades.list.count; i++)
            sum ^= trade_at(&event->trades.list, i).qty;
    const struct level_view *sides[2] = {NULL, NULL};
    if (event->kind == EVENT_DIFF) {
        sides[0] = &event->diff.bids;
        sides[1] = &event->diff.asks;
    } else if (event->kind == EVENT_SNAPSHOT) {
        sides[0] = &event->snapshot.bids;
        sides[1] = &event->snapshot.asks;
    }
    for (int side = 0; side < 2 && sides[side] != NULL; side++)
        for (uint32_t i = 0; i < sides[side]->count; i++)
            sum ^= level_price(sides[side], i) ^ level_qty(sides[side], i);
    return sum;
}

static void levels_of(const struct level_view *view, struct sbe_level *levels)
{
    for (uint32_t i = 0; i < view->count; i++)
        levels[i] = (struct sbe_level){level_price(view, i), level_qty(view, i)};
}

static size_t encode_again_book(const struct sbe_frame *frame, const char *symbol,
                                struct sbe_scale scale, uint8_t *out)
{
    struct sbe_level bids[FRAMES_GROUP_MAX];
    struct sbe_level asks[FRAMES_GROUP_MAX];
    const struct event *event = &frame->event;
    if (event->kind == EVENT_SNAPSHOT) {
        levels_of(&event->snapshot.bids, bids);
        levels_of(&event->snapshot.asks, asks);
        return sbe_encode_snapshot(out, FRAMES_SIZE_MAX, symbol, scale, event->event_us,
                                   event->snapshot.book_id, bids, event->snapshot.bids.count, asks,
                                   event->snapshot.asks.count);
    }
    levels_of(&event->diff.bids, bids);
    levels_of(&event->diff.asks, asks);
    return sbe_encode_diff(out, FRAMES_SIZE_MAX, symbol, scale, event->event_us,
                           event->diff.first_id, event->diff.last_id, bids, event->diff.bids.count,
                           asks, event->diff.asks.count);
}

static size_t encode_again(const struct sbe_frame *frame, uint8_t *out)
{
    char symbol[SBE_SYMBOL_MAX + 1] = {0};
    memcpy(symbol, frame->symbol.data, frame->symbol.size);
    const struct event *event = &frame->event;
    struct sbe_scale scale = {(int8_t)event->price_exponent, (int8_t)event->qty_exponent};
    if (event->kind == EVENT_QUOTE)
        return sbe_encode_quote(out, FRAMES_SIZE_MAX, symbol, scale, event->event_us,
                                event->quote.book_id,
                                (struct sbe_level){event->quote.bid_price, event->quote.bid_qty},
                                (struct sbe_level){event->quote.ask_price, event->quote.ask_qty});
    if (event->kind != EVENT_TRADES)
        return encode_again_book(frame, symbol, scale, out);
    struct trade trades[FRAMES_GROUP_MAX];
    for (uint32_t i = 0; i < event->trades.list.count; i++)
        trades[i] = trade_at(&event->trades.list, i);
    return sbe_encode_trades(out, FRAMES_SIZE_MAX, symbol, scale, event->event_us,
                             event->trades.transact_us, trades, event->trades.list.count);
}

static void sbe_encoding_what_was_decoded_gives_the_same_bytes(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t data[FRAMES_SIZE_MAX];
        uint8_t again[FRAMES_SIZE_MAX];
        size_t size = frames_random(&prng, data);
        assert_true(size > 0);
        struct sbe_frame frame;
        assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
        assert_int_equal(frame.trailing, 0);
        assert_int_equal(encode_again(&frame, again), size);
        assert_memory_equal(data, again, size);
    }
}

static void sbe_encodes_the_documents_example_byte_for_byte(void **state)
{
    (void)state;
    static const uint8_t wanted[98] = {
        0x1a, 0x00, 0x13, 0x27, 0x01, 0x00, 0x00, 0x00, 0x40, 0x82, 0x42, 0x3d, 0xce, 0x49,
        0x06, 0x00, 0x92, 0xeb, 0x96, 0x08, 0x12, 0x00, 0x00, 0x00, 0x95, 0xeb, 0x96, 0x08,
        0x12, 0x00, 0x00, 0x00, 0xf8, 0xf8, 0x10, 0x00, 0x02, 0x00, 0x80, 0x48, 0x31, 0x5c,
        0xb0, 0x08, 0x00, 0x00, 0x80, 0xd1, 0xf0, 0x08, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3f,
        0xf4, 0x5b, 0xb0, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x10, 0x00, 0x01, 0x00, 0xc0, 0x8a, 0x40, 0x5c, 0xb0, 0x08, 0x00, 0x00, 0x40, 0x4b,
        0x4c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x42, 0x54, 0x43, 0x55, 0x53, 0x44, 0x54};
    uint8_t data[FRAMES_SIZE_MAX];
    assert_int_equal(example_diff(data), sizeof(wanted));
    assert_memory_equal(data, wanted, sizeof(wanted));
}

static void sbe_refuses_every_truncation_of_a_frame(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (int round = 0; round < 40; round++) {
        uint8_t data[FRAMES_SIZE_MAX];
        size_t size = frames_random(&prng, data);
        for (size_t cut = 0; cut < size; cut++) {
            struct sbe_frame frame;
            size_t offset = SIZE_MAX;
            assert_int_equal(decode_tight(data, cut, &frame, &offset), SBE_TRUNCATED);
        }
    }
}

static void sbe_survives_every_single_byte_mutation(void **state)
{
    (void)state;
    size_t (*const examples[])(uint8_t *) = {example_diff, example_quote, example_trades,
                                             example_snapshot};
    uint64_t accepted = 0;
    uint64_t refused = 0;
    volatile int64_t checksum = 0;
    for (size_t e = 0; e < 4; e++) {
        uint8_t data[FRAMES_SIZE_MAX];
        size_t size = examples[e](data);
        uint8_t *tight = malloc(size);
        for (size_t at = 0; at < size; at++)
            for (int value = 0; value < 256; value++) {
                memcpy(tight, data, size);
                tight[at] = (uint8_t)value;
                struct sbe_frame frame;
                size_t offset = SIZE_MAX;
                if (sbe_decode(bytes_of(tight, size), &frame, &offset) == SBE_OK) {
                    accepted++;
                    checksum ^= touch(&frame);
                } else {
                    assert_true(offset <= size);
                    refused++;
                }
            }
        free(tight);
    }
    assert_true(accepted > 0 && refused > 0);
}

/* Extends the root block by extra bytes of 0xee. */
static size_t longer_root(uint8_t *data, size_t size, size_t extra)
{
    size_t root = bytes_load_u16(data);
    memmove(data + 8 + root + extra, data + 8 + root, size - 8 - root);
    memset(data + 8 + root, 0xee, extra);
    bytes_store_u16(data, (uint16_t)(root + extra));
    return size + extra;
}

/* Extends each entry of the group whose head is at `at` by extra bytes of 0xee. */
static size_t longer_entries(uint8_t *data, size_t size, size_t at, size_t head, size_t extra)
{
    size_t entry = bytes_load_u16(data + at);
    size_t count = bytes_load_u16(data + at + 2);
    bytes_store_u16(data + at, (uint16_t)(entry + extra));
    for (size_t i = 0; i < count; i++) {
        size_t end = at + head + i * (entry + extra) + entry;
        memmove(data + end + extra, data + end, size - end);
        memset(data + end, 0xee, extra);
        size += extra;
    }
    return size;
}

static void assert_example_diff(const struct sbe_frame *frame)
{
    const struct event *event = &frame->event;
    assert_int_equal(event->kind, EVENT_DIFF);
    assert_int_equal(event->event_us, 1770000000123456);
    assert_int_equal(event->diff.first_id, 77453519762);
    assert_int_equal(event->diff.last_id, 77453519765);
    assert_int_equal(event->diff.bids.count, 2);
    assert_int_equal(event->diff.asks.count, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(level_price(&event->diff.bids, i), example_bids[i].price);
        assert_int_equal(level_qty(&event->diff.bids, i), example_bids[i].qty);
    }
    assert_int_equal(level_price(&event->diff.asks, 0), example_asks[0].price);
    assert_int_equal(level_qty(&event->diff.asks, 0), example_asks[0].qty);
    assert_int_equal(frame->symbol.size, 7);
    assert_memory_equal(frame->symbol.data, "BTCUSDT", 7);
}

static void sbe_reads_frames_of_a_newer_version_with_longer_blocks(void **state)
{
    (void)state;
    for (size_t extra = 1; extra <= 40; extra += 13) {
        uint8_t data[FRAMES_SIZE_MAX];
        size_t size = example_diff(data);
        bytes_store_u16(data + 6, 3);
        size = longer_entries(data, size, 34, 4, extra);
        size = longer_root(data, size, extra);
        memset(data + size, 0x55, 5);
        struct sbe_frame frame;
        assert_int_equal(decode_tight(data, size, &frame, NULL), SBE_OK);
        assert_int_equal(sbe_decode(bytes_of(data, size + 5), &frame, NULL), SBE_OK);
        assert_int_equal(frame.version, 3);
        assert_int_equal(frame.trailing, 5);
        assert_int_equal(frame.block_length, sbe_block_length(frame.template_id) + extra);
        assert_int_equal(frame.event.diff.bids.stride, 16 + extra);
        assert_example_diff(&frame);
    }
}

static void sbe_reads_longer_trade_entries_and_quotes(void **state)
{
    (void)state;
    uint8_t data[FRAMES_SIZE_MAX];
    size_t size = longer_root(data, longer_entries(data, example_trades(data), 26, 6, 3), 9);
    struct sbe_frame frame;
    assert_int_equal(decode_tight(data, size, &frame, NULL), SBE_OK);
    assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
    struct trade second = trade_at(&frame.event.trades.list, 1);
    assert_int_equal(second.id, 5000000002);
    assert_int_equal(second.qty, 100000000);
    assert_true(second.is_buyer_maker);
    size = longer_root(data, example_quote(data), 2);
    assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
    assert_int_equal(frame.event.quote.ask_qty, 6);
}

/* One change to the example diff and what the decoder must say, and where. */
struct refusal {
    const char *what;
    size_t at, width;
    uint64_t value;
    enum sbe_verdict verdict;
    size_t offset;
};

static void sbe_refuses_each_broken_rule_at_its_byte(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"root shorter than the schema", 0, 2, 25, SBE_BLOCK_SHORT, 0},
        {"root longer than the frame", 0, 2, 91, SBE_TRUNCATED, 98},
        {"schema 3", 4, 2, 3, SBE_UNKNOWN_SCHEMA, 4},
        {"template below", 2, 2, 9999, SBE_UNKNOWN_TEMPLATE, 2},
        {"template above", 2, 2, 10004, SBE_UNKNOWN_TEMPLATE, 2},
        {"null time", 8, 8, 1ULL << 63, SBE_NULL_VALUE, 8},
        {"negative time", 8, 8, UINT64_MAX, SBE_BAD_VALUE, 8},
        {"null first id", 16, 8, 1ULL << 63, SBE_NULL_VALUE, 16},
        {"U above u", 16, 8, 77453519766, SBE_BAD_IDS, 16},
        {"negative last id", 24, 8, UINT64_MAX - 3, SBE_BAD_VALUE, 24},
        {"null price exponent", 32, 1, 0x80, SBE_NULL_VALUE, 32},
        {"price exponent 19", 32, 1, 19, SBE_BAD_VALUE, 32},
        {"quantity exponent -19", 33, 1, 0xed, SBE_BAD_VALUE, 33},
        {"stride 0", 34, 2, 0, SBE_GROUP_STRIDE, 34},
        {"stride 15", 34, 2, 15, SBE_GROUP_STRIDE, 34},
        {"count beyond the frame", 36, 2, 4, SBE_TRUNCATED, 36},
        {"count over the limit", 36, 2, 65535, SBE_GROUP_COUNT, 36},
        {"null price in a group", 54, 8, 1ULL << 63, SBE_NULL_VALUE, 54},
        {"negative quantity in a group", 62, 8, UINT64_MAX, SBE_BAD_VALUE, 62},
        {"negative ask quantity", 82, 8, UINT64_MAX - 7, SBE_BAD_VALUE, 82},
        {"empty symbol", 90, 1, 0, SBE_BAD_SYMBOL, 90},
        {"symbol beyond the frame", 90, 1, 8, SBE_TRUNCATED, 90},
        {"lower case symbol", 91, 1, 'b', SBE_BAD_SYMBOL, 90},
        {"symbol with a NUL", 97, 1, 0, SBE_BAD_SYMBOL, 90},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        uint8_t data[FRAMES_SIZE_MAX];
        size_t size = example_diff(data);
        memcpy(data + refusals[i].at, &refusals[i].value, refusals[i].width);
        struct sbe_frame frame;
        size_t offset = SIZE_MAX;
        enum sbe_verdict verdict = decode_tight(data, size, &frame, &offset);
        if (verdict != refusals[i].verdict || offset != refusals[i].offset)
            fail_msg("%s: %s at %zu", refusals[i].what, sbe_verdict_text(verdict), offset);
    }
}

/* Levels are judged several at a time: none may be passed over, whatever the count. */
static void sbe_finds_a_negative_number_in_any_level_of_any_count(void **state)
{
    (void)state;
    struct sbe_level levels[21];
    uint8_t good[FRAMES_SIZE_MAX], data[FRAMES_SIZE_MAX];
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        levels[i] = (struct sbe_level){.price = (int64_t)i + 1, .qty = INT64_MAX};
    for (uint32_t count = 1; count <= 21; count++) {
        size_t size = sbe_encode_diff(good, sizeof(good), "BTCUSDT", scale_8, 1, 1, 1, levels,
                                      count, levels, count);
        assert_int_not_equal(size, 0);
        for (uint32_t field = 0; field < 4 * count; field++) {
            size_t group = field < 2 * count ? 38 : 42;
            size_t at = group + (size_t)8 * field;
            memcpy(data, good, size);
            data[at + 7] |= 0x80;
            struct sbe_frame frame;
            size_t offset = SIZE_MAX;
            assert_int_not_equal(decode_tight(data, size, &frame, &offset), SBE_OK);
            assert_int_equal(offset, at);
        }
    }
}

static void sbe_refuses_bad_trades_at_their_byte(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"null transact time", 16, 8, 1ULL << 63, SBE_NULL_VALUE, 16},
        {"stride 24", 26, 2, 24, SBE_GROUP_STRIDE, 26},
        {"absurd count", 28, 4, UINT32_MAX, SBE_GROUP_COUNT, 28},
        {"count that would wrap 32 bits", 28, 4, 0x0a3d70a4, SBE_GROUP_COUNT, 28},
        {"three trades in the room of two", 28, 4, 3, SBE_TRUNCATED, 28},
        {"null id", 57, 8, 1ULL << 63, SBE_NULL_VALUE, 57},
        {"negative price", 40, 8, UINT64_MAX, SBE_BAD_VALUE, 40},
        {"negative quantity", 73, 8, UINT64_MAX, SBE_BAD_VALUE, 73},
        {"null maker flag", 56, 1, 255, SBE_NULL_VALUE, 56},
        {"maker flag 2", 81, 1, 2, SBE_BAD_VALUE, 81},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        uint8_t data[FRAMES_SIZE_MAX];
        size_t size = example_trades(data);
        memcpy(data + refusals[i].at, &refusals[i].value, refusals[i].width);
        struct sbe_frame frame;
        size_t offset = SIZE_MAX;
        enum sbe_verdict verdict = decode_tight(data, size, &frame, &offset);
        if (verdict != refusals[i].verdict || offset != refusals[i].offset)
            fail_msg("%s: %s at %zu", refusals[i].what, sbe_verdict_text(verdict), offset);
    }
}

static void sbe_refuses_more_than_twenty_levels_in_a_snapshot(void **state)
{
    (void)state;
    struct sbe_level levels[21] = {{1, 1}};
    uint8_t data[FRAMES_SIZE_MAX];
    assert_int_equal(
        sbe_encode_snapshot(data, sizeof(data), "BTCUSDT", scale_8, 1, 1, levels, 21, levels, 0),
        0);
    size_t size =
        sbe_encode_diff(data, sizeof(data), "BTCUSDT", scale_8, 1, 1, 1, levels, 21, levels, 0);
    /* The same bytes under the snapshot's template: one id fewer in the root. */
    memmove(data + 16, data + 24, size - 24);
    bytes_store_u16(data, 18);
    bytes_store_u16(data + 2, SBE_DEPTH_SNAPSHOT);
    struct sbe_frame frame;
    size_t offset = 0;
    assert_int_equal(decode_tight(data, size - 8, &frame, &offset), SBE_GROUP_COUNT);
    assert_int_equal(offset, 28);
}

static void sbe_encoders_refuse_what_the_schema_cannot_say(void **state)
{
    (void)state;
    uint8_t data[FRAMES_SIZE_MAX];
    struct sbe_level ok = {1, 1};
    struct sbe_level bad = {-1, 1};
    struct sbe_scale wide = {.price_exponent = -8, .qty_exponent = 19};
    assert_int_equal(sbe_encode_quote(data, 65, "BTCUSDT", scale_8, 1, 1, ok, ok), 0);
    assert_int_equal(sbe_encode_quote(data, 66, "BTCUSDT", scale_8, 1, 1, ok, ok), 66);
    assert_int_equal(sbe_encode_quote(data, 66, "BTCUSDT", scale_8, 1, 1, bad, ok), 0);
    assert_int_equal(sbe_encode_quote(data, 66, "BTCUSDT", wide, 1, 1, ok, ok), 0);
    assert_int_equal(sbe_encode_quote(data, 66, "btcusdt", scale_8, 1, 1, ok, ok), 0);
    assert_int_equal(sbe_encode_quote(data, 66, "", scale_8, 1, 1, ok, ok), 0);
    assert_int_equal(
        sbe_encode_quote(data, sizeof(data), "ABCDEFGHIJKLMNOPQRSTUVWX", scale_8, 1, 1, ok, ok), 0);
    assert_int_equal(
        sbe_encode_diff(data, sizeof(data), "BTCUSDT", scale_8, 1, 2, 1, &ok, 1, &ok, 1), 0);
    for (size_t room = 0; room < 98; room++)
        assert_int_equal(sbe_encode_diff(data, room, "BTCUSDT", scale_8, 1, 1, 1, example_bids, 2,
                                         example_asks, 1),
                         0);
}

static void sbe_every_verdict_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < SBE_VERDICT_COUNT; i++)
        assert_true(strlen(sbe_verdict_text((enum sbe_verdict)i)) > 0);
    assert_string_equal(sbe_verdict_text(SBE_VERDICT_COUNT), "unknown verdict");
}

static int64_t member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void assert_levels(const json_t *list, const struct level_view *view)
{
    assert_int_equal(json_array_size(list), view->count);
    for (uint32_t i = 0; i < view->count; i++) {
        const json_t *level = json_array_get(list, i);
        assert_int_equal(json_integer_value(json_array_get(level, 0)), level_price(view, i));
        assert_int_equal(json_integer_value(json_array_get(level, 1)), level_qty(view, i));
    }
}

static void assert_trades(const json_t *list, const struct trade_view *view)
{
    assert_int_equal(json_array_size(list), view->count);
    for (uint32_t i = 0; i < view->count; i++) {
        struct trade trade = trade_at(view, i);
        const json_t *wanted = json_array_get(list, i);
        assert_int_equal(member(wanted, "id"), trade.id);
        assert_int_equal(member(wanted, "price_mantissa"), trade.price);
        assert_int_equal(member(wanted, "qty_mantissa"), trade.qty);
        assert_int_equal(member(wanted, "isBuyerMaker"), trade.is_buyer_maker);
    }
}

static void assert_expected_body(const json_t *wanted, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TRADES:
        assert_int_equal(member(wanted, "transactTime"), event->trades.transact_us);
        assert_trades(json_object_get(wanted, "trades"), &event->trades.list);
        break;
    case EVENT_SNAPSHOT:
        assert_int_equal(member(wanted, "bookUpdateId"), event->snapshot.book_id);
        assert_levels(json_object_get(wanted, "bids"), &event->snapshot.bids);
        assert_levels(json_object_get(wanted, "asks"), &event->snapshot.asks);
        break;
    default:
        assert_int_equal(event->kind, EVENT_DIFF);
        assert_int_equal(member(wanted, "firstBookUpdateId"), event->diff.first_id);
        assert_int_equal(member(wanted, "lastBookUpdateId"), event->diff.last_id);
        assert_levels(json_object_get(wanted, "bids"), &event->diff.bids);
        assert_levels(json_object_get(wanted, "asks"), &event->diff.asks);
    }
}

static void sbe_reads_the_real_frames_as_two_other_decoders_do(void **state)
{
    (void)state;
    static const char *const names[] = {"depthdiff_btcusdt_1", "depthsnapshot_btcusdt_1",
                                        "synthetic_trades_2"};
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        size_t size = 0;
        size_t text_size = 0;
        snprintf(path, sizeof(path), FRAMES_DATA "sbe/%s.bin", names[i]);
        char *data = frames_file(path, &size);
        if (data == NULL)
            skip();
        snprintf(path, sizeof(path), FRAMES_DATA "sbe/%s.expected.json", names[i]);
        char *text = frames_file(path, &text_size);
        assert_non_null(text);
        json_t *wanted = json_loads(text, 0, NULL);
        assert_non_null(wanted);
        struct sbe_frame frame;
        assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
        assert_int_equal(member(wanted, "blockLength"), frame.block_length);
        assert_int_equal(member(wanted, "templateId"), frame.template_id);
        assert_int_equal(member(wanted, "eventTime"), frame.event.event_us);
        assert_int_equal(member(wanted, "priceExponent"), frame.event.price_exponent);
        assert_int_equal(member(wanted, "qtyExponent"), frame.event.qty_exponent);
        assert_int_equal(member(wanted, "trailing_bytes"), frame.trailing);
        assert_expected_body(wanted, &frame.event);
        json_decref(wanted);
        free(text);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sbe_encoding_what_was_decoded_gives_the_same_bytes),
        cmocka_unit_test(sbe_encodes_the_documents_example_byte_for_byte),
        cmocka_unit_test(sbe_refuses_every_truncation_of_a_frame),
        cmocka_unit_test(sbe_survives_every_single_byte_mutation),
        cmocka_unit_test(sbe_reads_frames_of_a_newer_version_with_longer_blocks),
        cmocka_unit_test(sbe_reads_longer_trade_entries_and_quotes),
        cmocka_unit_test(sbe_refuses_each_broken_rule_at_its_byte),
        cmocka_unit_test(sbe_finds_a_negative_number_in_any_level_of_any_count),
        cmocka_unit_test(sbe_refuses_bad_trades_at_their_byte),
        cmocka_unit_test(sbe_refuses_more_than_twenty_levels_in_a_snapshot),
        cmocka_unit_test(sbe_encoders_refuse_what_the_schema_cannot_say),
        cmocka_unit_test(sbe_every_verdict_has_a_text),
        cmocka_unit_test(sbe_reads_the_real_frames_as_two_other_decoders_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
