/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/import/import_row.h"

#include <string.h>

#include "base/decimal.h"

/* Times from here on are microseconds: as milliseconds they would lie in the year 5138. */
#define IMPORT_ROW_MICROSECONDS 100000000000000LL
/* 2010-01-01 and 2100-01-01: what lies outside is no time of a market. */
#define IMPORT_ROW_TIME_MIN_US 1262304000000000LL
#define IMPORT_ROW_TIME_MAX_US 4102444800000000LL

static const char *const import_row_names[IMPORT_TYPES] = {"trades", "aggTrades", "klines"};
static const int import_row_columns[IMPORT_TYPES] = {7, 8, 12};

const char *import_row_type_text(enum import_type type)
{
    return import_row_names[type];
}

/* Splits at commas; a field in quotes loses them. Returns their number, also over the limit. */
static int import_row_split(struct bytes line, struct bytes *fields)
{
    int count = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= line.size; i++) {
        if (i < line.size && line.data[i] != ',')
            continue;
        struct bytes field = bytes_of(line.data + begin, i - begin);
        if (field.size >= 2 && field.data[0] == '"' && field.data[field.size - 1] == '"')
            field = bytes_of(field.data + 1, field.size - 2);
        if (count < IMPORT_ROW_FIELDS_MAX)
            fields[count] = field;
        count++;
        begin = i + 1;
    }
    return count;
}

int import_row_type(struct bytes line, enum import_type *type)
{
    struct bytes fields[IMPORT_ROW_FIELDS_MAX];
    const int count = import_row_split(line, fields);
    for (int i = 0; i < IMPORT_TYPES; i++)
        if (import_row_columns[i] == count) {
            *type = (enum import_type)i;
            return ERR_OK;
        }
    return ERR_MALFORMED;
}

bool import_row_is_head(struct bytes line)
{
    struct bytes fields[IMPORT_ROW_FIELDS_MAX];
    import_row_split(line, fields);
    return fields[0].size > 0 && (fields[0].data[0] < '0' || fields[0].data[0] > '9');
}

static int import_row_bad(struct err *err, const struct import_row *row, int column,
                          const char *what)
{
    const struct bytes *field = &row->fields[column];
    return err_set(err, ERR_MALFORMED, "column %d: \"%.*s\" is no %s", column + 1,
                   (int)(field->size < 40 ? field->size : 40), (const char *)field->data, what);
}

static int import_row_integer(const struct import_row *row, int column, const char *what,
                              int64_t *out, struct err *err)
{
    if (decimal_parse(row->fields[column], 0, out) != ERR_OK || *out < 0)
        return import_row_bad(err, row, column, what);
    return ERR_OK;
}

static int import_row_time(const struct import_row *row, int column, int64_t *us, struct err *err)
{
    int result = import_row_integer(row, column, "time", us, err);
    if (result != ERR_OK)
        return result;
    if (*us < IMPORT_ROW_MICROSECONDS)
        *us *= 1000;
    if (*us < IMPORT_ROW_TIME_MIN_US || *us >= IMPORT_ROW_TIME_MAX_US)
        return import_row_bad(err, row, column, "time of a market");
    return ERR_OK;
}

/* minimum 0 or 1: zero is allowed or not. */
static int import_row_decimal(const struct import_row *row, int column, const char *what,
                              int64_t minimum, int64_t *out, struct err *err)
{
    if (decimal_parse(row->fields[column], IMPORT_ROW_EXPONENT, out) != ERR_OK || *out < minimum)
        return import_row_bad(err, row, column, what);
    return ERR_OK;
}

static bool import_row_is(struct bytes field, const char *lower)
{
    if (field.size != strlen(lower))
        return false;
    for (size_t i = 0; i < field.size; i++)
        if ((field.data[i] | 0x20) != lower[i])
            return false;
    return true;
}

static int import_row_truth(const struct import_row *row, int column, bool *out, struct err *err)
{
    *out = import_row_is(row->fields[column], "true");
    if (!*out && !import_row_is(row->fields[column], "false"))
        return import_row_bad(err, row, column, "True or False");
    return ERR_OK;
}

/* id, price, qty, quoteQty, time, isBuyerMaker, isBestMatch */
static int import_row_trade(struct import_row *row, struct err *err)
{
    int64_t number;
    bool match;
    int result = import_row_integer(row, 0, "trade id", &row->id, err);
    if (result == ERR_OK)
        result = import_row_decimal(row, 1, "price", 1, &number, err);
    if (result == ERR_OK)
        result = import_row_decimal(row, 2, "quantity", 1, &number, err);
    if (result == ERR_OK)
        result = import_row_decimal(row, 3, "quote quantity", 0, &number, err);
    if (result == ERR_OK)
        result = import_row_time(row, 4, &row->time_us, err);
    if (result == ERR_OK)
        result = import_row_truth(row, 5, &row->buyer_maker, err);
    if (result == ERR_OK)
        result = import_row_truth(row, 6, &match, err);
    row->first = row->last = row->id;
    return result;
}

/* id, price, qty, firstId, lastId, time, isBuyerMaker, isBestMatch */
static int import_row_agg_trade(struct import_row *row, struct err *err)
{
    int64_t number;
    bool match;
    int result = import_row_integer(row, 0, "aggregate id", &row->id, err);
    if (result == ERR_OK)
        result = import_row_decimal(row, 1, "price", 1, &number, err);
    if (result == ERR_OK)
        result = import_row_decimal(row, 2, "quantity", 1, &number, err);
    if (result == ERR_OK)
        result = import_row_integer(row, 3, "first trade id", &row->first, err);
    if (result == ERR_OK)
        result = import_row_integer(row, 4, "last trade id", &row->last, err);
    if (result == ERR_OK && row->last < row->first)
        result = import_row_bad(err, row, 4, "last trade id: it is below the first");
    if (result == ERR_OK)
        result = import_row_time(row, 5, &row->time_us, err);
    if (result == ERR_OK)
        result = import_row_truth(row, 6, &row->buyer_maker, err);
    if (result == ERR_OK)
        result = import_row_truth(row, 7, &match, err);
    return result;
}

/* openTime, o, h, l, c, volume, closeTime, quoteVolume, count, takerBase, takerQuote, ignore */
static int import_row_kline(struct import_row *row, struct err *err)
{
    static const int volumes[] = {5, 7, 9, 10};
    int64_t price[4], number;
    int result = import_row_time(row, 0, &row->first, err);
    for (int i = 0; i < 4 && result == ERR_OK; i++)
        result = import_row_decimal(row, 1 + i, "price", 1, &price[i], err);
    if (result == ERR_OK &&
        (price[1] < price[0] || price[1] < price[3] || price[2] > price[0] || price[2] > price[3]))
        result = err_set(err, ERR_MALFORMED, "columns 2 to 5: no open, high, low and close");
    for (size_t i = 0; i < sizeof(volumes) / sizeof(volumes[0]) && result == ERR_OK; i++)
        result = import_row_decimal(row, volumes[i], "volume", 0, &number, err);
    if (result == ERR_OK)
        result = import_row_time(row, 6, &row->last, err);
    if (result == ERR_OK && row->last <= row->first)
        result = import_row_bad(err, row, 6, "closeTime: it is not behind openTime");
    if (result == ERR_OK)
        result = import_row_integer(row, 8, "number of trades", &number, err);
    row->id = row->time_us = row->first;
    return result;
}

int import_row_read(struct bytes line, enum import_type type, struct import_row *row,
                    struct err *err)
{
    *row = (struct import_row){.type = type};
    row->field_count = import_row_split(line, row->fields);
    if (row->field_count != import_row_columns[type])
        return err_set(err, ERR_MALFORMED, "%d columns, %s have %d", row->field_count,
                       import_row_names[type], import_row_columns[type]);
    switch (type) {
    case IMPORT_TRADES:
        return import_row_trade(row, err);
    case IMPORT_AGG_TRADES:
        return import_row_agg_trade(row, err);
    default:
        return import_row_kline(row, err);
    }
}
