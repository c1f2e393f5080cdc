/* Backfill on an exchange, an archive and a stream of gap events in memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/recover/poll_scene.h"

#include "recover/backfill/backfill.h"

#define EVENTS_MAX 64

struct run {
    struct poll_scene scene;
    struct rest_desk desk;
    struct archive_port archive;
    struct backfill *backfill;
    struct gap_feed_entry events[EVENTS_MAX];
    int event_count;
    /* the store */
    bool away;
    gap_feed_fn done;
    void *context;
    struct gap_feed_place after;
};

static bool feed_ready(void *self)
{
    return !((struct run *)self)->away;
}

static int feed_read(void *self, struct gap_feed_place after, gap_feed_fn done, void *context)
{
    struct run *run = self;
    assert_null(run->done);
    run->done = done;
    run->context = context;
    run->after = after;
    return ERR_OK;
}

static int feed_do_work(void *self, int64_t mono_us)
{
    struct run *run = self;
    gap_feed_fn done = run->done;
    (void)mono_us;
    if (done == NULL)
        return 0;
    int first = 0;
    while (first < run->event_count && (run->events[first].place.ms < run->after.ms ||
                                        (run->events[first].place.ms == run->after.ms &&
                                         run->events[first].place.seq <= run->after.seq)))
        first++;
    run->done = NULL;
    done(run->context, run->away ? ERR_CONNECTION : ERR_OK, run->events + first,
         run->away ? 0 : run->event_count - first);
    return 1;
}

static void run_start(struct run *run)
{
    struct err err = {0};
    run->done = NULL;
    rest_desk_open(&run->desk, &(struct rest_desk_options){.symbol = "BTCUSDT",
                                                           .rest = poll_scene_rest(&run->scene),
                                                           .metrics = &run->scene.metrics,
                                                           .seed = prng_u64(&run->scene.prng)});
    run->archive = poll_scene_archive(&run->scene);
    assert_int_equal(
        backfill_open(&(struct backfill_options){.symbol = "BTCUSDT",
                                                 .desk = &run->desk,
                                                 .archive = &run->archive,
                                                 .feed = {.self = run,
                                                          .ready = feed_ready,
                                                          .read = feed_read,
                                                          .do_work = feed_do_work},
                                                 .progress = poll_scene_progress(&run->scene, 1),
                                                 .metrics = &run->scene.metrics},
                      &run->backfill, &err),
        ERR_OK);
}

static void run_open(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof(*run));
    poll_scene_open(&run->scene, seed);
    run_start(run);
}

static void run_close(struct run *run)
{
    poll_scene_crash(&run->scene);
    backfill_close(run->backfill);
    poll_scene_close(&run->scene);
}

static void run_step(struct run *run, int64_t us)
{
    poll_scene_advance(&run->scene, us);
    rest_desk_do_work(&run->desk, run->scene.now);
    backfill_do_work(run->backfill, run->scene.now);
}

static void run_for(struct run *run, int64_t seconds)
{
    for (int64_t i = 0; i < seconds * 50; i++)
        run_step(run, 20000);
}

static void tell(struct run *run, enum gap_kind kind, int64_t first, int64_t last)
{
    int at = run->event_count++;
    run->events[at] = (struct gap_feed_entry){.place = {run->scene.now.wall_us / 1000, at},
                                              .is_event = true,
                                              .event = {.kind = kind,
                                                        .epoch = 7,
                                                        .seq = 100 + (uint64_t)at,
                                                        .recv_us = run->scene.now.wall_us,
                                                        .first_trade_id = first,
                                                        .last_trade_id = last}};
    snprintf(run->events[at].event.cause, GAP_CAUSE_SIZE, "hole");
}

static int objects_of(const struct run *run, enum archive_rest type)
{
    int count = 0;
    for (int i = 0; i < run->scene.object_count; i++)
        count += run->scene.objects[i].type == type;
    return count;
}

static void check_trades(const struct run *run, int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++)
        assert_int_equal(poll_scene_copies(&run->scene, ARCHIVE_REST_TRADES, id), 1);
    assert_int_equal(poll_scene_copies(&run->scene, ARCHIVE_REST_TRADES, first - 1), 0);
    assert_int_equal(poll_scene_copies(&run->scene, ARCHIVE_REST_TRADES, last + 1), 0);
}

static void the_trades_of_a_hole_and_a_snapshot_are_fetched_with_its_reason(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 1);
    tell(&run, GAP_TRADE_HOLE, 70001, 70017);
    tell(&run, GAP_TRADES_ABSENT, 70101, 70103);
    run_for(&run, 10);
    backfill_status(run.backfill, &status);
    assert_int_equal(status.done, 2);
    assert_int_equal(status.trades, 20);
    check_trades(&run, 70001, 70017);
    check_trades(&run, 70101, 70103);
    assert_int_equal(objects_of(&run, ARCHIVE_REST_DEPTH), 1);
    assert_string_equal(run.scene.objects[0].reason, "hole at 7-100");
    run_close(&run);
}

static void a_wide_hole_comes_in_pages(void **state)
{
    (void)state;
    static struct run run;
    run_open(&run, 2);
    tell(&run, GAP_TRADE_HOLE, 60001, 63500);
    run_for(&run, 20);
    check_trades(&run, 60001, 63500);
    assert_int_equal(objects_of(&run, ARCHIVE_REST_TRADES), 4);
    run_close(&run);
}

static void losses_without_trades_get_one_snapshot_for_all_before_it(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 3);
    tell(&run, GAP_MINUTE, 1, 2);
    tell(&run, GAP_LOSS, -1, -1);
    tell(&run, GAP_RECORD_HOLE, -1, -1);
    tell(&run, GAP_ANCHORED, -1, -1);
    run_for(&run, 10);
    backfill_status(run.backfill, &status);
    assert_int_equal(status.done, 2);
    assert_int_equal(objects_of(&run, ARCHIVE_REST_DEPTH), 1);
    tell(&run, GAP_LOSS, -1, -1);
    run_for(&run, 10);
    assert_int_equal(objects_of(&run, ARCHIVE_REST_DEPTH), 2);
    assert_int_equal(objects_of(&run, ARCHIVE_REST_TRADES), 0);
    run_close(&run);
}

static void what_is_told_twice_is_fetched_once(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 4);
    tell(&run, GAP_TRADE_HOLE, 70001, 70005);
    run_for(&run, 5);
    tell(&run, GAP_TRADE_HOLE, 70001, 70005);
    run.events[1].event.seq = run.events[0].event.seq;
    run_for(&run, 5);
    backfill_status(run.backfill, &status);
    assert_int_equal(status.done, 1);
    check_trades(&run, 70001, 70005);
    run_close(&run);
}

static void what_the_exchange_no_longer_has_is_reported(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 5);
    run.scene.first_kept = 70004;
    tell(&run, GAP_TRADE_HOLE, 70001, 70010);
    tell(&run, GAP_TRADE_HOLE, 69001, 69010);
    run_for(&run, 20);
    backfill_status(run.backfill, &status);
    assert_int_equal(status.done, 2);
    assert_int_equal(status.lost, 3 + 10);
    assert_int_equal(status.trades, 7);
    run_close(&run);
}

static void without_historical_trades_the_aggregates_that_cover_them_come(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 6);
    run.scene.no_historical = true;
    /* Aggregate 35000 holds the raw trades 69999 and 70000; it is 100 s old. */
    tell(&run, GAP_TRADE_HOLE, 69999, 70006);
    run_for(&run, 20);
    backfill_status(run.backfill, &status);
    assert_true(status.uses_aggregates);
    assert_int_equal(status.trades, 8);
    assert_int_equal(status.lost, 0);
    for (int64_t id = 35000; id <= 35003; id++)
        assert_int_equal(poll_scene_copies(&run.scene, ARCHIVE_REST_AGG_TRADES, id), 1);
    run_close(&run);
}

static void an_unreadable_event_costs_only_itself(void **state)
{
    (void)state;
    static struct run run;
    struct backfill_status status;
    run_open(&run, 7);
    tell(&run, GAP_TRADE_HOLE, 70001, 70005);
    run.events[0].is_event = false;
    tell(&run, GAP_TRADE_HOLE, 70010, 70005);
    tell(&run, GAP_TRADE_HOLE, 70011, 70015);
    run_for(&run, 5);
    backfill_status(run.backfill, &status);
    assert_int_equal(status.done, 1);
    check_trades(&run, 70011, 70015);
    run_close(&run);
}

static void faults_and_crashes_at_any_moment_make_no_double_and_no_hole(void **state)
{
    (void)state;
    static struct run run;
    for (uint64_t seed = 10; seed < 18; seed++) {
        run_open(&run, seed);
        run.scene.fault_percent = 20;
        run.scene.archive_fault_percent = 20;
        int64_t id = 60001;
        for (int i = 0; i < 30; i++) {
            int64_t size = 1 + (int64_t)prng_below(&run.scene.prng, 300);
            tell(&run, GAP_TRADE_HOLE, id, id + size - 1);
            id += size + 3;
            for (int64_t k = (int64_t)prng_below(&run.scene.prng, 150); k > 0; k--)
                run_step(&run, 20000);
            run.away = prng_below(&run.scene.prng, 4) == 0;
            poll_scene_crash(&run.scene);
            backfill_close(run.backfill);
            run_start(&run);
        }
        run.scene.fault_percent = run.scene.archive_fault_percent = 0;
        run.away = false;
        run_for(&run, 200);
        for (int i = 0; i < run.event_count; i++)
            check_trades(&run, run.events[i].event.first_trade_id,
                         run.events[i].event.last_trade_id);
        assert_int_equal(run.scene.bans, 0);
        run_close(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trades_of_a_hole_and_a_snapshot_are_fetched_with_its_reason),
        cmocka_unit_test(a_wide_hole_comes_in_pages),
        cmocka_unit_test(losses_without_trades_get_one_snapshot_for_all_before_it),
        cmocka_unit_test(what_is_told_twice_is_fetched_once),
        cmocka_unit_test(what_the_exchange_no_longer_has_is_reported),
        cmocka_unit_test(without_historical_trades_the_aggregates_that_cover_them_come),
        cmocka_unit_test(an_unreadable_event_costs_only_itself),
        cmocka_unit_test(faults_and_crashes_at_any_moment_make_no_double_and_no_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
