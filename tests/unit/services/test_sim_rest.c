/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "services/exchange-sim/sim_limits.h"
#include "services/exchange-sim/sim_market.h"
#include "services/exchange-sim/sim_rest.h"

#define START_US 1700000000000000LL
#define RUN_US   130000000LL

struct fixture {
    struct sim_feed feed;
    struct sim_market market;
    char reply[SIM_REST_REPLY_MAX];
};

static void drop_message(void *context, enum sim_stream stream, struct bytes message)
{
    (void)context;
    (void)stream;
    assert_true(message.size > 0);
}

static int fixture_open(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct sim_feed_options feed = {.symbol = "BTCUSDT", .tops_max = 1000, .depth20 = true};
    struct sim_market_options market = {.seed = 9,
                                        .start_us = START_US,
                                        .price = 61837.63,
                                        .diff_interval_us = 20000,
                                        .move_scale = 1};
    struct err err = {0};
    assert_int_equal(sim_feed_open(&fixture->feed, &feed, drop_message, NULL, &err), ERR_OK);
    fixture->feed.book = &fixture->market.book;
    fixture->feed.book_ready = true;
    struct sim_sink sink = sim_feed_sink(&fixture->feed);
    assert_int_equal(sim_market_open(&fixture->market, &market, &sink, &err), ERR_OK);
    sim_market_run(&fixture->market, START_US + RUN_US);
    *state = fixture;
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    sim_market_close(&fixture->market);
    sim_feed_close(&fixture->feed);
    free(fixture);
    return 0;
}

static json_t *ask_with(struct fixture *fixture, struct sim_request request, int expected)
{
    request.wall_us = START_US + RUN_US;
    request.weight_limit = 6000;
    struct text body = text_begin(fixture->reply, sizeof(fixture->reply));
    assert_int_equal(sim_rest_answer(&fixture->feed, &request, &body), expected);
    assert_false(body.truncated);
    json_t *json = json_loads(text_end(&body), 0, NULL);
    assert_non_null(json);
    return json;
}

static json_t *ask(struct fixture *fixture, const char *path, const char *query, int expected)
{
    return ask_with(fixture, (struct sim_request){.path = path, .query = query}, expected);
}

static long long number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "61837.63000000" -> 6183763000000 */
static long long mantissa(const json_t *value)
{
    const char *text = json_string_value(value);
    char digits[32];
    size_t at = 0;
    assert_non_null(text);
    for (; *text; text++)
        if (*text != '.')
            digits[at++] = *text;
    digits[at] = '\0';
    return atoll(digits);
}

static void expect_code(struct fixture *fixture, const char *path, const char *query, int status,
                        int code)
{
    json_t *json = ask(fixture, path, query, status);
    assert_int_equal(number(json, "code"), code);
    assert_non_null(json_string_value(json_object_get(json, "msg")));
    json_decref(json);
}

static void depth_is_the_book_best_first_with_its_id(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = ask(fixture, "/api/v3/depth", "symbol=BTCUSDT&limit=5000", 200);
    assert_int_equal(number(json, "lastUpdateId"), fixture->market.book.last_id);
    const char *names[] = {"bids", "asks"};
    for (int side = 0; side < 2; side++) {
        const json_t *levels = json_object_get(json, names[side]);
        assert_int_equal(json_array_size(levels), fixture->market.book.sides[side].count);
        for (size_t i = 0; i < json_array_size(levels); i++) {
            const struct sbe_level *level =
                sim_book_level(&fixture->market.book, (enum sim_side_name)side, (int)i);
            const json_t *told = json_array_get(levels, i);
            assert_int_equal(mantissa(json_array_get(told, 0)), level->price);
            assert_int_equal(mantissa(json_array_get(told, 1)), level->qty);
        }
    }
    json_decref(json);
    json = ask(fixture, "/api/v3/depth", "symbol=BTCUSDT", 200);
    assert_int_equal(json_array_size(json_object_get(json, "bids")), 100);
    json_decref(json);
}

static void a_stale_snapshot_is_at_least_so_many_ids_old(void **state)
{
    struct fixture *fixture = *state;
    json_t *json = ask_with(fixture,
                            (struct sim_request){.path = "/api/v3/depth",
                                                 .query = "symbol=BTCUSDT&limit=100",
                                                 .stale_ids = 500},
                            200);
    assert_true(number(json, "lastUpdateId") <= fixture->market.book.last_id - 500);
    assert_true(number(json, "lastUpdateId") > fixture->market.book.last_id - 2000);
    json_decref(json);
}

static void aggregates_chain_over_raw_ids_without_hole(void **state)
{
    struct fixture *fixture = *state;
    json_t *newest = ask(fixture, "/api/v3/aggTrades", "symbol=BTCUSDT&limit=1000", 200);
    json_t *trades = ask(fixture, "/api/v3/historicalTrades", "symbol=BTCUSDT&limit=1000", 200);
    size_t count = json_array_size(newest);
    assert_true(count == 1000);
    for (size_t i = 1; i < count; i++) {
        const json_t *before = json_array_get(newest, i - 1);
        const json_t *now = json_array_get(newest, i);
        assert_int_equal(number(now, "a"), number(before, "a") + 1);
        assert_int_equal(number(now, "f"), number(before, "l") + 1);
        assert_true(number(now, "T") >= number(before, "T"));
    }
    const json_t *last = json_array_get(newest, count - 1);
    const json_t *last_trade = json_array_get(trades, 999);
    assert_int_equal(number(last, "l"), number(last_trade, "id"));
    char query[96];
    long long from = number(json_array_get(newest, 10), "a");
    snprintf(query, sizeof(query), "symbol=BTCUSDT&limit=5&fromId=%lld", from);
    json_t *some = ask(fixture, "/api/v3/aggTrades", query, 200);
    assert_int_equal(json_array_size(some), 5);
    assert_int_equal(number(json_array_get(some, 0), "a"), from);
    json_decref(some);
    json_decref(newest);
    json_decref(trades);
}

static void start_and_end_times_are_inclusive_and_taken_in_ms_or_us(void **state)
{
    struct fixture *fixture = *state;
    char query[128];
    long long from = START_US / 1000 + 60000;
    snprintf(query, sizeof(query), "symbol=BTCUSDT&startTime=%lld&endTime=%lld&limit=1000", from,
             from + 9999);
    json_t *in_ms = ask(fixture, "/api/v3/aggTrades", query, 200);
    size_t count = json_array_size(in_ms);
    assert_true(count > 10 && count < 1000);
    for (size_t i = 0; i < count; i++) {
        long long time = number(json_array_get(in_ms, i), "T");
        assert_true(time >= from && time <= from + 9999);
    }
    snprintf(query, sizeof(query), "symbol=BTCUSDT&startTime=%lld&endTime=%lld&limit=1000",
             from * 1000, (from + 9999) * 1000 + 999);
    json_t *in_us = ask_with(
        fixture,
        (struct sim_request){.path = "/api/v3/aggTrades", .query = query, .microseconds = true},
        200);
    assert_int_equal(json_array_size(in_us), count);
    assert_int_equal(number(json_array_get(in_us, 0), "T") / 1000,
                     number(json_array_get(in_ms, 0), "T"));
    json_decref(in_ms);
    json_decref(in_us);
}

/* Open kline last; a closed minute's volume equals the sum of its trades, exactly. */
static void a_closed_minute_sums_its_trades_exactly(void **state)
{
    struct fixture *fixture = *state;
    json_t *klines = ask(fixture, "/api/v3/klines", "symbol=BTCUSDT&interval=1m", 200);
    size_t count = json_array_size(klines);
    assert_true(count >= 3);
    const json_t *closed = json_array_get(klines, count - 2);
    long long open_ms = json_integer_value(json_array_get(closed, 0));
    assert_int_equal(open_ms % 60000, 0);
    assert_int_equal(json_integer_value(json_array_get(closed, 6)), open_ms + 59999);
    int64_t volume = 0, buys = 0, trades = 0, high = 0;
    for (int64_t i = 0; i < sim_tape_trade_count(&fixture->feed.tape); i++) {
        const struct sim_tape_trade *entry = sim_tape_trade(&fixture->feed.tape, i);
        if (entry->time_us / 60000000 != open_ms / 60000)
            continue;
        volume += entry->trade.qty;
        buys += entry->trade.is_buyer_maker ? 0 : entry->trade.qty;
        high = entry->trade.price > high ? entry->trade.price : high;
        trades++;
    }
    assert_true(trades > 0);
    assert_int_equal(mantissa(json_array_get(closed, 5)), volume);
    assert_int_equal(mantissa(json_array_get(closed, 9)), buys);
    assert_int_equal(mantissa(json_array_get(closed, 2)), high);
    assert_int_equal(json_integer_value(json_array_get(closed, 8)), trades);
    json_decref(klines);
    klines = ask(fixture, "/api/v3/klines", "symbol=BTCUSDT&interval=1s&limit=7", 200);
    assert_int_equal(json_array_size(klines), 7);
    json_decref(klines);
}

static void errors_carry_the_exchanges_codes(void **state)
{
    struct fixture *fixture = *state;
    expect_code(fixture, "/api/v3/depth", "symbol=NOPE", 400, -1121);
    expect_code(fixture, "/api/v3/depth", "", 400, -1102);
    expect_code(fixture, "/api/v3/depth", "symbol=BTCUSDT&limit=x", 400, -1100);
    expect_code(fixture, "/api/v3/depth", "symbol=BTCUSDT&limit=0", 400, -1130);
    expect_code(fixture, "/api/v3/depth", "symbol=BTCUSDT&symbolStatus=HALT", 400, -1220);
    expect_code(fixture, "/api/v3/klines", "symbol=BTCUSDT&interval=1w2", 400, -1120);
    expect_code(fixture, "/api/v3/klines", "symbol=BTCUSDT&interval=1m&startTime=-5", 400, -1100);
    expect_code(fixture, "/api/v3/nothing", "", 404, -1000);
    fixture->feed.book_ready = false;
    expect_code(fixture, "/api/v3/depth", "symbol=BTCUSDT", 503, -1008);
    fixture->feed.book_ready = true;
}

static void calls_weigh_what_the_exchange_says(void **state)
{
    (void)state;
    const struct {
        const char *path, *query;
        int weight;
    } rows[] = {
        {"/api/v3/ping", "", 1},
        {"/api/v3/time", "", 1},
        {"/api/v3/depth", "symbol=BTCUSDT", 5},
        {"/api/v3/depth", "symbol=BTCUSDT&limit=500", 25},
        {"/api/v3/depth", "symbol=BTCUSDT&limit=1000", 50},
        {"/api/v3/depth", "symbol=BTCUSDT&limit=5000", 250},
        {"/api/v3/trades", "symbol=BTCUSDT", 25},
        {"/api/v3/historicalTrades", "symbol=BTCUSDT", 25},
        {"/api/v3/aggTrades", "symbol=BTCUSDT", 4},
        {"/api/v3/klines", "symbol=BTCUSDT", 2},
        {"/api/v3/exchangeInfo", "", 20},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sim_request request = {.path = rows[i].path, .query = rows[i].query};
        assert_int_equal(sim_rest_weight(&request), rows[i].weight);
    }
}

static void too_much_weight_is_429_then_418_and_bans_grow(void **state)
{
    (void)state;
    struct sim_limits limits;
    int64_t now_us = START_US / 60000000 * 60000000;
    sim_limits_init(&limits, 100);
    for (int i = 1; i <= 20; i++) {
        struct sim_verdict verdict = sim_limits_charge(&limits, now_us, 5);
        assert_int_equal(verdict.status, 200);
        assert_int_equal(verdict.used, 5 * i);
    }
    for (int i = 0; i < SIM_LIMITS_TOLERANCE; i++) {
        struct sim_verdict verdict = sim_limits_charge(&limits, now_us + 20000000, 5);
        assert_int_equal(verdict.status, 429);
        assert_int_equal(verdict.retry_after_s, 40);
    }
    struct sim_verdict banned = sim_limits_charge(&limits, now_us + 20000000, 5);
    assert_int_equal(banned.status, 418);
    assert_int_equal(banned.retry_after_s, SIM_LIMITS_BAN_S);
    assert_int_equal(sim_limits_charge(&limits, now_us + 61000000, 1).status, 418);
    assert_int_equal(sim_limits_charge(&limits, now_us + 200000000, 1).status, 200);
    limits.used_by_others = 99;
    assert_int_equal(sim_limits_charge(&limits, now_us + 260000000, 1).used, 100);
    assert_int_equal(sim_limits_charge(&limits, now_us + 260000000, 1).status, 429);
    assert_int_equal(limits.ban_s, 2 * SIM_LIMITS_BAN_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_the_book_best_first_with_its_id),
        cmocka_unit_test(a_stale_snapshot_is_at_least_so_many_ids_old),
        cmocka_unit_test(aggregates_chain_over_raw_ids_without_hole),
        cmocka_unit_test(start_and_end_times_are_inclusive_and_taken_in_ms_or_us),
        cmocka_unit_test(a_closed_minute_sums_its_trades_exactly),
        cmocka_unit_test(errors_carry_the_exchanges_codes),
        cmocka_unit_test(calls_weigh_what_the_exchange_says),
        cmocka_unit_test(too_much_weight_is_429_then_418_and_bans_grow),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
