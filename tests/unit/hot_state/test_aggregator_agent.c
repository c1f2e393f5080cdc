/* The aggregator on a store, streams and an exchange in memory: anchors, flushes, lease,
 * takeover, checkpoints, holes. Time is the test's. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hot/state/aggregator_parts.h"
#include "hot/state/writer_lease.h"
#include "tests/unit/hot_state/fake_state.h"

#define NODES_MAX 4
#define STEP_US   1000

struct scene {
    struct fake_store store;
    struct fake_streams streams;
    struct fake_market market;
    struct fake_node nodes[NODES_MAX];
    bool running[NODES_MAX];
    bool open[NODES_MAX];
    struct clock_now now;
    bool quiet;     /* only ticks */
    bool answering; /* the anchor service hands over what is asked for */
    int tokens;
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    scene->now = (struct clock_now){.wall_us = 1770000000000000, .mono_us = 1000000};
    scene->answering = true;
    fake_streams_open(&scene->streams);
    fake_market_open(&scene->market, &scene->streams, scene->now.wall_us);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < NODES_MAX; i++)
        if (scene->open[i])
            fake_node_close(&scene->nodes[i]);
    fake_streams_close(&scene->streams);
    free(scene->store.checkpoint);
    free(scene->store.document);
    free(scene);
    return 0;
}

static struct fake_node *start(struct scene *scene, int index)
{
    static const char *const owners[NODES_MAX] = {"a", "b", "c", "d"};
    fake_node_open(&scene->nodes[index], &scene->store, &scene->streams, owners[index]);
    scene->open[index] = true;
    scene->running[index] = true;
    return &scene->nodes[index];
}

static struct aggregator_status status_of(struct scene *scene, int index)
{
    struct aggregator_status status;
    aggregator_status(scene->nodes[index].aggregator, &status);
    return status;
}

/* One millisecond: the market each twentieth, then every running node once. */
static void step(struct scene *scene)
{
    scene->now.wall_us += STEP_US;
    scene->now.mono_us += STEP_US;
    scene->store.mono_us = scene->now.mono_us;
    if (scene->now.wall_us % 20000 == 0 && !scene->quiet)
        fake_market_step(&scene->market, scene->now.wall_us);
    if (scene->now.wall_us % 100000 == 0 && scene->quiet) {
        scene->market.recv_us = scene->now.wall_us;
        fake_market_tick(&scene->market);
    }
    if (scene->answering && scene->store.ask[0] != 0) {
        char token[16];
        snprintf(token, sizeof(token), "t%d", ++scene->tokens);
        fake_market_hand_over(&scene->market, &scene->store, token);
        scene->store.ask[0] = 0;
    }
    for (int i = 0; i < NODES_MAX; i++)
        if (scene->running[i])
            aggregator_do_work(scene->nodes[i].aggregator, scene->now);
}

static void run(struct scene *scene, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++)
        step(scene);
}

/* Lets the nodes work without new records until everything is written. */
static void settle(struct scene *scene)
{
    for (int i = 0; i < 10; i++) {
        scene->now.wall_us++;
        scene->now.mono_us++;
        scene->store.mono_us = scene->now.mono_us;
        for (int node = 0; node < NODES_MAX; node++)
            if (scene->running[node])
                aggregator_do_work(scene->nodes[node].aggregator, scene->now);
    }
}

static void assert_field(const struct fake_store *store, enum state_key hash, const char *field,
                         const char *expected)
{
    struct bytes value = state_image_value(&store->live, hash, field);
    assert_non_null(value.data);
    assert_int_equal(value.size, strlen(expected));
    assert_memory_equal(value.data, expected, value.size);
}

static void assert_number(const struct fake_store *store, enum state_key hash, const char *field,
                          uint64_t expected)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)expected);
    assert_field(store, hash, field, text);
}

/* All 40 level fields are the exchange's. */
static void assert_book_is_the_exchanges(struct scene *scene)
{
    const struct fake_market *market = &scene->market;
    assert_number(&scene->store, STATE_OB, "last_update_id", (uint64_t)market->update_id);
    for (int i = 0; i < WORLD_LEVELS; i++) {
        const int64_t values[4] = {fake_bid_price(i), market->bids[i], fake_ask_price(i),
                                   market->asks[i]};
        static const char *const formats[4] = {"bid%d_p", "bid%d_q", "ask%d_p", "ask%d_q"};
        for (int j = 0; j < 4; j++) {
            char field[16], buffer[32];
            struct text text = text_begin(buffer, sizeof(buffer));
            const char *format = formats[j];
            snprintf(field, sizeof(field), "%.3s%d%s", format, i + 1, format + 5);
            text_add_decimal(&text, values[j], -8);
            assert_field(&scene->store, STATE_OB, field, text_end(&text));
        }
    }
}

/* Both worlds, byte by byte. */
static void assert_same_world(struct scene *scene, int one, int other)
{
    const struct world *a = aggregator_world(scene->nodes[one].aggregator);
    const struct world *b = aggregator_world(scene->nodes[other].aggregator);
    size_t capacity = world_save_size_max(a);
    uint8_t *bytes_a = malloc(capacity), *bytes_b = malloc(capacity);
    size_t size_a, size_b;
    assert_int_equal(world_save(a, bytes_a, capacity, &size_a, NULL), ERR_OK);
    assert_int_equal(world_save(b, bytes_b, capacity, &size_b, NULL), ERR_OK);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(bytes_a, bytes_b, size_a);
    free(bytes_a);
    free(bytes_b);
}

static void a_fresh_start_asks_for_an_anchor_and_goes_live(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 2000);
    settle(scene);
    assert_true(status_of(scene, 0).active);
    assert_true(status_of(scene, 0).book_live);
    assert_int_equal(scene->store.asks, 1);
    assert_int_equal(scene->store.swaps, 1);
    assert_book_is_the_exchanges(scene);
    assert_field(&scene->store, STATE_FEAT, "book_live", "1");
    assert_number(&scene->store, STATE_FEAT, "seq", scene->market.seq);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 1);
    assert_non_null(state_image_value(&scene->store.live, STATE_FEAT, "vec").data);
}

static void nothing_is_asked_before_the_first_record(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    for (int i = 0; i < 3000; i++) {
        scene->now.mono_us += STEP_US;
        scene->now.wall_us += STEP_US;
        scene->store.mono_us = scene->now.mono_us;
        aggregator_do_work(scene->nodes[0].aggregator, scene->now);
    }
    assert_true(status_of(scene, 0).active);
    assert_int_equal(scene->store.asks, 0);
}

static void an_anchor_is_asked_for_once_a_diff_is_buffered(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->quiet = true;
    run(scene, 3000);
    assert_true(status_of(scene, 0).active);
    assert_true(status_of(scene, 0).seq > 10);
    assert_int_equal(scene->store.asks, 0);
    scene->quiet = false;
    run(scene, 300);
    assert_true(status_of(scene, 0).book_live);
    assert_int_equal(scene->store.asks, 1);
}

static void changes_during_a_flush_travel_with_the_next_one(void **state)
{
    struct scene *scene = *state;
    struct fake_node *node = start(scene, 0);
    run(scene, 1000);
    settle(scene);
    node->client.held = true;
    fake_market_step(&scene->market, scene->now.wall_us);
    settle(scene);
    int flushes = scene->store.flushes;
    for (int i = 0; i < 100; i++) {
        fake_market_diff(&scene->market);
        settle(scene);
    }
    assert_int_equal(scene->store.flushes, flushes);
    node->client.held = false;
    settle(scene);
    assert_int_equal(scene->store.flushes, flushes + 1);
    assert_book_is_the_exchanges(scene);
}

static void a_flush_waits_for_the_drained_input_or_a_millisecond(void **state)
{
    struct scene *scene = *state;
    struct fake_node *node = start(scene, 0);
    run(scene, 1000);
    settle(scene);
    int flushes = scene->store.flushes;
    node->consumer.batch = 1;
    for (int i = 0; i < 50; i++)
        fake_market_diff(&scene->market);
    /* 0.8 ms of a stream that is never read to its end: nothing yet. */
    for (int i = 0; i < 8; i++) {
        scene->now.mono_us += 100;
        aggregator_do_work(node->aggregator, scene->now);
    }
    assert_int_equal(scene->store.flushes, flushes);
    for (int i = 0; i < 4; i++) {
        scene->now.mono_us += 100;
        aggregator_do_work(node->aggregator, scene->now);
    }
    assert_int_equal(scene->store.flushes, flushes + 1);
}

static void a_standby_takes_over_within_two_seconds_without_loading(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 500);
    start(scene, 1);
    run(scene, 3000);
    assert_true(status_of(scene, 0).active);
    assert_false(status_of(scene, 1).active);
    assert_string_equal(status_of(scene, 1).holder, "a");
    assert_true(status_of(scene, 1).book_live);
    int loads = scene->store.loads;
    uint64_t fence = scene->store.fence;
    scene->running[0] = false;
    run(scene, 2000);
    assert_true(status_of(scene, 1).active);
    assert_int_equal(scene->store.loads, loads);
    assert_true(scene->store.fence > fence);
    assert_int_equal(scene->store.swaps, 1);
    settle(scene);
    /* Latency is of what it writes itself, not of what it followed before. */
    const struct metric *latency =
        metrics_histogram(&scene->nodes[1].metrics, "aggregator_frame_to_flush_seconds", NULL, "");
    assert_true(histogram_count(&latency->histogram) > 0);
    assert_true(histogram_quantile_ns(&latency->histogram, 1) < 100000000);
    assert_book_is_the_exchanges(scene);
}

/* Whenever it happens between two renewals: soon after the lease has run out. */
static void a_standby_takes_over_soon_after_the_lease_ran_out(void **state)
{
    struct scene *scene = *state;
    int writer = 0;
    start(scene, 0);
    start(scene, 1);
    for (int round = 0; round < 11; round++) {
        scene->running[writer] = true;
        run(scene, 3000 + round * 50);
        writer = status_of(scene, 0).active ? 0 : 1;
        assert_true(status_of(scene, writer).active);
        assert_false(status_of(scene, 1 - writer).active);
        scene->running[writer] = false;
        run(scene, (WRITER_LEASE_TTL_US + WRITER_LEASE_TRY_US) / 1000 + 5);
        assert_true(status_of(scene, 1 - writer).active);
    }
}

/* So many milliseconds without a record. */
static void stand_still(struct scene *scene, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        scene->now.wall_us += 990;
        scene->now.mono_us += 990;
        settle(scene);
    }
}

/* Its own checkpoint tells it nothing of what its successor's world is like. */
static void a_relieved_writer_takes_its_successors_checkpoint_not_its_own(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 3000);
    assert_true(status_of(scene, 0).active);
    stand_still(scene, 1500);
    fake_market_tick(&scene->market);
    stand_still(scene, 5); /* written with a checkpoint */
    snprintf(scene->store.lease, sizeof(scene->store.lease), "b");
    scene->store.lease_until_us = scene->now.mono_us + 2000000;
    scene->store.fence += 1000000;
    int loads = scene->store.loads;
    stand_still(scene, 2000);
    assert_false(status_of(scene, 0).active);
    assert_true(status_of(scene, 1).active);
    assert_true(scene->store.loads > loads);
    assert_int_equal(status_of(scene, 0).resyncs, 0);
    run(scene, 2500);
    assert_int_equal(status_of(scene, 0).resyncs, 1);
    run(scene, 1000);
    settle(scene);
    assert_same_world(scene, 0, 1);
}

/* Or, once it writes, it asks before anybody has judged, and says it took since then. */
static void a_standby_wants_no_anchor_that_another_has_had_adopted(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 1000);
    scene->market.update_id += 10;
    run(scene, 100);
    assert_true(status_of(scene, 0).anchoring);
    assert_true(status_of(scene, 1).anchoring);
    run(scene, 3000);
    assert_int_equal(scene->store.swaps, 2);
    assert_false(status_of(scene, 0).anchoring);
    assert_false(status_of(scene, 1).anchoring);
}

/* A failover may have lost what was written shortly before; who has it already, knows it. */
static void a_control_record_is_sent_again_after_the_stream_was_away(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 2500);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 1);
    uint64_t resyncs = status_of(scene, 1).resyncs;
    for (int i = 0; i < 2; i++) { /* soon after it was written, and long after */
        scene->nodes[0].producer.away = true;
        run(scene, 50);
        scene->nodes[0].producer.away = false;
        run(scene, 1000);
        assert_int_equal(scene->streams.count[STREAM_CONTROL], 2);
        settle(scene);
        assert_same_world(scene, 0, 1);
        run(scene, AGGREGATOR_OUTBOX_KEEP_US / 1000);
    }
    assert_int_equal(status_of(scene, 1).resyncs, resyncs);
}

/* What the store will do, it tells: nobody has to look all the time. */
static void a_writer_without_a_store_does_not_spin(void **state)
{
    struct scene *scene = *state;
    struct fake_node *node = start(scene, 0);
    run(scene, 1000);
    assert_true(status_of(scene, 0).active);
    fake_client_break(&node->client);
    node->client.disconnected = true;
    run(scene, 300);
    assert_true(aggregator_wait_us(node->aggregator, scene->now) > 0);
    assert_int_equal(aggregator_do_work(node->aggregator, scene->now), 0);
}

static void a_woken_writer_writes_nothing(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 500);
    start(scene, 1);
    run(scene, 1000);
    scene->running[0] = false;
    run(scene, 2500);
    uint64_t fence = scene->store.fence;
    assert_int_equal(scene->store.flush_writer, fence);
    scene->running[0] = true;
    run(scene, 100);
    assert_true(status_of(scene, 0).writes_refused > 0);
    assert_false(status_of(scene, 0).active);
    assert_true(status_of(scene, 1).active);
    assert_int_equal(scene->store.flush_writer, fence);
    assert_int_equal(scene->store.fence, fence);
    run(scene, 3000);
    assert_true(status_of(scene, 1).active);
    settle(scene);
    assert_same_world(scene, 0, 1);
}

static void a_clean_stop_hands_the_lease_over(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 500);
    start(scene, 1);
    run(scene, 1000);
    aggregator_stop(scene->nodes[0].aggregator);
    scene->running[0] = false;
    run(scene, 600);
    assert_true(status_of(scene, 1).active);
}

static void a_standbys_world_equals_the_writers(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 4000);
    settle(scene);
    assert_true(status_of(scene, 1).book_live);
    assert_same_world(scene, 0, 1);
}

/* The store was emptied, and the checkpoint is not back yet: what the streams have by now is not
 * all that the writer knows. */
static void a_standby_that_began_with_nothing_takes_the_writers_checkpoint(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 4000);
    scene->store.checkpoint_size = 0;
    fake_streams_empty(&scene->streams);
    start(scene, 1);
    run(scene, 3000);
    settle(scene);
    assert_true(status_of(scene, 0).active);
    assert_int_equal(status_of(scene, 1).restores, 0);
    assert_int_equal(status_of(scene, 1).resyncs, 1);
    assert_true(status_of(scene, 1).book_live);
    assert_same_world(scene, 0, 1);
}

/* Beside a writer of another version, in the middle of an update. */
static void a_standby_that_cannot_read_the_writers_world_follows_all_the_same(void **state)
{
    struct scene *scene = *state;
    scene->store.foreign = true;
    start(scene, 0);
    start(scene, 1);
    run(scene, 4000);
    settle(scene);
    assert_true(status_of(scene, 0).active);
    assert_int_equal(status_of(scene, 1).restores + status_of(scene, 1).resyncs, 0);
    assert_true(status_of(scene, 1).book_live);
    assert_same_world(scene, 0, 1);
}

/* Restored at many places of a market, then followed: the same bytes as never stopped. */
static void restoring_equals_never_having_stopped(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1500);
    for (int round = 0; round < 5; round++) {
        run(scene, 777);
        scene->running[0] = false;
        start(scene, 1);
        scene->running[1] = false;
        /* The market goes on while the restored one comes up. */
        scene->running[0] = true;
        run(scene, 210);
        scene->running[1] = true;
        run(scene, 200);
        settle(scene);
        assert_int_equal(status_of(scene, 1).restores, 1);
        assert_same_world(scene, 0, 1);
        fake_node_close(&scene->nodes[1]);
        scene->open[1] = scene->running[1] = false;
    }
    assert_true(status_of(scene, 0).active);
}

static void a_damaged_checkpoint_is_refused_and_the_start_is_fresh(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 3000);
    assert_true(scene->store.checkpoint_size > 1000);
    fake_node_close(&scene->nodes[0]);
    scene->open[0] = scene->running[0] = false;
    scene->store.checkpoint[scene->store.checkpoint_size / 2] ^= 0x10;
    start(scene, 1);
    run(scene, 3000);
    settle(scene);
    assert_int_equal(status_of(scene, 1).restores, 0);
    assert_true(status_of(scene, 1).book_live);
    assert_book_is_the_exchanges(scene);
}

static void a_restart_needs_no_anchor(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 3000);
    fake_node_close(&scene->nodes[0]);
    scene->open[0] = scene->running[0] = false;
    int asks = scene->store.asks;
    run(scene, 500);
    start(scene, 1);
    run(scene, 2500);
    settle(scene);
    assert_int_equal(status_of(scene, 1).restores, 1);
    assert_true(status_of(scene, 1).active);
    assert_true(status_of(scene, 1).book_live);
    assert_int_equal(scene->store.asks, asks);
    assert_book_is_the_exchanges(scene);
}

static void a_quiet_second_still_writes_its_windows(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 2000);
    scene->quiet = true;
    run(scene, 6000);
    settle(scene);
    assert_field(&scene->store, STATE_TR_1S, "count", "0");
    assert_field(&scene->store, STATE_TR_5S, "count", "0");
    assert_number(&scene->store, STATE_TR_1S, "seq", scene->market.seq);
    assert_field(&scene->store, STATE_FEAT, "book_live", "1");
}

static void a_gap_is_reported_asked_for_and_anchored(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    int reports = scene->store.reports;
    scene->answering = false;
    scene->market.update_id += 10; /* a diff that nobody got */
    run(scene, 100);
    settle(scene);
    assert_false(status_of(scene, 0).book_live);
    assert_true(scene->store.reports > reports);
    /* It is gap-detector's to judge; nobody there: two seconds later. */
    assert_string_equal(scene->store.ask, "");
    run(scene, 1850);
    assert_string_equal(scene->store.ask, "");
    run(scene, 150);
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
    /* The old levels stay readable meanwhile, and say that they are not live. */
    assert_field(&scene->store, STATE_FEAT, "book_live", "0");
    assert_non_null(state_image_value(&scene->store.live, STATE_OB, "bid10_p").data);
    scene->answering = true;
    run(scene, 1200);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_int_equal(scene->store.swaps, 2);
    assert_book_is_the_exchanges(scene);
}

static void a_refused_swap_leaves_the_world_as_it_was(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->store.swap_result = ERR_REFUSED;
    scene->answering = false;
    run(scene, 500);
    fake_market_hand_over(&scene->market, &scene->store, "lost");
    run(scene, 500);
    settle(scene);
    assert_int_equal(status_of(scene, 0).anchors_refused, 1);
    assert_false(status_of(scene, 0).book_live);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 0);
    scene->answering = true;
    run(scene, 1500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 1);
    assert_book_is_the_exchanges(scene);
}

/* The store answers late, the market goes on: what was applied to the world with the
 * refused anchor is applied again to the one without. */
static void a_refused_swap_loses_no_record_that_came_meanwhile(void **state)
{
    struct scene *scene = *state;
    struct fake_node *node = start(scene, 0);
    start(scene, 1);
    scene->answering = false;
    run(scene, 500);
    scene->store.swap_result = ERR_REFUSED;
    fake_market_hand_over(&scene->market, &scene->store, "lost");
    uint64_t seq = scene->market.seq;
    for (int i = 0; i < 600; i++) {
        node->client.held = i % 50 != 0;
        run(scene, 1);
    }
    node->client.held = false;
    settle(scene);
    assert_int_equal(status_of(scene, 0).anchors_refused, 1);
    assert_true(scene->market.seq > seq + 20);
    assert_int_equal(status_of(scene, 0).seq, scene->market.seq);
    assert_false(status_of(scene, 0).book_live);
    assert_same_world(scene, 0, 1);
    scene->answering = true;
    run(scene, 2500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_book_is_the_exchanges(scene);
    assert_same_world(scene, 0, 1);
}

static void a_swap_of_unknown_outcome_keeps_the_right_book(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->store.swap_result = ERR_CONNECTION;
    run(scene, 1500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_int_equal(status_of(scene, 0).anchors, 1);
    assert_book_is_the_exchanges(scene);
}

static void a_renewal_behind_a_swap_is_not_refused_by_the_swaps_own_fence(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    while (scene->store.swaps == 0)
        step(scene);
    scene->nodes[0].client.held = true; /* the swap's answer waits, and so does the renewal's */
    run(scene, 1000);
    assert_true(scene->nodes[0].client.count >= 2);
    scene->nodes[0].client.held = false;
    run(scene, 100);
    settle(scene);
    assert_int_equal(status_of(scene, 0).fence, scene->store.fence);
    assert_int_equal(status_of(scene, 0).writes_refused, 0);
    assert_book_is_the_exchanges(scene);
}

static void an_anchor_older_than_the_buffer_is_refused(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->answering = false;
    run(scene, 300);
    int64_t update_id = scene->market.update_id;
    scene->market.update_id = 4000; /* from long before the first diff */
    fake_market_hand_over(&scene->market, &scene->store, "early");
    scene->market.update_id = update_id;
    run(scene, 800);
    settle(scene);
    assert_int_equal(scene->store.refusals, 1);
    assert_false(status_of(scene, 0).book_live);
    assert_int_equal(scene->store.swaps, 0);
    scene->answering = true;
    run(scene, 1500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_book_is_the_exchanges(scene);
}

static void a_document_of_another_token_is_left_alone(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->answering = false;
    run(scene, 300);
    fake_market_hand_over(&scene->market, &scene->store, "mine");
    strcpy(scene->store.flag, "other");
    run(scene, 500);
    assert_false(status_of(scene, 0).book_live);
    assert_int_equal(scene->store.swaps, 0);
    assert_int_equal(scene->store.refusals, 0);
}

static void a_live_book_can_be_anchored_by_force(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1500);
    assert_int_equal(scene->store.swaps, 1);
    fake_market_hand_over(&scene->market, &scene->store, "forced");
    run(scene, 600);
    settle(scene);
    assert_int_equal(scene->store.swaps, 2);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 2);
    assert_book_is_the_exchanges(scene);
}

/* A record that never comes: after the wait a hole, logged, and the same for everybody. */
static void a_missing_record_becomes_a_logged_hole(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 1500);
    scene->market.seq++;
    run(scene, 300);
    settle(scene);
    assert_int_equal(world_counters(aggregator_world(scene->nodes[0].aggregator))->holes, 1);
    assert_int_equal(scene->streams.count[STREAM_CONTROL], 2);
    /* The ids continue: the book has not suffered. */
    assert_true(status_of(scene, 0).book_live);
    assert_book_is_the_exchanges(scene);
    run(scene, 2500);
    settle(scene);
    assert_same_world(scene, 0, 1);
    start(scene, 2);
    run(scene, 300);
    settle(scene);
    assert_same_world(scene, 0, 2);
}

static void a_store_that_was_emptied_is_filled_again(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1500);
    scene->store.has_live = false;
    scene->store.fence = 0;
    scene->store.lease_until_us = 0;
    run(scene, 700);
    settle(scene);
    assert_true(scene->store.has_live);
    assert_true(status_of(scene, 0).active);
    assert_string_equal(scene->store.lease, "a");
    assert_true(scene->store.lease_until_us > scene->now.mono_us);
    assert_int_equal(status_of(scene, 0).writes_refused, 0);
    assert_book_is_the_exchanges(scene);
}

static void a_lost_connection_repeats_the_flush(void **state)
{
    struct scene *scene = *state;
    struct fake_node *node = start(scene, 0);
    run(scene, 1500);
    node->client.held = true;
    run(scene, 40);
    fake_client_break(&node->client);
    run(scene, 300);
    uint64_t stale = scene->store.live.seq;
    assert_true(stale < scene->market.seq);
    node->client.disconnected = false;
    run(scene, 300);
    settle(scene);
    assert_number(&scene->store, STATE_OB, "seq", scene->market.seq);
    assert_book_is_the_exchanges(scene);
}

static void garbage_in_a_stream_costs_nothing_but_a_count(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    fake_streams_add(&scene->streams, &(struct stream_record){.stream = STREAM_TRADE,
                                                              .epoch = 1,
                                                              .last_seq = 1,
                                                              .data = bytes_text("garbage")});
    fake_market_emit(&scene->market, STREAM_DEPTH, RECORD_FRAME, bytes_text("not a frame"));
    run(scene, 500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    assert_book_is_the_exchanges(scene);
}

static void a_backlog_is_read_without_declaring_holes(void **state)
{
    struct scene *scene = *state;
    run(scene, 60000); /* nobody reads */
    struct fake_node *node = start(scene, 0);
    node->consumer.batch = 3;
    run(scene, 3000);
    settle(scene);
    assert_int_equal(world_counters(aggregator_world(node->aggregator))->holes, 0);
    assert_true(status_of(scene, 0).book_live);
    assert_book_is_the_exchanges(scene);
}

/* A gap, and what gap-detector says of it (`epoch` and `seq` are filled in with the place
 * of the loss). */
static void lose_book(struct scene *scene, const char *verdict)
{
    start(scene, 0);
    run(scene, 1000);
    scene->answering = false;
    scene->market.update_id += 10;
    run(scene, 20);
    assert_false(status_of(scene, 0).book_live);
    snprintf(scene->store.verdict, sizeof(scene->store.verdict), "%s", verdict);
}

static void a_verdict_for_an_anchor_is_followed_at_once(void **state)
{
    struct scene *scene = *state;
    lose_book(scene,
              "{\"action\":\"anchor\",\"cause\":\"depth id gap\",\"by\":\"ids\",\"until_ms\":0,"
              "\"epoch\":1000,\"seq\":9999}");
    run(scene, 100);
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
    assert_non_null(strstr(scene->store.ask, "\"min_id\":"));
    scene->answering = true;
    run(scene, 500);
    assert_true(status_of(scene, 0).book_live);
}

static void a_verdict_about_an_earlier_loss_is_none(void **state)
{
    struct scene *scene = *state;
    lose_book(scene, "{\"action\":\"anchor\",\"until_ms\":0,\"epoch\":1000,\"seq\":1}");
    run(scene, 1800);
    assert_string_equal(scene->store.ask, "");
    run(scene, 300);
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
}

static void while_an_operator_ignores_losses_nothing_is_asked(void **state)
{
    struct scene *scene = *state;
    char verdict[128];
    lose_book(scene, "");
    snprintf(verdict, sizeof(verdict), "{\"action\":\"ignore\",\"until_ms\":%lld}",
             (long long)(scene->now.wall_us / 1000 + 5000));
    snprintf(scene->store.verdict, sizeof(scene->store.verdict), "%s", verdict);
    run(scene, 4900);
    assert_string_equal(scene->store.ask, "");
    /* A document that comes all the same (an operator's) is adopted. */
    fake_market_hand_over(&scene->market, &scene->store, "operator");
    run(scene, 100);
    assert_true(status_of(scene, 0).book_live);
}

static void an_ignore_ends_by_itself(void **state)
{
    struct scene *scene = *state;
    char verdict[128];
    lose_book(scene, "");
    snprintf(verdict, sizeof(verdict), "{\"action\":\"ignore\",\"until_ms\":%lld}",
             (long long)(scene->now.wall_us / 1000 + 5000));
    snprintf(scene->store.verdict, sizeof(scene->store.verdict), "%s", verdict);
    run(scene, 5200);
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
}

static void an_unreadable_verdict_is_none_and_counted(void **state)
{
    struct scene *scene = *state;
    static const char *const bad[] = {"{",
                                      "[]",
                                      "{\"action\":\"dance\"}",
                                      "{\"action\":7}",
                                      "{\"until_ms\":5}",
                                      "{\"action\":\"ignore\",\"epoch\":-4}"};
    lose_book(scene, bad[0]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(scene->store.verdict, sizeof(scene->store.verdict), "%s", bad[i]);
        run(scene, 350);
    }
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
}

/* --- reading back ------------------------------------------------------------------ */

static void a_swap_is_read_back(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    assert_int_equal(scene->store.verifications, 1);
    assert_true(status_of(scene, 0).book_live);
}

static void live_keys_that_are_wrong_are_written_and_checked_again(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->store.verify_failures = 2;
    run(scene, 1000);
    settle(scene);
    assert_int_equal(scene->store.verifications, 3);
    assert_book_is_the_exchanges(scene);
    run(scene, 2000);
    assert_int_equal(scene->store.verifications, 3);
}

static void a_store_that_is_always_wrong_is_not_asked_for_ever(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    scene->store.verify_failures = 1000;
    run(scene, 3000);
    assert_int_equal(scene->store.verifications, 4);
    int flushes = scene->store.flushes;
    run(scene, 1000);
    assert_true(scene->store.flushes > flushes + 10);
}

/* --- lost trades ------------------------------------------------------------------- */

static uint64_t trades_since(const struct fake_market *market, int64_t since_us)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < market->trade_count && i < FAKE_TRADES_KEPT; i++)
        count += market->trades[i].time_us > since_us;
    return count;
}

static void lost_trades_come_back_with_the_anchor_for_both(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 8000);
    scene->market.losing_trades = true;
    run(scene, 3000);
    scene->market.losing_trades = false;
    scene->market.update_id += 10;
    run(scene, 2500);
    settle(scene);
    assert_true(status_of(scene, 0).book_live);
    const struct world_counters *counters =
        world_counters(aggregator_world(scene->nodes[0].aggregator));
    assert_true(counters->trades_refilled > 10);
    assert_number(&scene->store, STATE_TR_5S, "count",
                  trades_since(&scene->market, scene->market.recv_us - 5000000));
    run(scene, 1000);
    settle(scene);
    assert_true(status_of(scene, 1).book_live);
    assert_same_world(scene, 0, 1);
    assert_number(&scene->store, STATE_TR_5S, "count",
                  trades_since(&scene->market, scene->market.recv_us - 5000000));
}

/* --- the end of the known book ------------------------------------------------------ */

static void price_that_nears_the_end_of_the_known_book_has_it_fetched_again(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    scene->quiet = true;
    scene->answering = false;
    fake_market_eat(&scene->market, 5);
    run(scene, 100);
    assert_string_equal(scene->store.ask, "");
    fake_market_eat(&scene->market, 2);
    run(scene, 100);
    assert_non_null(strstr(scene->store.ask, "end of the known book"));
    assert_non_null(strstr(scene->store.ask, "\"levels\":5000"));
    assert_true(status_of(scene, 0).book_live);
    /* The exchange has more behind what was known. */
    scene->market.asks_gone = 0;
    scene->answering = true;
    run(scene, 500);
    assert_int_equal(scene->store.swaps, 2);
    run(scene, 5000);
    assert_int_equal(scene->store.swaps, 2);
}

static void price_that_runs_on_has_it_fetched_not_too_often(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    scene->quiet = true;
    for (int i = 0; i < 50; i++) {
        scene->market.asks_gone = 0; /* until it has been fetched */
        run(scene, 200);
        fake_market_eat(&scene->market, 2);
        run(scene, 1);
        scene->market.asks_gone = 0;
        run(scene, 399);
    }
    /* 30 s: at once, and each 10 s. */
    assert_in_range(scene->store.swaps, 1 + 3, 1 + 4);
}

static void book_that_ends_at_the_price_is_not_fetched_for_ever(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    scene->quiet = true;
    fake_market_eat(&scene->market, 1);
    run(scene, 25000);
    assert_int_equal(scene->store.swaps, 2);
}

/* --- a silent market ------------------------------------------------------------------ */

static void a_silent_market_has_rests_book_every_two_seconds(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    start(scene, 1);
    run(scene, 1000);
    scene->quiet = true;
    run(scene, 29000);
    assert_int_equal(scene->store.swaps, 1);
    assert_field(&scene->store, STATE_OB, "source", "sbe");
    scene->answering = false;
    run(scene, 1500);
    assert_non_null(strstr(scene->store.ask, "no market data"));
    assert_non_null(strstr(scene->store.ask, "\"levels\":100"));
    scene->answering = true;
    run(scene, 10500);
    settle(scene);
    assert_in_range(scene->store.swaps, 5, 7);
    assert_field(&scene->store, STATE_OB, "source", "rest");
    assert_field(&scene->store, STATE_FEAT, "book_live", "1");
    /* Both worlds have them all. */
    run(scene, 1000);
    settle(scene);
    assert_same_world(scene, 0, 1);
}

static void the_market_is_back_and_goes_on_from_rests_book(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    scene->quiet = true;
    run(scene, 33000);
    assert_field(&scene->store, STATE_OB, "source", "rest");
    int swaps = scene->store.swaps;
    scene->quiet = false;
    run(scene, 1000);
    settle(scene);
    assert_field(&scene->store, STATE_OB, "source", "sbe");
    assert_book_is_the_exchanges(scene);
    /* A deep book in the place of the shallow one, once. */
    assert_int_equal(scene->store.swaps, swaps + 1);
    run(scene, 5000);
    assert_int_equal(scene->store.swaps, swaps + 1);
}

static void the_market_is_back_behind_a_gap(void **state)
{
    struct scene *scene = *state;
    start(scene, 0);
    run(scene, 1000);
    scene->quiet = true;
    run(scene, 33000);
    assert_field(&scene->store, STATE_OB, "source", "rest");
    scene->market.update_id += 10;
    scene->quiet = false;
    run(scene, 2500);
    settle(scene);
    assert_field(&scene->store, STATE_OB, "source", "sbe");
    assert_field(&scene->store, STATE_FEAT, "book_live", "1");
    assert_book_is_the_exchanges(scene);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_start_asks_for_an_anchor_and_goes_live),
        TEST(nothing_is_asked_before_the_first_record),
        TEST(an_anchor_is_asked_for_once_a_diff_is_buffered),
        TEST(changes_during_a_flush_travel_with_the_next_one),
        TEST(a_flush_waits_for_the_drained_input_or_a_millisecond),
        TEST(a_standby_takes_over_within_two_seconds_without_loading),
        TEST(a_standby_takes_over_soon_after_the_lease_ran_out),
        TEST(a_relieved_writer_takes_its_successors_checkpoint_not_its_own),
        TEST(a_standby_wants_no_anchor_that_another_has_had_adopted),
        TEST(a_control_record_is_sent_again_after_the_stream_was_away),
        TEST(a_writer_without_a_store_does_not_spin),
        TEST(a_woken_writer_writes_nothing),
        TEST(a_clean_stop_hands_the_lease_over),
        TEST(a_standbys_world_equals_the_writers),
        TEST(a_standby_that_began_with_nothing_takes_the_writers_checkpoint),
        TEST(a_standby_that_cannot_read_the_writers_world_follows_all_the_same),
        TEST(restoring_equals_never_having_stopped),
        TEST(a_damaged_checkpoint_is_refused_and_the_start_is_fresh),
        TEST(a_restart_needs_no_anchor),
        TEST(a_quiet_second_still_writes_its_windows),
        TEST(a_gap_is_reported_asked_for_and_anchored),
        TEST(a_refused_swap_leaves_the_world_as_it_was),
        TEST(a_refused_swap_loses_no_record_that_came_meanwhile),
        TEST(a_swap_of_unknown_outcome_keeps_the_right_book),
        TEST(a_renewal_behind_a_swap_is_not_refused_by_the_swaps_own_fence),
        TEST(an_anchor_older_than_the_buffer_is_refused),
        TEST(a_document_of_another_token_is_left_alone),
        TEST(a_live_book_can_be_anchored_by_force),
        TEST(a_missing_record_becomes_a_logged_hole),
        TEST(a_store_that_was_emptied_is_filled_again),
        TEST(a_lost_connection_repeats_the_flush),
        TEST(garbage_in_a_stream_costs_nothing_but_a_count),
        TEST(a_backlog_is_read_without_declaring_holes),
        TEST(a_verdict_for_an_anchor_is_followed_at_once),
        TEST(a_verdict_about_an_earlier_loss_is_none),
        TEST(while_an_operator_ignores_losses_nothing_is_asked),
        TEST(an_ignore_ends_by_itself),
        TEST(an_unreadable_verdict_is_none_and_counted),
        TEST(a_swap_is_read_back),
        TEST(live_keys_that_are_wrong_are_written_and_checked_again),
        TEST(a_store_that_is_always_wrong_is_not_asked_for_ever),
        TEST(lost_trades_come_back_with_the_anchor_for_both),
        TEST(price_that_nears_the_end_of_the_known_book_has_it_fetched_again),
        TEST(price_that_runs_on_has_it_fetched_not_too_often),
        TEST(book_that_ends_at_the_price_is_not_fetched_for_ever),
        TEST(a_silent_market_has_rests_book_every_two_seconds),
        TEST(the_market_is_back_and_goes_on_from_rests_book),
        TEST(the_market_is_back_behind_a_gap),
    };
#undef TEST
    return cmocka_run_group_tests_name("aggregator", tests, NULL, NULL);
}
