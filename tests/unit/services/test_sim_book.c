/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "services/exchange-sim/sim_book.h"

#define FIRST_ID     100
#define PLAIN_LEVELS 400

static struct sim_book *book_open(void)
{
    struct sim_book *book = malloc(sizeof(*book));
    struct err err = {0};
    assert_int_equal(sim_book_open(book, FIRST_ID, &err), ERR_OK);
    return book;
}

static void book_free(struct sim_book *book)
{
    sim_book_close(book);
    free(book);
}

static void levels_stay_sorted_best_first_on_both_sides(void **state)
{
    (void)state;
    struct sim_book *book = book_open();
    const int64_t prices[] = {100, 103, 101, 99, 102};
    for (int i = 0; i < 5; i++) {
        sim_book_set(book, SIM_BID, prices[i], i + 1, FIRST_ID + i + 1);
        sim_book_set(book, SIM_ASK, prices[i] + 10, i + 1, FIRST_ID + i + 1);
    }
    struct sbe_level levels[8];
    assert_int_equal(sim_book_copy(book, SIM_BID, levels, 8), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(levels[i].price, 103 - i);
    assert_int_equal(sim_book_copy(book, SIM_ASK, levels, 3), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(levels[i].price, 109 + i);
    assert_int_equal(sim_book_qty(book, SIM_BID, 101), 3);
    assert_int_equal(sim_book_qty(book, SIM_BID, 98), 0);
    book_free(book);
}

static void a_diff_names_each_changed_level_once_with_its_last_quantity(void **state)
{
    (void)state;
    struct sim_book *book = book_open();
    struct sim_diff *diff = malloc(sizeof(*diff));
    assert_false(sim_book_take(book, SIM_CADENCE_FAST, diff));
    sim_book_set(book, SIM_BID, 100, 5, FIRST_ID + 1);
    sim_book_set(book, SIM_BID, 100, 7, FIRST_ID + 2);
    sim_book_set(book, SIM_ASK, 100, 9, FIRST_ID + 3);
    sim_book_set(book, SIM_BID, 101, 3, FIRST_ID + 4);
    sim_book_set(book, SIM_BID, 101, 0, FIRST_ID + 6);
    assert_true(sim_book_take(book, SIM_CADENCE_FAST, diff));
    assert_int_equal(diff->first_id, FIRST_ID + 1);
    assert_int_equal(diff->last_id, FIRST_ID + 6);
    assert_int_equal(diff->counts[SIM_BID], 2);
    assert_int_equal(diff->levels[SIM_BID][0].price, 101);
    assert_int_equal(diff->levels[SIM_BID][0].qty, 0);
    assert_int_equal(diff->levels[SIM_BID][1].qty, 7);
    assert_int_equal(diff->counts[SIM_ASK], 1);
    assert_false(sim_book_take(book, SIM_CADENCE_FAST, diff));
    sim_book_set(book, SIM_BID, 102, 1, FIRST_ID + 7);
    assert_true(sim_book_take(book, SIM_CADENCE_FAST, diff));
    assert_int_equal(diff->first_id, FIRST_ID + 7);
    assert_true(sim_book_take(book, SIM_CADENCE_100MS, diff));
    assert_int_equal(diff->first_id, FIRST_ID + 1);
    assert_int_equal(diff->counts[SIM_BID], 3);
    free(diff);
    book_free(book);
}

/* Two diff streams taken at different paces rebuild the very same book. */
static void diffs_of_any_cadence_rebuild_the_book(void **state)
{
    (void)state;
    struct sim_book *book = book_open();
    int64_t plain[2][SIM_CADENCE_COUNT][PLAIN_LEVELS] = {0};
    struct sim_diff *diff = malloc(sizeof(*diff));
    struct prng prng;
    prng_init(&prng, 3);
    for (int i = 1; i <= 20000; i++) {
        enum sim_side_name side = (enum sim_side_name)prng_below(&prng, 2);
        int64_t price = 1 + (int64_t)prng_below(&prng, PLAIN_LEVELS - 1);
        int64_t qty = prng_below(&prng, 2) ? 1 + (int64_t)prng_below(&prng, 1000) : 0;
        sim_book_set(book, side, price, qty, FIRST_ID + i);
        for (int cadence = 0; cadence < SIM_CADENCE_COUNT; cadence++) {
            if (i % (cadence ? 37 : 5) != 0 && i != 20000)
                continue;
            if (!sim_book_take(book, (enum sim_cadence)cadence, diff))
                continue;
            for (int s = 0; s < 2; s++)
                for (int k = 0; k < diff->counts[s]; k++)
                    plain[s][cadence][diff->levels[s][k].price] = diff->levels[s][k].qty;
        }
    }
    for (int s = 0; s < 2; s++)
        for (int price = 1; price < PLAIN_LEVELS; price++)
            for (int cadence = 0; cadence < SIM_CADENCE_COUNT; cadence++)
                assert_int_equal(plain[s][cadence][price],
                                 sim_book_qty(book, (enum sim_side_name)s, price));
    free(diff);
    book_free(book);
}

static void a_full_side_lets_its_farthest_level_go_and_says_so(void **state)
{
    (void)state;
    struct sim_book *book = book_open();
    struct sim_diff *diff = malloc(sizeof(*diff));
    for (int i = 0; i < SIM_BOOK_LEVELS_MAX; i++) {
        sim_book_set(book, SIM_BID, 1000 + i, 1, FIRST_ID + 1 + i);
        if (sim_book_full(book, SIM_CADENCE_FAST))
            assert_true(sim_book_take(book, SIM_CADENCE_FAST, diff));
    }
    (void)sim_book_take(book, SIM_CADENCE_FAST, diff);
    sim_book_set(book, SIM_BID, 999999, 1, FIRST_ID + 1 + SIM_BOOK_LEVELS_MAX);
    assert_int_equal(book->sides[SIM_BID].count, SIM_BOOK_LEVELS_MAX);
    assert_int_equal(sim_book_qty(book, SIM_BID, 1000), 0);
    assert_int_equal(sim_book_level(book, SIM_BID, 0)->price, 999999);
    assert_true(sim_book_take(book, SIM_CADENCE_FAST, diff));
    assert_int_equal(diff->counts[SIM_BID], 2);
    assert_int_equal(diff->levels[SIM_BID][1].price, 1000);
    assert_int_equal(diff->levels[SIM_BID][1].qty, 0);
    free(diff);
    book_free(book);
}

static void the_nearest_level_behind_a_price_is_found(void **state)
{
    (void)state;
    struct sim_book *book = book_open();
    sim_book_set(book, SIM_ASK, 110, 1, FIRST_ID + 1);
    sim_book_set(book, SIM_ASK, 120, 1, FIRST_ID + 2);
    int at = sim_book_at_or_behind(book, SIM_ASK, 111);
    assert_int_equal(book->sides[SIM_ASK].levels[at].price, 120);
    at = sim_book_at_or_behind(book, SIM_ASK, 110);
    assert_int_equal(book->sides[SIM_ASK].levels[at].price, 110);
    assert_int_equal(sim_book_at_or_behind(book, SIM_ASK, 121), -1);
    assert_int_equal(sim_book_at_or_behind(book, SIM_BID, 121), -1);
    book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_stay_sorted_best_first_on_both_sides),
        cmocka_unit_test(a_diff_names_each_changed_level_once_with_its_last_quantity),
        cmocka_unit_test(diffs_of_any_cadence_rebuild_the_book),
        cmocka_unit_test(a_full_side_lets_its_farthest_level_go_and_says_so),
        cmocka_unit_test(the_nearest_level_behind_a_price_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
