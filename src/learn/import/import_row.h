/* Rows of the exchange's public archives (data.binance.vision): daily CSV files of trades,
 * aggregate trades and klines, with or without a head, times in milliseconds or, from 2025 on,
 * microseconds. Read and judged, not kept. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_IMPORT_IMPORT_ROW_H
#define BTCAST_LEARN_IMPORT_IMPORT_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define IMPORT_ROW_FIELDS_MAX 12
/* Prices and quantities are exact with so many decimals (the exchange's finest). */
#define IMPORT_ROW_EXPONENT (-8)

enum import_type { IMPORT_TRADES, IMPORT_AGG_TRADES, IMPORT_KLINES, IMPORT_TYPES };

struct import_row {
    enum import_type type;
    struct bytes fields[IMPORT_ROW_FIELDS_MAX]; /* as they came, without quotes; borrowed */
    int field_count;
    int64_t id;          /* of the trade, of the aggregate; a kline's openTime, us */
    int64_t first, last; /* raw ids it covers; a kline: openTime and closeTime, us */
    int64_t time_us;     /* of the trade; a kline's openTime */
    bool buyer_maker;
};

/* "trades", "aggTrades", "klines". */
const char *import_row_type_text(enum import_type type);
/* By the number of columns: 7, 8 or 12. ERR_MALFORMED for any other. */
int import_row_type(struct bytes line, enum import_type *type) MUST_CHECK;
/* A first line that does not begin with a number. */
bool import_row_is_head(struct bytes line);
/* ERR_MALFORMED with the column and what is wrong with it. */
int import_row_read(struct bytes line, enum import_type type, struct import_row *row,
                    struct err *err) MUST_CHECK;

#endif
