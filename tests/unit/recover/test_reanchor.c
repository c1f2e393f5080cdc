/* The re-anchor agent on a store and an exchange in memory, on the test's own clock.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hot/state/anchor_document.h"
#include "recover/anchor/reanchor.h"

#define CALLS_MAX 16

static const char depth[] = "{\"lastUpdateId\":77,\"bids\":[[\"10.02\",\"1.5\"]],"
                            "\"asks\":[[\"10.03\",\"0.1\"]]}";

struct call {
    anchor_done_fn done;
    anchor_look_fn look;
    void *context;
    int result;
};

struct scene {
    struct reanchor *reanchor;
    struct metrics metrics;
    struct clock_now now;
    /* the store */
    char ask[256], flag[64], swapped[64], document[1024 * 1024];
    int64_t flag_until_us;
    struct call calls[CALLS_MAX];
    int count;
    bool away;
    bool hand_arrives; /* the hand-over arrives, its answer does not */
    int claims, renewals, drops, audits;
    char audit_result[64], audit_cause[96], audit_tries[16];
    /* the exchange */
    struct rest_call {
        rest_done_fn done; /* NULL: none under way */
        void *context;
        struct rest_query query;
    } rest[REST_ENDPOINTS];
    int rest_calls, status; /* of depth */
    int trade_calls, kline_calls;
    bool trades_silent, klines_silent;
    const char *klines;
    int64_t trades_until;  /* own id of the newest aggregated trade */
    int64_t trades_broken; /* the one with this id is missing; 0: none */
    int64_t used_weight, limit;
    /* others behind the address */
    int64_t others_until_us, said_us;
    int64_t retry_after_s;
    const char *body;
    bool silent, unreachable;
    int64_t called_us;
    /* the aggregator */
    bool takes;
};

static struct scene scene;

static bool store_ready(void *self)
{
    (void)self;
    return !scene.away;
}

static int store_call(anchor_done_fn done, anchor_look_fn look, void *context, int result)
{
    if (scene.away)
        return ERR_CONNECTION;
    assert_true(scene.count < CALLS_MAX);
    scene.calls[scene.count++] = (struct call){done, look, context, result};
    return ERR_OK;
}

static int store_look(void *self, anchor_look_fn done, void *context)
{
    (void)self;
    return store_call(NULL, done, context, ERR_OK);
}

static int store_claim(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done,
                       void *context)
{
    (void)self;
    scene.claims++;
    if (scene.flag[0] != 0)
        return store_call(done, NULL, context, ERR_REFUSED);
    snprintf(scene.flag, sizeof(scene.flag), "%s", token);
    scene.flag_until_us = scene.now.mono_us + ttl_ms * 1000;
    return store_call(done, NULL, context, ERR_OK);
}

static int store_renew(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done,
                       void *context)
{
    (void)self;
    scene.renewals++;
    bool mine = strcmp(scene.flag, token) == 0;
    if (mine)
        scene.flag_until_us = scene.now.mono_us + ttl_ms * 1000;
    return store_call(done, NULL, context, mine ? ERR_OK : ERR_REFUSED);
}

static int store_hand(void *self, const char *token, struct bytes document, int64_t ttl_ms,
                      anchor_done_fn done, void *context)
{
    (void)self;
    (void)ttl_ms;
    if (scene.away && !scene.hand_arrives)
        return ERR_CONNECTION;
    if (strcmp(scene.flag, token) != 0)
        return store_call(done, NULL, context, ERR_REFUSED);
    snprintf(scene.document, sizeof(scene.document), "%.*s", (int)document.size,
             (const char *)document.data);
    return store_call(done, NULL, context, ERR_OK);
}

static int store_drop(void *self, const char *token, anchor_done_fn done, void *context)
{
    (void)self;
    scene.drops++;
    bool mine = strcmp(scene.flag, token) == 0;
    if (mine)
        scene.flag[0] = scene.document[0] = 0;
    return store_call(done, NULL, context, mine ? ERR_OK : ERR_REFUSED);
}

static void keep(char *out, size_t size, struct bytes value)
{
    snprintf(out, size, "%.*s", (int)value.size, (const char *)value.data);
}

static int store_audit(void *self, const struct state_pair *pairs, int count, anchor_done_fn done,
                       void *context)
{
    (void)self;
    scene.audits++;
    for (int i = 0; i < count; i++) {
        if (memcmp(pairs[i].field.data, "result", 6) == 0)
            keep(scene.audit_result, sizeof(scene.audit_result), pairs[i].value);
        if (memcmp(pairs[i].field.data, "cause", 5) == 0)
            keep(scene.audit_cause, sizeof(scene.audit_cause), pairs[i].value);
        if (memcmp(pairs[i].field.data, "tries", 5) == 0)
            keep(scene.audit_tries, sizeof(scene.audit_tries), pairs[i].value);
    }
    return store_call(done, NULL, context, ERR_OK);
}

static int store_work(void *self, int64_t mono_us)
{
    struct call calls[CALLS_MAX];
    int count = scene.count;
    (void)self;
    (void)mono_us;
    memcpy(calls, scene.calls, sizeof(calls));
    scene.count = 0;
    for (int i = 0; i < count; i++) {
        struct anchor_reply reply = {scene.away ? ERR_CONNECTION : calls[i].result, ""};
        struct anchor_look look = {.result = reply.result,
                                   .ask = bytes_text(scene.ask),
                                   .flag = scene.flag,
                                   .has_document = scene.document[0] != 0,
                                   .swapped = scene.swapped};
        if (calls[i].look != NULL)
            calls[i].look(calls[i].context, &look);
        else
            calls[i].done(calls[i].context, &reply);
    }
    return count;
}

static int rest_get(void *self, const char *symbol, const struct rest_query *query,
                    rest_done_fn done, void *context)
{
    struct rest_call *call = &scene.rest[query->endpoint];
    (void)self;
    assert_string_equal(symbol, "BTCUSDT");
    assert_null(call->done);
    *call = (struct rest_call){done, context, *query};
    if (query->endpoint == REST_ENDPOINT_DEPTH) {
        scene.rest_calls++;
        scene.called_us = scene.now.mono_us;
    }
    scene.trade_calls += query->endpoint == REST_ENDPOINT_AGG_TRADES;
    scene.kline_calls += query->endpoint == REST_ENDPOINT_KLINES;
    return ERR_OK;
}

/* A trade each millisecond: own id n covers raw ids 2n and 2n + 1, at n ms. */
static void rest_trades(const struct rest_query *query, struct text *out)
{
    int64_t first = query->from_id >= 0 ? query->from_id : scene.trades_until - 2500;
    text_add_char(out, '[');
    for (int64_t id = first; id < first + query->limit && id <= scene.trades_until; id++)
        if (id != scene.trades_broken)
            text_add_format(out,
                            "%s{\"a\":%lld,\"p\":\"10.02\",\"q\":\"0.5\",\"f\":%lld,\"l\":%lld,"
                            "\"T\":%lld,\"m\":true,\"M\":true}",
                            id == first ? "" : ",", (long long)id, (long long)id * 2,
                            (long long)id * 2 + 1, (long long)id);
    text_add_char(out, ']');
}

static void rest_body(enum rest_endpoint endpoint, const struct rest_query *query, struct text *out)
{
    if (endpoint == REST_ENDPOINT_DEPTH)
        text_add(out, scene.body);
    else if (endpoint == REST_ENDPOINT_KLINES)
        text_add(out, scene.klines);
    else if (endpoint == REST_ENDPOINT_AGG_TRADES)
        rest_trades(query, out);
    else
        text_add_format(out,
                        "{\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":"
                        "\"MINUTE\",\"intervalNum\":1,\"limit\":%lld}],\"symbols\":[{\"symbol\":"
                        "\"BTCUSDT\",\"status\":\"TRADING\",\"filters\":[]}]}",
                        (long long)scene.limit);
}

static bool rest_is_silent(int endpoint)
{
    return (endpoint == REST_ENDPOINT_DEPTH && scene.silent) ||
           (endpoint == REST_ENDPOINT_AGG_TRADES && scene.trades_silent) ||
           (endpoint == REST_ENDPOINT_KLINES && scene.klines_silent);
}

static int rest_work(void *self, int64_t mono_us)
{
    static char buffer[256 * 1024];
    (void)self;
    (void)mono_us;
    for (int i = 0; i < REST_ENDPOINTS; i++) {
        struct rest_call call = scene.rest[i];
        struct text body = text_begin(buffer, sizeof(buffer));
        if (call.done == NULL || rest_is_silent(i))
            continue;
        scene.rest[i].done = NULL;
        rest_body((enum rest_endpoint)i, &call.query, &body);
        int status = i == REST_ENDPOINT_DEPTH ? scene.status : 200;
        struct rest_reply reply = {.result = scene.unreachable ? ERR_CONNECTION : ERR_OK,
                                   .status = scene.unreachable ? 0 : status,
                                   .body = bytes_of(buffer, body.size),
                                   .retry_after_s = scene.retry_after_s,
                                   .used_weight = scene.used_weight};
        call.done(call.context, &reply);
    }
    return 1;
}

static int64_t silence_until(void *self)
{
    (void)self;
    return scene.others_until_us;
}

static void silence_say(void *self, int64_t until_us)
{
    (void)self;
    scene.said_us = until_us;
}

static int silence_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.now = (struct clock_now){.wall_us = 1770000000000000, .mono_us = 5000000};
    scene.status = 200;
    scene.retry_after_s = -1;
    scene.body = depth;
    scene.takes = true;
    scene.trades_until = 5000;
    scene.used_weight = -1;
    scene.limit = 6000;
    scene.klines = "[[1700000000000,\"10\",\"10.1\",\"9.9\",\"10\",\"5\",1700000059999,\"50\",7,"
                   "\"2\",\"20\",\"0\"]]";
    struct reanchor_options options = {.symbol = "BTCUSDT",
                                       .owner = "me",
                                       .claim = {.ready = store_ready,
                                                 .look = store_look,
                                                 .claim = store_claim,
                                                 .renew = store_renew,
                                                 .hand = store_hand,
                                                 .drop = store_drop,
                                                 .audit = store_audit,
                                                 .do_work = store_work},
                                       .rest = {.get = rest_get, .do_work = rest_work},
                                       .silence = {.self = &scene,
                                                   .until_us = silence_until,
                                                   .say = silence_say,
                                                   .do_work = silence_work},
                                       .metrics = &scene.metrics};
    return reanchor_open(&options, &scene.reanchor, NULL);
}

static int teardown(void **state)
{
    (void)state;
    reanchor_close(scene.reanchor);
    metrics_close(&scene.metrics);
    return 0;
}

/* The aggregator swaps what it finds. */
static void aggregator(void)
{
    struct anchor_document meta;
    if (!scene.takes || scene.document[0] == 0)
        return;
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    if (strcmp(meta.token, scene.flag) != 0)
        return;
    snprintf(scene.swapped, sizeof(scene.swapped), "%s", meta.token);
    scene.flag[0] = scene.document[0] = scene.ask[0] = 0;
}

static void run(int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        scene.now.mono_us += 1000;
        scene.now.wall_us += 1000;
        if (scene.flag[0] != 0 && scene.now.mono_us > scene.flag_until_us)
            scene.flag[0] = 0;
        reanchor_do_work(scene.reanchor, scene.now);
        if (i % 50 == 49)
            aggregator();
    }
}

static struct reanchor_status status_now(void)
{
    struct reanchor_status status;
    reanchor_status(scene.reanchor, &status);
    return status;
}

static void ask(const char *cause)
{
    snprintf(scene.ask, sizeof(scene.ask), "{\"cause\":\"%s\",\"seq\":5}", cause);
}

static void nothing_happens_while_nobody_asks(void **state)
{
    (void)state;
    run(10000);
    assert_int_equal(scene.claims, 0);
    assert_int_equal(scene.rest_calls, 0);
    assert_int_equal(scene.audits, 0);
}

static void an_ask_is_answered_within_a_quarter_second(void **state)
{
    (void)state;
    ask("depth id gap");
    run(250);
    assert_int_equal(scene.rest_calls, 1);
    assert_string_equal(scene.swapped, "me-1");
    run(100);
    assert_int_equal(status_now().succeeded, 1);
    assert_int_equal(status_now().step, REANCHOR_IDLE);
    assert_string_equal(scene.audit_result, "swapped");
    assert_string_equal(scene.audit_cause, "depth id gap");
    assert_string_equal(scene.audit_tries, "1");
    run(5000);
    assert_int_equal(scene.claims, 1);
    assert_int_equal(scene.drops, 0);
}

static void the_document_carries_the_reply_untouched(void **state)
{
    struct anchor_document meta;
    (void)state;
    scene.takes = false;
    ask("a \\\"cause\\\"");
    run(250);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    assert_string_equal(meta.symbol, "BTCUSDT");
    assert_string_equal(meta.token, "me-1");
    assert_true(meta.received_us >= meta.requested_us);
    assert_non_null(strstr(scene.document, depth));
}

static void a_failed_call_is_repeated_after_two_seconds(void **state)
{
    (void)state;
    scene.status = 500;
    ask("gap");
    run(200);
    assert_int_equal(scene.rest_calls, 1);
    int64_t first_us = scene.called_us;
    run(1700);
    assert_int_equal(scene.rest_calls, 1);
    scene.status = 200;
    run(300);
    assert_int_equal(scene.rest_calls, 2);
    assert_true(scene.called_us - first_us >= REANCHOR_BACKOFF_US);
    run(200);
    assert_string_equal(scene.audit_tries, "2");
    assert_int_equal(status_now().succeeded, 1);
}

static void an_unsound_reply_is_not_handed_over(void **state)
{
    (void)state;
    scene.body = "{\"lastUpdateId\":1,\"bids\":[[\"3\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}";
    ask("gap");
    run(5000);
    assert_string_equal(scene.document, "");
    assert_string_equal(scene.swapped, "");
    assert_in_range(scene.rest_calls, 2, 3);
}

static void a_limited_call_waits_as_long_as_the_exchange_says(void **state)
{
    (void)state;
    scene.status = 429;
    scene.retry_after_s = 7;
    ask("gap");
    run(6900);
    assert_int_equal(scene.rest_calls, 1);
    assert_true(status_now().blocked_until_us > scene.now.wall_us);
    /* The others are told. */
    assert_int_equal(scene.said_us, status_now().blocked_until_us);
    scene.status = 200;
    run(1800);
    assert_int_equal(scene.rest_calls, 2);
}

static void a_ban_without_retry_after_waits_a_minute(void **state)
{
    (void)state;
    scene.status = 418;
    ask("gap");
    run(59000);
    assert_int_equal(scene.rest_calls, 1);
    /* Renewed all the while: nobody else may add to the calls. */
    assert_string_equal(scene.flag, "me-1");
    assert_true(scene.renewals > 25);
    run(2800);
    assert_int_equal(scene.rest_calls, 2);
}

static void a_claim_of_another_coordinator_is_respected(void **state)
{
    (void)state;
    strcpy(scene.flag, "other-1");
    scene.flag_until_us = scene.now.mono_us + 10000000;
    ask("gap");
    run(9000);
    assert_int_equal(scene.rest_calls, 0);
    run(1500);
    assert_int_equal(scene.rest_calls, 1);
    run(200);
    assert_int_equal(status_now().succeeded, 1);
}

static void a_lost_claim_ends_the_work_and_touches_nothing(void **state)
{
    (void)state;
    scene.silent = true;
    ask("gap");
    run(500);
    strcpy(scene.flag, "other-1");
    scene.flag_until_us = scene.now.mono_us + 100000000;
    run(3000);
    assert_int_equal(status_now().failed, 1);
    assert_string_equal(scene.audit_result, "claim lost");
    assert_string_equal(scene.flag, "other-1");
    /* The late reply is nobody's. */
    scene.silent = false;
    run(1000);
    assert_string_equal(scene.document, "");
}

static void a_refused_document_is_fetched_anew(void **state)
{
    (void)state;
    scene.takes = false;
    ask("gap");
    run(300);
    assert_string_not_equal(scene.document, "");
    scene.document[0] = 0; /* the aggregator: older than the buffer */
    scene.takes = true;
    run(3000);
    assert_int_equal(scene.rest_calls, 2);
    assert_int_equal(status_now().succeeded, 1);
    assert_string_equal(scene.audit_tries, "2");
}

static void without_an_aggregator_nothing_is_swapped_and_the_flag_is_free(void **state)
{
    (void)state;
    scene.takes = false;
    ask("gap");
    run(1000);
    scene.ask[0] = 0; /* it lived as long as its aggregator */
    run(6000);
    assert_string_equal(scene.audit_result, "no aggregator took it");
    assert_string_equal(scene.flag, "");
    assert_string_equal(scene.document, "");
    assert_int_equal(scene.drops, 1);
}

static void an_ask_that_is_withdrawn_ends_the_work(void **state)
{
    (void)state;
    scene.status = 503;
    ask("gap");
    run(500);
    scene.ask[0] = 0;
    run(200);
    assert_string_equal(scene.audit_result, "not wanted any more");
    assert_string_equal(scene.flag, "");
    run(10000);
    assert_int_equal(scene.rest_calls, 1);
}

static void an_operator_gets_one_without_an_ask(void **state)
{
    (void)state;
    run(100);
    reanchor_force(scene.reanchor, "forced by an operator");
    run(400);
    assert_int_equal(status_now().succeeded, 1);
    assert_string_equal(scene.audit_cause, "forced by an operator");
    run(5000);
    assert_int_equal(scene.claims, 1);
}

static void a_wish_during_another_one_gets_its_own(void **state)
{
    (void)state;
    ask("gap");
    run(60);
    assert_int_equal(scene.claims, 1);
    reanchor_force(scene.reanchor, "forced by an operator");
    run(1000);
    assert_int_equal(status_now().succeeded, 2);
    assert_int_equal(scene.rest_calls, 2);
    assert_string_equal(scene.audit_cause, "forced by an operator");
}

static void an_unreachable_exchange_is_tried_again_soon(void **state)
{
    (void)state;
    scene.unreachable = true;
    ask("gap");
    run(1100);
    assert_in_range(scene.rest_calls, 4, 5);
    scene.unreachable = false;
    run(500);
    assert_int_equal(status_now().succeeded, 1);
}

static void nobody_holds_the_claim_for_ever(void **state)
{
    (void)state;
    scene.status = 500;
    ask("gap");
    run(302000);
    assert_int_equal(status_now().failed, 1);
    assert_string_equal(scene.audit_result, "gave up");
    assert_in_range(scene.rest_calls, 100, 152);
}

static void a_store_that_goes_away_is_waited_for(void **state)
{
    (void)state;
    scene.silent = true;
    ask("gap");
    run(300);
    scene.away = true;
    scene.silent = false;
    run(5000);
    assert_string_equal(scene.document, "");
    scene.away = false;
    run(5000);
    assert_int_equal(status_now().succeeded, 1);
}

static void a_swap_whose_hand_over_was_never_acknowledged_is_a_success(void **state)
{
    (void)state;
    scene.silent = true;
    ask("gap");
    run(300);
    scene.away = scene.hand_arrives = true;
    scene.silent = false;
    run(500);
    assert_string_equal(scene.swapped, "me-1");
    scene.away = false;
    run(200);
    assert_int_equal(status_now().succeeded, 1);
    assert_int_equal(status_now().failed, 0);
}

static void a_clean_stop_frees_the_flag(void **state)
{
    (void)state;
    scene.silent = true;
    ask("gap");
    run(300);
    assert_string_equal(scene.flag, "me-1");
    reanchor_stop(scene.reanchor);
    assert_string_equal(scene.flag, "");
    assert_string_equal(scene.audit_result, "service stopped");
}

static uint32_t count_text(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void trades_and_klines_travel_with_the_snapshot(void **state)
{
    struct anchor_document meta;
    (void)state;
    scene.takes = false;
    ask("gap");
    run(150);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    /* Two full pages and the rest, one array. */
    assert_int_equal(scene.trade_calls, 3);
    assert_int_equal(count_text(scene.document, "\"a\":"), 2501);
    assert_int_equal(count_text(scene.document, "\"a\":5000,"), 1);
    assert_int_equal(meta.agg_trades.data[0], '[');
    assert_memory_equal(meta.klines.data, scene.klines, meta.klines.size);
    assert_int_equal(scene.kline_calls, 1);
    assert_int_equal(scene.rest_calls, 1);
}

static void a_quiet_market_has_no_trades_to_tell_of(void **state)
{
    struct anchor_document meta;
    (void)state;
    scene.takes = false;
    scene.trades_until = -1;
    ask("gap");
    run(150);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    assert_int_equal(meta.agg_trades.size, 0);
    assert_int_equal(meta.levels, 1000);
}

static void a_snapshot_waits_for_the_others_no_longer_than_stated(void **state)
{
    struct anchor_document meta;
    (void)state;
    scene.takes = false;
    scene.trades_silent = scene.klines_silent = true;
    ask("gap");
    run(200);
    assert_string_equal(scene.document, "");
    run(REANCHOR_SIDE_US / 1000);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    assert_int_equal(meta.agg_trades.size, 0);
    assert_int_equal(meta.klines.size, 0);
    /* What comes later is of no use for the next one. */
    scene.trades_silent = scene.klines_silent = false;
    scene.document[0] = 0;
    run(3000);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    assert_true(meta.agg_trades.size > 0);
}

static void a_broken_chain_of_trades_is_cut_before_the_bad_page(void **state)
{
    struct anchor_document meta;
    (void)state;
    scene.takes = false;
    scene.trades_broken = 4000; /* in the second page */
    ask("gap");
    run(150);
    assert_int_equal(anchor_document_read(bytes_text(scene.document), &meta, NULL), ERR_OK);
    assert_int_equal(count_text(scene.document, "\"a\":"), 1000);
    assert_int_equal(scene.trade_calls, 2);
}

static void a_snapshot_far_from_the_klines_is_asked_for_again_and_then_believed(void **state)
{
    (void)state;
    scene.klines = "[[1700000000000,\"20\",\"20.1\",\"19.9\",\"20\",\"5\",1700000059999,\"50\",7,"
                   "\"2\",\"20\",\"0\"]]";
    ask("gap");
    run(3900);
    assert_int_equal(scene.rest_calls, 2);
    assert_string_equal(scene.swapped, "");
    run(1000);
    assert_int_equal(scene.rest_calls, 3);
    assert_int_equal(status_now().succeeded, 1);
}

static void a_snapshot_older_than_the_buffered_diffs_is_not_handed_over(void **state)
{
    (void)state;
    scene.takes = false;
    strcpy(scene.ask, "{\"cause\":\"gap\",\"min_id\":78}");
    run(1000);
    assert_int_equal(scene.rest_calls, 1);
    assert_string_equal(scene.document, "");
    strcpy(scene.ask, "{\"cause\":\"gap\",\"min_id\":77}");
    run(1500);
    assert_int_equal(scene.rest_calls, 2);
    assert_string_not_equal(scene.document, "");
}

static void an_ask_says_how_deep_the_snapshot_should_be(void **state)
{
    (void)state;
    scene.silent = true;
    strcpy(scene.ask, "{\"cause\":\"no market data\",\"levels\":100}");
    run(150);
    assert_int_equal(scene.rest[REST_ENDPOINT_DEPTH].query.limit, 100);
}

static void a_deep_snapshot_may_be_as_deep_as_there_is(void **state)
{
    (void)state;
    scene.silent = true;
    strcpy(scene.ask, "{\"cause\":\"price near the end\",\"levels\":5000}");
    run(150);
    assert_int_equal(scene.rest[REST_ENDPOINT_DEPTH].query.limit, 5000);
}

static void an_ask_for_more_than_there_is_gets_the_usual(void **state)
{
    (void)state;
    scene.silent = true;
    strcpy(scene.ask, "{\"cause\":\"price near the end\",\"levels\":5001}");
    run(150);
    assert_int_equal(scene.rest[REST_ENDPOINT_DEPTH].query.limit, 1000);
}

static void while_others_are_told_to_be_silent_nothing_is_asked(void **state)
{
    (void)state;
    run(100);
    scene.others_until_us = scene.now.wall_us + 5000000;
    ask("gap");
    run(4900);
    assert_int_equal(scene.rest_calls + scene.trade_calls + scene.kline_calls, 0);
    run(1000);
    assert_int_equal(status_now().succeeded, 1);
}

/* Half of a small limit is used by others: the budget is kept, and everything is said. */
static void the_weight_of_the_address_is_kept(void **state)
{
    (void)state;
    scene.limit = 1200;
    run(5000);                /* into the minute */
    scene.used_weight = 1050; /* of 90 % of 1,200: room for less than a snapshot */
    ask("gap");
    run(200);
    assert_int_equal(scene.rest_calls, 1);
    scene.ask[0] = 0;
    run(500);
    ask("gap");
    run(2000);
    assert_int_equal(scene.rest_calls, 1);
    assert_in_range(status_now().weight_used, 1050, 1080);
    assert_int_equal(status_now().weight_limit, 1200);
    scene.used_weight = -1;
    run(62000); /* the next minute */
    assert_int_equal(scene.rest_calls, 2);
    assert_int_equal(status_now().succeeded, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_happens_while_nobody_asks),
        TEST(an_ask_is_answered_within_a_quarter_second),
        TEST(the_document_carries_the_reply_untouched),
        TEST(a_failed_call_is_repeated_after_two_seconds),
        TEST(an_unsound_reply_is_not_handed_over),
        TEST(a_limited_call_waits_as_long_as_the_exchange_says),
        TEST(a_ban_without_retry_after_waits_a_minute),
        TEST(a_claim_of_another_coordinator_is_respected),
        TEST(a_lost_claim_ends_the_work_and_touches_nothing),
        TEST(a_refused_document_is_fetched_anew),
        TEST(without_an_aggregator_nothing_is_swapped_and_the_flag_is_free),
        TEST(an_ask_that_is_withdrawn_ends_the_work),
        TEST(an_operator_gets_one_without_an_ask),
        TEST(a_wish_during_another_one_gets_its_own),
        TEST(an_unreachable_exchange_is_tried_again_soon),
        TEST(nobody_holds_the_claim_for_ever),
        TEST(a_store_that_goes_away_is_waited_for),
        TEST(a_swap_whose_hand_over_was_never_acknowledged_is_a_success),
        TEST(a_clean_stop_frees_the_flag),
        TEST(trades_and_klines_travel_with_the_snapshot),
        TEST(a_quiet_market_has_no_trades_to_tell_of),
        TEST(a_snapshot_waits_for_the_others_no_longer_than_stated),
        TEST(a_broken_chain_of_trades_is_cut_before_the_bad_page),
        TEST(a_snapshot_far_from_the_klines_is_asked_for_again_and_then_believed),
        TEST(a_snapshot_older_than_the_buffered_diffs_is_not_handed_over),
        TEST(an_ask_says_how_deep_the_snapshot_should_be),
        TEST(a_deep_snapshot_may_be_as_deep_as_there_is),
        TEST(an_ask_for_more_than_there_is_gets_the_usual),
        TEST(while_others_are_told_to_be_silent_nothing_is_asked),
        TEST(the_weight_of_the_address_is_kept),
    };
#undef TEST
    return cmocka_run_group_tests_name("reanchor", tests, NULL, NULL);
}
