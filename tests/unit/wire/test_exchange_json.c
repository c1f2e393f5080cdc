/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "market/record.h"
#include "tests/lib/exchange_text.h"
#include "tests/unit/wire/frames.h"
#include "wire/exchange_json.h"

#define NOW_US 1723161254000000

struct reader {
    struct exchange_json *json;
    struct exchange_json_message message;
    struct sbe_frame decoded;
    struct err err;
    uint8_t frame[EXCHANGE_JSON_FRAME_MAX];
};

static int setup(void **state)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    *state = reader;
    return exchange_json_open(&reader->json, NULL);
}

static int teardown(void **state)
{
    struct reader *reader = *state;
    exchange_json_close(reader->json);
    free(reader);
    return 0;
}

/* Reads from an exactly sized block; a frame made is decoded too. */
static int read_bytes(struct reader *reader, const char *text, size_t size)
{
    uint8_t *tight = malloc(size + (size == 0));
    memcpy(tight, text, size);
    int rv = exchange_json_read(reader->json, bytes_of(tight, size), NOW_US, reader->frame,
                                sizeof(reader->frame), &reader->message, &reader->err);
    free(tight);
    if (rv == ERR_OK && reader->message.kind == EXCHANGE_JSON_FRAME) {
        struct bytes frame = bytes_of(reader->frame, reader->message.frame_size);
        assert_int_equal(sbe_decode(frame, &reader->decoded, NULL), SBE_OK);
        assert_int_equal(reader->decoded.template_id, reader->message.template_id);
    }
    return rv;
}

static int read_text(struct reader *reader, const char *text)
{
    return read_bytes(reader, text, strlen(text));
}

static const struct event *read_frame(void **state, const char *text, enum event_kind kind)
{
    struct reader *reader = *state;
    if (read_text(reader, text) != ERR_OK)
        fail_msg("%s: %s", text, reader->err.text);
    assert_int_equal(reader->message.kind, EXCHANGE_JSON_FRAME);
    assert_int_equal(reader->decoded.event.kind, kind);
    assert_memory_equal(reader->decoded.symbol.data, "BTCUSDT", 7);
    return &reader->decoded.event;
}

#define TRADE                                                                                      \
    "{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":3735683259,\"p\":"               \
    "\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,\"m\":true,\"M\":true}"

static void assert_trade(void **state, const char *text)
{
    const struct event *event = read_frame(state, text, EVENT_TRADES);
    assert_int_equal(event->event_us, 1723161255343000);
    assert_int_equal(event->trades.transact_us, 1723161255342000);
    assert_int_equal(event->price_exponent, -8);
    assert_int_equal(event->trades.list.count, 1);
    struct trade trade = trade_at(&event->trades.list, 0);
    assert_int_equal(trade.id, 3735683259);
    assert_int_equal(trade.price, 6183763000000);
    assert_int_equal(trade.qty, 2000000);
    assert_true(trade.is_buyer_maker);
    assert_int_equal(((struct reader *)*state)->message.flags, RECORD_SYNTHETIC_FRAME);
}

static void exchange_json_reads_trades_raw_and_combined(void **state)
{
    assert_trade(state, TRADE);
    assert_trade(state, "{\"stream\":\"btcusdt@trade\",\"data\":" TRADE "}");
    assert_trade(state, " { \"data\" : " TRADE " , \"stream\" : \"btcusdt@trade\" } ");
}

static void exchange_json_takes_microseconds_and_old_order_ids(void **state)
{
    assert_trade(state, "{\"e\":\"trade\",\"E\":1723161255343000,\"s\":\"BTCUSDT\",\"t\":"
                        "3735683259,\"p\":\"61837.63\",\"q\":\"0.02\",\"b\":88,\"a\":50,"
                        "\"T\":1723161255342000,\"m\":true,\"M\":true}");
}

static void exchange_json_quotes_take_the_receive_time(void **state)
{
    const struct event *event =
        read_frame(state,
                   "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":50093239212,\"s\":"
                   "\"BTCUSDT\",\"b\":\"61837.63000000\",\"B\":\"3.78826000\",\"a\":"
                   "\"61837.64000000\",\"A\":\"1.54698000\"}}",
                   EVENT_QUOTE);
    assert_int_equal(event->event_us, NOW_US);
    assert_int_equal(event->quote.book_id, 50093239212);
    assert_int_equal(event->quote.bid_price, 6183763000000);
    assert_int_equal(event->quote.bid_qty, 378826000);
    assert_int_equal(event->quote.ask_price, 6183764000000);
    assert_int_equal(event->quote.ask_qty, 154698000);
    assert_int_equal(((struct reader *)*state)->message.flags,
                     RECORD_SYNTHETIC_FRAME | RECORD_SYNTHETIC_TIME);
}

static void exchange_json_reads_depth_diffs(void **state)
{
    const struct event *event =
        read_frame(state,
                   "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":"
                   "1723161255208,\"s\":\"BTCUSDT\",\"U\":50093239189,\"u\":50093239202,\"b\":"
                   "[[\"61737.63000000\",\"0.00000000\"],[\"56854.58\",\"1\",[]]],\"a\":[]}}",
                   EVENT_DIFF);
    assert_int_equal(event->diff.first_id, 50093239189);
    assert_int_equal(event->diff.last_id, 50093239202);
    assert_int_equal(event->diff.bids.count, 2);
    assert_int_equal(event->diff.asks.count, 0);
    assert_int_equal(level_price(&event->diff.bids, 1), 5685458000000);
    assert_int_equal(level_qty(&event->diff.bids, 1), 100000000);
}

static void exchange_json_reads_partial_depth_by_its_streams_name(void **state)
{
    const struct event *event =
        read_frame(state,
                   "{\"stream\":\"btcusdt@depth20@100ms\",\"data\":{\"lastUpdateId\":160,\"bids\":"
                   "[[\"0.0024\",\"10\"]],\"asks\":[[\"0.0026\",\"100\"]]}}",
                   EVENT_SNAPSHOT);
    assert_int_equal(event->snapshot.book_id, 160);
    assert_int_equal(level_price(&event->snapshot.asks, 0), 260000);
}

static void exchange_json_takes_finer_exponents_when_a_value_needs_them(void **state)
{
    const struct event *event =
        read_frame(state,
                   "{\"u\":1,\"s\":\"BTCUSDT\",\"b\":\"0.0000000012\",\"B\":\"3\",\"a\":"
                   "\"0.00000000135\",\"A\":\"1.5\"}",
                   EVENT_QUOTE);
    assert_int_equal(event->price_exponent, -11);
    assert_int_equal(event->qty_exponent, -8);
    assert_int_equal(event->quote.bid_price, 120);
    assert_int_equal(event->quote.ask_price, 135);
    assert_int_equal(event->quote.ask_qty, 150000000);
}

static void exchange_json_knows_serverShutdown_and_replies(void **state)
{
    struct reader *reader = *state;
    static const char *const shutdowns[] = {
        "{\"e\":\"serverShutdown\",\"E\":1770123456789}",
        "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1770123456789}}"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read_text(reader, shutdowns[i]), ERR_OK);
        assert_int_equal(reader->message.kind, EXCHANGE_JSON_SHUTDOWN);
    }
    static const struct {
        const char *text;
        const char *id;
        int64_t code;
    } replies[] = {
        {"{\"result\":null,\"id\":1}", "1", 0},
        {"{\"result\":[\"btcusdt@trade\"],\"id\":\"abc\"}", "abc", 0},
        {"{\"code\":2,\"msg\":\"Invalid request\",\"id\":7}", "7", 2},
        {"{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":null}", "null", 2},
    };
    for (size_t i = 0; i < 4; i++) {
        struct bytes text = bytes_text(replies[i].text);
        assert_int_equal(
            exchange_json_read(reader->json, text, 0, reader->frame, 100, &reader->message, NULL),
            ERR_OK);
        assert_int_equal(reader->message.kind, EXCHANGE_JSON_REPLY);
        assert_int_equal(reader->message.id.size, strlen(replies[i].id));
        assert_memory_equal(reader->message.id.data, replies[i].id, strlen(replies[i].id));
        assert_int_equal(reader->message.code, replies[i].code);
        assert_int_equal(reader->message.text.size, replies[i].code == 2 ? 15 : 0);
    }
}

static void exchange_json_lets_other_messages_pass(void **state)
{
    struct reader *reader = *state;
    static const char *const others[] = {
        "{}",
        "{\"e\":\"aggTrade\",\"E\":1,\"s\":\"BTCUSDT\",\"a\":5,\"p\":\"1\",\"q\":\"2\",\"f\":1,"
        "\"l\":2,\"T\":3,\"m\":true}",
        "{\"stream\":\"x\",\"data\":[{\"e\":\"trade\"}]}",
        "{\"e\":\"kline\",\"E\":1,\"s\":\"BTCUSDT\",\"k\":{\"t\":1,\"o\":\"-1\"}}",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(read_text(reader, others[i]), ERR_OK);
        assert_int_equal(reader->message.kind, EXCHANGE_JSON_OTHER);
    }
}

static void exchange_json_refuses_malformed_messages(void **state)
{
    struct reader *reader = *state;
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "null",
        "{\"e\":\"trade\"}",
        "{\"e\":\"trade\",\"E\":-1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"2\",\"T\":3,"
        "\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"btcusdt\",\"t\":1,\"p\":\"1\",\"q\":\"2\",\"T\":3,"
        "\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1.5,\"p\":\"1\",\"q\":\"2\",\"T\":3,"
        "\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":1,\"q\":\"2\",\"T\":3,\"m\":"
        "true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1e5\",\"q\":\"2\",\"T\":3,"
        "\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"-2\",\"T\":3,"
        "\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"99999999999999999999\",\"q\":"
        "\"2\",\"T\":3,\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"0.0000000000000000001\",\"q\":"
        "\"2\",\"T\":3,\"m\":true}",
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"2\",\"T\":3,"
        "\"m\":1}",
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\",\"U\":5,\"u\":4,\"b\":[],\"a\":[]}",
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\",\"U\":4,\"u\":5,\"b\":[],\"a\":[[]]}",
        TRADE "}",
        TRADE TRADE,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_text(reader, bad[i]) != ERR_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    for (size_t cut = 0; cut < sizeof(TRADE) - 1; cut++)
        assert_int_equal(read_bytes(reader, TRADE, cut), ERR_MALFORMED);
}

static void exchange_json_reads_back_what_it_writes(void **state)
{
    struct reader *reader = *state;
    struct prng prng;
    prng_init(&prng, 11);
    int read = 0;
    for (int i = 0; i < 500; i++) {
        uint8_t data[FRAMES_SIZE_MAX];
        static char buffer[1 << 16];
        struct sbe_frame frame;
        size_t size = frames_random(&prng, data);
        /* JSON carries milliseconds, and has no event time in two of the four. */
        bool trades = bytes_load_u16(data + 2) == SBE_TRADES;
        bool synthetic = bytes_load_u16(data + 2) == SBE_BEST_BID_ASK ||
                         bytes_load_u16(data + 2) == SBE_DEPTH_SNAPSHOT;
        bytes_store_i64(data + 8, synthetic ? NOW_US : 1723161255343000);
        if (trades)
            bytes_store_i64(data + 16, 1723161255342000);
        assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
        if (frame.event.price_exponent != -8 || frame.event.qty_exponent != -8) {
            size_t exponents = frame.template_id == SBE_DEPTH_DIFF ? 32 : 24;
            memset(data + exponents, 0xf8, 2);
            assert_int_equal(sbe_decode(bytes_of(data, size), &frame, NULL), SBE_OK);
        }
        if (trades && frame.event.trades.list.count != 1)
            continue;
        struct text text = text_begin(buffer, sizeof(buffer));
        char stream[40] = {0};
        for (size_t k = 0; k < frame.symbol.size; k++) {
            char c = (char)frame.symbol.data[k];
            stream[k] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        strcat(stream, "@any");
        exchange_text_write(&text, &frame, 0, stream);
        assert_false(text.truncated);
        assert_int_equal(read_text(reader, text_end(&text)), ERR_OK);
        assert_int_equal(reader->message.kind, EXCHANGE_JSON_FRAME);
        assert_int_equal(reader->message.frame_size, size);
        assert_memory_equal(reader->frame, data, size);
        read++;
    }
    assert_true(read > 300);
}

static void exchange_json_reads_capture_lines(void **state)
{
    (void)state;
    int64_t recv_us = 0;
    struct bytes json;
    assert_int_equal(
        exchange_json_line(BYTES_LITERAL("1723161253937085768 {\"a\":1}\r\n"), &recv_us, &json),
        ERR_OK);
    assert_int_equal(recv_us, 1723161253937085);
    assert_int_equal(json.size, 7);
    static const char *const bad[] = {"",       "\n",     "12", "12 ",
                                      "12 \n",  "-12 {}", "{}", "99999999999999999999 {}",
                                      " 12 {}", "12\t{}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(exchange_json_line(bytes_text(bad[i]), &recv_us, &json), ERR_MALFORMED);
}

/* data/README.md: 28,040 bookTicker, 9,757 trades, 3,451 diffs, one REST depth reply; ids
 * of diffs without a gap, trade ids consecutive. */
static void exchange_json_reads_the_whole_real_capture(void **state)
{
    struct reader *reader = *state;
    gzFile file = gzopen(FRAMES_DATA "capture/binance-spot-btcusdt-20240808.jsonl.gz", "rb");
    if (file == NULL) {
        fprintf(stderr, "SKIPPED: the real capture is not there\n");
        skip();
    }
    static char line[1 << 20];
    int kinds[4] = {0};
    int depths = 0;
    int64_t last_trade = 0;
    int64_t last_u = 0;
    while (gzgets(file, line, sizeof(line)) != NULL) {
        int64_t recv_us = 0;
        struct bytes json;
        assert_int_equal(exchange_json_line(bytes_text(line), &recv_us, &json), ERR_OK);
        assert_int_equal(read_bytes(reader, (const char *)json.data, json.size), ERR_OK);
        const struct event *event = &reader->decoded.event;
        if (reader->message.kind == EXCHANGE_JSON_DEPTH) {
            assert_int_equal(reader->message.depth.size, json.size);
            depths++;
            continue;
        }
        assert_int_equal(reader->message.kind, EXCHANGE_JSON_FRAME);
        assert_int_equal(event->price_exponent, -8);
        kinds[event->kind]++;
        if (event->kind == EVENT_TRADES) {
            int64_t id = trade_at(&event->trades.list, 0).id;
            assert_true(last_trade == 0 || id == last_trade + 1);
            last_trade = id;
        } else if (event->kind == EVENT_DIFF) {
            assert_true(last_u == 0 || event->diff.first_id == last_u + 1);
            last_u = event->diff.last_id;
        }
    }
    gzclose(file);
    assert_int_equal(kinds[EVENT_QUOTE], 28040);
    assert_int_equal(kinds[EVENT_TRADES], 9757);
    assert_int_equal(kinds[EVENT_DIFF], 3451);
    assert_int_equal(depths, 1);
}

int main(void)
{
#define WITH_READER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_READER(exchange_json_reads_trades_raw_and_combined),
        WITH_READER(exchange_json_takes_microseconds_and_old_order_ids),
        WITH_READER(exchange_json_quotes_take_the_receive_time),
        WITH_READER(exchange_json_reads_depth_diffs),
        WITH_READER(exchange_json_reads_partial_depth_by_its_streams_name),
        WITH_READER(exchange_json_takes_finer_exponents_when_a_value_needs_them),
        WITH_READER(exchange_json_knows_serverShutdown_and_replies),
        WITH_READER(exchange_json_lets_other_messages_pass),
        WITH_READER(exchange_json_refuses_malformed_messages),
        WITH_READER(exchange_json_reads_back_what_it_writes),
        cmocka_unit_test(exchange_json_reads_capture_lines),
        WITH_READER(exchange_json_reads_the_whole_real_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
