/* A market without loss never has an anchor asked for but where the price has left what the
 * last snapshot covered: the simulated exchange, the ingestor's feed,
 * splice and stamps, the aggregator, its reports and the gap detector in one process on virtual
 * time, with reconnects, clocks that are two seconds off and diffs at 20 and 100 ms.
 *
 * BTCAST_FALSE_POSITIVES_HOURS: simulated hours of each of the four combinations, with a
 * reconnect each hour; without it a quarter of an hour each, with one every five minutes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hot/ingest/feed.h"
#include "hot/ingest/ingest.h"
#include "market/minute.h"
#include "services/exchange-sim/sim_market.h"
#include "services/exchange-sim/sim_rest.h"
#include "tests/unit/hot_state/fake_state.h"
#include "tests/unit/recover/fake_gap.h"

#define START_US INT64_C(1770000000000000)
/* The world moves in steps of this; what comes within one is received at its end. */
#define STEP_US 10000
/* One connection is slower than the other, so that they overlap out of step. */
#define LATENCY_US_A 400
#define LATENCY_US_B 35000
#define QUEUE_MAX    65536
/* Batches of the ingestor on their way. */
#define PUTS_MAX 64

struct message {
    int64_t due_us;
    uint32_t size;
    uint8_t *data;
};

/* A connection to the exchange: what is on its way. */
struct line {
    bool live;
    uint32_t head, tail;
    struct message queue[QUEUE_MAX];
};

struct run {
    struct sim_market market;
    struct sim_feed exchange;
    struct feed feed;
    struct ingest *ingest;
    struct fake_streams streams;
    struct fake_consumer consumer;
    struct fake_client client;
    struct fake_producer control;
    struct stream_producer producer; /* the ingestor's */
    struct {
        uint64_t ticket;
        int count;
    } puts[PUTS_MAX];
    int put_count;
    stream_top_fn tops_done;
    void *tops_context;
    struct metrics metrics, gap_metrics;
    struct aggregator *aggregator;
    struct fake_store store;
    struct fake_gap gap;
    struct fake_rest rest;
    struct rest_desk desk;
    struct gap_detector *detector;
    struct line lines[FEED_LINES];
    int64_t skew_us; /* our clock less the exchange's */
    int64_t paused_us;
    int flushes, connects;
    int edges; /* books fetched because the price came to the end of the last one's levels */
};

static struct run run;

static int64_t ours_us(void)
{
    return run.market.now_us + run.paused_us;
}

static struct clock_now now(void)
{
    return (struct clock_now){.wall_us = ours_us() + run.skew_us,
                              .mono_us = ours_us() - START_US + 1000000};
}

/* ---- connections ---------------------------------------------------------------- */

static void on_message(void *context, enum sim_stream stream, struct bytes message)
{
    (void)context;
    if (stream >= SIM_STREAM_SBE_COUNT)
        return;
    for (int i = 0; i < FEED_LINES; i++) {
        struct line *line = &run.lines[i];
        if (!line->live)
            continue;
        assert_true(line->tail - line->head < QUEUE_MAX);
        struct message *queued = &line->queue[line->tail++ % QUEUE_MAX];
        queued->due_us = ours_us() + (i == 0 ? LATENCY_US_A : LATENCY_US_B);
        queued->size = (uint32_t)message.size;
        queued->data = malloc(message.size);
        memcpy(queued->data, message.data, message.size);
    }
}

static void on_connect(void *context, int line)
{
    (void)context;
    run.lines[line].live = true;
    run.connects++;
    feed_opened(&run.feed, line, now().mono_us);
    ingest_source(run.ingest, line, true, now());
}

static void line_empty(struct line *line)
{
    for (; line->head != line->tail; line->head++)
        free(line->queue[line->head % QUEUE_MAX].data);
}

static void on_drop(void *context, int line, enum feed_cause cause)
{
    (void)context;
    (void)cause;
    run.lines[line].live = false;
    line_empty(&run.lines[line]);
    ingest_source(run.ingest, line, false, now());
}

static void lines_deliver(void)
{
    for (int i = 0; i < FEED_LINES; i++) {
        struct line *line = &run.lines[i];
        while (line->head != line->tail &&
               line->queue[line->head % QUEUE_MAX].due_us <= ours_us()) {
            struct message *message = &line->queue[line->head++ % QUEUE_MAX];
            feed_data(&run.feed, i, now().mono_us);
            assert_int_equal(
                ingest_frame(run.ingest, i, bytes_of(message->data, message->size), 0, now()),
                SBE_OK);
            free(message->data);
        }
    }
}

/* ---- streams --------------------------------------------------------------------- */

static int64_t producer_put(void *self, const struct stream_record *records, int count)
{
    (void)self;
    for (int i = 0; i < count; i++)
        fake_streams_add(&run.streams, &records[i]);
    assert_true(run.put_count < PUTS_MAX);
    run.puts[run.put_count].count = count;
    run.puts[run.put_count].ticket = ++run.streams.tickets;
    return (int64_t)run.puts[run.put_count++].ticket;
}

static int producer_tops(void *self, stream_top_fn done, void *context)
{
    (void)self;
    run.tops_done = done;
    run.tops_context = context;
    return ERR_OK;
}

static bool producer_ready(void *self)
{
    (void)self;
    return true;
}

static int producer_work(void *self, int64_t mono_us)
{
    static const struct stream_top tops[STREAM_COUNT];
    enum stream_outcome outcome[STREAM_BATCH_RECORDS_MAX];
    int count = run.put_count;
    (void)self;
    (void)mono_us;
    if (run.tops_done != NULL) {
        stream_top_fn done = run.tops_done;
        run.tops_done = NULL;
        done(run.tops_context, ERR_OK, tops);
    }
    for (int i = 0; i < STREAM_BATCH_RECORDS_MAX; i++)
        outcome[i] = STREAM_WRITTEN;
    run.put_count = 0;
    for (int i = 0; i < count; i++)
        publisher_on_put(ingest_publisher(run.ingest), run.puts[i].ticket, outcome,
                         run.puts[i].count);
    return count;
}

/* What has been read is not needed any more. */
static void streams_trim(void)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (run.consumer.mask != 0 && run.consumer.at[i] < run.streams.count[i])
            continue;
        for (int n = 0; n < run.streams.count[i]; n++)
            free(run.streams.entries[i][n].data);
        run.streams.count[i] = run.consumer.at[i] = 0;
    }
}

/* ---- the exchange's REST ------------------------------------------------------------ */

static int rest_ask(char *path, char *body, size_t size)
{
    char *query = strchr(path, '?');
    struct text text = text_begin(body, size);
    *query = 0;
    struct sim_request request = {
        .path = path, .query = query + 1, .wall_us = run.market.now_us, .weight_limit = 6000};
    int status = sim_rest_answer(&run.exchange, &request, &text);
    text_end(&text);
    return status;
}

static void on_rest(void *context, const struct rest_query *query, int *status, char *body,
                    size_t size)
{
    char path[256];
    (void)context;
    rest_query_path(query, FAKE_SYMBOL, path, sizeof(path));
    *status = rest_ask(path, body, size);
}

/* A book for the aggregator: the first one, or one for a price that has left the last one's
 * levels behind. */
static void hand_over(const char *token, int levels)
{
    static char depth[FAKE_REST_BODY_SIZE], buffer[FAKE_REST_BODY_SIZE + 1024];
    char path[64];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct anchor_document document = {.symbol = FAKE_SYMBOL,
                                       .cause = "test",
                                       .requested_us = now().wall_us,
                                       .received_us = now().wall_us,
                                       .levels = levels};
    snprintf(document.token, sizeof(document.token), "%s", token);
    snprintf(path, sizeof(path), "/api/v3/depth?symbol=" FAKE_SYMBOL "&limit=%d", levels);
    assert_int_equal(rest_ask(path, depth, sizeof(depth)), 200);
    anchor_document_write(&document, bytes_text(depth), &out);
    free(run.store.document);
    run.store.document = malloc(out.size);
    memcpy(run.store.document, buffer, out.size);
    run.store.document_size = out.size;
    snprintf(run.store.flag, sizeof(run.store.flag), "%s", token);
    run.store.ask[0] = 0;
}

/* A price that comes to the end of the thousand levels of the first snapshot has the whole book
 * fetched, once: nothing was lost, nobody took it for a loss, and the book stays live meanwhile. */
static void answer_edge(void)
{
    struct world_view view;
    char token[16];
    if (strstr(run.store.ask, "end of the known book") == NULL)
        return;
    world_view(aggregator_world(run.aggregator), &view);
    assert_true(view.book_live);
    assert_true(view.near_known_edge);
    assert_non_null(strstr(run.store.ask, "\"levels\":5000"));
    snprintf(token, sizeof(token), "edge%d", ++run.edges);
    hand_over(token, 5000);
}

/* ---- the detector's view of the store ------------------------------------------------ */

static int on_report(void *self, const struct state_pair *pairs, int count, state_done_fn done,
                     void *context)
{
    fake_gap_add_pairs(&run.gap, pairs, count);
    return fake_report(self, pairs, count, done, context);
}

static void show_one(enum gap_shown field, enum state_key hash, const char *name)
{
    struct bytes value = state_image_value(&run.store.live, hash, name);
    fake_gap_copy(run.gap.shown[field], sizeof(run.gap.shown[field]), value);
}

static void show(void)
{
    if (run.flushes == run.store.flushes)
        return;
    run.flushes = run.store.flushes;
    show_one(GAP_SHOWN_LAST_UPDATE_ID, STATE_OB, "last_update_id");
    show_one(GAP_SHOWN_TS_US, STATE_OB, "ts_us");
    show_one(GAP_SHOWN_EVENT_US, STATE_OB, "event_us");
    show_one(GAP_SHOWN_BOOK_LIVE, STATE_OB, "book_live");
    show_one(GAP_SHOWN_SOURCE, STATE_OB, "source");
    show_one(GAP_SHOWN_LAST_TRADE_US, STATE_TR_1S, "last_ts_us");
    show_one(GAP_SHOWN_MID, STATE_FEAT, "mid");
}

/* ---- the run --------------------------------------------------------------------------- */

static void open_exchange(int64_t diff_interval_us)
{
    struct sim_feed_options feed = {.symbol = FAKE_SYMBOL, .tops_max = 16, .depth20 = true};
    struct sim_market_options market = {.seed = 7,
                                        .start_us = START_US,
                                        .price = 50000,
                                        .diff_interval_us = diff_interval_us,
                                        .move_scale = 1};
    assert_int_equal(sim_feed_open(&run.exchange, &feed, on_message, NULL, NULL), ERR_OK);
    struct sim_sink sink = sim_feed_sink(&run.exchange);
    run.exchange.book = &run.market.book;
    run.exchange.book_ready = true;
    assert_int_equal(sim_market_open(&run.market, &market, &sink, NULL), ERR_OK);
}

static void open_ingest(int64_t rotation_us)
{
    run.producer = (struct stream_producer){.self = &run,
                                            .put = producer_put,
                                            .tops = producer_tops,
                                            .ready = producer_ready,
                                            .do_work = producer_work};
    struct ingest_options ingest = {.symbol = FAKE_SYMBOL,
                                    .now = now(),
                                    .publisher = {.producer = &run.producer,
                                                  .ring_bytes_max = (size_t)64 * 1024 * 1024,
                                                  .epoch = (uint64_t)(START_US / 1000)}};
    struct feed_options feed = {.watchdog_us = 5000000,
                                .rotation_us = rotation_us,
                                .seed = 1,
                                .connect = on_connect,
                                .drop = on_drop};
    assert_int_equal(ingest_open(&ingest, &run.ingest, NULL), ERR_OK);
    feed_init(&run.feed, &feed, now().mono_us);
}

static void open_aggregator(void)
{
    fake_streams_open(&run.streams);
    run.client.store = &run.store;
    run.consumer.streams = run.control.streams = &run.streams;
    run.consumer.batch = FAKE_ENTRIES_MAX;
    struct aggregator_options options = {.symbol = FAKE_SYMBOL,
                                         .owner = "only",
                                         .state = fake_client_port(&run.client),
                                         .consumer = {.self = &run.consumer,
                                                      .follow = fake_follow,
                                                      .commit = fake_commit,
                                                      .do_work = fake_consumer_work,
                                                      .ready = fake_consumer_ready,
                                                      .drained = fake_consumer_drained},
                                         .control = {.self = &run.control,
                                                     .put = fake_put,
                                                     .ready = fake_producer_ready,
                                                     .do_work = fake_producer_work},
                                         .metrics = &run.metrics};
    options.state.gap_report = on_report;
    assert_int_equal(aggregator_open(&options, &run.aggregator, NULL), ERR_OK);
    run.consumer.aggregator = run.control.aggregator = run.aggregator;
}

/* The thresholds of production. */
static void open_detector(void)
{
    run.gap.ready = true;
    run.rest.answer = on_rest;
    rest_desk_open(&run.desk, &(struct rest_desk_options){.symbol = FAKE_SYMBOL,
                                                          .rest = fake_rest_port(&run.rest),
                                                          .metrics = &run.gap_metrics,
                                                          .seed = 1});
    struct gap_detector_options options = {
        .symbol = FAKE_SYMBOL,
        .by = "test",
        .judge = {.cooldown_ms = 300000, .hint_hold_ms = 150000, .overdue_ms = 60000},
        .silence_us = 5000000,
        .price_jump_bp = 100,
        .skew_us = 5000000,
        .trade_hole_min = 1,
        .port = fake_gap_port(&run.gap),
        .desk = &run.desk,
        .metrics = &run.gap_metrics,
    };
    assert_int_equal(gap_detector_open(&options, &run.detector, NULL), ERR_OK);
}

static void run_open(int64_t diff_interval_us, int64_t skew_us, int64_t rotation_us)
{
    memset(&run, 0, sizeof(run));
    run.skew_us = skew_us;
    run.market.now_us = START_US;
    open_exchange(diff_interval_us);
    open_ingest(rotation_us);
    open_aggregator();
    open_detector();
}

static void run_close(void)
{
    for (int i = 0; i < FEED_LINES; i++)
        line_empty(&run.lines[i]);
    fake_rest_work(&run.rest, 0);
    gap_detector_close(run.detector);
    metrics_close(&run.gap_metrics);
    fake_gap_free(&run.gap);
    fake_client_break(&run.client);
    fake_client_work(&run.client, 0);
    aggregator_close(run.aggregator);
    metrics_close(&run.metrics);
    free(run.store.checkpoint);
    free(run.store.document);
    ingest_close(run.ingest);
    fake_streams_close(&run.streams);
    sim_market_close(&run.market);
    sim_feed_close(&run.exchange);
}

static void step(void)
{
    lines_deliver();
    feed_do_work(&run.feed, now().mono_us);
    producer_work(&run, now().mono_us);
    ingest_do_work(run.ingest, now());
    run.store.mono_us = now().mono_us;
    aggregator_do_work(run.aggregator, now());
    answer_edge();
    streams_trim();
    show();
    gap_detector_do_work(run.detector, now());
}

static void run_market(int64_t us)
{
    for (int64_t end_us = run.market.now_us + us; run.market.now_us < end_us;) {
        sim_market_run(&run.market, run.market.now_us + STEP_US);
        step();
    }
}

/* The exchange says nothing, time passes. */
static void run_pause(int64_t us)
{
    for (int64_t end_us = run.paused_us + us; run.paused_us < end_us;) {
        run.paused_us += STEP_US;
        step();
    }
}

static void run_first_book(void)
{
    for (int i = 0; i < 1000 && run.store.ask[0] == 0; i++)
        run_market(STEP_US);
    assert_string_not_equal(run.store.ask, "");
    hand_over("first", 1000);
    run_market(2000000);
    assert_int_equal(run.store.swaps, 1);
}

static struct gap_detector_status detector_status(void)
{
    struct gap_detector_status status;
    gap_detector_status(run.detector, &status);
    return status;
}

/* No anchor was asked for since, by nobody, and the book is the exchange's. */
static void assert_no_anchor(int asks)
{
    const struct world_counters *world = world_counters(aggregator_world(run.aggregator));
    struct world_view view;
    world_view(aggregator_world(run.aggregator), &view);
    assert_int_equal(run.store.asks, asks + run.edges);
    assert_int_equal(run.gap.asks + run.gap.asks_late, 0);
    assert_true(run.edges <= 1);
    assert_int_equal(detector_status().anchors_wanted, 0);
    assert_int_equal(run.store.swaps, 1 + run.edges);
    assert_int_equal(world->gaps, 0);
    assert_int_equal(world->trade_holes, 0);
    assert_int_equal(world->holes, 0);
    assert_true(view.book_live);
    assert_true(world->snapshots_verified > 0);
}

static double hours(void)
{
    const char *text = getenv("BTCAST_FALSE_POSITIVES_HOURS");
    return text != NULL ? strtod(text, NULL) : 0;
}

static void check_hours(int64_t diff_interval_us, int64_t skew_us)
{
    double wanted = hours();
    int64_t span_us = wanted > 0 ? llround(wanted * 3600e6) : INT64_C(900000000);
    int64_t rotation_us = wanted > 0 ? INT64_C(3600000000) : INT64_C(300000000);
    run_open(diff_interval_us, skew_us, rotation_us);
    run_first_book();
    int asks = run.store.asks, minutes = 0;
    for (int64_t us = 0; us < span_us; us += MINUTE_US, minutes++) {
        run_market(MINUTE_US);
        if (run.gap.count > FAKE_GAP_ENTRIES_MAX - 64)
            break;
    }
    run_market(20000000);
    struct gap_detector_status status = detector_status();
    uint64_t duplicates = 0;
    for (int i = 0; i < SPLICE_STREAMS; i++)
        duplicates += splice_counters(ingest_splice(run.ingest), (enum splice_stream)i)->duplicates;
    printf("diffs %lld ms, clock %+.0f s: %d minutes, %llu records, %d connections, %llu frames "
           "twice, %llu minutes equal, %llu different, %d asks, %d books fetched for the price\n",
           (long long)(diff_interval_us / 1000), (double)skew_us / 1e6, minutes,
           (unsigned long long)ingest_counters(run.ingest)->records, run.connects,
           (unsigned long long)duplicates, (unsigned long long)status.minutes_equal,
           (unsigned long long)status.minutes_differ,
           run.store.asks - asks - run.edges + run.gap.asks, run.edges);
    assert_no_anchor(asks);
    assert_true(run.connects >= 1 + (int)(span_us / rotation_us) - 1);
    assert_true(duplicates > 0);
    assert_int_equal(status.minutes_differ, 0);
    assert_in_range(status.minutes_equal, minutes - 2, minutes);
    assert_true(status.state == GAP_LIVE || status.state == GAP_COOLDOWN);
    run_close();
}

static void no_anchor_with_diffs_at_20_ms_and_a_clock_ahead(void **state)
{
    (void)state;
    check_hours(20000, 2000000);
}

static void no_anchor_with_diffs_at_20_ms_and_a_clock_behind(void **state)
{
    (void)state;
    check_hours(20000, -2000000);
}

static void no_anchor_with_diffs_at_100_ms_and_a_clock_ahead(void **state)
{
    (void)state;
    check_hours(100000, 2000000);
}

static void no_anchor_with_diffs_at_100_ms_and_a_clock_behind(void **state)
{
    (void)state;
    check_hours(100000, -2000000);
}

/* A minute in which hardly anything happens: the connections are replaced by the watchdog, the
 * detector is suspicious, nobody asks for anything. */
static void a_quiet_market_of_a_minute_asks_for_nothing(void **state)
{
    (void)state;
    run_open(20000, 0, INT64_C(3600000000));
    run_first_book();
    run_market(INT64_C(301000000)); /* the first book's cool-down is over */
    assert_int_equal(detector_status().state, GAP_LIVE);
    int asks = run.store.asks;
    for (int i = 0; i < 5; i++) { /* not so long that the feed gives its connection up */
        run_pause(12000000);
        run_market(100000);
    }
    assert_int_equal(detector_status().state, GAP_SUSPECT);
    run_market(5000000);
    assert_no_anchor(asks);
    run_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_anchor_with_diffs_at_20_ms_and_a_clock_ahead),
        cmocka_unit_test(no_anchor_with_diffs_at_20_ms_and_a_clock_behind),
        cmocka_unit_test(no_anchor_with_diffs_at_100_ms_and_a_clock_ahead),
        cmocka_unit_test(no_anchor_with_diffs_at_100_ms_and_a_clock_behind),
        cmocka_unit_test(a_quiet_market_of_a_minute_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
