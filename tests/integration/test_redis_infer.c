/* The inference port on a real redis-server: the atomic read and the publishing script.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_infer.h"
#include "tests/integration/link_fixture.h"

#define WAIT_US 2000000

static struct link_fixture on;
static struct redis_infer *port;

struct answer {
    bool came;
    int result;
    struct infer_read read;
    size_t calibration_size;
    enum infer_published outcome;
    int64_t top;
    bool has_record;
    struct prediction record;
};

static void wait_for(const bool *flag)
{
    for (int64_t until = loop_mono_us() + WAIT_US; !*flag && loop_mono_us() < until;)
        link_fixture_turn(&on);
    assert_true(*flag);
}

static int setup(void **state)
{
    (void)state;
    link_fixture_start(&on);
    assert_int_equal(redis_infer_open(on.link, (enum state_key_style)redis_fixture_key_style(),
                                      "BTCUSDT", &port, NULL),
                     ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_infer_close(port);
    redis_link_close(on.link);
    link_fixture_stop(&on);
    return 0;
}

static void on_read(void *context, int result, const struct infer_read *read)
{
    struct answer *answer = context;
    answer->came = true;
    answer->result = result;
    if (read != NULL) {
        answer->read = *read;
        answer->calibration_size = read->calibration.size;
    }
}

static struct answer read_now(void)
{
    struct answer answer = {0};
    struct infer_port infer = redis_infer_port(port);
    assert_int_equal(infer.read(infer.self, on_read, &answer), ERR_OK);
    wait_for(&answer.came);
    return answer;
}

static void on_publish(void *context, int result, enum infer_published outcome, int64_t top,
                       const struct prediction *published)
{
    struct answer *answer = context;
    answer->came = true;
    answer->result = result;
    answer->outcome = outcome;
    answer->top = top;
    answer->has_record = published != NULL;
    if (published != NULL)
        answer->record = *published;
}

static struct prediction record_of(int64_t slot, double confidence)
{
    struct prediction prediction;
    struct prediction_inputs inputs = {.symbol = "BTCUSDT",
                                       .model_version = "test",
                                       .source = "redis",
                                       .mode = "live",
                                       .reason = "",
                                       .calibration = "prior",
                                       .slot = slot,
                                       .mid = 6000000,
                                       .mid_exponent = -2,
                                       .confidence = confidence};
    prediction_fill(&prediction, &inputs);
    return prediction;
}

static struct answer publish(int64_t slot, double confidence, const char *calibration, bool hole)
{
    struct answer answer = {0};
    struct infer_port infer = redis_infer_port(port);
    struct prediction prediction = record_of(slot, confidence);
    struct infer_publish request = {.slot = slot,
                                    .prediction = &prediction,
                                    .calibration = bytes_text(calibration),
                                    .allow_hole = hole};
    assert_int_equal(infer.publish(infer.self, &request, on_publish, &answer), ERR_OK);
    wait_for(&answer.came);
    assert_int_equal(answer.result, ERR_OK);
    return answer;
}

static void read_of_an_empty_server_says_so(void **state)
{
    (void)state;
    struct answer answer = read_now();
    assert_int_equal(answer.result, ERR_EMPTY);
    assert_false(answer.read.state.consistent);
}

static void read_takes_all_hashes_and_the_calibration(void **state)
{
    (void)state;
    static const char *const keys[] = {"ob:BTCUSDT", "tr:BTCUSDT:1s", "tr:BTCUSDT:5s",
                                       "feat:BTCUSDT"};
    for (int i = 0; i < 4; i++)
        redis_fixture_integer(&on.redis, "HSET %s epoch 9 seq 77", keys[i]);
    redis_fixture_integer(&on.redis, "HSET ob:BTCUSDT best_bid 60000.10 best_ask 60000.20");
    freeReplyObject(
        redis_fixture_command(&on.redis, "SET calibration:BTCUSDT:0000000000000000 abc"));
    struct answer answer = read_now();
    assert_int_equal(answer.result, ERR_OK);
    assert_true(answer.read.state.consistent);
    assert_false(answer.read.state.has_vector);
    assert_int_equal(answer.read.state.best_bid.mantissa, 6000010);
    assert_int_equal(answer.calibration_size, 3);
    redis_fixture_integer(&on.redis, "HSET tr:BTCUSDT:5s seq 78");
    assert_false(read_now().read.state.consistent);
}

static void publish_writes_stream_hash_and_calibration_once(void **state)
{
    (void)state;
    struct answer first = publish(100, 0.5, "one", false);
    assert_int_equal(first.outcome, INFER_PUBLISHED);
    struct answer second = publish(100, 0.9, "two", false);
    assert_int_equal(second.outcome, INFER_EXISTED);
    assert_true(second.has_record);
    assert_string_equal(second.record.value[PREDICTION_CONFIDENCE], "0.500000");
    assert_int_equal(redis_fixture_integer(&on.redis, "XLEN predictions:BTCUSDT"), 1);
    redisReply *reply =
        redis_fixture_command(&on.redis, "GET calibration:BTCUSDT:0000000000000000");
    assert_string_equal(reply->str, "one");
    freeReplyObject(reply);
    reply = redis_fixture_command(&on.redis, "HGET pred:BTCUSDT confidence");
    assert_string_equal(reply->str, "0.500000");
    freeReplyObject(reply);
    assert_in_range(redis_fixture_integer(&on.redis, "TTL pred:BTCUSDT"), 595, 600);
    reply = redis_fixture_command(&on.redis, "XRANGE predictions:BTCUSDT - +");
    assert_string_equal(reply->element[0]->element[0]->str, "100-0");
    freeReplyObject(reply);
}

static void publish_refuses_holes_and_the_past(void **state)
{
    (void)state;
    publish(100, 0.5, "", false);
    struct answer hole = publish(102, 0.5, "", false);
    assert_int_equal(hole.outcome, INFER_HOLE);
    assert_int_equal(hole.top, 100);
    assert_int_equal(publish(101, 0.5, "", false).outcome, INFER_PUBLISHED);
    assert_int_equal(publish(105, 0.5, "", true).outcome, INFER_PUBLISHED);
    assert_int_equal(publish(103, 0.5, "", true).outcome, INFER_OLD);
    struct answer old = publish(101, 0.7, "", false);
    assert_int_equal(old.outcome, INFER_EXISTED);
    assert_string_equal(old.record.value[PREDICTION_SLOT], "101");
    assert_int_equal(redis_fixture_integer(&on.redis, "XLEN predictions:BTCUSDT"), 3);
}

static void publish_heals_after_a_script_flush(void **state)
{
    (void)state;
    publish(100, 0.5, "", false);
    freeReplyObject(redis_fixture_command(&on.redis, "SCRIPT FLUSH"));
    assert_int_equal(publish(101, 0.5, "", false).outcome, INFER_PUBLISHED);
}

static void calls_are_answered_when_the_server_dies(void **state)
{
    (void)state;
    struct answer answer = {0};
    struct infer_port infer = redis_infer_port(port);
    redis_fixture_pause(&on.redis);
    assert_int_equal(infer.read(infer.self, on_read, &answer), ERR_OK);
    redis_fixture_kill(&on.redis);
    wait_for(&answer.came);
    assert_int_equal(answer.result, ERR_CONNECTION);
    assert_int_equal(infer.read(infer.self, on_read, &answer), ERR_CONNECTION);
}

static void publish_rejects_a_damaged_record_of_the_slot(void **state)
{
    (void)state;
    freeReplyObject(redis_fixture_command(
        &on.redis, "XADD predictions:BTCUSDT 100-0 slot 100 confidence nonsense"));
    struct answer answer = {0};
    struct infer_port infer = redis_infer_port(port);
    struct prediction prediction = record_of(100, 0.5);
    struct infer_publish request = {.slot = 100, .prediction = &prediction};
    assert_int_equal(infer.publish(infer.self, &request, on_publish, &answer), ERR_OK);
    wait_for(&answer.came);
    assert_int_equal(answer.result, ERR_MALFORMED);
}

/* Redis takes no command into a MULTI then, not even a read. */
static void read_works_on_a_full_server(void **state)
{
    read_takes_all_hashes_and_the_calibration(state);
    redis_fixture_integer(&on.redis, "HSET tr:BTCUSDT:5s seq 77");
    freeReplyObject(redis_fixture_command(&on.redis, "CONFIG SET maxmemory 1"));
    struct answer answer = read_now();
    assert_int_equal(answer.result, ERR_OK);
    assert_true(answer.read.state.consistent);
    assert_int_equal(answer.read.state.best_bid.mantissa, 6000010);
    assert_int_equal(answer.calibration_size, 3);
}

/* A hole that nobody can fill just now is none to wait for: its patience would be over before
 * the other replica could write again. */
static void publish_speaks_of_no_hole_on_a_full_server(void **state)
{
    (void)state;
    publish(100, 0.5, "", false);
    freeReplyObject(redis_fixture_command(&on.redis, "CONFIG SET maxmemory 1"));
    struct answer refused = {0};
    struct infer_port infer = redis_infer_port(port);
    struct prediction prediction = record_of(102, 0.5);
    struct infer_publish request = {.slot = 102, .prediction = &prediction};
    assert_int_equal(infer.publish(infer.self, &request, on_publish, &refused), ERR_OK);
    wait_for(&refused.came);
    assert_int_equal(refused.result, ERR_REFUSED);
    freeReplyObject(redis_fixture_command(&on.redis, "CONFIG SET maxmemory 0"));
    assert_int_equal(publish(102, 0.5, "", false).outcome, INFER_HOLE);
    assert_int_equal(redis_fixture_integer(&on.redis, "XLEN predictions:BTCUSDT"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_of_an_empty_server_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(read_takes_all_hashes_and_the_calibration, setup, teardown),
        cmocka_unit_test_setup_teardown(read_works_on_a_full_server, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_writes_stream_hash_and_calibration_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(publish_refuses_holes_and_the_past, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_speaks_of_no_hole_on_a_full_server, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(publish_heals_after_a_script_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_are_answered_when_the_server_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_rejects_a_damaged_record_of_the_slot, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("redis_infer", tests, NULL, NULL);
}
