/* The gap detector on a store and an exchange in memory. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/recover/fake_gap.h"

#define STEP_US 5000
#define MINUTE  INT64_C(29500000)

struct scene {
    struct fake_gap store;
    struct fake_rest rest;
    struct metrics metrics;
    struct rest_desk desk;
    struct gap_detector *detector;
    struct clock_now now;
    uint64_t seq;
    int64_t event_us;
    bool quiet, deaf;       /* the market, and records at all, stand still */
    int64_t first_known_id; /* trades below do not exist */
    int64_t newest_id;      /* nor above */
    int64_t kline_volume, kline_trades;
    int status;
};

static void answer(void *context, const struct rest_query *query, int *status, char *body,
                   size_t size)
{
    struct scene *scene = context;
    *status = scene->status;
    if (query->endpoint == REST_ENDPOINT_TRADES) {
        int64_t id =
            query->from_id < scene->first_known_id ? scene->first_known_id : query->from_id;
        if (id > scene->newest_id)
            snprintf(body, size, "[]");
        else
            snprintf(body, size,
                     "[{\"id\":%lld,\"price\":\"50000.00000000\",\"qty\":\"0.00100000\","
                     "\"quoteQty\":\"50.00000000\",\"time\":1770000000000,"
                     "\"isBuyerMaker\":true,\"isBestMatch\":true}]",
                     (long long)id);
    } else {
        int64_t open_ms = query->start_us / 1000;
        snprintf(body, size,
                 "[[%lld,\"1.00000000\",\"1.00000000\",\"1.00000000\",\"1.00000000\","
                 "\"%lld.%08lld\",%lld,\"1.00000000\",%lld,\"0.00000000\",\"0.00000000\",\"0\"]]",
                 (long long)open_ms, (long long)(scene->kline_volume / 100000000),
                 (long long)(scene->kline_volume % 100000000), (long long)(open_ms + 59999),
                 (long long)scene->kline_trades);
    }
}

static void start(struct scene *scene, bool once)
{
    struct err err = {0};
    rest_desk_open(&scene->desk, &(struct rest_desk_options){.symbol = "BTCUSDT",
                                                             .rest = fake_rest_port(&scene->rest),
                                                             .metrics = &scene->metrics,
                                                             .seed = 1});
    struct gap_detector_options options = {
        .symbol = "BTCUSDT",
        .by = "test",
        .judge = {.cooldown_ms = 300000, .hint_hold_ms = 150000, .overdue_ms = 60000},
        .silence_us = 5000000,
        .price_jump_bp = 100,
        .skew_us = 5000000,
        .trade_hole_min = 1,
        .once = once,
        .port = fake_gap_port(&scene->store),
        .desk = &scene->desk,
        .metrics = &scene->metrics,
    };
    assert_int_equal(gap_detector_open(&options, &scene->detector, &err), ERR_OK);
}

static void show(struct scene *scene)
{
    if (!scene->deaf)
        fake_gap_show(&scene->store, GAP_SHOWN_TS_US, scene->now.wall_us);
    if (scene->quiet || scene->deaf)
        return;
    scene->event_us = scene->now.wall_us - 1000;
    fake_gap_show(&scene->store, GAP_SHOWN_EVENT_US, scene->event_us);
    fake_gap_show(&scene->store, GAP_SHOWN_LAST_UPDATE_ID, scene->event_us / 1000);
    fake_gap_show(&scene->store, GAP_SHOWN_LAST_TRADE_US, scene->now.wall_us);
}

static void run(struct scene *scene, int64_t ms)
{
    for (int64_t us = 0; us < ms * 1000; us += STEP_US) {
        scene->now.wall_us += STEP_US;
        scene->now.mono_us += STEP_US;
        show(scene);
        gap_detector_do_work(scene->detector, scene->now);
    }
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    scene->now = (struct clock_now){.wall_us = MINUTE * 60000000, .mono_us = 1000000};
    scene->store.ready = true;
    scene->rest.answer = answer;
    scene->rest.context = scene;
    scene->status = 200;
    scene->newest_id = INT64_MAX;
    snprintf(scene->store.shown[GAP_SHOWN_BOOK_LIVE], 8, "1");
    snprintf(scene->store.shown[GAP_SHOWN_SOURCE], 8, "sbe");
    snprintf(scene->store.shown[GAP_SHOWN_MID], 32, "50000.005");
    snprintf(scene->store.swapped, 8, "t0");
    start(scene, false);
    run(scene, 200);
    *state = scene;
    return 0;
}

static void stop(struct scene *scene)
{
    gap_detector_close(scene->detector);
    metrics_close(&scene->metrics);
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    fake_rest_work(&scene->rest, 0);
    stop(scene);
    fake_gap_free(&scene->store);
    free(scene);
    return 0;
}

static struct gap_event event_of(struct scene *scene, enum gap_kind kind, const char *cause)
{
    struct gap_event event = {.kind = kind,
                              .epoch = 7,
                              .seq = ++scene->seq,
                              .recv_us = scene->now.wall_us,
                              .last_update_id = 1,
                              .book_live = kind != GAP_LOSS};
    snprintf(event.cause, sizeof(event.cause), "%s", cause);
    return event;
}

static void tell(struct scene *scene, enum gap_kind kind, const char *cause)
{
    struct gap_event event = event_of(scene, kind, cause);
    fake_gap_add(&scene->store, &event);
    if (kind == GAP_LOSS)
        snprintf(scene->store.shown[GAP_SHOWN_BOOK_LIVE], 8, "0");
    if (kind == GAP_ANCHORED)
        snprintf(scene->store.shown[GAP_SHOWN_BOOK_LIVE], 8, "1");
}

static void tell_hole(struct scene *scene, int64_t first, int64_t last)
{
    struct gap_event event = event_of(scene, GAP_TRADE_HOLE, "trade id hole");
    event.first_trade_id = first;
    event.last_trade_id = last;
    fake_gap_add(&scene->store, &event);
}

static void tell_minute(struct scene *scene, int64_t volume, uint64_t trades, bool complete)
{
    struct gap_event event = event_of(scene, GAP_MINUTE, "");
    event.minute = MINUTE + (int64_t)scene->seq;
    event.volume = volume;
    event.volume_exponent = -8;
    event.trades = trades;
    event.complete = complete;
    fake_gap_add(&scene->store, &event);
}

/* The swap leaves its token, a moment later the aggregator says it. */
static void swap(struct scene *scene, const char *token)
{
    snprintf(scene->store.swapped, sizeof(scene->store.swapped), "%s", token);
    snprintf(scene->store.shown[GAP_SHOWN_BOOK_LIVE], 8, "1");
    scene->store.ask[0] = 0;
}

static struct gap_detector_status status_of(const struct scene *scene)
{
    struct gap_detector_status status;
    gap_detector_status(scene->detector, &status);
    return status;
}

static void overrule(struct scene *scene, enum gap_mode mode, int64_t for_ms)
{
    struct gap_override override = {.mode = mode,
                                    .by = "me",
                                    .at_ms = scene->now.wall_us / 1000,
                                    .until_ms = scene->now.wall_us / 1000 + for_ms};
    struct text text = text_begin(scene->store.override, sizeof(scene->store.override));
    gap_json_override(&override, &text);
    text_end(&text);
}

static void a_minute_without_loss_asks_for_nothing(void **state)
{
    struct scene *scene = *state;
    run(scene, 60000);
    assert_int_equal(scene->store.asks, 0);
    assert_string_equal(scene->store.verdict, "");
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_lost_book_is_asked_for_within_a_look(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 40);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
    assert_non_null(strstr(scene->store.verdict, "\"action\":\"anchor\""));
    assert_non_null(strstr(scene->store.verdict, "\"cause\":\"depth id gap\""));
    assert_non_null(strstr(scene->store.verdict, "\"epoch\":7,\"seq\":1"));
    assert_non_null(strstr(scene->store.ask, "\"cause\":\"depth id gap\""));
    assert_non_null(strstr(scene->store.ask, "\"by\":\"test\""));
    swap(scene, "t1");
    run(scene, 40);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
    assert_string_equal(scene->store.verdict, "");
    tell(scene, GAP_ANCHORED, "anchored");
    run(scene, 2000);
    assert_string_equal(scene->store.ask, "");
    assert_int_equal(scene->store.asks, 1);
    run(scene, 300000);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

/* Between the swap and its event. */
static void after_a_swap_nobody_asks_any_more(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 990);
    int asks = scene->store.asks;
    swap(scene, "t1");
    run(scene, 3000);
    assert_int_equal(scene->store.asks, asks);
    assert_string_equal(scene->store.ask, "");
}

static void an_anchor_is_asked_for_until_it_is_there(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 5050);
    assert_in_range(scene->store.asks, 5, 7);
    run(scene, 60000);
    assert_int_equal(status_of(scene).state, GAP_DEGRADED);
    int asks = scene->store.asks;
    run(scene, 5000);
    assert_true(scene->store.asks >= asks + 4);
    swap(scene, "t1");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
}

static void a_loss_in_the_cool_down_acts_at_once(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 40);
    swap(scene, "t1");
    run(scene, 40);
    tell(scene, GAP_ANCHORED, "anchored");
    tell(scene, GAP_LOSS, "book differs from depth20");
    run(scene, 40);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
    assert_non_null(strstr(scene->store.ask, "book differs from depth20"));
}

static void an_event_that_comes_twice_counts_once(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 40);
    swap(scene, "t1");
    run(scene, 40);
    scene->seq--;
    struct gap_event event = event_of(scene, GAP_LOSS, "depth id gap");
    fake_gap_add(&scene->store, &event);
    run(scene, 200);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
    assert_int_equal(scene->store.asks, 1);
}

static void a_trade_hole_acts_once_rest_has_the_trades(void **state)
{
    struct scene *scene = *state;
    tell_hole(scene, 100, 105);
    run(scene, 100);
    assert_int_equal(status_of(scene).trade_holes_confirmed, 1);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
    assert_non_null(strstr(scene->store.ask, "trade id hole"));
    assert_int_equal(scene->store.audits, 2); /* backfill, anchor */
}

static void a_trade_hole_without_trades_is_none(void **state)
{
    struct scene *scene = *state;
    scene->first_known_id = 106;
    tell_hole(scene, 100, 105);
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_SUSPECT);
    assert_non_null(strstr(scene->store.verdict, "\"action\":\"wait\""));
    run(scene, 10000);
    assert_int_equal(scene->rest.calls, 3); /* REST lags: "no" counts when said three times */
    assert_int_equal(status_of(scene).state, GAP_LIVE);
    assert_int_equal(scene->store.asks, 0);
    assert_string_equal(scene->store.audit_what, "refuted");
}

/* The exchange answers when the windows have let go of those trades long since. */
static void an_old_trade_hole_is_fetched_but_not_anchored(void **state)
{
    struct scene *scene = *state;
    scene->status = 500;
    tell_hole(scene, 100, 105);
    run(scene, 6000);
    scene->status = 200;
    run(scene, 20000);
    assert_int_equal(status_of(scene).trade_holes_confirmed, 1);
    assert_int_equal(scene->store.asks, 0);
    assert_string_equal(scene->store.audit_what, "backfill");
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_hole_that_the_exchange_does_not_speak_of_is_given_up(void **state)
{
    struct scene *scene = *state;
    scene->status = 400;
    tell_hole(scene, 100, 105);
    run(scene, 1000);
    assert_int_equal(status_of(scene).open_checks, 0);
    assert_string_equal(scene->store.audit_what, "unknown");
    scene->status = 0;
    tell_hole(scene, 200, 205);
    run(scene, 59000);
    assert_int_equal(status_of(scene).open_checks, 1);
    run(scene, 30000);
    assert_int_equal(status_of(scene).open_checks, 0);
    assert_int_equal(scene->store.asks, 0);
}

static void more_holes_than_questions_lose_none_silently(void **state)
{
    struct scene *scene = *state;
    scene->status = 0;
    for (int i = 0; i < 40; i++)
        tell_hole(scene, 100 + 10 * i, 105 + 10 * i);
    run(scene, 1000);
    assert_int_equal(status_of(scene).open_checks, 16);
    run(scene, 90000);
    assert_int_equal(status_of(scene).open_checks, 0);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_minute_equal_to_its_kline_is_fine(void **state)
{
    struct scene *scene = *state;
    scene->kline_volume = 123456789;
    scene->kline_trades = 42;
    tell_minute(scene, 123456789, 42, true);
    run(scene, 1000);
    assert_int_equal(status_of(scene).minutes_equal, 1);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_minute_that_differs_by_one_lot_is_a_hint_and_no_more(void **state)
{
    struct scene *scene = *state;
    scene->kline_volume = 123456789;
    scene->kline_trades = 42;
    tell_minute(scene, 123456788, 42, true);
    run(scene, 10000);
    assert_int_equal(status_of(scene).minutes_differ, 1);
    assert_int_equal(scene->rest.calls, 3);
    assert_int_equal(status_of(scene).state, GAP_SUSPECT);
    assert_int_equal(scene->store.asks, 0);
    run(scene, 160000);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void an_incomplete_minute_is_not_compared(void **state)
{
    struct scene *scene = *state;
    scene->kline_volume = 1;
    tell_minute(scene, 5, 5, false);
    run(scene, 1000);
    assert_int_equal(scene->rest.calls, 0);
}

static void a_silent_market_is_a_hint_and_with_a_wrong_minute_acts(void **state)
{
    struct scene *scene = *state;
    scene->quiet = true;
    run(scene, 60000);
    assert_int_equal(status_of(scene).state, GAP_SUSPECT);
    assert_int_equal(scene->store.asks, 0);
    scene->kline_volume = 500;
    scene->kline_trades = 5;
    tell_minute(scene, 0, 0, true);
    run(scene, 10000);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
    assert_non_null(strstr(scene->store.ask, "minute volume"));
}

/* An aggregator that stands still says nothing about the market. */
static void without_records_there_is_no_silence(void **state)
{
    struct scene *scene = *state;
    scene->deaf = true;
    run(scene, 60000);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_jump_of_the_price_is_a_hint(void **state)
{
    struct scene *scene = *state;
    snprintf(scene->store.shown[GAP_SHOWN_MID], 32, "50400.005");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
    snprintf(scene->store.shown[GAP_SHOWN_MID], 32, "49800.005");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_SUSPECT);
    assert_int_equal(scene->store.asks, 0);
}

static void ignore_holds_back_even_proof_until_it_ends(void **state)
{
    struct scene *scene = *state;
    overrule(scene, GAP_IGNORE, 10000);
    run(scene, 100);
    assert_non_null(strstr(scene->store.verdict, "\"action\":\"ignore\""));
    assert_non_null(strstr(scene->store.verdict, "\"by\":\"me\""));
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 9000);
    assert_int_equal(scene->store.asks, 0);
    run(scene, 1200);
    assert_true(scene->store.asks > 0);
}

static void force_asks_once_and_makes_hints_act(void **state)
{
    struct scene *scene = *state;
    overrule(scene, GAP_FORCE, 60000);
    run(scene, 100);
    assert_non_null(strstr(scene->store.ask, "forced by an operator"));
    swap(scene, "t1");
    run(scene, 2000);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
    assert_string_equal(scene->store.ask, "");
    tell(scene, GAP_RECORD_HOLE, "records missing");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
    scene->store.override[0] = 0;
    swap(scene, "t2");
    run(scene, 200000);
    tell(scene, GAP_RECORD_HOLE, "records missing");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
}

static void a_book_from_rest_is_degraded_and_not_asked_about(void **state)
{
    struct scene *scene = *state;
    snprintf(scene->store.shown[GAP_SHOWN_SOURCE], 8, "rest");
    tell(scene, GAP_ANCHORED, "anchored");
    run(scene, 1000);
    assert_int_equal(status_of(scene).state, GAP_DEGRADED);
    assert_int_equal(scene->store.asks, 0);
    snprintf(scene->store.shown[GAP_SHOWN_SOURCE], 8, "sbe");
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_LIVE);
}

static void a_book_shown_as_lost_acts_without_its_event(void **state)
{
    struct scene *scene = *state;
    snprintf(scene->store.shown[GAP_SHOWN_BOOK_LIVE], 8, "0");
    run(scene, 250);
    assert_int_equal(scene->store.asks, 0);
    run(scene, 200);
    assert_int_equal(scene->store.asks, 1);
    assert_non_null(strstr(scene->store.ask, "book not live"));
}

static void malformed_entries_pass_and_cost_nothing(void **state)
{
    struct scene *scene = *state;
    struct state_pair pairs[] = {{BYTES_LITERAL("kind"), BYTES_LITERAL("loss")},
                                 {BYTES_LITERAL("seq"), BYTES_LITERAL("many")}};
    for (int i = 0; i < 200; i++)
        fake_gap_add_pairs(&scene->store, pairs, 2);
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 100);
    assert_int_equal(status_of(scene).events, 1);
    assert_int_equal(scene->store.asks, 1);
    snprintf(scene->store.override, sizeof(scene->store.override), "{\"mode\":\"never\"}");
    run(scene, 100);
    assert_string_equal(status_of(scene).override_mode, "auto");
}

static void a_restart_goes_on_where_the_last_life_stopped(void **state)
{
    struct scene *scene = *state;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 1200);
    swap(scene, "t1");
    run(scene, 1200);
    stop(scene);
    memset(&scene->metrics, 0, sizeof(scene->metrics));
    start(scene, false);
    run(scene, 1200);
    assert_int_equal(status_of(scene).state, GAP_COOLDOWN);
    assert_int_equal(status_of(scene).events, 0);
    assert_int_equal(scene->store.asks, 2);
    stop(scene);
    memset(&scene->metrics, 0, sizeof(scene->metrics));
    tell(scene, GAP_LOSS, "depth id gap"); /* while nobody looks */
    start(scene, false);
    run(scene, 100);
    assert_int_equal(status_of(scene).state, GAP_REANCHORING);
}

static void once_judges_what_has_come_and_is_done(void **state)
{
    struct scene *scene = *state;
    run(scene, 1200);
    stop(scene);
    memset(&scene->metrics, 0, sizeof(scene->metrics));
    tell_hole(scene, 100, 105);
    tell(scene, GAP_LOSS, "depth id gap");
    start(scene, true);
    assert_false(gap_detector_is_done(scene->detector));
    for (int i = 0; i < 200 && !gap_detector_is_done(scene->detector); i++)
        run(scene, 5);
    assert_true(gap_detector_is_done(scene->detector));
    assert_int_equal(status_of(scene).events, 2);
    assert_int_equal(status_of(scene).trade_holes_confirmed, 1);
    assert_non_null(strstr(scene->store.ask, "depth id gap"));
    stop(scene);
    memset(&scene->metrics, 0, sizeof(scene->metrics));
    start(scene, true);
    for (int i = 0; i < 200 && !gap_detector_is_done(scene->detector); i++)
        run(scene, 5);
    assert_true(gap_detector_is_done(scene->detector));
    assert_int_equal(status_of(scene).events, 0); /* none twice */
}

static void nothing_is_said_to_a_store_that_is_away(void **state)
{
    struct scene *scene = *state;
    scene->store.ready = false;
    int sayings = scene->store.sayings;
    tell(scene, GAP_LOSS, "depth id gap");
    run(scene, 2000);
    assert_int_equal(scene->store.sayings, sayings);
    scene->store.ready = true;
    run(scene, 100);
    assert_int_equal(scene->store.asks, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_minute_without_loss_asks_for_nothing),
        TEST(a_lost_book_is_asked_for_within_a_look),
        TEST(after_a_swap_nobody_asks_any_more),
        TEST(an_anchor_is_asked_for_until_it_is_there),
        TEST(a_loss_in_the_cool_down_acts_at_once),
        TEST(an_event_that_comes_twice_counts_once),
        TEST(a_trade_hole_acts_once_rest_has_the_trades),
        TEST(a_trade_hole_without_trades_is_none),
        TEST(an_old_trade_hole_is_fetched_but_not_anchored),
        TEST(a_hole_that_the_exchange_does_not_speak_of_is_given_up),
        TEST(more_holes_than_questions_lose_none_silently),
        TEST(a_minute_equal_to_its_kline_is_fine),
        TEST(a_minute_that_differs_by_one_lot_is_a_hint_and_no_more),
        TEST(an_incomplete_minute_is_not_compared),
        TEST(a_silent_market_is_a_hint_and_with_a_wrong_minute_acts),
        TEST(without_records_there_is_no_silence),
        TEST(a_jump_of_the_price_is_a_hint),
        TEST(ignore_holds_back_even_proof_until_it_ends),
        TEST(force_asks_once_and_makes_hints_act),
        TEST(a_book_from_rest_is_degraded_and_not_asked_about),
        TEST(a_book_shown_as_lost_acts_without_its_event),
        TEST(malformed_entries_pass_and_cost_nothing),
        TEST(a_restart_goes_on_where_the_last_life_stopped),
        TEST(once_judges_what_has_come_and_is_done),
        TEST(nothing_is_said_to_a_store_that_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
