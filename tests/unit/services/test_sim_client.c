/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/exchange-sim/sim_client.h"
#include "services/exchange-sim/sim_fault.h"
#include "wire/sbe.h"

#define WALL_US 1700000000000000LL
#define QUEUE   262144

static struct sim_client *client_open(bool json, bool combined)
{
    struct sim_client *client = malloc(sizeof(*client));
    struct err err = {0};
    struct sim_client_options options = {
        .json = json, .combined = combined, .queue_bytes = QUEUE, .symbol = "BTCUSDT"};
    assert_int_equal(sim_client_open(client, &options, 5000000, &err), ERR_OK);
    return client;
}

static void client_free(struct sim_client *client)
{
    sim_client_close(client);
    free(client);
}

/* Takes one short frame off the queue into out; returns its opcode, 0 when none waits. */
static int client_frame(struct sim_client *client, char *out, size_t capacity)
{
    uint8_t bytes[70000];
    size_t size = 0;
    while (size < 4 || client->put != client->taken) {
        struct bytes next = sim_client_peek(client, 1);
        if (next.size == 0)
            break;
        bytes[size++] = next.data[0];
        sim_client_took(client, 1);
        size_t payload = size > 1 ? bytes[1] & 127u : 0, header = 2;
        if (size > 3 && payload == 126) {
            payload = (size_t)bytes[2] << 8 | bytes[3];
            header = 4;
        }
        if (size >= header && size > 1 && !(bytes[1] == 126 && size < 4) &&
            size == header + payload) {
            assert_true(payload < capacity);
            memcpy(out, bytes + header, payload);
            out[payload] = '\0';
            assert_int_equal(bytes[0] & 0xf0, 0x80);
            return bytes[0] & 15;
        }
    }
    return 0;
}

static void expect_reply(struct sim_client *client, const char *request, const char *reply)
{
    char text[4096];
    sim_client_request(client, bytes_text(request));
    assert_int_equal(client_frame(client, text, sizeof(text)), SIM_TEXT);
    assert_string_equal(text, reply);
}

static void control_requests_answer_as_the_exchange_does(void **state)
{
    (void)state;
    struct sim_client *client = client_open(false, true);
    expect_reply(client,
                 "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@depth\"],"
                 "\"id\":1}",
                 "{\"result\":null,\"id\":1}");
    expect_reply(client, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\"a\"}",
                 "{\"result\":[\"btcusdt@trade\",\"btcusdt@depth\"],\"id\":\"a\"}");
    expect_reply(client, "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":null}",
                 "{\"result\":null,\"id\":null}");
    assert_int_equal(client->mask, 1u << SIM_STREAM_DEPTH);
    expect_reply(client, "{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":2}",
                 "{\"result\":true,\"id\":2}");
    expect_reply(client, "{\"method\":\"FLY\",\"id\":3}",
                 "{\"code\":2,\"msg\":\"Invalid request: unknown method\",\"id\":3}");
    expect_reply(client, "[]",
                 "{\"code\":3,\"msg\":\"Invalid request: not a JSON object\",\"id\":null}");
    expect_reply(
        client, "{\"method\":\"SUBSCRIBE\",\"params\":[5],\"id\":4}",
        "{\"code\":2,\"msg\":\"Invalid request: params must be a non-empty array of stream "
        "names\",\"id\":4}");
    expect_reply(client, "{\"method\":\"SUBSCRIBE\",\"params\":[\"ethusdt@trade\"],\"id\":5}",
                 "{\"result\":null,\"id\":5}");
    assert_int_equal(client->mask, 1u << SIM_STREAM_DEPTH);
    client_free(client);
}

static void no_more_than_1024_streams_fit_a_connection(void **state)
{
    (void)state;
    struct sim_client *client = client_open(false, false);
    char name[SIM_STREAM_NAME_SIZE];
    for (int i = 0; i < SIM_SUBSCRIPTIONS_MAX; i++) {
        snprintf(name, sizeof(name), "x%d@trade", i);
        assert_int_equal(sim_client_subscribe(client, name), ERR_OK);
    }
    assert_int_equal(sim_client_subscribe(client, "x0@trade"), ERR_OK);
    assert_int_equal(sim_client_subscribe(client, "btcusdt@trade"), ERR_FULL);
    client_free(client);
}

static void the_sixth_message_within_a_second_is_too_many(void **state)
{
    (void)state;
    struct sim_client *client = client_open(false, false);
    for (int i = 0; i < SIM_CLIENT_MESSAGES_MAX; i++)
        assert_true(sim_client_allowed(client, 5000000 + i * 100000));
    assert_false(sim_client_allowed(client, 5999999));
    for (int i = 0; i < 40; i++)
        assert_true(sim_client_allowed(client, 8000000 + i * 250000));
    client_free(client);
}

static void json_messages_are_wrapped_only_on_combined_streams(void **state)
{
    (void)state;
    char text[4096];
    for (int combined = 0; combined < 2; combined++) {
        struct sim_client *client = client_open(true, combined);
        assert_int_equal(sim_client_subscribe_path(client, "btcusdt@depth20@100ms/btcusdt@trade"),
                         ERR_OK);
        sim_client_deliver(client, SIM_STREAM_JSON_DEPTH20, BYTES_LITERAL("{\"x\":1}"));
        sim_client_deliver(client, SIM_STREAM_JSON_DEPTH, BYTES_LITERAL("{\"x\":2}"));
        assert_int_equal(client_frame(client, text, sizeof(text)), SIM_TEXT);
        assert_string_equal(text, combined
                                      ? "{\"stream\":\"btcusdt@depth20@100ms\",\"data\":{\"x\":1}}"
                                      : "{\"x\":1}");
        assert_int_equal(client_frame(client, text, sizeof(text)), 0);
        client_free(client);
    }
}

static void under_load_only_the_newest_quote_waits_and_other_streams_lose_nothing(void **state)
{
    (void)state;
    struct sim_client *client = client_open(false, false);
    char text[70000], big[30000];
    memset(big, 'd', sizeof(big));
    assert_int_equal(sim_client_subscribe_path(client, "btcusdt@bestBidAsk/btcusdt@depth"), ERR_OK);
    for (int i = 0; i < 3; i++)
        sim_client_deliver(client, SIM_STREAM_DEPTH, bytes_of(big, sizeof(big)));
    for (char c = '0'; c <= '9'; c++)
        sim_client_deliver(client, SIM_STREAM_BEST_BID_ASK, bytes_of(&c, 1));
    assert_int_equal(client->quotes_culled, 9);
    for (int i = 0; i < 3; i++) {
        do
            assert_int_equal(client_frame(client, text, sizeof(text)), SIM_BINARY);
        while (text[0] != 'd' && i < 3 && text[0] != '9');
    }
    char last = text[0];
    while (client_frame(client, text, sizeof(text)) != 0)
        last = text[0];
    assert_true(last == '9' || last == 'd');
    assert_int_equal(client->sent, 4);
    client_free(client);
}

static void a_full_queue_marks_the_client_and_leaves_no_half_frame(void **state)
{
    (void)state;
    struct sim_client *client = client_open(false, false);
    char big[50000] = {0};
    assert_int_equal(sim_client_subscribe(client, "btcusdt@depth"), ERR_OK);
    for (int i = 0; i < 6; i++)
        sim_client_deliver(client, SIM_STREAM_DEPTH, bytes_of(big, sizeof(big)));
    assert_true(client->overrun);
    assert_int_equal(client->sent, 5);
    assert_int_equal(client->put, 5 * (4 + sizeof(big)));
    client_free(client);
}

/* --- faults --------------------------------------------------------------------------- */

struct caught {
    int count;
    struct {
        uint8_t data[512];
        size_t size;
        enum sim_stream stream;
    } list[8];
};

static void catch (void *context, enum sim_stream stream, struct bytes message)
{
    struct caught *caught = context;
    assert_true(caught->count < 8 && message.size <= 512);
    memcpy(caught->list[caught->count].data, message.data, message.size);
    caught->list[caught->count].size = message.size;
    caught->list[caught->count++].stream = stream;
}

static size_t make_diff(uint8_t *out, int64_t first, int64_t last)
{
    struct sbe_level levels[] = {{6183763000000, 100000}, {6183762000000, 0}};
    return sbe_encode_diff(out, 512, "BTCUSDT", SIM_SCALE, WALL_US, first, last, levels, 2, levels,
                           1);
}

/* Gives the order, passes `messages` diffs, returns what came out. */
static void spoil(const char *order, int messages, struct caught *caught, uint64_t *hits)
{
    struct sim_faults faults;
    struct err err = {0};
    enum sim_fault_kind kind;
    uint8_t frame[512];
    caught->count = 0;
    assert_int_equal(sim_faults_open(&faults, &err), ERR_OK);
    assert_int_equal(sim_faults_order(&faults, bytes_text(order), WALL_US, &kind, &err), ERR_OK);
    for (int i = 0; i < messages; i++) {
        size_t size = make_diff(frame, 10 * i + 1, 10 * i + 10);
        sim_faults_pass(&faults, SIM_STREAM_DEPTH, bytes_of(frame, size), WALL_US, catch, caught);
    }
    *hits = faults.kinds[kind].hits;
    sim_faults_close(&faults);
}

static int64_t caught_first_id(const struct caught *caught, int i)
{
    struct sbe_frame frame;
    struct bytes data = bytes_of(caught->list[i].data, caught->list[i].size);
    assert_int_equal(sbe_decode(data, &frame, NULL), SBE_OK);
    return frame.event.diff.first_id;
}

static void each_frame_fault_spoils_one_frame_and_is_counted(void **state)
{
    (void)state;
    const struct {
        const char *fault;
        enum sbe_verdict verdict;
    } rows[] = {
        {"truncate", SBE_TRUNCATED},
        {"longer_block", SBE_OK},
        {"unknown_template", SBE_UNKNOWN_TEMPLATE},
        {"wrong_schema", SBE_UNKNOWN_SCHEMA},
        {"null_sentinel", SBE_NULL_VALUE},
        {"foreign_symbol", SBE_OK},
    };
    struct caught caught;
    uint64_t hits;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char order[96];
        snprintf(order, sizeof(order), "{\"fault\":\"%s\",\"stream\":\"depth\",\"count\":1}",
                 rows[i].fault);
        spoil(order, 2, &caught, &hits);
        assert_int_equal(hits, 1);
        assert_int_equal(caught.count, 2);
        struct sbe_frame frame;
        struct bytes first = bytes_of(caught.list[0].data, caught.list[0].size);
        assert_int_equal(sbe_decode(first, &frame, NULL), rows[i].verdict);
        if (strcmp(rows[i].fault, "longer_block") == 0) {
            assert_int_equal(frame.block_length, 26 + 8);
            assert_int_equal(frame.event.diff.bids.count, 2);
        }
        if (strcmp(rows[i].fault, "foreign_symbol") == 0)
            assert_memory_equal(frame.symbol.data, "XTCUSDT", 7);
        assert_int_equal(caught_first_id(&caught, 1), 11);
    }
    spoil("{\"fault\":\"absurd_count\"}", 1, &caught, &hits);
    struct sbe_frame frame;
    struct bytes first = bytes_of(caught.list[0].data, caught.list[0].size);
    enum sbe_verdict verdict = sbe_decode(first, &frame, NULL);
    assert_true(hits == 1 && (verdict == SBE_GROUP_COUNT || verdict == SBE_TRUNCATED));
}

static void frames_are_dropped_doubled_and_overtaken_as_ordered(void **state)
{
    (void)state;
    struct caught caught;
    uint64_t hits;
    spoil("{\"fault\":\"drop\",\"stream\":\"depth\",\"count\":2}", 3, &caught, &hits);
    assert_int_equal(caught.count, 1);
    assert_int_equal(hits, 2);
    assert_int_equal(caught_first_id(&caught, 0), 21);
    spoil("{\"fault\":\"duplicate\"}", 2, &caught, &hits);
    assert_int_equal(caught.count, 3);
    assert_int_equal(caught_first_id(&caught, 1), 1);
    spoil("{\"fault\":\"reorder\"}", 3, &caught, &hits);
    assert_int_equal(caught.count, 3);
    assert_int_equal(hits, 1);
    assert_int_equal(caught_first_id(&caught, 0), 11);
    assert_int_equal(caught_first_id(&caught, 1), 1);
    assert_int_equal(caught_first_id(&caught, 2), 21);
    spoil("{\"fault\":\"drop\",\"stream\":\"trade\",\"count\":2}", 2, &caught, &hits);
    assert_int_equal(caught.count, 2);
    assert_int_equal(hits, 0);
}

static void order(struct sim_faults *faults, const char *text, int expected)
{
    struct err err = {0};
    enum sim_fault_kind kind;
    assert_int_equal(sim_faults_order(faults, bytes_text(text), WALL_US, &kind, &err), expected);
}

static void orders_of_one_kind_wait_side_by_side(void **state)
{
    (void)state;
    struct sim_faults faults;
    struct caught caught = {0};
    struct err err = {0};
    char told[4096];
    uint8_t frame[1] = {0};
    assert_int_equal(sim_faults_open(&faults, &err), ERR_OK);
    order(&faults, "{\"fault\":\"drop\",\"stream\":\"depth\"}", ERR_OK);
    order(&faults, "{\"fault\":\"drop\",\"stream\":\"trade\",\"count\":2}", ERR_OK);
    for (int i = 0; i < 3; i++)
        sim_faults_pass(&faults, SIM_STREAM_TRADE, bytes_of(frame, 1), WALL_US, catch, &caught);
    assert_int_equal(caught.count, 1); /* two dropped, the third not */
    for (int i = 0; i < 2; i++)
        sim_faults_pass(&faults, SIM_STREAM_DEPTH, bytes_of(frame, 1), WALL_US, catch, &caught);
    assert_int_equal(caught.count, 2);
    struct text text = text_begin(told, sizeof(told));
    sim_faults_tell(&faults, WALL_US, &text);
    assert_non_null(strstr(text_end(&text), "\"drop\":{\"left\":0,\"left_ms\":0,\"hits\":3}"));
    /* Replies of different kinds come in the order they were asked for. */
    order(&faults, "{\"fault\":\"http_status\",\"status\":418}", ERR_OK);
    order(&faults, "{\"fault\":\"http_status\",\"status\":503}", ERR_OK);
    assert_int_equal(sim_faults_take(&faults, SIM_FAULT_HTTP_STATUS, WALL_US)->value, 418);
    assert_int_equal(sim_faults_take(&faults, SIM_FAULT_HTTP_STATUS, WALL_US)->value, 503);
    assert_null(sim_faults_take(&faults, SIM_FAULT_HTTP_STATUS, WALL_US));
    sim_faults_close(&faults);
}

static void more_orders_than_wait_are_refused(void **state)
{
    (void)state;
    struct sim_faults faults;
    struct err err = {0};
    assert_int_equal(sim_faults_open(&faults, &err), ERR_OK);
    for (int i = 0; i < SIM_FAULT_ORDERS_MAX; i++)
        order(&faults, "{\"fault\":\"drop\"}", ERR_OK);
    order(&faults, "{\"fault\":\"drop\"}", ERR_FULL);
    order(&faults, "{\"fault\":\"cut\"}", ERR_OK); /* of another kind */
    assert_non_null(sim_faults_take(&faults, SIM_FAULT_DROP, WALL_US));
    order(&faults, "{\"fault\":\"drop\"}", ERR_OK);
    order(&faults, "{\"fault\":\"clear\"}", ERR_OK);
    assert_null(sim_faults_take(&faults, SIM_FAULT_DROP, WALL_US));
    order(&faults, "{\"fault\":\"drop\"}", ERR_OK);
    sim_faults_close(&faults);
}

static void a_wrong_fault_order_is_refused_by_name(void **state)
{
    (void)state;
    struct sim_faults faults;
    struct err err = {0};
    enum sim_fault_kind kind;
    assert_int_equal(sim_faults_open(&faults, &err), ERR_OK);
    const char *orders[] = {"{",
                            "[]",
                            "{\"fault\":\"sneeze\"}",
                            "{}",
                            "{\"fault\":\"drop\",\"stream\":\"sun\"}",
                            "{\"fault\":\"wrong_schema\",\"stream\":\"json:trade\"}",
                            "{\"fault\":\"drop\",\"count\":-1}"};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        err.text[0] = '\0';
        assert_int_equal(sim_faults_order(&faults, bytes_text(orders[i]), WALL_US, &kind, &err),
                         ERR_MALFORMED);
        assert_true(err.text[0] != '\0');
    }
    sim_faults_close(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_requests_answer_as_the_exchange_does),
        cmocka_unit_test(no_more_than_1024_streams_fit_a_connection),
        cmocka_unit_test(the_sixth_message_within_a_second_is_too_many),
        cmocka_unit_test(json_messages_are_wrapped_only_on_combined_streams),
        cmocka_unit_test(under_load_only_the_newest_quote_waits_and_other_streams_lose_nothing),
        cmocka_unit_test(a_full_queue_marks_the_client_and_leaves_no_half_frame),
        cmocka_unit_test(each_frame_fault_spoils_one_frame_and_is_counted),
        cmocka_unit_test(frames_are_dropped_doubled_and_overtaken_as_ordered),
        cmocka_unit_test(a_wrong_fault_order_is_refused_by_name),
        cmocka_unit_test(orders_of_one_kind_wait_side_by_side),
        cmocka_unit_test(more_orders_than_wait_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
