/* What the aggregator tells of losses: each once, with its place, whatever the store does
 * meanwhile, and never in the way of a flush. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hot/state/gap_event.h"
#include "market/minute.h"
#include "tests/unit/hot_state/fake_state.h"

#define STEP_US    1000
#define EVENTS_MAX 512

static struct {
    struct fake_store store;
    struct fake_streams streams;
    struct fake_market market;
    struct fake_node nodes[2];
    bool running[2];
    struct clock_now now;
    struct gap_event events[EVENTS_MAX];
    int count;
    int failures; /* so many reports fail first */
    bool away;    /* the store cannot be reached */
} scene;

static int on_report(void *self, const struct state_pair *pairs, int count, state_done_fn done,
                     void *context)
{
    struct gap_event_reader reader;
    if (scene.failures > 0) {
        scene.failures--;
        return fake_plain(self, done, context, ERR_IO, 0, "full");
    }
    gap_event_begin(&reader, FAKE_SYMBOL);
    for (int i = 0; i < count; i++)
        gap_event_field(&reader, pairs[i].field, pairs[i].value);
    assert_true(gap_event_finish(&reader));
    assert_true(scene.count < EVENTS_MAX);
    scene.events[scene.count++] = reader.event;
    return fake_report(self, pairs, count, done, context);
}

static bool is_ready(void *self)
{
    return !scene.away && fake_ready(self);
}

static void start(int index)
{
    static const char *const owners[] = {"a", "b"};
    struct fake_node *node = &scene.nodes[index];
    memset(node, 0, sizeof(*node));
    node->client.store = &scene.store;
    node->consumer.streams = node->producer.streams = &scene.streams;
    node->consumer.batch = 64;
    struct aggregator_options options = {.symbol = FAKE_SYMBOL,
                                         .owner = owners[index],
                                         .state = fake_client_port(&node->client),
                                         .consumer = {.self = &node->consumer,
                                                      .follow = fake_follow,
                                                      .commit = fake_commit,
                                                      .do_work = fake_consumer_work,
                                                      .ready = fake_consumer_ready,
                                                      .drained = fake_consumer_drained},
                                         .control = {.self = &node->producer,
                                                     .put = fake_put,
                                                     .ready = fake_producer_ready,
                                                     .do_work = fake_producer_work},
                                         .metrics = &node->metrics};
    options.state.gap_report = on_report;
    options.state.ready = is_ready;
    assert_int_equal(aggregator_open(&options, &node->aggregator, NULL), ERR_OK);
    node->consumer.aggregator = node->producer.aggregator = node->aggregator;
    scene.running[index] = true;
}

static int setup(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.now = (struct clock_now){.wall_us = 1770000000000000, .mono_us = 1000000};
    fake_streams_open(&scene.streams);
    fake_market_open(&scene.market, &scene.streams, scene.now.wall_us);
    start(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (scene.nodes[i].aggregator != NULL)
            fake_node_close(&scene.nodes[i]);
    fake_streams_close(&scene.streams);
    free(scene.store.checkpoint);
    free(scene.store.document);
    return 0;
}

static void run(int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        scene.now.wall_us += STEP_US;
        scene.now.mono_us += STEP_US;
        scene.store.mono_us = scene.now.mono_us;
        if (scene.now.wall_us % 20000 == 0)
            fake_market_step(&scene.market, scene.now.wall_us);
        if (scene.store.ask[0] != 0) {
            fake_market_hand_over(&scene.market, &scene.store, "t");
            scene.store.ask[0] = 0;
        }
        for (int node = 0; node < 2; node++)
            if (scene.running[node])
                aggregator_do_work(scene.nodes[node].aggregator, scene.now);
    }
}

/* The n-th event of the kind from the end, NULL: none. */
static const struct gap_event *last(enum gap_kind kind, int n)
{
    for (int i = scene.count; i-- > 0;)
        if (scene.events[i].kind == kind && n-- == 0)
            return &scene.events[i];
    return NULL;
}

static int count_of(enum gap_kind kind)
{
    int count = 0;
    for (int i = 0; i < scene.count; i++)
        count += scene.events[i].kind == kind;
    return count;
}

static void a_start_and_its_anchor_are_told(void **state)
{
    (void)state;
    run(1000);
    assert_int_equal(scene.count, 2);
    assert_int_equal(scene.events[0].kind, GAP_STATE);
    assert_false(scene.events[0].book_live);
    assert_int_equal(scene.events[1].kind, GAP_ANCHORED);
    assert_true(scene.events[1].book_live);
    assert_true(scene.events[1].writer > 0);
}

static void a_lost_book_is_told_with_its_cause_and_place(void **state)
{
    (void)state;
    run(1000);
    int64_t id = scene.market.update_id;
    scene.market.update_id += 10;
    run(100);
    const struct gap_event *loss = last(GAP_LOSS, 0);
    assert_non_null(loss);
    assert_string_equal(loss->cause, "depth id gap");
    assert_int_equal(loss->epoch, scene.market.epoch);
    assert_in_range(loss->seq, 1, scene.market.seq);
    assert_int_equal(loss->last_update_id, id);
    assert_false(loss->book_live);
    run(4000);
    assert_int_equal(count_of(GAP_LOSS), 1);
    assert_int_equal(count_of(GAP_ANCHORED), 2);
}

static void a_trade_hole_is_told_with_the_ids_that_are_missing(void **state)
{
    (void)state;
    run(2000);
    int64_t id = scene.market.trade_id;
    scene.market.trade_id += 7;
    run(1000);
    const struct gap_event *hole = last(GAP_TRADE_HOLE, 0);
    assert_non_null(hole);
    assert_int_equal(hole->first_trade_id, id + 1);
    assert_int_equal(hole->last_trade_id, id + 7);
    assert_true(hole->book_live);
}

static void lost_records_are_told_with_both_edges(void **state)
{
    (void)state;
    run(1000);
    uint64_t seq = scene.market.seq;
    scene.market.seq += 3;
    run(1000);
    const struct gap_event *hole = last(GAP_RECORD_HOLE, 0);
    assert_non_null(hole);
    assert_int_equal(hole->seq, seq);
    assert_int_equal(hole->next_epoch, scene.market.epoch);
    assert_int_equal(hole->next_seq, seq + 4);
}

static void closed_minutes_are_told_once_each_in_order(void **state)
{
    (void)state;
    run(200000);
    assert_in_range(count_of(GAP_MINUTE), 3, 4);
    for (int n = 0; n + 1 < count_of(GAP_MINUTE); n++) {
        const struct gap_event *later = last(GAP_MINUTE, n), *sooner = last(GAP_MINUTE, n + 1);
        assert_int_equal(later->minute, sooner->minute + 1);
        assert_true(later->complete);
        assert_int_equal(later->first_trade_id, sooner->last_trade_id + 1);
        assert_int_equal(later->trades, later->last_trade_id - later->first_trade_id + 1);
        assert_int_equal(later->volume_exponent, -8);
        assert_true(later->volume > 0);
    }
}

static void a_report_that_failed_is_repeated_and_keeps_its_order(void **state)
{
    (void)state;
    run(2000);
    scene.failures = 3;
    scene.market.trade_id += 7;
    run(1000);
    scene.market.update_id += 10;
    run(2000);
    assert_int_equal(count_of(GAP_TRADE_HOLE), 1);
    assert_int_equal(count_of(GAP_LOSS), 1);
    assert_true(last(GAP_TRADE_HOLE, 0) < last(GAP_LOSS, 0));
    assert_int_equal(scene.failures, 0);
}

/* The store takes no reports for a while: flushes go on, the oldest reports are given up and
 * counted. */
static void reports_that_nobody_takes_are_bounded_and_delay_nothing(void **state)
{
    (void)state;
    run(2000);
    scene.failures = 1000000;
    int flushes = scene.store.flushes;
    for (int i = 0; i < 100; i++) {
        scene.market.trade_id += 2;
        run(200);
    }
    assert_true(scene.store.flushes - flushes > 800);
    scene.failures = 0;
    int before = scene.count;
    run(2000);
    assert_in_range(scene.count - before, 50, 66);
    struct metric *dropped =
        metrics_counter(&scene.nodes[0].metrics, "aggregator_gap_reports_dropped_total", NULL, "");
    assert_true(metric_count(dropped) > 0);
}

/* A store that comes back may have forgotten what nobody had read yet. */
static void holes_are_told_again_when_the_store_has_been_away_and_nothing_else(void **state)
{
    (void)state;
    run(2000);
    int64_t id = scene.market.trade_id;
    scene.market.trade_id += 7;
    run(500);
    scene.market.update_id += 10;
    run(70000);
    int before = scene.count;
    assert_int_equal(count_of(GAP_TRADE_HOLE), 1);
    for (int times = 0; times < 2; times++) {
        scene.away = true;
        run(300);
        scene.away = false;
        run(300);
        assert_int_equal(scene.count, before + times + 1);
        assert_int_equal(last(GAP_TRADE_HOLE, 0)->first_trade_id, id + 1);
        assert_int_equal(last(GAP_TRADE_HOLE, 0)->seq, last(GAP_TRADE_HOLE, 1)->seq);
    }
    scene.away = true;
    scene.market.trade_id += 3;
    run(300);
    scene.away = false;
    run(300);
    assert_int_equal(count_of(GAP_TRADE_HOLE), 5);
    before = count_of(GAP_TRADE_HOLE);
    scene.away = true;
    run(300);
    scene.now.wall_us += 600000000;
    scene.away = false;
    run(300);
    assert_int_equal(count_of(GAP_TRADE_HOLE), before); /* too old */
    struct metric *dropped =
        metrics_counter(&scene.nodes[0].metrics, "aggregator_gap_reports_dropped_total", NULL, "");
    assert_int_equal(metric_count(dropped), 0);
}

static void a_standby_tells_what_it_saw_when_it_takes_over(void **state)
{
    (void)state;
    run(2000);
    start(1);
    run(2000);
    int before = scene.count;
    scene.failures = 1000000; /* the writer cannot say it any more … */
    int64_t id = scene.market.trade_id;
    scene.market.trade_id += 7;
    run(500);
    scene.failures = 0;
    scene.running[0] = false; /* … and dies */
    run(4000);
    const struct gap_event *hole = last(GAP_TRADE_HOLE, 0);
    assert_non_null(hole);
    assert_int_equal(hole->first_trade_id, id + 1);
    assert_int_equal(scene.events[before].kind, GAP_TRADE_HOLE);
    assert_non_null(last(GAP_STATE, 0));
}

static void a_standby_says_nothing(void **state)
{
    (void)state;
    run(2000);
    start(1);
    run(2000);
    scene.market.update_id += 10;
    run(3000);
    assert_int_equal(count_of(GAP_LOSS), 1);
    assert_int_equal(count_of(GAP_STATE), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_start_and_its_anchor_are_told),
        TEST(a_lost_book_is_told_with_its_cause_and_place),
        TEST(a_trade_hole_is_told_with_the_ids_that_are_missing),
        TEST(lost_records_are_told_with_both_edges),
        TEST(closed_minutes_are_told_once_each_in_order),
        TEST(a_report_that_failed_is_repeated_and_keeps_its_order),
        TEST(reports_that_nobody_takes_are_bounded_and_delay_nothing),
        TEST(holes_are_told_again_when_the_store_has_been_away_and_nothing_else),
        TEST(a_standby_tells_what_it_saw_when_it_takes_over),
        TEST(a_standby_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
