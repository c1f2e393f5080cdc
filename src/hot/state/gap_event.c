/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/gap_event.h"

#include <stddef.h>

#include "base/check.h"
#include "base/decimal.h"

static const char *const gap_kind_texts[GAP_KINDS] = {
    [GAP_LOSS] = "loss",
    [GAP_TRADE_HOLE] = "trade_hole",
    [GAP_RECORD_HOLE] = "record_hole",
    [GAP_MINUTE] = "minute",
    [GAP_ANCHORED] = "anchored",
    [GAP_STATE] = "state",
    [GAP_TRADES_ABSENT] = "trades_absent",
};

enum gap_type { GAP_TYPE_I64, GAP_TYPE_U64, GAP_TYPE_INT, GAP_TYPE_FLAG };

#define GAP_FOR(kind) (1u << (kind))
#define GAP_ALL       ((1u << GAP_KINDS) - 1)
#define GAP_HOLES     (GAP_FOR(GAP_TRADE_HOLE) | GAP_FOR(GAP_TRADES_ABSENT))
#define GAP_AT(name)  offsetof(struct gap_event, name)

/* The numbers of an event: which kinds have them, under which name. */
static const struct gap_member {
    const char *name;
    enum gap_type type;
    size_t offset;
    unsigned kinds;
    int64_t minimum;
} gap_members[] = {
    {"epoch", GAP_TYPE_U64, GAP_AT(epoch), GAP_ALL, 0},
    {"seq", GAP_TYPE_U64, GAP_AT(seq), GAP_ALL, 0},
    {"recv_us", GAP_TYPE_I64, GAP_AT(recv_us), GAP_ALL, 0},
    {"writer", GAP_TYPE_U64, GAP_AT(writer), GAP_ALL, 0},
    {"last_update_id", GAP_TYPE_I64, GAP_AT(last_update_id), GAP_ALL, 0},
    {"book_live", GAP_TYPE_FLAG, GAP_AT(book_live), GAP_ALL, 0},
    {"first_missing_trade_id", GAP_TYPE_I64, GAP_AT(first_trade_id), GAP_HOLES, 0},
    {"last_missing_trade_id", GAP_TYPE_I64, GAP_AT(last_trade_id), GAP_HOLES, 0},
    {"next_epoch", GAP_TYPE_U64, GAP_AT(next_epoch), GAP_FOR(GAP_RECORD_HOLE), 0},
    {"next_seq", GAP_TYPE_U64, GAP_AT(next_seq), GAP_FOR(GAP_RECORD_HOLE), 0},
    {"minute", GAP_TYPE_I64, GAP_AT(minute), GAP_FOR(GAP_MINUTE), 0},
    {"volume", GAP_TYPE_I64, GAP_AT(volume), GAP_FOR(GAP_MINUTE), 0},
    {"volume_exponent", GAP_TYPE_INT, GAP_AT(volume_exponent), GAP_FOR(GAP_MINUTE),
     -DECIMAL_EXPONENT_MAX},
    {"trades", GAP_TYPE_U64, GAP_AT(trades), GAP_FOR(GAP_MINUTE), 0},
    {"complete", GAP_TYPE_FLAG, GAP_AT(complete), GAP_FOR(GAP_MINUTE), 0},
    {"first_trade_id", GAP_TYPE_I64, GAP_AT(first_trade_id), GAP_FOR(GAP_MINUTE), -1},
    {"last_trade_id", GAP_TYPE_I64, GAP_AT(last_trade_id), GAP_FOR(GAP_MINUTE), -1},
};
#define GAP_MEMBERS ((int)(sizeof(gap_members) / sizeof(gap_members[0])))
/* After the members' bits in gap_event_reader.seen. */
#define GAP_SEEN_KIND   (1u << GAP_MEMBERS)
#define GAP_SEEN_SYMBOL (1u << (GAP_MEMBERS + 1))

const char *gap_kind_text(enum gap_kind kind)
{
    PRE(kind >= 0 && kind < GAP_KINDS);
    return gap_kind_texts[kind];
}

static int64_t gap_member_value(const struct gap_event *event, const struct gap_member *member)
{
    const char *at = (const char *)event + member->offset;
    switch (member->type) {
    case GAP_TYPE_FLAG:
        return *(const bool *)at;
    case GAP_TYPE_INT:
        return *(const int *)(const void *)at;
    case GAP_TYPE_U64:
    case GAP_TYPE_I64:
        break;
    }
    return bytes_load_i64((const uint8_t *)at);
}

static void gap_member_set(struct gap_event *event, const struct gap_member *member, int64_t value)
{
    char *at = (char *)event + member->offset;
    switch (member->type) {
    case GAP_TYPE_FLAG:
        *(bool *)at = value != 0;
        return;
    case GAP_TYPE_INT:
        *(int *)(void *)at = (int)value;
        return;
    case GAP_TYPE_U64:
    case GAP_TYPE_I64:
        bytes_store_i64((uint8_t *)at, value);
        return;
    }
}

int gap_event_write(const struct gap_event *event, const char *symbol, struct text *text,
                    struct state_pair *pairs)
{
    int count = 0;
    pairs[count++] = (struct state_pair){BYTES_LITERAL("symbol"), bytes_text(symbol)};
    pairs[count++] =
        (struct state_pair){BYTES_LITERAL("kind"), bytes_text(gap_kind_text(event->kind))};
    if (event->cause[0] != 0)
        pairs[count++] = (struct state_pair){BYTES_LITERAL("cause"), bytes_text(event->cause)};
    for (int i = 0; i < GAP_MEMBERS; i++) {
        if ((gap_members[i].kinds & GAP_FOR(event->kind)) == 0)
            continue;
        size_t start = text->size;
        text_add_i64(text, gap_member_value(event, &gap_members[i]));
        pairs[count++] = (struct state_pair){bytes_text(gap_members[i].name),
                                             bytes_of(text->at + start, text->size - start)};
    }
    CHECK(!text->truncated && count <= GAP_EVENT_PAIRS_MAX);
    return count;
}

static bool gap_is(struct bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

void gap_event_begin(struct gap_event_reader *reader, const char *symbol)
{
    *reader = (struct gap_event_reader){.symbol = symbol};
}

static void gap_event_number(struct gap_event_reader *reader, int index, struct bytes text)
{
    const struct gap_member *member = &gap_members[index];
    int64_t value;
    if (decimal_parse(text, 0, &value) != ERR_OK || value < member->minimum ||
        (member->type == GAP_TYPE_FLAG && value > 1) ||
        (member->type == GAP_TYPE_INT && value > DECIMAL_EXPONENT_MAX)) {
        reader->is_malformed = true;
        return;
    }
    gap_member_set(&reader->event, member, value);
    reader->seen |= 1u << index;
}

static void gap_event_kind(struct gap_event_reader *reader, struct bytes value)
{
    for (int kind = 0; kind < GAP_KINDS; kind++)
        if (gap_is(value, gap_kind_texts[kind])) {
            reader->event.kind = (enum gap_kind)kind;
            reader->seen |= GAP_SEEN_KIND;
            return;
        }
    reader->is_malformed = true;
}

/* Causes are our own words: anything else in them would end up in logs and JSON. */
static void gap_event_cause(struct gap_event_reader *reader, struct bytes value)
{
    bool fits = value.size < sizeof(reader->event.cause);
    for (size_t i = 0; fits && i < value.size; i++)
        fits = value.data[i] >= ' ' && value.data[i] < 0x7f && value.data[i] != '"' &&
               value.data[i] != '\\';
    if (!fits) {
        reader->is_malformed = true;
        return;
    }
    memcpy(reader->event.cause, value.data, value.size);
    reader->event.cause[value.size] = 0;
}

void gap_event_field(struct gap_event_reader *reader, struct bytes field, struct bytes value)
{
    if (gap_is(field, "kind"))
        gap_event_kind(reader, value);
    else if (gap_is(field, "cause"))
        gap_event_cause(reader, value);
    else if (gap_is(field, "symbol") && gap_is(value, reader->symbol))
        reader->seen |= GAP_SEEN_SYMBOL;
    else
        /* Two kinds use one member under two names: both names are looked at, the kind
         * decides in the end which had to be there. */
        for (int i = 0; i < GAP_MEMBERS; i++)
            if (gap_is(field, gap_members[i].name))
                gap_event_number(reader, i, value);
}

bool gap_event_finish(const struct gap_event_reader *reader)
{
    const struct gap_event *event = &reader->event;
    unsigned wanted = GAP_SEEN_KIND | GAP_SEEN_SYMBOL;
    for (int i = 0; i < GAP_MEMBERS; i++)
        if ((gap_members[i].kinds & GAP_FOR(event->kind)) != 0)
            wanted |= 1u << i;
    if (reader->is_malformed || (reader->seen & wanted) != wanted)
        return false;
    return (GAP_FOR(event->kind) & GAP_HOLES) == 0 || event->first_trade_id <= event->last_trade_id;
}
