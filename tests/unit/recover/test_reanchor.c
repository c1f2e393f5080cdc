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
    char ask[256], flag[64], swapped[64], document[4096];
    int64_t flag_until_us;
    struct call calls[CALLS_MAX];
    int count;
    bool away;
    bool hand_arrives; /* the hand-over arrives, its answer does not */
    int claims, renewals, drops, audits;
    char audit_result[64], audit_cause[96], audit_tries[16];
    /* the exchange */
    anchor_rest_fn rest_done;
    void *rest_context;
    int rest_calls, status;
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

static int rest_get(void *self, const struct anchor_rest_query *query, anchor_rest_fn done,
                    void *context)
{
    (void)self;
    assert_int_equal(query->call, ANCHOR_REST_DEPTH);
    assert_int_equal(query->limit, 1000);
    assert_null(scene.rest_done);
    scene.rest_done = done;
    scene.rest_context = context;
    scene.rest_calls++;
    scene.called_us = scene.now.mono_us;
    return ERR_OK;
}

static int rest_work(void *self, int64_t mono_us)
{
    anchor_rest_fn done = scene.rest_done;
    (void)self;
    (void)mono_us;
    if (done == NULL || scene.silent)
        return 0;
    scene.rest_done = NULL;
    struct anchor_rest_reply reply = {.result = scene.unreachable ? ERR_CONNECTION : ERR_OK,
                                      .status = scene.unreachable ? 0 : scene.status,
                                      .body = bytes_text(scene.body),
                                      .retry_after_s = scene.retry_after_s,
                                      .used_weight = 50};
    done(scene.rest_context, &reply);
    return 1;
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
    scene.status = 200;
    run(500);
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
    run(2000);
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
    };
#undef TEST
    return cmocka_run_group_tests_name("reanchor", tests, NULL, NULL);
}
