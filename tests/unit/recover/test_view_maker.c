/* The REST view on an exchange in memory. SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/recover/poll_scene.h"

#include "recover/poll/view_maker.h"

struct run {
    struct poll_scene scene;
    struct rest_desk desk;
    struct view_maker *maker;
    struct rest_view view; /* the last one */
    int views;
    int64_t widest_us; /* between two */
    int64_t written_us;
};

/* As the ingestor's: each 100 ms at 50 ms, and 5 ms before each slot. */
static int64_t next_tick_us(int64_t wall_us)
{
    int64_t regular = (wall_us + 50000) / 100000 * 100000 + 50000;
    int64_t slot = (wall_us + 5000) / 2000000 * 2000000 + 1995000;
    return regular < slot ? regular : slot;
}

static void put(void *context, const struct rest_view *view)
{
    struct run *run = context;
    int64_t now_us = run->scene.now.wall_us;
    if (run->views > 0 && now_us - run->written_us > run->widest_us)
        run->widest_us = now_us - run->written_us;
    run->written_us = now_us;
    run->view = *view;
    run->views++;
}

static void run_open(struct run *run, uint64_t seed)
{
    struct err err = {0};
    memset(run, 0, sizeof(*run));
    poll_scene_open(&run->scene, seed);
    rest_desk_open(&run->desk, &(struct rest_desk_options){.symbol = "BTCUSDT",
                                                           .rest = poll_scene_rest(&run->scene),
                                                           .metrics = &run->scene.metrics,
                                                           .seed = seed});
    assert_int_equal(view_maker_open(&(struct view_maker_options){.symbol = "BTCUSDT",
                                                                  .desk = &run->desk,
                                                                  .next_tick_us = next_tick_us,
                                                                  .put = put,
                                                                  .context = run,
                                                                  .metrics = &run->scene.metrics},
                                     &run->maker, &err),
                     ERR_OK);
}

static void run_close(struct run *run)
{
    poll_scene_crash(&run->scene);
    view_maker_close(run->maker);
    poll_scene_close(&run->scene);
}

static void run_for(struct run *run, int64_t seconds)
{
    for (int64_t i = 0; i < seconds * 100; i++) {
        poll_scene_advance(&run->scene, 10000);
        rest_desk_do_work(&run->desk, run->scene.now);
        view_maker_do_work(run->maker, run->scene.now);
    }
}

static void a_view_comes_every_two_seconds_with_the_touch(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 1);
    run_for(&run, 20);
    assert_in_range(run.views, 9, 11);
    assert_string_equal(run.view.symbol, "BTCUSDT");
    assert_int_equal(run.view.best_bid, 10000000000);
    assert_int_equal(run.view.best_ask, 10002000000);
    assert_int_equal(run.view.mid2, 20002000000);
    assert_int_equal(run.view.price_exponent, -8);
    assert_true(run.view.received_us > run.scene.now.wall_us - 3 * SCENE_US);
    assert_false(run.view.has_vector);
    run_close(&run);
}

static void a_vector_comes_after_the_longest_span_and_counts_the_trades(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 2);
    run_for(&run, 29);
    assert_false(run.view.has_vector);
    run_for(&run, 10);
    assert_true(run.view.has_vector);
    assert_int_equal(run.view.schema, feature_schema_hash());
    /* Ten aggregates of two raw trades a second, all sells at 100.01. */
    assert_true(run.view.values[FEATURE_TRADE_INTENSITY] >= 15.0f);
    assert_true(run.view.values[FEATURE_TRADE_INTENSITY] <= 25.0f);
    assert_true(run.view.values[FEATURE_VOL_IMBALANCE] == -1.0f);
    assert_true(run.view.values[FEATURE_RET_10S_BP] == 0.0f);
    assert_true(run.view.values[FEATURE_SPREAD_BP] > 1.9f &&
                run.view.values[FEATURE_SPREAD_BP] < 2.1f);
    run_close(&run);
}

static void slot_mids_are_known_and_valid_while_books_come(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 3);
    run_for(&run, 40);
    assert_int_equal(run.view.slot_mid_count, WORLD_SLOT_MIDS);
    int64_t slot = clock_slot(run.view.as_of_us);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(run.view.slot_mids[i].slot, slot - i);
        assert_int_equal(run.view.slot_mids[i].mid2, run.view.mid2);
        assert_true(run.view.slot_mids[i].valid);
    }
    run_close(&run);
}

static void an_outage_takes_the_vector_and_the_slots_in_between(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 4);
    run_for(&run, 40);
    int views = run.views;
    run.scene.silent = true;
    run_for(&run, 20);
    assert_int_equal(run.views, views);
    run.scene.silent = false;
    run_for(&run, 6);
    assert_true(run.views > views);
    assert_false(run.view.has_vector);
    int bad = 0;
    for (int i = 0; i < run.view.slot_mid_count; i++)
        bad += !run.view.slot_mids[i].valid;
    assert_true(bad >= 1);
    run_for(&run, 32);
    assert_true(run.view.has_vector);
    run_close(&run);
}

static void the_view_yields_when_weight_is_short_and_asks_nothing(void **state)
{
    (void)state;
    static struct run run;
    struct view_maker_status status;
    run_open(&run, 5);
    run.scene.limit = 1200;
    run.scene.others = 900;
    run_for(&run, 240);
    view_maker_status(run.maker, &status);
    assert_true(status.yields > 10);
    assert_int_equal(run.scene.throttled, 0);
    /* A re-anchor and the polls have their room. */
    assert_true(run.scene.used <= 1080 - WEIGHT_NEEDED_ANCHOR - WEIGHT_NEEDED_MINUTE);
    run_close(&run);
}

static void the_view_slows_down_rather_than_starve(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 9);
    run.desk.budget.limit = run.scene.limit = 1200;
    run.scene.others = 600;
    run_for(&run, 300);
    assert_int_equal(run.scene.throttled, 0);
    assert_true(run.views >= 5 * 15);
    assert_true(run.widest_us < VIEW_MAKER_HOLE_US);
    assert_true(run.view.has_vector);
    run_close(&run);
}

static void faulty_replies_cost_only_their_own_view(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 6);
    run.scene.fault_percent = 30;
    run_for(&run, 300);
    run.scene.fault_percent = 0;
    run_for(&run, 60);
    assert_true(run.views > 40);
    assert_true(run.view.has_vector);
    assert_int_equal(run.scene.bans, 0);
    run_close(&run);
}

static void a_clock_set_back_begins_anew(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 7);
    run_for(&run, 40);
    run.scene.now.wall_us -= 3600 * SCENE_US;
    run.scene.skew_us += 3600 * SCENE_US;
    run_for(&run, 10);
    assert_true(run.view.as_of_us < SCENE_START);
    assert_false(run.view.has_vector);
    run_for(&run, 35);
    assert_true(run.view.has_vector);
    run_close(&run);
}

static void an_exchange_that_begins_anew_gets_a_new_world(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 8);
    run_for(&run, 40);
    run.scene.skew_us -= 3000 * SCENE_US; /* ids of long ago */
    int views = run.views;
    run_for(&run, 20);
    assert_true(run.views > views);
    assert_true(run.view.last_update_id < (SCENE_START - 2000 * SCENE_US) / 1000);
    run_for(&run, 35);
    assert_true(run.view.has_vector);
    assert_true(run.view.values[FEATURE_TRADE_INTENSITY] >= 15.0f);
    run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_comes_every_two_seconds_with_the_touch),
        cmocka_unit_test(a_vector_comes_after_the_longest_span_and_counts_the_trades),
        cmocka_unit_test(slot_mids_are_known_and_valid_while_books_come),
        cmocka_unit_test(an_outage_takes_the_vector_and_the_slots_in_between),
        cmocka_unit_test(the_view_yields_when_weight_is_short_and_asks_nothing),
        cmocka_unit_test(the_view_slows_down_rather_than_starve),
        cmocka_unit_test(faulty_replies_cost_only_their_own_view),
        cmocka_unit_test(a_clock_set_back_begins_anew),
        cmocka_unit_test(an_exchange_that_begins_anew_gets_a_new_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
