/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/archive_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WAITS_MAX 20000
#define BEGIN_US  1763640300000000LL
#define MINUTE    (BEGIN_US / 60000000)

static const struct archive_engine *engine;
static struct archive_port port;
static int answered, last_result;
static bool inside_call;

static void on_done(void *context, const struct archive_reply *reply)
{
    assert_ptr_equal(context, &answered);
    assert_false(inside_call);
    assert_non_null(reply->text);
    answered++;
    last_result = reply->result;
}

static int setup(void **state)
{
    (void)state;
    engine->start();
    port = engine->open();
    answered = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine->close();
    engine->stop();
    return 0;
}

static void turn(void)
{
    port.do_work(port.self, engine->now_us());
    engine->wait();
}

static void work_until(int wanted)
{
    for (int i = 0; i < WAITS_MAX && answered < wanted; i++)
        turn();
    assert_int_equal(answered, wanted);
}

/* Until the lake has everything. */
static void drain(void)
{
    struct archive_status status = {.spool_files = 1};
    for (int i = 0; i < WAITS_MAX && status.spool_files > 0; i++) {
        turn();
        port.status(port.self, &status);
    }
    assert_int_equal(status.spool_files, 0);
    assert_true(status.lake_ready);
}

static struct archive_block block_of(enum archive_kind kind, uint64_t epoch)
{
    struct archive_block block = {.kind = kind, .epoch = epoch, .minute = MINUTE};
    snprintf(block.symbol, sizeof(block.symbol), "%s", ARCHIVE_CONTRACT_SYMBOL);
    return block;
}

/* Ticks may lie in any block here; a frame of junk is a frame too. */
static void append(const struct archive_block *block, uint64_t seq, struct bytes payload)
{
    struct record record = {.epoch = block->epoch,
                            .seq = seq,
                            .recv_us = BEGIN_US + (int64_t)seq,
                            .kind = payload.size > 0 ? RECORD_FRAME : RECORD_TICK,
                            .payload = payload};
    assert_int_equal(port.append(port.self, block, &record), ERR_OK);
}

static void finish(const struct archive_block *block)
{
    const int before = answered;
    inside_call = true;
    assert_int_equal(port.finish(port.self, block, on_done, &answered), ERR_OK);
    inside_call = false;
    work_until(before + 1);
}

static void a_finished_block_is_in_the_lake_with_each_record_once(void **state)
{
    (void)state;
    struct archive_block block = block_of(ARCHIVE_DEPTH, 1);
    for (uint64_t seq = 1; seq <= 100; seq++)
        append(&block, seq, bytes_of(NULL, 0));
    assert_int_equal(engine->records(&block, 1), 0);
    finish(&block);
    assert_int_equal(last_result, ERR_OK);
    drain();
    for (uint64_t seq = 1; seq <= 100; seq++)
        assert_int_equal(engine->records(&block, seq), 1);
    assert_int_equal(engine->records(&block, 101), 0);
    turn();
    assert_int_equal(answered, 1);
}

static void blocks_of_all_kinds_and_epochs_are_apart(void **state)
{
    (void)state;
    struct archive_block blocks[2 * ARCHIVE_KINDS];
    for (int i = 0; i < 2 * ARCHIVE_KINDS; i++) {
        blocks[i] = block_of((enum archive_kind)(i / 2), 1 + (uint64_t)i % 2);
        append(&blocks[i], (uint64_t)i + 1, BYTES_LITERAL("junk"));
    }
    for (int i = 0; i < 2 * ARCHIVE_KINDS; i++)
        finish(&blocks[i]);
    drain();
    for (int i = 0; i < 2 * ARCHIVE_KINDS; i++)
        for (int k = 0; k < 2 * ARCHIVE_KINDS; k++)
            assert_int_equal(engine->records(&blocks[i], (uint64_t)k + 1), i == k);
}

static void a_block_finished_again_replaces_its_object(void **state)
{
    (void)state;
    struct archive_block block = block_of(ARCHIVE_BBA, 1);
    append(&block, 1, BYTES_LITERAL("a"));
    finish(&block);
    append(&block, 1, BYTES_LITERAL("a"));
    append(&block, 2, BYTES_LITERAL("b"));
    finish(&block);
    drain();
    assert_int_equal(engine->records(&block, 1), 1);
    assert_int_equal(engine->records(&block, 2), 1);
}

static void payloads_are_copied(void **state)
{
    (void)state;
    char payload[] = "before";
    struct archive_block block = block_of(ARCHIVE_TRADES, 1);
    append(&block, 1, bytes_text(payload));
    memset(payload, 0, sizeof(payload));
    finish(&block);
    assert_int_equal(last_result, ERR_OK);
    drain();
    assert_int_equal(engine->records(&block, 1), 1);
}

static void what_is_discarded_or_was_never_opened_cannot_be_finished(void **state)
{
    (void)state;
    struct archive_block block = block_of(ARCHIVE_DEPTH, 1);
    assert_int_equal(port.finish(port.self, &block, on_done, &answered), ERR_NOT_FOUND);
    append(&block, 1, bytes_of(NULL, 0));
    port.discard(port.self, &block);
    port.discard(port.self, &block);
    assert_int_equal(port.finish(port.self, &block, on_done, &answered), ERR_NOT_FOUND);
    append(&block, 2, bytes_of(NULL, 0));
    finish(&block);
    drain();
    assert_int_equal(engine->records(&block, 1), 0);
    assert_int_equal(engine->records(&block, 2), 1);
    assert_int_equal(answered, 1);
}

static int put_reply(int64_t first_id, const char *body)
{
    struct archive_rest_reply reply = {.type = ARCHIVE_REST_DEPTH,
                                       .symbol = ARCHIVE_CONTRACT_SYMBOL,
                                       .requested_us = BEGIN_US,
                                       .received_us = BEGIN_US + 50000,
                                       .first_id = first_id,
                                       .reason = "poll",
                                       .body = bytes_text(body)};
    const int before = answered;
    inside_call = true;
    assert_int_equal(port.rest(port.self, &reply, on_done, &answered), ERR_OK);
    inside_call = false;
    work_until(before + 1);
    return last_result;
}

static void a_reply_put_twice_is_one_object_and_one_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char body[] = "{\"lastUpdateId\":7,\"bids\":[[\"1\",\"2\"]],\"asks\":[]}";
    assert_int_equal(put_reply(7, body), ERR_OK);
    assert_int_equal(put_reply(7, body), ERR_OK);
    assert_int_equal(put_reply(8, "<html>"), ERR_MALFORMED);
    drain();
    assert_int_equal(engine->replies(ARCHIVE_REST_DEPTH, 7), 1);
    assert_int_equal(engine->replies(ARCHIVE_REST_DEPTH, 8), 0);
}

static void with_the_lake_away_done_means_durable_in_the_spool(void **state)
{
    (void)state;
    struct archive_status status;
    struct archive_block block = block_of(ARCHIVE_DEPTH, 1);
    engine->take_away();
    append(&block, 1, bytes_of(NULL, 0));
    finish(&block);
    assert_int_equal(last_result, ERR_OK);
    for (int i = 0; i < 5; i++)
        turn();
    port.status(port.self, &status);
    assert_false(status.lake_ready);
    assert_int_equal(status.spool_files, 1);
    assert_true(status.spool_bytes > 0 && status.spool_bytes <= status.spool_bytes_max);
    /* Not even a restart loses it. */
    engine->close();
    port = engine->open();
    engine->bring_back();
    drain();
    assert_int_equal(engine->records(&block, 1), 1);
}

static void what_was_not_finished_is_gone_with_the_process(void **state)
{
    (void)state;
    struct archive_block block = block_of(ARCHIVE_DEPTH, 1);
    append(&block, 1, bytes_of(NULL, 0));
    engine->close();
    port = engine->open();
    assert_int_equal(port.finish(port.self, &block, on_done, &answered), ERR_NOT_FOUND);
    append(&block, 2, bytes_of(NULL, 0));
    finish(&block);
    drain();
    assert_int_equal(engine->records(&block, 1), 0);
    assert_int_equal(engine->records(&block, 2), 1);
}

int archive_contract_run(const struct archive_engine *under_test)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_finished_block_is_in_the_lake_with_each_record_once),
        T(blocks_of_all_kinds_and_epochs_are_apart),
        T(a_block_finished_again_replaces_its_object),
        T(payloads_are_copied),
        T(what_is_discarded_or_was_never_opened_cannot_be_finished),
        T(a_reply_put_twice_is_one_object_and_one_that_is_none_is_refused),
        T(with_the_lake_away_done_means_durable_in_the_spool),
        T(what_was_not_finished_is_gone_with_the_process),
    };
    engine = under_test;
    return cmocka_run_group_tests_name(under_test->name, tests, NULL, NULL);
}
