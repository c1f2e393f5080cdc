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

/* The parts of a frame's decoding are one function after inlining, and the cursor is never
 * handed out of it: so it and the groups stay in registers. */
#define SBE_INLINE static inline __attribute__((always_inline))
/* Finding the byte to blame: only for frames that are refused. */
#define SBE_COLD static __attribute__((noinline, cold))

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
 * makes SSE2 or NEON of it. */
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

SBE_INLINE enum sbe_verdict sbe_refuse(struct sbe_cursor *cursor, size_t at,
                                       enum sbe_verdict verdict)
{
    cursor->at = at;
    return verdict;
}

SBE_INLINE bool sbe_is_negative(uint64_t bits)
{
    return bits >> 63 != 0;
}

/* A negative integer. */
SBE_INLINE enum sbe_verdict sbe_refuse_integer(struct sbe_cursor *cursor, size_t at)
{
    bool is_null = bytes_load_i64(cursor->data + at) == SBE_NULL_I64;
    return sbe_refuse(cursor, at, is_null ? SBE_NULL_VALUE : SBE_BAD_VALUE);
}

/* Where the first negative integer of a root block known to hold one is. */
SBE_COLD size_t sbe_find_root(const uint8_t *data, const struct sbe_root *root)
{
    int i = 0;
    while (i + 1 < root->integer_count && bytes_load_i64(data + root->integers[i]) >= 0)
        i++;
    return root->integers[i];
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
SBE_INLINE int sbe_exponent(uint8_t byte)
{
    return (int8_t)byte;
}

SBE_INLINE enum sbe_verdict sbe_refuse_exponent(struct sbe_cursor *cursor, size_t at)
{
    int value = sbe_exponent(cursor->data[at]);
    return sbe_refuse(cursor, at, value == SBE_NULL_EXPONENT ? SBE_NULL_VALUE : SBE_BAD_VALUE);
}

SBE_INLINE bool sbe_is_exponent(int value)
{
    return (unsigned)(value + DECIMAL_EXPONENT_MAX) <= 2 * DECIMAL_EXPONENT_MAX;
}

/* The block itself, before anything is read from it. */
SBE_INLINE enum sbe_verdict sbe_decode_block(struct sbe_cursor *cursor, const struct sbe_root *root)
{
    size_t block_length = bytes_load_u16(cursor->data);
    if (block_length < root->block_length)
        return sbe_refuse(cursor, 0, SBE_BLOCK_SHORT);
    if (block_length > cursor->size - SBE_HEADER_SIZE)
        return sbe_refuse(cursor, cursor->size, SBE_TRUNCATED);
    return SBE_OK;
}

/* What every root block has in common; `bits` are its template's own integers or'ed. */
SBE_INLINE enum sbe_verdict sbe_decode_root(struct sbe_cursor *cursor, const struct sbe_root *root,
                                            uint64_t bits, struct event *event)
{
    size_t at = root->exponents;
    int64_t event_us = bytes_load_i64(cursor->data + SBE_HEADER_SIZE);
    int price_exponent = sbe_exponent(cursor->data[at]);
    int qty_exponent = sbe_exponent(cursor->data[at + 1]);
    if (sbe_is_negative(bits | (uint64_t)event_us))
        return sbe_refuse_integer(cursor, sbe_find_root(cursor->data, root));
    if (!sbe_is_exponent(price_exponent))
        return sbe_refuse_exponent(cursor, at);
    if (!sbe_is_exponent(qty_exponent))
        return sbe_refuse_exponent(cursor, at + 1);
    event->event_us = event_us;
    event->price_exponent = price_exponent;
    event->qty_exponent = qty_exponent;
    /* Never at the known length: a newer version may have appended fields. */
    cursor->at = SBE_HEADER_SIZE + (size_t)bytes_load_u16(cursor->data);
    return SBE_OK;
}

/* Checks a group's place before anything is read from it; entries * stride stays far below
 * 2^48, so 64 bits cannot wrap. */
SBE_INLINE enum sbe_verdict sbe_decode_group(struct sbe_cursor *cursor, size_t dimension,
                                             uint32_t entry, uint32_t limit,
                                             struct sbe_group *group)
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

/* Where the first negative integer of a group known to hold one is. */
SBE_COLD size_t sbe_find_entry(const uint8_t *data, struct sbe_group group, uint32_t integers)
{
    uint32_t i = 0;
    const uint8_t *at = group.at;
    while (i + 1 < group.count * integers && bytes_load_i64(at) >= 0) {
        i++;
        at = group.at + (size_t)(i / integers) * group.stride + (size_t)8 * (i % integers);
    }
    return (size_t)(at - data);
}

SBE_INLINE struct sbe_pair sbe_pair_load(const uint8_t *at)
{
    struct sbe_pair pair;
    memcpy(&pair, at, sizeof(pair));
    return pair;
}

/* Has the sign bit iff any price or quantity has. */
SBE_INLINE uint64_t sbe_levels_bits(const struct sbe_group *group)
{
    const uint8_t *at = group->at;
    uint32_t left = group->count;
    struct sbe_pair a = {{0, 0}};
    struct sbe_pair b = {{0, 0}};
    if (group->stride == SBE_ENTRY_LEVEL)
        for (; left >= 4; left -= 4, at += (size_t)4 * SBE_ENTRY_LEVEL) {
            a.lane |= sbe_pair_load(at).lane | sbe_pair_load(at + 16).lane;
            b.lane |= sbe_pair_load(at + 32).lane | sbe_pair_load(at + 48).lane;
        }
    for (; left > 0; left--, at += group->stride)
        a.lane |= sbe_pair_load(at).lane;
    a.lane |= b.lane;
    return a.lane[0] | a.lane[1];
}

SBE_INLINE enum sbe_verdict sbe_decode_levels(struct sbe_cursor *cursor, uint32_t limit,
                                              struct level_view *view)
{
    struct sbe_group group;
    enum sbe_verdict verdict = sbe_decode_group(cursor, 4, SBE_ENTRY_LEVEL, limit, &group);
    if (verdict != SBE_OK)
        return verdict;
    if (sbe_is_negative(sbe_levels_bits(&group)))
        return sbe_refuse_integer(cursor, sbe_find_entry(cursor->data, group, 2));
    *view = (struct level_view){.at = group.at, .count = group.count, .stride = group.stride};
    return SBE_OK;
}

SBE_INLINE enum sbe_verdict sbe_decode_sides(struct sbe_cursor *cursor, uint32_t limit,
                                             struct level_view *bids, struct level_view *asks)
{
    enum sbe_verdict verdict = sbe_decode_levels(cursor, limit, bids);
    return verdict != SBE_OK ? verdict : sbe_decode_levels(cursor, limit, asks);
}

/* Where the first flag that is neither 0 nor 1 is; there is one. */
SBE_COLD size_t sbe_find_flag(const uint8_t *data, struct sbe_group group)
{
    uint32_t i = 0;
    const uint8_t *flag = group.at + 24;
    for (; i + 1 < group.count && *flag <= 1; i++)
        flag += group.stride;
    return (size_t)(flag - data);
}

SBE_INLINE enum sbe_verdict sbe_refuse_flag(struct sbe_cursor *cursor, size_t at)
{
    return sbe_refuse(cursor, at, cursor->data[at] == UINT8_MAX ? SBE_NULL_VALUE : SBE_BAD_VALUE);
}

SBE_INLINE enum sbe_verdict sbe_decode_trades(struct sbe_cursor *cursor, struct event *event)
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
    if (sbe_is_negative(all))
        return sbe_refuse_integer(cursor, sbe_find_entry(cursor->data, group, 3));
    if (flags > 1)
        return sbe_refuse_flag(cursor, sbe_find_flag(cursor->data, group));
    event->trades.list =
        (struct trade_view){.at = group.at, .count = group.count, .stride = group.stride};
    return SBE_OK;
}

SBE_INLINE enum sbe_verdict sbe_decode_quote(struct sbe_cursor *cursor, struct event *event)
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

SBE_INLINE enum sbe_verdict sbe_decode_snapshot(struct sbe_cursor *cursor, struct event *event)
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

SBE_INLINE enum sbe_verdict sbe_decode_diff(struct sbe_cursor *cursor, struct event *event)
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

/* Are the last `size` bytes before `end` all letters and digits? Eight at a time, which
 * covers nearly every symbol there is; the header in front makes eight bytes readable. In
 * a byte below 0x80, adding 0x80 - c sets the top bit iff the byte is at least c. */
SBE_INLINE bool sbe_is_plain_symbol(const uint8_t *end, size_t size)
{
    const uint64_t ones = UINT64_MAX / 255;
    const uint64_t tops = ones << 7;
    if (size == 0 || size > 8)
        return false;
    uint64_t unwanted = UINT64_MAX >> 1 >> (8 * size - 1);
    uint64_t text = (bytes_load_u64(end - 8) & ~unwanted) | (ones * 'A' & unwanted);
    uint64_t low = text & ~tops;
    uint64_t digit = (low + ones * (0x80 - '0')) & ~(low + ones * (0x80 - '9' - 1));
    uint64_t letter = (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1));
    return ((digit | letter) & ~text & tops) == tops;
}

SBE_INLINE enum sbe_verdict sbe_decode_symbol(struct sbe_cursor *cursor, struct bytes *symbol)
{
    size_t at = cursor->at;
    if (at >= cursor->size)
        return sbe_refuse(cursor, at, SBE_TRUNCATED);
    size_t length = cursor->data[at];
    if (length > cursor->size - at - 1)
        return sbe_refuse(cursor, at, SBE_TRUNCATED);
    *symbol = bytes_of(cursor->data + at + 1, length);
    if (!sbe_is_plain_symbol(cursor->data + at + 1 + length, length) && !sbe_symbol_valid(*symbol))
        return sbe_refuse(cursor, at, SBE_BAD_SYMBOL);
    return SBE_OK;
}

typedef enum sbe_verdict (*sbe_body_fn)(struct sbe_cursor *cursor, struct event *event);

SBE_INLINE enum sbe_verdict sbe_decode_rest(struct bytes data, const struct sbe_root *root,
                                            sbe_body_fn body, struct event *event,
                                            struct bytes *symbol, size_t *offset)
{
    struct sbe_cursor cursor = {.data = data.data, .size = data.size, .at = 0};
    /* Member by member: clearing the whole struct costs more than reading a quote. */
    event->epoch = 0;
    event->seq = 0;
    event->recv_us = 0;
    event->flags = 0;
    enum sbe_verdict verdict = sbe_decode_block(&cursor, root);
    if (verdict == SBE_OK)
        verdict = body(&cursor, event);
    if (verdict == SBE_OK)
        verdict = sbe_decode_symbol(&cursor, symbol);
    if (verdict != SBE_OK && offset != NULL)
        *offset = cursor.at;
    return verdict;
}

/* One function a template, so that a quote does not save the registers a diff needs. */
#define SBE_EVENT(name, template_id)                                                               \
    static __attribute__((noinline)) enum sbe_verdict sbe_event_##name(                            \
        struct bytes data, struct event *event, struct bytes *symbol, size_t *offset)              \
    {                                                                                              \
        return sbe_decode_rest(data, SBE_ROOT(template_id), sbe_decode_##name, event, symbol,      \
                               offset);                                                            \
    }
SBE_EVENT(trades, SBE_TRADES)
SBE_EVENT(quote, SBE_BEST_BID_ASK)
SBE_EVENT(snapshot, SBE_DEPTH_SNAPSHOT)
SBE_EVENT(diff, SBE_DEPTH_DIFF)
#undef SBE_EVENT

static enum sbe_verdict sbe_refuse_header(struct bytes data, size_t *offset)
{
    bool is_short = data.size < SBE_HEADER_SIZE;
    bool is_ours = !is_short && bytes_load_u16(data.data + 4) == SBE_SCHEMA_ID;
    if (offset != NULL)
        *offset = is_short ? data.size : is_ours ? 2 : 4;
    return is_short ? SBE_TRUNCATED : is_ours ? SBE_UNKNOWN_TEMPLATE : SBE_UNKNOWN_SCHEMA;
}

/* The commonest first. */
enum sbe_verdict sbe_decode_event(struct bytes data, struct event *event, struct bytes *symbol,
                                  size_t *offset)
{
    if (data.size < SBE_HEADER_SIZE || bytes_load_u16(data.data + 4) != SBE_SCHEMA_ID)
        return sbe_refuse_header(data, offset);
    unsigned template_id = bytes_load_u16(data.data + 2);
    if (template_id == SBE_BEST_BID_ASK)
        return sbe_event_quote(data, event, symbol, offset);
    if (template_id == SBE_TRADES)
        return sbe_event_trades(data, event, symbol, offset);
    if (template_id == SBE_DEPTH_DIFF)
        return sbe_event_diff(data, event, symbol, offset);
    if (template_id == SBE_DEPTH_SNAPSHOT)
        return sbe_event_snapshot(data, event, symbol, offset);
    return sbe_refuse_header(data, offset);
}

enum sbe_verdict sbe_decode(struct bytes data, struct sbe_frame *frame, size_t *offset)
{
    enum sbe_verdict verdict = sbe_decode_event(data, &frame->event, &frame->symbol, offset);
    if (verdict != SBE_OK)
        return verdict;
    frame->block_length = bytes_load_u16(data.data);
    frame->template_id = bytes_load_u16(data.data + 2);
    frame->schema_id = bytes_load_u16(data.data + 4);
    frame->version = bytes_load_u16(data.data + 6);
    frame->trailing = (uint32_t)(data.data + data.size - (frame->symbol.data + frame->symbol.size));
    return SBE_OK;
}
