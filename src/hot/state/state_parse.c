/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_parse.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

#define STATE_PARSE_DIGITS_MAX 19

/* Parts of the vector: it counts only when all came. */
enum state_part {
    STATE_PART_VEC = 1,
    STATE_PART_EPOCH = 2,
    STATE_PART_SEQ = 4,
    STATE_PART_AS_OF = 8,
    STATE_PART_MID = 16,
    STATE_PART_LIVE = 32,
    STATE_PART_ALL = 63,
};

#define STATE_PARSE_COUNT(names) (int)(sizeof(names) / sizeof((names)[0]))

int state_parse_fields(enum state_key hash, const char *const **names)
{
    static const char *const book[] = {
        STATE_FIELD_EPOCH,  STATE_FIELD_SEQ,      STATE_FIELD_LAST_UPDATE_ID, STATE_FIELD_TS_US,
        STATE_FIELD_SOURCE, STATE_FIELD_BEST_BID, STATE_FIELD_BEST_ASK};
    static const char *const window[] = {STATE_FIELD_EPOCH, STATE_FIELD_SEQ};
    static const char *const features[] = {
        STATE_FIELD_EPOCH,   STATE_FIELD_SEQ,       STATE_FIELD_VEC,      STATE_FIELD_VEC_EPOCH,
        STATE_FIELD_VEC_SEQ, STATE_FIELD_AS_OF_US,  STATE_FIELD_MID,      STATE_FIELD_VEC_LIVE,
        STATE_FIELD_WRITER,  STATE_FIELD_BOOK_LIVE, STATE_FIELD_SLOT_MIDS};
    _Static_assert(STATE_PARSE_COUNT(features) <= STATE_PARSE_FIELDS_MAX, "room");
    PRE(hash < STATE_READ_HASHES);
    *names = hash == STATE_OB ? book : hash == STATE_FEAT ? features : window;
    return hash == STATE_OB     ? STATE_PARSE_COUNT(book)
           : hash == STATE_FEAT ? STATE_PARSE_COUNT(features)
                                : STATE_PARSE_COUNT(window);
}

void state_parse_begin(struct state_read *read)
{
    memset(read, 0, sizeof(*read));
}

static bool state_parse_u64(struct bytes text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 20)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

/* Times and ids of the hot state are never negative. */
static bool state_parse_i64(struct bytes text, int64_t *out)
{
    uint64_t value;
    if (!state_parse_u64(text, &value) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

bool state_parse_decimal(struct bytes text, struct state_decimal *out)
{
    int64_t mantissa = 0;
    int digits = 0;
    int fraction = -1; /* digits after the point; -1: no point yet */
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '.' && fraction < 0) {
            fraction = 0;
            continue;
        }
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(mantissa, 10, &mantissa) ||
            __builtin_add_overflow(mantissa, (int64_t)digit, &mantissa))
            return false;
        digits++;
        fraction += fraction >= 0;
    }
    if (digits == 0 || fraction == 0 || fraction > STATE_PARSE_DIGITS_MAX)
        return false;
    *out = (struct state_decimal){mantissa, fraction > 0 ? -fraction : 0};
    return true;
}

static bool state_parse_flag(struct bytes text, bool *out)
{
    if (text.size != 1 || (text.data[0] != '0' && text.data[0] != '1'))
        return false;
    *out = text.data[0] == '1';
    return true;
}

static bool state_parse_source(struct bytes text, enum state_source *out)
{
    if (text.size == 3 && memcmp(text.data, "sbe", 3) == 0)
        *out = STATE_SOURCE_SBE;
    else if (text.size == 4 && memcmp(text.data, "rest", 4) == 0)
        *out = STATE_SOURCE_REST;
    else
        return false;
    return true;
}

static bool state_parse_vector(struct bytes value, struct state_read *read)
{
    float values[FEATURE_COUNT];
    if (value.size != sizeof(read->schema) + sizeof(values))
        return false;
    memcpy(values, value.data + sizeof(read->schema), sizeof(values));
    for (int i = 0; i < FEATURE_COUNT; i++)
        if (!isfinite(values[i]))
            return false;
    read->schema = bytes_load_u64(value.data);
    memcpy(read->values, values, sizeof(values));
    return true;
}

/* The text up to the separator; *rest is what follows it. */
static struct bytes state_parse_word(struct bytes text, char separator, struct bytes *rest)
{
    const uint8_t *end = text.size > 0 ? memchr(text.data, separator, text.size) : NULL;
    size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
    size_t skip = end != NULL ? size + 1 : size;
    *rest = bytes_of(text.data + skip, text.size - skip);
    return bytes_of(text.data, size);
}

static bool state_parse_slot_mid(struct bytes text, struct state_slot_mid *out)
{
    struct bytes rest;
    return state_parse_i64(state_parse_word(text, ':', &rest), &out->slot) &&
           state_parse_decimal(state_parse_word(rest, ':', &rest), &out->mid) &&
           state_parse_flag(rest, &out->valid);
}

static bool state_parse_slot_mids(struct bytes text, struct state_read *read)
{
    struct state_slot_mid mids[WORLD_SLOT_MIDS];
    int count = 0;
    while (text.size > 0) {
        if (count == WORLD_SLOT_MIDS ||
            !state_parse_slot_mid(state_parse_word(text, ' ', &text), &mids[count]))
            return false;
        count++;
    }
    if (count > 0)
        memcpy(read->mids, mids, (size_t)count * sizeof(mids[0]));
    read->mid_count = count;
    return true;
}

static bool state_field_is(struct bytes field, const char *name)
{
    size_t size = strlen(name);
    return field.size == size && memcmp(field.data, name, size) == 0;
}

static bool state_parse_book_field(struct state_read *read, struct bytes field, struct bytes value)
{
    if (state_field_is(field, STATE_FIELD_LAST_UPDATE_ID))
        return state_parse_i64(value, &read->last_update_id);
    if (state_field_is(field, STATE_FIELD_TS_US))
        return state_parse_i64(value, &read->ts_us);
    if (state_field_is(field, STATE_FIELD_SOURCE))
        return state_parse_source(value, &read->source);
    if (state_field_is(field, STATE_FIELD_BEST_BID))
        return state_parse_decimal(value, &read->best_bid);
    if (state_field_is(field, STATE_FIELD_BEST_ASK))
        return state_parse_decimal(value, &read->best_ask);
    return true;
}

/* Notes that a part of the vector came. */
static bool state_parse_part(struct state_read *read, bool good, enum state_part part)
{
    if (good)
        read->seen |= (unsigned)part;
    return good;
}

static bool state_parse_feature_field(struct state_read *read, struct bytes field,
                                      struct bytes value)
{
    if (state_field_is(field, STATE_FIELD_VEC))
        return state_parse_part(read, state_parse_vector(value, read), STATE_PART_VEC);
    if (state_field_is(field, STATE_FIELD_VEC_EPOCH))
        return state_parse_part(read, state_parse_u64(value, &read->vec_epoch), STATE_PART_EPOCH);
    if (state_field_is(field, STATE_FIELD_VEC_SEQ))
        return state_parse_part(read, state_parse_u64(value, &read->vec_seq), STATE_PART_SEQ);
    if (state_field_is(field, STATE_FIELD_AS_OF_US))
        return state_parse_part(read, state_parse_i64(value, &read->as_of_us), STATE_PART_AS_OF);
    if (state_field_is(field, STATE_FIELD_MID))
        return state_parse_part(read, state_parse_decimal(value, &read->mid), STATE_PART_MID);
    if (state_field_is(field, STATE_FIELD_VEC_LIVE))
        return state_parse_part(read, state_parse_flag(value, &read->vec_live), STATE_PART_LIVE);
    if (state_field_is(field, STATE_FIELD_BOOK_LIVE))
        return state_parse_flag(value, &read->book_live);
    if (state_field_is(field, STATE_FIELD_WRITER))
        return state_parse_u64(value, &read->writer);
    if (state_field_is(field, STATE_FIELD_SLOT_MIDS))
        return state_parse_slot_mids(value, read);
    return true;
}

void state_parse_field(struct state_read *read, enum state_key hash, struct bytes field,
                       struct bytes value)
{
    PRE(hash < STATE_READ_HASHES);
    bool good = true;
    read->present[hash] = true;
    if (state_field_is(field, STATE_FIELD_EPOCH))
        good = state_parse_u64(value, &read->epoch[hash]);
    else if (state_field_is(field, STATE_FIELD_SEQ))
        good = state_parse_u64(value, &read->seq[hash]);
    else if (hash == STATE_OB)
        good = state_parse_book_field(read, field, value);
    else if (hash == STATE_FEAT)
        good = state_parse_feature_field(read, field, value);
    read->malformed += !good;
}

void state_parse_finish(struct state_read *read)
{
    read->consistent = read->epoch[STATE_OB] != 0;
    for (int i = 0; i < STATE_READ_HASHES; i++)
        if (!read->present[i] || read->epoch[i] != read->epoch[STATE_OB] ||
            read->seq[i] != read->seq[STATE_OB])
            read->consistent = false;
    read->has_vector = (read->seen & STATE_PART_ALL) == STATE_PART_ALL && read->mid.mantissa > 0;
}
