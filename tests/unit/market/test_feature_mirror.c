/* A market and its mirror image (bids for asks, buyers for sellers, prices about a middle)
 * make features that are each other's mirror image. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "unit/market/market_fixture.h"

#define TICK   INT64_C(1000000)
#define MIDDLE (INT64_C(6000000) * TICK)
#define LEVELS 12
#define EVENTS 20000

/* One market, seen from one of both sides. */
struct side_view {
    struct fixture *fixture;
    struct world *world;
    bool is_mirrored;
};

struct scene {
    struct prng prng;
    struct side_view views[2];
    int64_t mid_ticks, book_id, trade_id;
};

static int64_t at(const struct side_view *view, int64_t ticks)
{
    return MIDDLE + (view->is_mirrored ? -ticks : ticks) * TICK;
}

static struct world_level level(const struct side_view *view, int64_t ticks, int64_t qty)
{
    return (struct world_level){at(view, ticks), qty};
}

/* The whole ladder anew, as diff, snapshot or anchor. */
static void tell_book(struct scene *scene, enum event_kind kind)
{
    int64_t qty[2][LEVELS], gap = 1 + (int64_t)prng_below(&scene->prng, 3);
    for (int i = 0; i < 2 * LEVELS; i++)
        qty[i / LEVELS][i % LEVELS] = 1000 + (int64_t)prng_below(&scene->prng, 100000000);
    scene->book_id++;
    for (int v = 0; v < 2; v++) {
        struct side_view *view = &scene->views[v];
        struct world_level lower[LEVELS], upper[LEVELS];
        for (int i = 0; i < LEVELS; i++) {
            lower[i] = level(view, scene->mid_ticks - gap - i, qty[0][i]);
            upper[i] = level(view, scene->mid_ticks + gap + i, qty[1][i]);
        }
        struct world_level *bids = view->is_mirrored ? upper : lower;
        struct world_level *asks = view->is_mirrored ? lower : upper;
        struct event event =
            fixture_snapshot(view->fixture, kind, scene->book_id, bids, LEVELS, asks, LEVELS);
        world_apply(view->world, &event);
    }
}

static void tell_quote(struct scene *scene)
{
    int64_t low_qty = 1000 + (int64_t)prng_below(&scene->prng, 100000000);
    int64_t high_qty = 1000 + (int64_t)prng_below(&scene->prng, 100000000);
    scene->mid_ticks += (int64_t)prng_below(&scene->prng, 5) - 2;
    scene->book_id++;
    for (int v = 0; v < 2; v++) {
        struct side_view *view = &scene->views[v];
        int64_t low = at(view, scene->mid_ticks - 1), high = at(view, scene->mid_ticks + 1);
        struct event event =
            view->is_mirrored
                ? fixture_quote(view->fixture, scene->book_id, high, high_qty, low, low_qty)
                : fixture_quote(view->fixture, scene->book_id, low, low_qty, high, high_qty);
        world_apply(view->world, &event);
    }
}

static void tell_order(struct scene *scene)
{
    uint32_t count = 1 + (uint32_t)prng_below(&scene->prng, 3);
    bool is_sell = prng_below(&scene->prng, 2) != 0, is_sweep = prng_below(&scene->prng, 4) == 0;
    int64_t qty = 1000 + (int64_t)prng_below(&scene->prng, 10000000);
    for (int v = 0; v < 2; v++) {
        struct side_view *view = &scene->views[v];
        struct trade trades[3];
        for (uint32_t i = 0; i < count; i++) {
            int64_t ticks =
                scene->mid_ticks + (is_sell ? -1 : 1) * (1 + (is_sweep ? (int64_t)i : 0));
            trades[i] = (struct trade){scene->trade_id + i, at(view, ticks), qty,
                                       is_sell != view->is_mirrored};
        }
        struct event event = fixture_trades(view->fixture, trades, count);
        world_apply(view->world, &event);
    }
    scene->trade_id += count;
}

static void compare(struct scene *scene)
{
    struct world_view seen[2];
    for (int v = 0; v < 2; v++) {
        struct event event = fixture_tick(scene->views[v].fixture);
        world_apply(scene->views[v].world, &event);
        world_view(scene->views[v].world, &seen[v]);
        assert_true(seen[v].vector.valid);
    }
    for (int i = 0; i < FEATURE_COUNT; i++) {
        float sign;
        int twin = feature_mirror(i, &sign);
        double want = (double)(sign * seen[0].vector.values[twin]);
        double value = (double)seen[1].vector.values[i];
        if (fabs(value - want) > 1e-3 * (1.0 + fabs(want)))
            fail_msg("%s is %.9g, mirrored %.9g", feature_name(i), want, value);
    }
}

static void the_features_of_a_mirrored_market_are_mirrored(void **state)
{
    (void)state;
    struct scene scene = {.trade_id = 1};
    prng_init(&scene.prng, 17);
    for (int v = 0; v < 2; v++)
        scene.views[v] = (struct side_view){fixture_open(), fixture_world(), v == 1};
    tell_quote(&scene);
    tell_book(&scene, EVENT_ANCHOR);
    for (int i = 0; i < EVENTS; i++) {
        int64_t pause_us = 1000 + (int64_t)prng_below(&scene.prng, 30000);
        scene.views[0].fixture->now_us += pause_us;
        scene.views[1].fixture->now_us += pause_us;
        int kind = (int)prng_below(&scene.prng, 10);
        if (kind == 0)
            tell_book(&scene, EVENT_ANCHOR);
        else if (kind < 5)
            tell_quote(&scene);
        else if (kind < 7)
            tell_order(&scene);
        else
            compare(&scene);
    }
    for (int v = 0; v < 2; v++) {
        world_close(scene.views[v].world);
        free(scene.views[v].fixture);
    }
}

static void mirroring_twice_is_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        float sign, back;
        int twin = feature_mirror(i, &sign);
        assert_int_equal(feature_mirror(twin, &back), i);
        assert_true(sign * back == 1.0f);
        assert_true(feature_minimum(twin) == feature_minimum(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_features_of_a_mirrored_market_are_mirrored),
        cmocka_unit_test(mirroring_twice_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
