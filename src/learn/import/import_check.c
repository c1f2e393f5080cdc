/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/import/import_check.h"

static void import_check_hole(struct import_check *check, int64_t first, int64_t last,
                              uint64_t count)
{
    if (check->holes < IMPORT_CHECK_HOLES_MAX)
        check->list[check->holes] =
            (struct import_hole){.first = first, .last = last, .count = count};
    check->holes++;
    check->missing += count;
}

/* Aggregates may be missing, and so may the trades between two that follow each other. */
static void import_check_ids(struct import_check *check, const struct import_row *row)
{
    if (row->id > check->id + 1)
        import_check_hole(check, check->id + 1, row->id - 1, (uint64_t)(row->id - check->id - 1));
    else if (row->type == IMPORT_AGG_TRADES && row->first > check->raw + 1)
        import_check_hole(check, check->raw + 1, row->first - 1,
                          (uint64_t)(row->first - check->raw - 1));
}

static void import_check_klines(struct import_check *check, const struct import_row *row)
{
    const int64_t step = row->id - check->id;
    if (check->interval > 0 && step > check->interval)
        import_check_hole(check, check->id + check->interval, row->id - check->interval,
                          (uint64_t)((step + check->interval - 1) / check->interval - 1));
}

/* A file in milliseconds ends a minute at …999 ms, one in microseconds at …999999 us. */
static int64_t import_check_interval(const struct import_row *row)
{
    return (row->last - row->first + 1000) / 1000000 * 1000000;
}

int import_check_take(struct import_check *check, const struct import_row *row)
{
    if (check->begun && row->id <= check->id) {
        check->repeats++;
        return ERR_DUPLICATE;
    }
    if (check->begun && row->type == IMPORT_KLINES)
        import_check_klines(check, row);
    else if (check->begun)
        import_check_ids(check, row);
    check->begun = true;
    check->rows++;
    check->id = row->id;
    check->raw = row->last;
    check->interval = row->type == IMPORT_KLINES ? import_check_interval(row) : 0;
    return ERR_OK;
}
