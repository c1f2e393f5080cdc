/* Minute volumes against a plain sum over the same trades, and when a minute may be
 * trusted. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/market/market_fixture.h"

#define START_US (INT64_C(29000000) * MINUTE_US)

struct scene {
    struct minutes minutes;
    int64_t id;
};

static void scene_begin(struct scene *scene)
{
    minutes_init(&scene->minutes);
    scene->id = 1000;
}

/* Trade and receive times are the same here; ticks pass until then. */
static bool trade(struct scene *scene, int64_t at_us, int64_t qty)
{
    bool closed = false;
    for (int64_t us = scene->minutes.now_us + 1000000;
         scene->minutes.is_started && us < START_US + at_us; us += 1000000)
        closed |= minutes_advance(&scene->minutes, us);
    closed |= minutes_advance(&scene->minutes, START_US + at_us);
    closed |= minutes_add(&scene->minutes, START_US + at_us, scene->id++, qty);
    return closed;
}

static struct minute newest(const struct scene *scene)
{
    struct minute minute = {.minute = -1};
    minutes_newest(&scene->minutes, &minute, 1);
    return minute;
}

static void the_first_minute_is_never_complete(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    assert_false(trade(&scene, 10, 5));
    assert_true(trade(&scene, MINUTE_US, 7));
    assert_int_equal(newest(&scene).minute, 29000000);
    assert_int_equal(newest(&scene).volume, 5);
    assert_false(newest(&scene).is_complete);
}

static void a_minute_followed_from_start_to_end_is_complete(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, MINUTE_US - 1, 5);
    for (int64_t at_us = MINUTE_US; at_us < 2 * MINUTE_US; at_us += MINUTE_US / 20)
        trade(&scene, at_us, 3);
    assert_true(trade(&scene, 2 * MINUTE_US, 1));
    struct minute minute = newest(&scene);
    assert_int_equal(minute.minute, 29000001);
    assert_int_equal(minute.trades, 20);
    assert_int_equal(minute.volume, 60);
    assert_int_equal(minute.first_id, 1001);
    assert_int_equal(minute.last_id, 1020);
    assert_true(minute.is_complete);
}

static void a_jump_of_ids_spoils_every_minute_it_may_lie_in(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    for (int64_t at_us = MINUTE_US; at_us <= 2 * MINUTE_US; at_us += MINUTE_US / 20)
        trade(&scene, at_us, 1);
    /* A quiet end closed the third minute before the jump showed. */
    for (int64_t at_us = 2 * MINUTE_US; at_us < 3 * MINUTE_US + MINUTE_GRACE_US; at_us += 1000000)
        minutes_advance(&scene.minutes, START_US + at_us);
    minutes_advance(&scene.minutes, START_US + 3 * MINUTE_US + MINUTE_GRACE_US);
    assert_true(newest(&scene).is_complete);
    scene.id++;
    trade(&scene, 3 * MINUTE_US + MINUTE_GRACE_US, 1);
    struct minute list[MINUTES_KEPT];
    assert_int_equal(minutes_newest(&scene.minutes, list, MINUTES_KEPT), 3);
    assert_false(list[0].is_complete);
    assert_true(list[1].is_complete); /* before the last trade ahead of the jump */
    assert_false(scene.minutes.open.is_complete);
}

static void a_quiet_minute_closes_by_our_clock_and_is_empty(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    int closed = 0;
    for (int64_t at_us = 0; at_us <= 3 * MINUTE_US + MINUTE_GRACE_US; at_us += 100000)
        closed += minutes_advance(&scene.minutes, START_US + at_us);
    assert_int_equal(closed, 3);
    assert_int_equal(newest(&scene).minute, 29000002);
    assert_int_equal(newest(&scene).trades, 0);
    assert_int_equal(newest(&scene).first_id, -1);
    assert_true(newest(&scene).is_complete);
}

/* The exchange is half an hour behind us: a minute of its own is over when it is over there. */
static void a_wrong_clock_closes_no_minute_early(void **state)
{
    struct scene scene;
    int64_t behind_us = 30 * MINUTE_US;
    (void)state;
    scene_begin(&scene);
    for (int64_t at_us = 0; at_us < 3 * MINUTE_US; at_us += 2000000) {
        int closed = minutes_advance(&scene.minutes, START_US + behind_us + at_us);
        closed += minutes_add(&scene.minutes, START_US + at_us, scene.id++, 1);
        assert_int_equal(closed, at_us > 0 && at_us % MINUTE_US == 0);
    }
    assert_int_equal(newest(&scene).minute, 29000001);
    assert_int_equal(newest(&scene).trades, 30);
    assert_true(newest(&scene).is_complete);
}

static void a_time_in_which_nobody_listened_completes_nothing(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    trade(&scene, MINUTE_US, 1);
    assert_true(minutes_advance(&scene.minutes, START_US + 100 * MINUTE_US));
    struct minute list[MINUTES_KEPT];
    int count = minutes_newest(&scene.minutes, list, MINUTES_KEPT);
    assert_int_equal(count, MINUTES_KEPT);
    for (int i = 0; i < count; i++)
        assert_false(list[i].is_complete);
    assert_false(scene.minutes.open.is_complete);
}

static void lost_records_spoil_the_open_minute_alone(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    trade(&scene, MINUTE_US, 1);
    minutes_spoil(&scene.minutes);
    trade(&scene, 2 * MINUTE_US, 1);
    assert_false(newest(&scene).is_complete);
    trade(&scene, 3 * MINUTE_US, 1);
    assert_true(newest(&scene).is_complete);
}

static void a_wrong_trade_time_heals(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    /* Ten minutes ahead, then right again; further ahead than an hour is not counted. */
    minutes_add(&scene.minutes, START_US + 10 * MINUTE_US, scene.id++, 1);
    minutes_add(&scene.minutes, START_US + 100 * MINUTE_US, scene.id++, 1);
    minutes_add(&scene.minutes, -1, scene.id++, 1);
    for (int64_t at_us = MINUTE_US; at_us <= 12 * MINUTE_US; at_us += MINUTE_US / 4)
        trade(&scene, at_us, 1);
    assert_int_equal(newest(&scene).minute, 29000011);
    assert_int_equal(newest(&scene).trades, 4);
    assert_true(newest(&scene).is_complete);
}

/* Any trades, any order of ticks: every complete minute has the plain sum. */
static void complete_minutes_equal_the_plain_sums(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct scene scene;
        int64_t sums[64] = {0}, counts[64] = {0}, at_us = 0;
        int complete = 0;
        scene_begin(&scene);
        while (at_us < 40 * MINUTE_US) {
            at_us += (int64_t)prng_below(&prng, 4000000);
            int64_t qty = (int64_t)prng_below(&prng, 1000000000);
            sums[at_us / MINUTE_US] += qty;
            counts[at_us / MINUTE_US]++;
            if (prng_below(&prng, 200) == 0)
                scene.id++; /* this one is lost */
            else if (trade(&scene, at_us, qty) && newest(&scene).is_complete) {
                int64_t index = newest(&scene).minute - 29000000;
                assert_int_equal(newest(&scene).volume, sums[index]);
                assert_int_equal(newest(&scene).trades, counts[index]);
                complete++;
            }
        }
        assert_true(complete > 0);
    }
}

static void a_finer_scale_keeps_the_sums_or_gives_them_up(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    trade(&scene, 0, 1);
    trade(&scene, MINUTE_US, 25);
    trade(&scene, 2 * MINUTE_US, SCALE_VALUE_MAX);
    minutes_rescale(&scene.minutes, (struct scale_step){.qty_shift = 2});
    assert_int_equal(newest(&scene).volume, 2500);
    assert_true(newest(&scene).is_complete);
    assert_false(scene.minutes.open.is_complete);
}

static void a_world_tells_minutes_and_trade_holes(void **state)
{
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct minute list[MINUTES_KEPT];
    int64_t first = 0, last = 0, price = INT64_C(50000) * 100000000;
    unsigned effects = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct event event = fixture_trade(fixture, 500 + i, price, 1000 + i, i % 2 == 0);
        effects |= world_apply(world, &event);
        fixture->now_us += 1000000;
    }
    assert_true(effects & WORLD_MINUTE);
    assert_false(effects & WORLD_TRADE_HOLE);
    assert_int_equal(world_minutes(world, list, MINUTES_KEPT), 3);
    assert_true(list[0].is_complete && list[1].is_complete && !list[2].is_complete);
    assert_int_equal(list[0].trades, 60);
    struct event event = fixture_trade(fixture, 710, price, 1, false);
    assert_true(world_apply(world, &event) & WORLD_TRADE_HOLE);
    world_trade_hole(world, &first, &last);
    assert_int_equal(first, 700);
    assert_int_equal(last, 709);
    world_close(world);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_minute_is_never_complete),
        cmocka_unit_test(a_minute_followed_from_start_to_end_is_complete),
        cmocka_unit_test(a_jump_of_ids_spoils_every_minute_it_may_lie_in),
        cmocka_unit_test(a_quiet_minute_closes_by_our_clock_and_is_empty),
        cmocka_unit_test(a_wrong_clock_closes_no_minute_early),
        cmocka_unit_test(a_time_in_which_nobody_listened_completes_nothing),
        cmocka_unit_test(lost_records_spoil_the_open_minute_alone),
        cmocka_unit_test(a_wrong_trade_time_heals),
        cmocka_unit_test(complete_minutes_equal_the_plain_sums),
        cmocka_unit_test(a_finer_scale_keeps_the_sums_or_gives_them_up),
        cmocka_unit_test(a_world_tells_minutes_and_trade_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
