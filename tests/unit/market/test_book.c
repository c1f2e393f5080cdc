/* The book against a sorted array. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/book.h"
#include "unit/market/market_fixture.h"

/* The plainest book there is: one array, sorted by every read. */
struct naive_side {
    bool is_bids;
    uint32_t count;
    struct world_level levels[FIXTURE_LEVELS_MAX];
};

static void naive_set(struct naive_side *side, int64_t price, int64_t qty)
{
    for (uint32_t i = 0; i < side->count; i++)
        if (side->levels[i].price == price) {
            if (qty != 0)
                side->levels[i].qty = qty;
            else
                side->levels[i] = side->levels[--side->count];
            return;
        }
    if (qty != 0)
        side->levels[side->count++] = (struct world_level){price, qty};
}

static int naive_compare(const void *a, const void *b)
{
    int64_t left = ((const struct world_level *)a)->price;
    int64_t right = ((const struct world_level *)b)->price;
    return left < right ? -1 : left > right;
}

static void assert_same(struct naive_side *naive, const struct side *side)
{
    static struct world_level top[FIXTURE_LEVELS_MAX];
    qsort(naive->levels, naive->count, sizeof(naive->levels[0]), naive_compare);
    assert_int_equal(side_count(side), naive->count);
    uint32_t count = side_top(side, top, FIXTURE_LEVELS_MAX);
    assert_int_equal(count, naive->count);
    for (uint32_t i = 0; i < count; i++) {
        const struct world_level *want = &naive->levels[naive->is_bids ? naive->count - 1 - i : i];
        assert_int_equal(top[i].price, want->price);
        assert_int_equal(top[i].qty, want->qty);
    }
}

struct pair {
    struct book book;
    struct naive_side bids, asks;
};

static void pair_load(struct pair *pair, struct prng *prng, int64_t mid, int64_t tick,
                      uint32_t count, uint64_t reach, uint32_t asked)
{
    struct level_view views[2];
    static uint8_t bytes[2][FIXTURE_LEVELS_MAX * 16];
    for (int s = 0; s < 2; s++) {
        struct naive_side *naive = s == 0 ? &pair->bids : &pair->asks;
        naive->is_bids = s == 0;
        naive->count = 0;
        while (naive->count < count) {
            int64_t away = 1 + (int64_t)prng_below(prng, reach);
            int64_t price = mid + (s == 0 ? -away : away) * tick;
            naive_set(naive, price, 1 + (int64_t)prng_below(prng, 1000));
        }
        qsort(naive->levels, count, sizeof(naive->levels[0]), naive_compare);
        struct world_level sorted[FIXTURE_LEVELS_MAX];
        for (uint32_t i = 0; i < count; i++)
            sorted[i] = naive->levels[s == 0 ? count - 1 - i : i];
        views[s] = fixture_levels(bytes[s], sorted, count);
    }
    assert_true(book_snapshot_is_good(&views[0], &views[1]));
    book_load(&pair->book, 1, &views[0], &views[1], asked, (struct scale_step){0, 0});
}

static struct pair *pair_open(void)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    book_init(&pair->book);
    return pair;
}

struct shape {
    uint64_t reach;      /* usual distance from the touch in ticks */
    uint64_t far_one_in; /* one level in … is far off */
    uint64_t odd_one_in; /* one level in … is off the tick grid; 0: none */
    int64_t drift;       /* ticks the market moves per round, at most */
};

static int64_t shape_price(const struct shape *shape, struct prng *prng, bool is_bid, int64_t mid,
                           int64_t tick)
{
    int64_t away = (int64_t)prng_below(prng, shape->reach) - 2;
    if (prng_below(prng, shape->far_one_in) == 0)
        away = (int64_t)prng_below(prng, 1000000);
    int64_t price = mid + (is_bid ? -away : away) * tick;
    if (shape->odd_one_in != 0 && prng_below(prng, shape->odd_one_in) == 0)
        price += (int64_t)prng_below(prng, 9) * (tick / 10);
    return price > 0 ? price : tick;
}

static void run_shape(const struct shape *shape, uint64_t seed, int rounds)
{
    struct prng prng;
    prng_init(&prng, seed);
    struct pair *pair = pair_open();
    int64_t tick = 1000000, mid = INT64_C(6000000) * tick;
    pair_load(pair, &prng, mid, tick, 100, 300, 0);
    assert_same(&pair->bids, &pair->book.bids);
    assert_same(&pair->asks, &pair->book.asks);
    for (int round = 0; round < rounds; round++) {
        if (shape->drift > 0)
            mid +=
                ((int64_t)prng_below(&prng, 2 * (uint64_t)shape->drift + 1) - shape->drift) * tick;
        uint8_t bytes[2][64 * 16];
        struct level_view views[2];
        for (int s = 0; s < 2; s++) {
            struct naive_side *naive = s == 0 ? &pair->bids : &pair->asks;
            struct world_level levels[64];
            uint32_t count = (uint32_t)prng_below(&prng, 30);
            for (uint32_t i = 0; i < count; i++) {
                levels[i].price = shape_price(shape, &prng, s == 0, mid, tick);
                if (naive->count > 0 && prng_below(&prng, 3) == 0)
                    levels[i].price = naive->levels[prng_below(&prng, naive->count)].price;
                levels[i].qty = prng_below(&prng, 2) == 0 || naive->count > 4000
                                    ? 0
                                    : 1 + (int64_t)prng_below(&prng, 1000);
                naive_set(naive, levels[i].price, levels[i].qty);
            }
            views[s] = fixture_levels(bytes[s], levels, count);
        }
        book_apply(&pair->book, &views[0], &views[1], (struct scale_step){0, 0});
        assert_same(&pair->bids, &pair->book.bids);
        assert_same(&pair->asks, &pair->book.asks);
    }
    assert_int_equal(pair->book.bids.far_dropped + pair->book.asks.far_dropped, 0);
    free(pair);
}

static void book_equals_a_sorted_array_near_the_touch(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_shape(&(struct shape){200, 1000, 0, 3}, seed, 400);
}

static void book_equals_a_sorted_array_with_far_prices(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_shape(&(struct shape){2000, 4, 0, 3}, seed, 300);
}

static void book_equals_a_sorted_array_when_the_market_jumps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_shape(&(struct shape){60000, 20, 0, 30000}, seed, 300);
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_shape(&(struct shape){300, 20, 0, 200000}, seed, 300);
}

static void book_equals_a_sorted_array_with_prices_off_the_grid(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_shape(&(struct shape){3000, 20, 10, 50}, seed, 300);
    for (uint64_t seed = 6; seed <= 10; seed++)
        run_shape(&(struct shape){70000, 8, 200, 500}, seed, 300);
}

/* One diff that takes a side's best levels away, so that the array moves in the middle of it, and
 * then levels that were far when it began. */
static uint32_t swept(struct naive_side *naive, struct prng *prng, int64_t mid,
                      struct world_level levels[64])
{
    uint32_t count = 0, best = (uint32_t)prng_below(prng, 12);
    for (; count < best && count < naive->count; count++)
        levels[count].price =
            naive->levels[naive->is_bids ? naive->count - 1 - count : count].price;
    for (uint32_t i = 0; i < 6 && naive->count > 0; i++)
        levels[count++].price = naive->levels[prng_below(prng, naive->count)].price;
    for (uint32_t i = 0; i < count; i++)
        levels[i].qty = 0;
    for (uint32_t i = 0; i < 12 && naive->count < 60; i++) {
        int64_t away = 1 + (int64_t)prng_below(prng, 200000);
        levels[count++] = (struct world_level){mid + (naive->is_bids ? -away : away), 1 + i};
    }
    for (uint32_t i = 0; i < count; i++)
        naive_set(naive, levels[i].price, levels[i].qty);
    return count;
}

static void book_equals_a_sorted_array_when_a_side_is_swept(void **state)
{
    (void)state;
    struct prng prng;
    struct pair *pair = pair_open();
    prng_init(&prng, 3);
    const int64_t mid = 6000000;
    pair_load(pair, &prng, mid, 1, 40, 200000, 0);
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[2][64 * 16];
        struct level_view views[2];
        struct world_level levels[64];
        for (int s = 0; s < 2; s++) {
            uint32_t count = swept(s == 0 ? &pair->bids : &pair->asks, &prng, mid, levels);
            views[s] = fixture_levels(bytes[s], levels, count);
        }
        book_apply(&pair->book, &views[0], &views[1], (struct scale_step){0, 0});
        assert_same(&pair->bids, &pair->book.bids);
        assert_same(&pair->asks, &pair->book.asks);
    }
    free(pair);
}

/* The same in its smallest form: the far level comes into the array as the best one goes, and is
 * then deleted. */
static void a_level_that_came_near_in_the_middle_of_a_diff_can_be_deleted(void **state)
{
    (void)state;
    struct side *side = calloc(1, sizeof(*side));
    uint8_t bytes[2 * 16];
    const struct world_level gone[] = {{1000000, 0}, {940000, 0}};
    struct level_view view = fixture_levels(bytes, gone, 2);
    side_init(side, true);
    side_set(side, 1000000, 1);
    side_set(side, 960000, 2);
    side_set(side, 940000, 3);
    side_settle(side);
    assert_int_equal(side->far_count, 1);
    side_apply(side, &view, (struct scale_step){0, 0});
    assert_int_equal(side_count(side), 1);
    assert_int_equal(side_best(side).price, 960000);
    free(side);
}

/* Empty sides, one level, the smallest and largest prices. */
static void book_survives_emptied_sides_and_extreme_prices(void **state)
{
    (void)state;
    struct side *side = calloc(1, sizeof(*side));
    for (int is_bids = 0; is_bids < 2; is_bids++) {
        side_init(side, is_bids == 1);
        side_settle(side);
        assert_true(side_is_empty(side));
        int64_t prices[] = {1, SCALE_VALUE_MAX, 7, SCALE_VALUE_MAX - 1, 1 << 20};
        for (int i = 0; i < 5; i++) {
            side_set(side, prices[i], i + 1);
            side_settle(side);
            assert_int_equal(side_count(side), i + 1);
        }
        assert_int_equal(side_best(side).price, is_bids ? SCALE_VALUE_MAX : 1);
        for (int i = 0; i < 5; i++) {
            side_set(side, prices[i], 0);
            side_set(side, prices[i], 0);
            side_settle(side);
            assert_int_equal(side_count(side), 4 - i);
        }
        assert_true(side_is_empty(side));
        side_set(side, 12345, 6);
        side_settle(side);
        assert_int_equal(side_best(side).price, 12345);
    }
    free(side);
}

static void book_forgets_the_farthest_levels_when_there_are_too_many(void **state)
{
    (void)state;
    struct side *side = calloc(1, sizeof(*side));
    side_init(side, true);
    int64_t top = INT64_C(1) << 40;
    side_set(side, top, 1);
    for (int64_t i = 0; i <= SIDE_FAR_MAX; i++)
        side_set(side, top - (i + 1) * SIDE_TICKS, 1 + i);
    side_settle(side);
    assert_int_equal(side->far_dropped, SIDE_FAR_DROP);
    assert_int_equal(side_best(side).price, top);
    struct world_level levels[3];
    assert_int_equal(side_top(side, levels, 3), 3);
    assert_int_equal(levels[1].price, top - SIDE_TICKS);
    free(side);
}

static void book_says_when_it_is_crossed_or_near_its_known_edge(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    struct pair *pair = pair_open();
    pair_load(pair, &prng, 100000, 1, 100, 200, 100);
    assert_false(book_is_crossed(&pair->book));
    assert_false(book_is_near_known_edge(&pair->book));
    side_set(&pair->book.bids, pair->book.known_ask_max - 1, 5);
    side_settle(&pair->book.bids);
    assert_true(book_is_crossed(&pair->book));
    struct book_touch touch = book_touch(&pair->book);
    assert_int_equal(touch.bid_price, pair->book.known_ask_max - 1);
    assert_int_equal(touch.bid_qty, 5);
    while (!side_is_empty(&pair->book.asks) &&
           side_best(&pair->book.asks).price < pair->book.known_ask_max) {
        side_set(&pair->book.asks, side_best(&pair->book.asks).price, 0);
        side_settle(&pair->book.asks);
    }
    assert_true(book_is_near_known_edge(&pair->book));
    /* All that there was: beyond it there is nothing. */
    pair_load(pair, &prng, 100000, 1, 100, 200, 101);
    assert_true(pair->book.bids_whole && pair->book.asks_whole);
    while (!side_is_empty(&pair->book.asks) &&
           side_best(&pair->book.asks).price < pair->book.known_ask_max) {
        side_set(&pair->book.asks, side_best(&pair->book.asks).price, 0);
        side_settle(&pair->book.asks);
    }
    assert_false(book_is_near_known_edge(&pair->book));
    free(pair);
}

static void book_refuses_snapshots_that_cannot_be(void **state)
{
    (void)state;
    uint8_t bids[64], asks[64];
    struct level_view ask = fixture_levels(asks, (struct world_level[]){{101, 1}, {102, 1}}, 2);
    struct level_view bid = fixture_levels(bids, (struct world_level[]){{100, 1}, {99, 1}}, 2);
    assert_true(book_snapshot_is_good(&bid, &ask));
    bid = fixture_levels(bids, (struct world_level[]){{99, 1}, {100, 1}}, 2);
    assert_false(book_snapshot_is_good(&bid, &ask));
    bid = fixture_levels(bids, (struct world_level[]){{100, 1}, {100, 1}}, 2);
    assert_false(book_snapshot_is_good(&bid, &ask));
    bid = fixture_levels(bids, (struct world_level[]){{100, 1}, {99, 0}}, 2);
    assert_false(book_snapshot_is_good(&bid, &ask));
    bid = fixture_levels(bids, (struct world_level[]){{101, 1}, {99, 1}}, 2);
    assert_false(book_snapshot_is_good(&bid, &ask));
    bid = (struct level_view){bids, 0, 16};
    assert_false(book_snapshot_is_good(&bid, &ask));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(book_equals_a_sorted_array_near_the_touch),
        cmocka_unit_test(book_equals_a_sorted_array_with_far_prices),
        cmocka_unit_test(book_equals_a_sorted_array_when_the_market_jumps),
        cmocka_unit_test(book_equals_a_sorted_array_with_prices_off_the_grid),
        cmocka_unit_test(book_equals_a_sorted_array_when_a_side_is_swept),
        cmocka_unit_test(a_level_that_came_near_in_the_middle_of_a_diff_can_be_deleted),
        cmocka_unit_test(book_survives_emptied_sides_and_extreme_prices),
        cmocka_unit_test(book_forgets_the_farthest_levels_when_there_are_too_many),
        cmocka_unit_test(book_says_when_it_is_crossed_or_near_its_known_edge),
        cmocka_unit_test(book_refuses_snapshots_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
