/* Are the rows of an archive all there, once, in their order? Trade ids of a symbol are
 * consecutive, so are aggregates and the trades they cover, and the minutes of klines. Holes and
 * repeats are found, counted and listed; across files as well. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_IMPORT_IMPORT_CHECK_H
#define BTCAST_LEARN_IMPORT_IMPORT_CHECK_H

#include "learn/import/import_row.h"

/* Listed one by one; more are only counted. */
#define IMPORT_CHECK_HOLES_MAX 100

struct import_hole {
    int64_t first, last; /* missing, both included: ids, or a kline's openTime, us */
    uint64_t count;
};

struct import_check {
    bool begun;
    int64_t id;       /* of the last row */
    int64_t raw;      /* … the last raw id that it covers */
    int64_t interval; /* of klines, us */
    uint64_t rows, repeats, holes, missing;
    struct import_hole list[IMPORT_CHECK_HOLES_MAX];
};

/* ERR_OK: the row is the next one, or there is a hole in front of it (counted). ERR_DUPLICATE:
 * it is not behind the last one: there already, or out of order (counted). */
int import_check_take(struct import_check *check, const struct import_row *row) MUST_CHECK;

#endif
