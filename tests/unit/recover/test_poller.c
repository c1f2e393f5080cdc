/* The minute's polls on an exchange and an archive in memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/recover/poll_scene.h"

#include "recover/poll/poller.h"

struct run {
    struct poll_scene scene;
    struct rest_desk desk;
    struct archive_port archive;
    struct poller *poller;
};

static void run_start(struct run *run, int page_limit)
{
    struct err err = {0};
    rest_desk_open(&run->desk, &(struct rest_desk_options){.symbol = "BTCUSDT",
                                                           .rest = poll_scene_rest(&run->scene),
                                                           .metrics = &run->scene.metrics,
                                                           .seed = prng_u64(&run->scene.prng)});
    run->archive = poll_scene_archive(&run->scene);
    assert_int_equal(
        poller_open(&(struct poller_options){.symbol = "BTCUSDT",
                                             .period_us = 60 * SCENE_US,
                                             .lookback_us = 300 * SCENE_US,
                                             .page_limit = page_limit,
                                             .desk = &run->desk,
                                             .archive = &run->archive,
                                             .progress = poll_scene_progress(&run->scene, 0),
                                             .metrics = &run->scene.metrics},
                    &run->poller, &err),
        ERR_OK);
}

static void run_open(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof(*run));
    poll_scene_open(&run->scene, seed);
}

static void run_close(struct run *run)
{
    poll_scene_crash(&run->scene);
    poller_close(run->poller);
    poll_scene_close(&run->scene);
}

static void run_crash(struct run *run, int page_limit)
{
    poll_scene_crash(&run->scene);
    poller_close(run->poller);
    run_start(run, page_limit);
}

static void run_step(struct run *run, int64_t us)
{
    poll_scene_advance(&run->scene, us);
    rest_desk_do_work(&run->desk, run->scene.now);
    poller_do_work(run->poller, run->scene.now);
}

static void run_for(struct run *run, int64_t seconds)
{
    for (int64_t end_us = run->scene.now.mono_us + seconds * SCENE_US;
         run->scene.now.mono_us < end_us;)
        run_step(run, 50000);
}

/* Every aggregate from the first archived one up to the position, once; klines too. */
static void run_check(const struct run *run)
{
    const struct poll_scene *scene = &run->scene;
    struct poller_status status;
    int64_t first = INT64_MAX, first_open = INT64_MAX, depths = 0;
    static uint8_t seen[1 << 20];
    memset(seen, 0, sizeof(seen));
    poller_status(run->poller, &status);
    for (int i = 0; i < scene->object_count; i++) {
        const struct scene_object *object = &scene->objects[i];
        assert_string_equal(object->reason, "poll");
        depths += object->type == ARCHIVE_REST_DEPTH;
        if (object->type == ARCHIVE_REST_KLINES && object->first_id < first_open)
            first_open = object->first_id;
        for (int k = 0; object->type == ARCHIVE_REST_AGG_TRADES && k < object->count; k++) {
            assert_true(object->ids[k] < (int64_t)sizeof(seen));
            assert_int_equal(seen[object->ids[k]], 0);
            seen[object->ids[k]] = 1;
            first = object->ids[k] < first ? object->ids[k] : first;
        }
    }
    assert_true(depths > 0 && first < status.next_agg_id);
    for (int64_t id = first; id < status.next_agg_id; id++)
        assert_int_equal(seen[id], 1);
}

static int64_t newest(const struct run *run)
{
    return scene_newest(&run->scene, scene_exchange_us(&run->scene));
}

static void check_klines(const struct run *run, int minutes)
{
    struct poller_status status;
    poller_status(run->poller, &status);
    int64_t open_us = status.next_open_us;
    for (int i = 0; i < minutes; i++) {
        int copies = 0;
        open_us -= 60 * SCENE_US;
        for (int k = 0; k < run->scene.object_count; k++) {
            const struct scene_object *object = &run->scene.objects[k];
            int64_t ahead = (open_us / 1000 - object->first_id) / 60000;
            /* The marks count the rows of an object. */
            if (object->type == ARCHIVE_REST_KLINES && open_us / 1000 >= object->first_id)
                copies += ahead < object->count;
        }
        assert_int_equal(copies, 1);
    }
}

static void five_minutes_give_one_chain_without_hole_or_double(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 1);
    run_start(&run, 1000);
    run_for(&run, 300);
    run_check(&run);
    poller_status(run.poller, &status);
    assert_true(status.next_agg_id > newest(&run) - 700);
    assert_true(status.limit_known && status.trading);
    assert_int_equal(run.desk.budget.limit, 6000);
    int depths = 0;
    for (int i = 0; i < run.scene.object_count; i++)
        depths += run.scene.objects[i].type == ARCHIVE_REST_DEPTH;
    assert_in_range(depths, 5, 6);
    check_klines(&run, 8);
    /* The lookback: 300 s of ten aggregates a second before the start. */
    assert_int_equal(poll_scene_copies(&run.scene, ARCHIVE_REST_AGG_TRADES, 33000 + 1), 1);
    run_close(&run);
}

static void pages_follow_each_other_until_caught_up(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 2);
    run_start(&run, 50);
    run_for(&run, 40);
    run_check(&run);
    poller_status(run.poller, &status);
    assert_false(status.trades_busy);
    assert_true(status.next_agg_id > 36000);
    run_close(&run);
}

static void faults_of_exchange_and_archive_cost_nothing(void **state)
{
    (void)state;
    static struct run run;
    for (uint64_t seed = 10; seed < 16; seed++) {
        run_open(&run, seed);
        run.scene.fault_percent = 40;
        run.scene.archive_fault_percent = 30;
        run_start(&run, 400);
        run_for(&run, 600);
        run.scene.fault_percent = 0;
        run_for(&run, 200);
        run_check(&run);
        struct poller_status status;
        poller_status(run.poller, &status);
        assert_true(status.next_agg_id > newest(&run) - 700);
        assert_int_equal(status.lost_ids, 0);
        check_klines(&run, 12);
        assert_int_equal(run.scene.bans, 0);
        run_close(&run);
    }
}

static void a_crash_at_any_moment_makes_no_double_and_no_hole(void **state)
{
    (void)state;
    static struct run run;
    int crashes = 0;
    for (uint64_t seed = 20; seed < 28; seed++) {
        run_open(&run, seed);
        run.scene.fault_percent = 10;
        run.scene.archive_fault_percent = 10;
        run_start(&run, 100);
        for (int i = 0; i < 40; i++) {
            /* Often in the middle of a page: a page takes about 300 ms. */
            for (int64_t k = (int64_t)prng_below(&run.scene.prng, i % 2 == 0 ? 40 : 1500); k > 0;
                 k--)
                run_step(&run, 20000);
            run_crash(&run, 100);
            crashes++;
        }
        run.scene.fault_percent = 0;
        run_for(&run, 180);
        run_check(&run);
        check_klines(&run, 6);
        run_close(&run);
    }
    assert_int_equal(crashes, 320);
}

static void half_of_a_small_limit_is_enough_and_never_a_ban(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 3);
    run.scene.limit = 1200;
    run.scene.others = 600;
    run.scene.fault_percent = 30;
    run_start(&run, 1000);
    run_for(&run, 1800);
    run.scene.fault_percent = 0;
    run_for(&run, 90);
    run_check(&run);
    assert_int_equal(run.scene.bans, 0);
    int depths = 0;
    for (int i = 0; i < run.scene.object_count; i++)
        depths += run.scene.objects[i].type == ARCHIVE_REST_DEPTH;
    assert_true(depths >= 30);
    run_close(&run);
}

static void a_limit_used_up_by_others_is_waited_out(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 4);
    run.scene.limit = 1200;
    run.scene.others = 1190;
    run_start(&run, 1000);
    run_for(&run, 600);
    assert_int_equal(run.scene.bans, 0);
    /* A few of a minute find out that nothing is left. */
    assert_true(run.scene.throttled < 50);
    run.scene.others = 0;
    run_for(&run, 150);
    run_check(&run);
    poller_status(run.poller, &status);
    assert_true(status.next_agg_id > newest(&run) - 700);
    run_close(&run);
}

static void a_clock_ahead_of_the_exchange_archives_no_open_kline(void **state)
{
    (void)state;
    static const int64_t skews[] = {-30 * SCENE_US, -2 * SCENE_US, 2 * SCENE_US, 30 * SCENE_US};
    static struct run run;
    for (int i = 0; i < 4; i++) {
        run_open(&run, 30 + (uint64_t)i);
        run.scene.skew_us = skews[i];
        run_start(&run, 1000);
        run_for(&run, 240);
        for (int k = 0; k < run.scene.object_count; k++) {
            const struct scene_object *object = &run.scene.objects[k];
            if (object->type == ARCHIVE_REST_KLINES)
                assert_true(object->first_id * 1000 + object->count * 60 * SCENE_US <=
                            scene_exchange_us(&run.scene));
        }
        check_klines(&run, 7);
        run_close(&run);
    }
}

static void a_page_with_a_hole_is_asked_for_again(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 5);
    run.scene.one_reply_cut = true;
    run_start(&run, 1000);
    run_for(&run, 120);
    assert_false(run.scene.one_reply_cut);
    assert_int_equal(run.desk.malformed, 1);
    run_check(&run);
    run_close(&run);
}

static void what_the_exchange_no_longer_has_is_reported_as_lost(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 6);
    run_start(&run, 1000);
    run_for(&run, 30);
    poller_status(run.poller, &status);
    int64_t next = status.next_agg_id;
    run.scene.first_kept = next + 17;
    run_for(&run, 60);
    poller_status(run.poller, &status);
    assert_int_equal(status.lost_ids, 17);
    assert_int_equal(poll_scene_copies(&run.scene, ARCHIVE_REST_AGG_TRADES, next + 16), 0);
    assert_int_equal(poll_scene_copies(&run.scene, ARCHIVE_REST_AGG_TRADES, next + 17), 1);
    run_close(&run);
}

static void a_full_disk_stops_the_chain_and_loses_nothing(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 7);
    run_start(&run, 1000);
    run_for(&run, 30);
    run.scene.disk_full = true;
    run_for(&run, 180);
    poller_status(run.poller, &status);
    assert_true(status.trades_busy);
    run.scene.disk_full = false;
    run_for(&run, 70);
    run_check(&run);
    poller_status(run.poller, &status);
    assert_true(status.next_agg_id > newest(&run) - 700);
    run_close(&run);
}

static void a_damaged_position_is_reported_and_polling_goes_on(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 8);
    run_start(&run, 1000);
    run_for(&run, 30);
    run.scene.disk[0][5] ^= 1;
    run_crash(&run, 1000);
    run_for(&run, 60);
    poller_status(run.poller, &status);
    assert_true(status.next_agg_id > 36000);
    run_close(&run);
}

static void an_exchange_that_begins_anew_gets_a_new_chain(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 9);
    run_start(&run, 1000);
    run_for(&run, 30);
    run.scene.begin_us += 3000 * SCENE_US; /* ids of long ago */
    run_for(&run, 360);
    poller_status(run.poller, &status);
    assert_true(status.next_agg_id < 12000);
    assert_true(status.next_agg_id > newest(&run) - 700);
    run_close(&run);
}

static int depths_in(const struct run *run, int64_t minute)
{
    int depths = 0;
    for (int i = 0; i < run->scene.object_count; i++)
        depths += run->scene.objects[i].type == ARCHIVE_REST_DEPTH &&
                  run->scene.objects[i].minute == minute;
    return depths;
}

static void an_archive_slower_than_a_minute_costs_no_minute_its_depth(void **state)
{
    (void)state;
    static struct run run;
    struct poller_status status;
    run_open(&run, 11);
    run_start(&run, 100);
    run_for(&run, 60);
    int64_t minute = run.scene.now.wall_us / (60 * SCENE_US);
    assert_int_equal(run.scene.now.wall_us % (60 * SCENE_US), 7 * SCENE_US);
    run_for(&run, 50);
    /* The next minute's is with the archive, which says nothing for more than a minute. */
    do {
        run_step(&run, 10000);
        poller_status(run.poller, &status);
    } while (!status.depth_busy);
    while (run.scene.calls[0].used || run.scene.calls[1].used || run.scene.calls[2].used ||
           run.scene.calls[3].used)
        run_step(&run, 10000);
    run.scene.silent = true;
    run_for(&run, 63);
    run.scene.silent = false;
    run_for(&run, 5);
    assert_int_equal(depths_in(&run, minute + 1), 1);
    assert_int_equal(depths_in(&run, minute + 2), 1);
    poller_status(run.poller, &status);
    assert_int_equal(status.missed, 0);
    run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_minutes_give_one_chain_without_hole_or_double),
        cmocka_unit_test(pages_follow_each_other_until_caught_up),
        cmocka_unit_test(faults_of_exchange_and_archive_cost_nothing),
        cmocka_unit_test(a_crash_at_any_moment_makes_no_double_and_no_hole),
        cmocka_unit_test(half_of_a_small_limit_is_enough_and_never_a_ban),
        cmocka_unit_test(a_limit_used_up_by_others_is_waited_out),
        cmocka_unit_test(a_clock_ahead_of_the_exchange_archives_no_open_kline),
        cmocka_unit_test(a_page_with_a_hole_is_asked_for_again),
        cmocka_unit_test(what_the_exchange_no_longer_has_is_reported_as_lost),
        cmocka_unit_test(a_full_disk_stops_the_chain_and_loses_nothing),
        cmocka_unit_test(a_damaged_position_is_reported_and_polling_goes_on),
        cmocka_unit_test(an_exchange_that_begins_anew_gets_a_new_chain),
        cmocka_unit_test(an_archive_slower_than_a_minute_costs_no_minute_its_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
