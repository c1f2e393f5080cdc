/* Rows of public archives are read, judged, and checked for holes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "learn/import/import_check.h"

#define TRADE    "4359000000,94000.10000000,0.00100000,94.00010000,1735689600000123,True,True"
#define AGG      "330,94000.1,0.5,1000,1004,1735689600123,False,True"
#define KLINE(t) #t "000,1.0,3.0,0.5,2.0,10.5," #t "999,21.0,7,5.0,10.0,0"

static struct import_row row;
static struct err err;

static int read_as(enum import_type type, const char *text)
{
    err = (struct err){0};
    return import_row_read(bytes_text(text), type, &row, &err);
}

static void the_number_of_columns_says_what_a_file_holds(void **state)
{
    (void)state;
    enum import_type type;
    assert_int_equal(import_row_type(bytes_text(TRADE), &type), ERR_OK);
    assert_int_equal(type, IMPORT_TRADES);
    assert_int_equal(import_row_type(bytes_text(AGG), &type), ERR_OK);
    assert_int_equal(type, IMPORT_AGG_TRADES);
    assert_int_equal(import_row_type(bytes_text(KLINE(1735689600)), &type), ERR_OK);
    assert_int_equal(type, IMPORT_KLINES);
    assert_int_equal(import_row_type(bytes_text("1,2,3"), &type), ERR_MALFORMED);
    assert_int_equal(import_row_type(bytes_text(""), &type), ERR_MALFORMED);
    assert_true(import_row_is_head(bytes_text("id,price,qty,quote_qty,time,is_buyer_maker,x")));
    assert_true(import_row_is_head(bytes_text("\"id\",price")));
    assert_false(import_row_is_head(bytes_text(TRADE)));
}

static void times_are_read_in_milliseconds_and_microseconds(void **state)
{
    (void)state;
    assert_int_equal(read_as(IMPORT_TRADES, TRADE), ERR_OK);
    assert_int_equal(row.time_us, 1735689600000123);
    assert_true(row.buyer_maker);
    assert_int_equal(read_as(IMPORT_AGG_TRADES, AGG), ERR_OK);
    assert_int_equal(row.time_us, 1735689600123000);
    assert_int_equal(row.first, 1000);
    assert_int_equal(row.last, 1004);
    assert_false(row.buyer_maker);
    assert_int_equal(read_as(IMPORT_KLINES, KLINE(1735689600)), ERR_OK);
    assert_int_equal(row.id, 1735689600000000);
    assert_int_equal(row.last, 1735689600999000);
}

/* Each with the column that is wrong. */
static void what_is_wrong_is_refused_with_its_column(void **state)
{
    (void)state;
    static const struct {
        enum import_type type;
        const char *line, *says;
    } bad[] = {
        {IMPORT_TRADES, "x,1,1,1,1735689600000,True,True", "column 1"},
        {IMPORT_TRADES, "-1,1,1,1,1735689600000,True,True", "column 1"},
        {IMPORT_TRADES, "99999999999999999999,1,1,1,1735689600000,True,True", "column 1"},
        {IMPORT_TRADES, "1,0,1,1,1735689600000,True,True", "column 2"},
        {IMPORT_TRADES, "1,1e5,1,1,1735689600000,True,True", "column 2"},
        {IMPORT_TRADES, "1,1,0.000000001,1,1735689600000,True,True", "column 3"},
        {IMPORT_TRADES, "1,1,1,nan,1735689600000,True,True", "column 4"},
        {IMPORT_TRADES, "1,1,1,1,5,True,True", "column 5"},
        {IMPORT_TRADES, "1,1,1,1,9223372036854775807,True,True", "column 5"},
        {IMPORT_TRADES, "1,1,1,1,1735689600000,yes,True", "column 6"},
        {IMPORT_TRADES, "1,1,1,1,1735689600000,True,", "column 7"},
        {IMPORT_TRADES, "1,1,1,1,1735689600000,True", "6 columns"},
        {IMPORT_TRADES, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "15 columns"},
        {IMPORT_AGG_TRADES, "1,1,1,7,6,1735689600000,True,True", "column 5"},
        {IMPORT_KLINES, "1735689600000,2,1,1,2,1,1735689659999,1,1,1,1,0", "columns 2 to 5"},
        {IMPORT_KLINES, "1735689600000,2,3,1,2,1,1735689600000,1,1,1,1,0", "column 7"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_as(bad[i].type, bad[i].line), ERR_MALFORMED);
        if (strstr(err.text, bad[i].says) == NULL)
            fail_msg("%s: expected %s", err.text, bad[i].says);
    }
}

static int take(struct import_check *check, enum import_type type, int64_t id, int64_t first,
                int64_t last)
{
    struct import_row made = {.type = type, .id = id, .first = first, .last = last};
    return import_check_take(check, &made);
}

static void holes_and_repeats_of_trades_are_found(void **state)
{
    (void)state;
    struct import_check check = {0};
    for (int64_t id = 10; id < 14; id++)
        assert_int_equal(take(&check, IMPORT_TRADES, id, id, id), ERR_OK);
    assert_int_equal(take(&check, IMPORT_TRADES, 13, 13, 13), ERR_DUPLICATE);
    assert_int_equal(take(&check, IMPORT_TRADES, 11, 11, 11), ERR_DUPLICATE);
    assert_int_equal(take(&check, IMPORT_TRADES, 17, 17, 17), ERR_OK);
    assert_int_equal(check.rows, 5);
    assert_int_equal(check.repeats, 2);
    assert_int_equal(check.holes, 1);
    assert_int_equal(check.missing, 3);
    assert_int_equal(check.list[0].first, 14);
    assert_int_equal(check.list[0].last, 16);
}

static void aggregates_are_checked_by_the_trades_they_cover_too(void **state)
{
    (void)state;
    struct import_check check = {0};
    assert_int_equal(take(&check, IMPORT_AGG_TRADES, 1, 100, 104), ERR_OK);
    assert_int_equal(take(&check, IMPORT_AGG_TRADES, 2, 105, 105), ERR_OK);
    assert_int_equal(check.holes, 0);
    assert_int_equal(take(&check, IMPORT_AGG_TRADES, 3, 108, 109), ERR_OK);
    assert_int_equal(check.holes, 1);
    assert_int_equal(check.list[0].first, 106);
    assert_int_equal(check.missing, 2);
}

static void missing_minutes_of_klines_are_found_in_either_unit(void **state)
{
    (void)state;
    const int64_t minute = 60000000;
    struct import_check check = {0};
    assert_int_equal(take(&check, IMPORT_KLINES, 0, 0, minute - 1000), ERR_OK);
    assert_int_equal(take(&check, IMPORT_KLINES, minute, minute, 2 * minute - 1), ERR_OK);
    assert_int_equal(check.holes, 0);
    assert_int_equal(take(&check, IMPORT_KLINES, 4 * minute, 4 * minute, 5 * minute - 1), ERR_OK);
    assert_int_equal(check.holes, 1);
    assert_int_equal(check.missing, 2);
    assert_int_equal(check.list[0].first, 2 * minute);
    assert_int_equal(check.list[0].last, 3 * minute);
}

static void more_holes_than_the_list_holds_are_counted(void **state)
{
    (void)state;
    struct import_check check = {0};
    for (int64_t id = 0; id < 1000; id += 2)
        assert_int_equal(take(&check, IMPORT_TRADES, id, id, id), ERR_OK);
    assert_int_equal(check.holes, 499);
    assert_int_equal(check.missing, 499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_columns_says_what_a_file_holds),
        cmocka_unit_test(times_are_read_in_milliseconds_and_microseconds),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_column),
        cmocka_unit_test(holes_and_repeats_of_trades_are_found),
        cmocka_unit_test(aggregates_are_checked_by_the_trades_they_cover_too),
        cmocka_unit_test(missing_minutes_of_klines_are_found_in_either_unit),
        cmocka_unit_test(more_holes_than_the_list_holds_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
