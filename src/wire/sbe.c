/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe.h"

#include <string.h>

#include "base/check.h"
#include "base/decimal.h"

#define SBE_NULL_I64          INT64_MIN
#define SBE_NULL_EXPONENT     (-128)
#define SBE_ENTRY_TRADE       25u
#define SBE_ENTRY_LEVEL       16u
#define SBE_ROOT_INTEGERS_MAX 6
#define SBE_TEMPLATES         4

/* Root block of a template (BINANCE.md section 5): offsets count from the frame's start;
 * all its integers are times, ids, prices or quantities and none may be negative. */
struct sbe_root {
    uint8_t block_length;
    uint8_t exponents; /* price, then quantity */
    uint8_t integer_count;
    uint8_t integers[SBE_ROOT_INTEGERS_MAX];
};

static const struct sbe_root sbe_roots[SBE_TEMPLATES] = {
    {18, 24, 2, {8, 16}},
    {50, 24, 6, {8, 16, 26, 34, 42, 50}},
    {18, 24, 2, {8, 16}},
    {26, 32, 3, {8, 16, 24}},
};
#define SBE_ROOT(template_id) (&sbe_roots[(template_id)-SBE_TRADES])

/* Bytes and how far they are read; on refusal `at` is where it went wrong. */
struct sbe_cursor {
    const uint8_t *data;
    size_t size;
    size_t at;
};

struct sbe_group {
    const uint8_t *at;
    uint32_t count;
    uint32_t stride;
};

/* A level as one vector: the one loop whose speed matters, written so that every compiler
 * makes SSE2, AVX or NEON of it. */
struct sbe_pair {
    uint64_t lane __attribute__((vector_size(SBE_ENTRY_LEVEL)));
};

const char *sbe_verdict_text(enum sbe_verdict verdict)
{
    static const char *const texts[SBE_VERDICT_COUNT] = {
#define X(name, text) [name] = (text),
        SBE_VERDICT_TABLE(X)
#undef X
    };
    return (unsigned)verdict < SBE_VERDICT_COUNT ? texts[verdict] : "unknown verdict";
}

static enum sbe_verdict sbe_refuse(struct sbe_cursor *cursor, size_t at, enum sbe_verdict verdict)
{
    cursor->at = at;
    return verdict;
}

static inline bool sbe_is_negative(uint64_t bits)
{
    return bits >> 63 != 0;
}

static enum sbe_verdict sbe_refuse_negative(int64_t value)
{
    return value == SBE_NULL_I64 ? SBE_NULL_VALUE : SBE_BAD_VALUE;
}

/* The first negative integer of a root block known to hold one. */
static enum sbe_verdict sbe_refuse_root(struct sbe_cursor *cursor, const struct sbe_root *root)
{
    for (int i = 0; i < root->integer_count; i++) {
        int64_t value = bytes_load_i64(cursor->data + root->integers[i]);
        if (value < 0)
            return sbe_refuse(cursor, root->integers[i], sbe_refuse_negative(value));
    }
    return SBE_OK;
}

bool sbe_symbol_valid(struct bytes symbol)
{
    if (symbol.size == 0 || symbol.size > SBE_SYMBOL_MAX)
        return false;
    for (size_t i = 0; i < symbol.size; i++) {
        uint8_t c = symbol.data[i];
        bool letter = c >= 'A' && c <= 'Z';
        bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

uint16_t sbe_block_length(uint16_t template_id)
{
    PRE(template_id >= SBE_TRADES && template_id < SBE_TRADES + SBE_TEMPLATES);
    return SBE_ROOT(template_id)->block_length;
}

/* An i8 of the wire. */
static inline int sbe_exponent(uint8_t byte)
{
    return byte < 0x80 ? byte : byte - 0x100;
}

static enum sbe_verdict sbe_refuse_exponent(struct sbe_cursor *cursor, size_t at)
{
    int value = sbe_exponent(cursor->data[at]);
    return sbe_refuse(cursor, at, value == SBE_NULL_EXPONENT ? SBE_NULL_VALUE : SBE_BAD_VALUE);
}

static inline bool sbe_is_exponent(int value)
{
    return (unsigned)(value + DECIMAL_EXPONENT_MAX) <= 2 * DECIMAL_EXPONENT_MAX;
}

/* What every root block has in common; `bits` are its template's own integers or'ed. The
 * block itself is known to be there. */
static inline enum sbe_verdict sbe_decode_root(struct sbe_cursor *cursor,
                                               const struct sbe_root *root, uint64_t bits,
                                               struct event *event)
{
    size_t at = root->exponents;
    event->event_us = bytes_load_i64(cursor->data + SBE_HEADER_SIZE);
    event->price_exponent = sbe_exponent(cursor->data[at]);
    event->qty_exponent = sbe_exponent(cursor->data[at + 1]);
    if (sbe_is_negative(bits | (uint64_t)event->event_us))
        return sbe_refuse_root(cursor, root);
    if (!sbe_is_exponent(event->price_exponent))
        return sbe_refuse_exponent(cursor, at);
    if (!sbe_is_exponent(event->qty_exponent))
        return sbe_refuse_exponent(cursor, at + 1);
    /* Never at the known length: a newer version may have appended fields. */
    cursor->at = SBE_HEADER_SIZE + (size_t)bytes_load_u16(cursor->data);
    return SBE_OK;
}

/* Checks a group's place before anything is read from it; entries * stride stays far below
 * 2^48, so 64 bits cannot wrap. */
static enum sbe_verdict sbe_decode_group(struct sbe_cursor *cursor, size_t dimension,
                                         uint32_t entry, uint32_t limit, struct sbe_group *group)
{
    size_t at = cursor->at;
    if (cursor->size - at < dimension)
        return sbe_refuse(cursor, at, SBE_TRUNCATED);
    group->stride = bytes_load_u16(cursor->data + at);
    group->count = dimension == 4 ? bytes_load_u16(cursor->data + at + 2)
                                  : bytes_load_u32(cursor->data + at + 2);
    if (group->stride < entry)
        return sbe_refuse(cursor, at, SBE_GROUP_STRIDE);
    if (group->count > limit)
        return sbe_refuse(cursor, at + 2, SBE_GROUP_COUNT);
    uint64_t need = (uint64_t)group->count * group->stride;
    if (need > cursor->size - at - dimension)
        return sbe_refuse(cursor, at + 2, SBE_TRUNCATED);
    group->at = cursor->data + at + dimension;
    cursor->at = at + dimension + (size_t)need;
    return SBE_OK;
}

/* The first negative integer of a group known to hold one. */
static enum sbe_verdict sbe_refuse_entry(struct sbe_cursor *cursor, const struct sbe_group *group,
                                         uint32_t integers)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const uint8_t *entry = group->at + (size_t)i * group->stride;
        for (uint32_t k = 0; k < integers; k++) {
            int64_t value = bytes_load_i64(entry + 8 * (size_t)k);
            if (value < 0)
                return sbe_refuse(cursor, (size_t)(entry - cursor->data) + 8 * (size_t)k,
                                  sbe_refuse_negative(value));
        }
    }
    return SBE_OK;
}

static inline struct sbe_pair sbe_pair_load(const uint8_t *at)
{
    struct sbe_pair pair;
    memcpy(&pair, at, sizeof(pair));
    return pair;
}

/* All the bits of all prices and quantities or'ed: only the sign matters. */
static inline uint64_t sbe_levels_bits(const struct sbe_group *group)
{
    const uint8_t *at = group->at;
    uint32_t left = group->count;
    struct sbe_pair a = {{0, 0}};
    struct sbe_pair b = {{0, 0}};
    for (; group->stride == SBE_ENTRY_LEVEL && left >= 4;
         left -= 4, at += (size_t)4 * SBE_ENTRY_LEVEL) {
        a.lane |= sbe_pair_load(at).lane | sbe_pair_load(at + 16).lane;
        b.lane |= sbe_pair_load(at + 32).lane | sbe_pair_load(at + 48).lane;
    }
    a.lane |= b.lane;
    uint64_t bits = a.lane[0] | a.lane[1];
    for (; left > 0; left--, at += group->stride)
        bits |= bytes_load_u64(at) | bytes_load_u64(at + 8);
    return bits;
}

static enum sbe_verdict sbe_decode_levels(struct sbe_cursor *cursor, uint32_t limit,
                                          struct level_view *view)
{
    struct sbe_group group;
    enum sbe_verdict verdict = sbe_decode_group(cursor, 4, SBE_ENTRY_LEVEL, limit, &group);
    if (verdict != SBE_OK)
        return verdict;
    if (sbe_is_negative(sbe_levels_bits(&group)))
        return sbe_refuse_entry(cursor, &group, 2);
    *view = (struct level_view){.at = group.at, .count = group.count, .stride = group.stride};
    return SBE_OK;
}

static enum sbe_verdict sbe_decode_sides(struct sbe_cursor *cursor, uint32_t limit,
                                         struct level_view *bids, struct level_view *asks)
{
    enum sbe_verdict verdict = sbe_decode_levels(cursor, limit, bids);
    return verdict != SBE_OK ? verdict : sbe_decode_levels(cursor, limit, asks);
}

static enum sbe_verdict sbe_refuse_trade(struct sbe_cursor *cursor, const struct sbe_group *group)
{
    enum sbe_verdict verdict = sbe_refuse_entry(cursor, group, 3);
    for (uint32_t i = 0; verdict == SBE_OK && i < group->count; i++) {
        const uint8_t *flag = group->at + (size_t)i * group->stride + 24;
        if (*flag > 1)
            return sbe_refuse(cursor, (size_t)(flag - cursor->data),
                              *flag == UINT8_MAX ? SBE_NULL_VALUE : SBE_BAD_VALUE);
    }
    return verdict;
}

static enum sbe_verdict sbe_decode_trades(struct sbe_cursor *cursor, struct event *event)
{
    event->kind = EVENT_TRADES;
    event->trades.transact_us = bytes_load_i64(cursor->data + 16);
    enum sbe_verdict verdict =
        sbe_decode_root(cursor, SBE_ROOT(SBE_TRADES), (uint64_t)event->trades.transact_us, event);
    if (verdict != SBE_OK)
        return verdict;
    struct sbe_group group;
    verdict = sbe_decode_group(cursor, 6, SBE_ENTRY_TRADE, SBE_TRADES_MAX, &group);
    if (verdict != SBE_OK)
        return verdict;
    uint64_t all = 0;
    unsigned flags = 0;
    const uint8_t *at = group.at;
    for (uint32_t i = 0; i < group.count; i++, at += group.stride) {
        all |= bytes_load_u64(at) | bytes_load_u64(at + 8) | bytes_load_u64(at + 16);
        flags |= at[24];
    }
    if (sbe_is_negative(all) || flags > 1)
        return sbe_refuse_trade(cursor, &group);
    event->trades.list =
        (struct trade_view){.at = group.at, .count = group.count, .stride = group.stride};
    return SBE_OK;
}

static enum sbe_verdict sbe_decode_quote(struct sbe_cursor *cursor, struct event *event)
{
    event->kind = EVENT_QUOTE;
    event->quote.book_id = bytes_load_i64(cursor->data + 16);
    event->quote.bid_price = bytes_load_i64(cursor->data + 26);
    event->quote.bid_qty = bytes_load_i64(cursor->data + 34);
    event->quote.ask_price = bytes_load_i64(cursor->data + 42);
    event->quote.ask_qty = bytes_load_i64(cursor->data + 50);
    int64_t bits = event->quote.book_id | event->quote.bid_price | event->quote.bid_qty |
                   event->quote.ask_price | event->quote.ask_qty;
    return sbe_decode_root(cursor, SBE_ROOT(SBE_BEST_BID_ASK), (uint64_t)bits, event);
}

static enum sbe_verdict sbe_decode_snapshot(struct sbe_cursor *cursor, struct event *event)
{
    event->kind = EVENT_SNAPSHOT;
    event->snapshot.book_id = bytes_load_i64(cursor->data + 16);
    enum sbe_verdict verdict = sbe_decode_root(cursor, SBE_ROOT(SBE_DEPTH_SNAPSHOT),
                                               (uint64_t)event->snapshot.book_id, event);
    if (verdict != SBE_OK)
        return verdict;
    return sbe_decode_sides(cursor, SBE_SNAPSHOT_LEVELS_MAX, &event->snapshot.bids,
                            &event->snapshot.asks);
}

static enum sbe_verdict sbe_decode_diff(struct sbe_cursor *cursor, struct event *event)
{
    event->kind = EVENT_DIFF;
    event->diff.first_id = bytes_load_i64(cursor->data + 16);
    event->diff.last_id = bytes_load_i64(cursor->data + 24);
    enum sbe_verdict verdict =
        sbe_decode_root(cursor, SBE_ROOT(SBE_DEPTH_DIFF),
                        (uint64_t)(event->diff.first_id | event->diff.last_id), event);
    if (verdict != SBE_OK)
        return verdict;
    if (event->diff.first_id > event->diff.last_id)
        return sbe_refuse(cursor, 16, SBE_BAD_IDS);
    return sbe_decode_sides(cursor, SBE_DIFF_LEVELS_MAX, &event->diff.bids, &event->diff.asks);
}

static enum sbe_verdict sbe_decode_body(struct sbe_cursor *cursor, uint16_t template_id,
                                        struct event *event)
{
    switch (template_id) {
    case SBE_TRADES:
        return sbe_decode_trades(cursor, event);
    case SBE_BEST_BID_ASK:
        return sbe_decode_quote(cursor, event);
    case SBE_DEPTH_SNAPSHOT:
        return sbe_decode_snapshot(cursor, event);
    default:
        return sbe_decode_diff(cursor, event);
    }
}

/* Are the last `size` bytes before `end` all letters and digits? Eight at a time, which
 * covers nearly every symbol there is; the header in front makes eight bytes readable. In
 * a byte below 0x80, adding 0x80 - c sets the top bit iff the byte is at least c. */
static inline bool sbe_is_plain_symbol(const uint8_t *end, size_t size)
{
    const uint64_t ones = UINT64_MAX / 255;
    const uint64_t tops = ones << 7;
    if (size == 0 || size > 8)
        return false;
    uint64_t unwanted = size == 8 ? 0 : UINT64_MAX >> (8 * size);
    uint64_t text = (bytes_load_u64(end - 8) & ~unwanted) | (ones * 'A' & unwanted);
    uint64_t low = text & ~tops;
    uint64_t digit = (low + ones * (0x80 - '0')) & ~(low + ones * (0x80 - '9' - 1));
    uint64_t letter = (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1));
    return ((digit | letter) & ~text & tops) == tops;
}

static enum sbe_verdict sbe_decode_symbol(struct sbe_cursor *cursor, struct sbe_frame *frame)
{
    size_t at = cursor->at;
    if (at >= cursor->size)
        return sbe_refuse(cursor, at, SBE_TRUNCATED);
    size_t length = cursor->data[at];
    size_t left = cursor->size - at - 1;
    if (length > left)
        return sbe_refuse(cursor, at, SBE_TRUNCATED);
    frame->symbol = bytes_of(cursor->data + at + 1, length);
    if (!sbe_is_plain_symbol(frame->symbol.data + length, length) &&
        !sbe_symbol_valid(frame->symbol))
        return sbe_refuse(cursor, at, SBE_BAD_SYMBOL);
    frame->trailing = (uint32_t)(left - length);
    return SBE_OK;
}

static enum sbe_verdict sbe_decode_header(struct sbe_cursor *cursor, struct sbe_frame *frame)
{
    if (cursor->size < SBE_HEADER_SIZE)
        return sbe_refuse(cursor, cursor->size, SBE_TRUNCATED);
    frame->block_length = bytes_load_u16(cursor->data);
    frame->template_id = bytes_load_u16(cursor->data + 2);
    frame->schema_id = bytes_load_u16(cursor->data + 4);
    frame->version = bytes_load_u16(cursor->data + 6);
    if (frame->schema_id != SBE_SCHEMA_ID)
        return sbe_refuse(cursor, 4, SBE_UNKNOWN_SCHEMA);
    unsigned index = (unsigned)frame->template_id - SBE_TRADES;
    if (index >= SBE_TEMPLATES)
        return sbe_refuse(cursor, 2, SBE_UNKNOWN_TEMPLATE);
    if (frame->block_length < sbe_roots[index].block_length)
        return sbe_refuse(cursor, 0, SBE_BLOCK_SHORT);
    if (frame->block_length > cursor->size - SBE_HEADER_SIZE)
        return sbe_refuse(cursor, cursor->size, SBE_TRUNCATED);
    return SBE_OK;
}

static enum sbe_verdict sbe_decode_all(struct sbe_cursor *cursor, struct sbe_frame *frame)
{
    enum sbe_verdict verdict = sbe_decode_header(cursor, frame);
    if (verdict != SBE_OK)
        return verdict;
    verdict = sbe_decode_body(cursor, frame->template_id, &frame->event);
    return verdict != SBE_OK ? verdict : sbe_decode_symbol(cursor, frame);
}

enum sbe_verdict sbe_decode(struct bytes data, struct sbe_frame *frame, size_t *offset)
{
    struct sbe_cursor cursor = {.data = data.data, .size = data.size, .at = 0};
    /* Member by member: clearing the whole struct costs more than reading a quote. */
    frame->symbol = bytes_of(NULL, 0);
    frame->trailing = 0;
    frame->event.epoch = 0;
    frame->event.seq = 0;
    frame->event.recv_us = 0;
    frame->event.flags = 0;
    enum sbe_verdict verdict = sbe_decode_all(&cursor, frame);
    if (verdict != SBE_OK && offset != NULL)
        *offset = cursor.at;
    return verdict;
}
