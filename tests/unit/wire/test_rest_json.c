/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/rest_json.h"

static const struct sbe_scale scale_8 = {.price_exponent = -8, .qty_exponent = -8};

struct arena {
    struct sbe_level bids[4], asks[4];
    struct rest_agg_trade agg_trades[3];
    struct trade trades[3];
    int64_t times_us[3];
    struct rest_kline klines[3];
    struct rest_exchange_info info;
    struct rest_error error;
    struct rest_depth depth;
    int64_t server_us;
    uint32_t count;
};

typedef int (*read_fn)(struct arena *arena, struct bytes text, struct err *err);

static int read_depth(struct arena *arena, struct bytes text, struct err *err)
{
    arena->depth = (struct rest_depth){.bids = arena->bids, .asks = arena->asks, .capacity = 4};
    return rest_json_read_depth(text, scale_8, &arena->depth, err);
}

static int read_agg_trades(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_agg_trades(text, scale_8, arena->agg_trades, 3, &arena->count, err);
}

static int read_trades(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_trades(text, scale_8, arena->trades, arena->times_us, 3, &arena->count,
                                 err);
}

static int read_klines(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_klines(text, scale_8, arena->klines, 3, &arena->count, err);
}

static int read_info(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_exchange_info(text, "BTCUSDT", scale_8, &arena->info, err);
}

static int read_time(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_time(text, &arena->server_us, err);
}

static int read_error(struct arena *arena, struct bytes text, struct err *err)
{
    return rest_json_read_error(text, &arena->error, err);
}

/* Reads from an exactly sized block. */
static int read_tight(read_fn read, struct arena *arena, const char *text, size_t size)
{
    struct err err = {0};
    uint8_t *tight = malloc(size + (size == 0));
    memcpy(tight, text, size);
    int rv = read(arena, bytes_of(tight, size), &err);
    free(tight);
    if (rv != ERR_OK)
        assert_true(strlen(err.text) > 10);
    return rv;
}

/* The whole text is read, and none of its beginnings. */
static void read_whole(read_fn read, struct arena *arena, const char *text)
{
    for (size_t cut = 0; cut < strlen(text); cut++)
        assert_int_equal(read_tight(read, arena, text, cut), ERR_MALFORMED);
    assert_int_equal(read_tight(read, arena, text, strlen(text)), ERR_OK);
}

static void refuse_all(read_fn read, struct arena *arena, const char *const *texts, int rv)
{
    for (; *texts != NULL; texts++)
        if (read_tight(read, arena, *texts, strlen(*texts)) != rv)
            fail_msg("not refused as expected: %s", *texts);
}

static void rest_json_reads_a_depth_reply(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_depth, &arena,
               "{\"lastUpdateId\":1027024,\"bids\":[[\"4.00000000\",\"431.00000000\"],"
               "[\"3.9\",\"1\"]],\"asks\":[[\"4.00000200\",\"12.00000000\"]]}");
    assert_int_equal(arena.depth.last_update_id, 1027024);
    assert_int_equal(arena.depth.bid_count, 2);
    assert_int_equal(arena.depth.ask_count, 1);
    assert_int_equal(arena.bids[1].price, 390000000);
    assert_int_equal(arena.asks[0].price, 400000200);
    static const char *const bad[] = {
        "{\"lastUpdateId\":1,\"bids\":[]}",
        "{\"lastUpdateId\":-1,\"bids\":[],\"asks\":[]}",
        "{\"bids\":[],\"asks\":[]}",
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"],[\"1\",\"1\"],[\"1\",\"1\"],[\"1\",\"1\"],"
        "[\"1\",\"1\"]],\"asks\":[]}",
        "{\"lastUpdateId\":1,\"bids\":[[\"0.000000001\",\"1\"]],\"asks\":[]}",
        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
        "<html>",
        NULL};
    refuse_all(read_depth, &arena, bad, ERR_MALFORMED);
}

#define AGG                                                                                        \
    "{\"a\":26129,\"p\":\"0.01633102\",\"q\":\"4.70443515\",\"f\":27781,\"l\":27782,"              \
    "\"T\":1498793709153,\"m\":true,\"M\":true}"

static void rest_json_reads_agg_trades(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_agg_trades, &arena, "[" AGG "," AGG "]");
    assert_int_equal(arena.count, 2);
    struct rest_agg_trade *trade = &arena.agg_trades[1];
    assert_int_equal(trade->id, 26129);
    assert_int_equal(trade->price, 1633102);
    assert_int_equal(trade->qty, 470443515);
    assert_int_equal(trade->first_id, 27781);
    assert_int_equal(trade->last_id, 27782);
    assert_int_equal(trade->time_us, 1498793709153000);
    assert_true(trade->is_buyer_maker);
    read_whole(read_agg_trades, &arena, "[]");
    assert_int_equal(arena.count, 0);
    static const char *const bad[] = {"{}", "[{}]", "[" AGG ",]", "[{\"a\":1}]", "[1]", NULL};
    refuse_all(read_agg_trades, &arena, bad, ERR_MALFORMED);
    static const char *const full[] = {"[" AGG "," AGG "," AGG "," AGG "]", NULL};
    refuse_all(read_agg_trades, &arena, full, ERR_FULL);
}

#define RAW_TRADE                                                                                  \
    "{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12.00000000\",\"quoteQty\":\"48.000012\","   \
    "\"time\":1499865549590123,\"isBuyerMaker\":false,\"isBestMatch\":true}"

static void rest_json_reads_trades_in_microseconds_too(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_trades, &arena, "[" RAW_TRADE "]");
    assert_int_equal(arena.count, 1);
    assert_int_equal(arena.trades[0].id, 28457);
    assert_int_equal(arena.trades[0].price, 400000100);
    assert_int_equal(arena.trades[0].qty, 1200000000);
    assert_false(arena.trades[0].is_buyer_maker);
    assert_int_equal(arena.times_us[0], 1499865549590123);
    static const char *const bad[] = {"[{\"id\":1}]", "[[]]", NULL};
    refuse_all(read_trades, &arena, bad, ERR_MALFORMED);
    static const char *const full[] = {"[" RAW_TRADE "," RAW_TRADE "," RAW_TRADE "," RAW_TRADE "]",
                                       NULL};
    refuse_all(read_trades, &arena, full, ERR_FULL);
}

#define KLINE                                                                                      \
    "[1499040000000,\"0.01634790\",\"0.80000000\",\"0.01575800\",\"0.01577100\","                  \
    "\"148976.11427815\",1499644799999,\"2434.19055334\",308,\"1756.87402397\","                   \
    "\"28.46694368\",\"0\"]"

static void rest_json_reads_klines(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_klines, &arena, "[" KLINE "]");
    assert_int_equal(arena.count, 1);
    struct rest_kline *kline = &arena.klines[0];
    assert_int_equal(kline->open_us, 1499040000000000);
    assert_int_equal(kline->open, 1634790);
    assert_int_equal(kline->high, 80000000);
    assert_int_equal(kline->low, 1575800);
    assert_int_equal(kline->close, 1577100);
    assert_int_equal(kline->volume, 14897611427815);
    assert_int_equal(kline->close_us, 1499644799999000);
    assert_int_equal(kline->trade_count, 308);
    assert_int_equal(kline->taker_buy_volume, 175687402397);
    static const char *const bad[] = {"[[]]", "[[1]]", "[[1,\"1\",\"1\",\"1\",\"1\",\"1\",2]]",
                                      "[{}]", NULL};
    refuse_all(read_klines, &arena, bad, ERR_MALFORMED);
    static const char *const full[] = {"[" KLINE "," KLINE "," KLINE "," KLINE "]", NULL};
    refuse_all(read_klines, &arena, full, ERR_FULL);
}

#define INFO                                                                                       \
    "{\"timezone\":\"UTC\",\"serverTime\":1565246363776,\"rateLimits\":["                          \
    "{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,"             \
    "\"limit\":6000},{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,"    \
    "\"limit\":100},{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\","                  \
    "\"intervalNum\":5,\"limit\":61000}],\"exchangeFilters\":[],\"symbols\":["                     \
    "{\"symbol\":\"ETHUSDT\",\"status\":\"TRADING\",\"filters\":["                                 \
    "{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"7\"}]},"                                      \
    "{\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\",\"filters\":["                                 \
    "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0.01\",\"tickSize\":\"0.01000000\"},"         \
    "{\"stepSize\":\"0.00001000\",\"filterType\":\"LOT_SIZE\"},"                                   \
    "{\"filterType\":\"MARKET_LOT_SIZE\",\"stepSize\":\"0.5\"}]},"                                 \
    "{\"symbol\":\"XRPUSDT\",\"status\":\"BREAK\",\"filters\":[]}]}"

static void rest_json_reads_limits_and_filters_of_one_symbol(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_info, &arena, INFO);
    assert_string_equal(arena.info.symbol, "BTCUSDT");
    assert_true(arena.info.trading);
    assert_int_equal(arena.info.request_weight_per_minute, 6000);
    assert_int_equal(arena.info.raw_requests_per_5m, 61000);
    assert_int_equal(arena.info.tick_size, 1000000);
    assert_int_equal(arena.info.step_size, 1000);
    struct rest_exchange_info other;
    struct bytes text = BYTES_LITERAL(INFO);
    assert_int_equal(rest_json_read_exchange_info(text, "XRPUSDT", scale_8, &other, NULL), ERR_OK);
    assert_false(other.trading);
    assert_int_equal(other.tick_size, 0);
    assert_int_equal(rest_json_read_exchange_info(text, "DOGEUSDT", scale_8, &other, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(rest_json_read_exchange_info(text, "x", scale_8, &other, NULL), ERR_INVALID);
}

static void rest_json_reads_time_and_errors(void **state)
{
    (void)state;
    struct arena arena;
    read_whole(read_time, &arena, "{\"serverTime\":1499827319559}");
    assert_int_equal(arena.server_us, 1499827319559000);
    static const char *const bad_times[] = {"{}", "{\"serverTime\":-1}", "{\"serverTime\":\"1\"}",
                                            NULL};
    refuse_all(read_time, &arena, bad_times, ERR_MALFORMED);
    read_whole(read_error, &arena, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}");
    assert_int_equal(arena.error.code, -1121);
    assert_int_equal(arena.error.text.size, 15);
    assert_int_equal(arena.error.banned_until_us, 0);
    read_whole(
        read_error, &arena,
        "{\"code\":-1003,\"msg\":\"Way too many requests; IP banned until 1573012345678.\"}");
    assert_int_equal(arena.error.banned_until_us, 1573012345678000);
    static const char *const bad_errors[] = {"{}", "<html>403</html>", "{\"code\":\"x\"}", NULL};
    refuse_all(read_error, &arena, bad_errors, ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_json_reads_a_depth_reply),
        cmocka_unit_test(rest_json_reads_agg_trades),
        cmocka_unit_test(rest_json_reads_trades_in_microseconds_too),
        cmocka_unit_test(rest_json_reads_klines),
        cmocka_unit_test(rest_json_reads_limits_and_filters_of_one_symbol),
        cmocka_unit_test(rest_json_reads_time_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
