/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/wire/frames.h"
#include "wire/decode.h"

static int setup(void **state)
{
    return decode_open("BTCUSDT", (struct decode **)state, NULL);
}

static int teardown(void **state)
{
    decode_close(*state);
    return 0;
}

static struct record record_of(uint8_t kind, struct bytes payload)
{
    return (struct record){.epoch = 3,
                           .seq = 4,
                           .recv_us = 5,
                           .kind = kind,
                           .flags = RECORD_SYNTHETIC_FRAME,
                           .payload = payload};
}

static size_t quote_frame(uint8_t *out, const char *symbol, int8_t exponent)
{
    return sbe_encode_quote(out, 128, symbol, (struct sbe_scale){exponent, exponent}, 9, 10,
                            (struct sbe_level){11, 12}, (struct sbe_level){13, 14});
}

static void assert_stamped(const struct event *event)
{
    assert_int_equal(event->epoch, 3);
    assert_int_equal(event->seq, 4);
    assert_int_equal(event->recv_us, 5);
    assert_int_equal(event->flags, RECORD_SYNTHETIC_FRAME);
}

static void decode_stamps_frames_with_their_record(void **state)
{
    uint8_t data[128];
    struct record record =
        record_of(RECORD_FRAME, bytes_of(data, quote_frame(data, "BTCUSDT", -8)));
    struct event event;
    enum sbe_verdict verdict;
    assert_int_equal(decode_record(*state, &record, &event, &verdict, NULL), ERR_OK);
    assert_int_equal(verdict, SBE_OK);
    assert_stamped(&event);
    assert_int_equal(event.kind, EVENT_QUOTE);
    assert_int_equal(event.event_us, 9);
    assert_int_equal(event.quote.ask_qty, 14);
}

static void decode_refuses_a_foreign_symbol(void **state)
{
    uint8_t data[128];
    struct record record =
        record_of(RECORD_FRAME, bytes_of(data, quote_frame(data, "ETHUSDT", -8)));
    struct event event;
    enum sbe_verdict verdict;
    struct err err = {0};
    assert_int_equal(decode_record(*state, &record, &event, &verdict, &err), ERR_MALFORMED);
    assert_int_equal(verdict, SBE_BAD_SYMBOL);
    assert_non_null(strstr(err.text, "bad symbol at byte 59"));
}

static void decode_tells_unsupported_from_malformed(void **state)
{
    uint8_t data[128];
    size_t size = quote_frame(data, "BTCUSDT", -8);
    struct record record = record_of(RECORD_FRAME, bytes_of(data, size));
    struct event event;
    data[4] = 3;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_UNSUPPORTED);
    data[4] = 1;
    data[2] = 0;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_UNSUPPORTED);
    record.payload.size = 7;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_MALFORMED);
}

static void decode_reads_ticks_and_holes(void **state)
{
    uint8_t data[16];
    bytes_store_u64(data, 77);
    bytes_store_u64(data + 8, 88);
    struct record record = record_of(RECORD_HOLE, bytes_of(data, 16));
    struct event event;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_OK);
    assert_stamped(&event);
    assert_int_equal(event.kind, EVENT_HOLE);
    assert_int_equal(event.hole.next_epoch, 77);
    assert_int_equal(event.hole.next_seq, 88);
    record.payload.size = 15;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_MALFORMED);
    record = record_of(RECORD_TICK, bytes_of(data, 0));
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_OK);
    assert_stamped(&event);
    assert_int_equal(event.kind, EVENT_TICK);
    record.payload.size = 1;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_MALFORMED);
    record.kind = 0;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_MALFORMED);
}

#define DOCUMENT(symbol, depth)                                                                    \
    "{\"symbol\":\"" symbol "\",\"token\":\"t-1\",\"cause\":\"start\",\"requested_us\":1,"         \
    "\"received_us\":2,\"depth\":" depth ",\"klines\":[[1,\"2\"]]}"
#define DEPTH                                                                                      \
    "{\"lastUpdateId\":50093239218,\"bids\":[[\"61837.63000000\",\"3.78826000\"],"                 \
    "[\"61837.62\",\"0.617\"]],\"asks\":[[\"61837.64000000\",\"1.60520000\"]]}"

static int decode_text(void **state, const char *text, struct event *event, struct err *err)
{
    struct record record = record_of(RECORD_ANCHOR, bytes_text(text));
    return decode_record(*state, &record, event, NULL, err);
}

static void decode_reads_how_many_levels_an_anchor_was_asked_for(void **state)
{
    static const struct {
        const char *levels;
        uint32_t asked;
    } cases[] = {{"1000", 1000}, {"5000", 5000}, {"5001", 0}, {"-1", 0}};
    char text[512];
    struct event event;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"symbol\":\"BTCUSDT\",\"levels\":%s,\"depth\":" DEPTH "}",
                 cases[i].levels);
        assert_int_equal(decode_text(state, text, &event, NULL), ERR_OK);
        assert_int_equal(event.snapshot.asked, cases[i].asked);
    }
    assert_int_equal(decode_text(state,
                                 "{\"symbol\":\"BTCUSDT\",\"levels\":\"1\",\"depth\":" DEPTH "}",
                                 &event, NULL),
                     ERR_MALFORMED);
}

static void decode_reads_an_anchor_exactly(void **state)
{
    struct event event;
    assert_int_equal(decode_text(state, DOCUMENT("BTCUSDT", DEPTH), &event, NULL), ERR_OK);
    assert_stamped(&event);
    assert_int_equal(event.kind, EVENT_ANCHOR);
    assert_int_equal(event.price_exponent, -8);
    assert_int_equal(event.snapshot.book_id, 50093239218);
    assert_int_equal(event.snapshot.asked, 0);
    assert_int_equal(event.snapshot.bids.count, 2);
    assert_int_equal(event.snapshot.asks.count, 1);
    assert_int_equal(level_price(&event.snapshot.bids, 0), 6183763000000);
    assert_int_equal(level_qty(&event.snapshot.bids, 1), 61700000);
    assert_int_equal(level_price(&event.snapshot.asks, 0), 6183764000000);
}

static void decode_anchors_take_the_exponents_of_the_last_frame(void **state)
{
    uint8_t data[128];
    struct record record =
        record_of(RECORD_FRAME, bytes_of(data, quote_frame(data, "BTCUSDT", -5)));
    struct event event;
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_OK);
    assert_int_equal(decode_text(state, DOCUMENT("BTCUSDT", DEPTH), &event, NULL), ERR_OK);
    assert_int_equal(event.price_exponent, -5);
    assert_int_equal(level_price(&event.snapshot.bids, 0), 6183763000);
    assert_int_equal(level_qty(&event.snapshot.bids, 0), 378826);
    record.payload.size = quote_frame(data, "BTCUSDT", -4);
    assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_OK);
    struct err err = {0};
    assert_int_equal(decode_text(state, DOCUMENT("BTCUSDT", DEPTH), &event, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, "finer"));
}

static void decode_refuses_bad_anchor_documents(void **state)
{
    static const char *const documents[] = {
        "",
        "[]",
        "{}",
        "{\"symbol\":\"BTCUSDT\"}",
        DOCUMENT("ETHUSDT", DEPTH),
        DOCUMENT("BTCUSDT", "null"),
        DOCUMENT("BTCUSDT", "{}"),
        DOCUMENT("BTCUSDT", "{\"bids\":[],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":-1,\"bids\":[],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1.5,\"bids\":[],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":\"1\",\"bids\":[],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[\"1\"]],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[1,2]],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[\"1e3\",\"2\"]],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[\"-1\",\"2\"]],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[\"\",\"2\"]],\"asks\":[]}"),
        DOCUMENT("BTCUSDT", "{\"lastUpdateId\":1,\"bids\":[[\"99999999999999\",\"2\"]],\"asks\":"
                            "[]}"),
        DOCUMENT("BTCUSDT", DEPTH) "x",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct event event;
        struct err err = {0};
        if (decode_text(state, documents[i], &event, &err) != ERR_MALFORMED)
            fail_msg("accepted: %s", documents[i]);
        assert_true(strlen(err.text) > 10);
    }
}

static void decode_refuses_every_truncation_of_an_anchor(void **state)
{
    static const char document[] = DOCUMENT("BTCUSDT", DEPTH);
    for (size_t cut = 0; cut < sizeof(document) - 1; cut++) {
        uint8_t *tight = malloc(cut + (cut == 0));
        memcpy(tight, document, cut);
        struct record record = record_of(RECORD_ANCHOR, bytes_of(tight, cut));
        struct event event;
        assert_int_equal(decode_record(*state, &record, &event, NULL, NULL), ERR_MALFORMED);
        free(tight);
    }
}

static void decode_limits_the_levels_of_an_anchor(void **state)
{
    size_t capacity = 64 * (DECODE_ANCHOR_LEVELS_MAX + 1) + 200;
    char *text = malloc(capacity);
    for (int extra = 0; extra <= 1; extra++) {
        size_t size = (size_t)snprintf(text, capacity,
                                       "{\"symbol\":\"BTCUSDT\",\"depth\":{\"lastUpdateId\":1,"
                                       "\"asks\":[],\"bids\":[[\"1\",\"1\"]");
        for (int i = 1; i < DECODE_ANCHOR_LEVELS_MAX + extra; i++)
            size += (size_t)snprintf(text + size, capacity - size, ",[\"1.5\",\"2.25\"]");
        snprintf(text + size, capacity - size, "]}}");
        struct event event;
        assert_int_equal(decode_text(state, text, &event, NULL),
                         extra == 0 ? ERR_OK : ERR_MALFORMED);
    }
    free(text);
}

static void decode_wants_a_proper_symbol(void **state)
{
    (void)state;
    struct decode *decode = NULL;
    assert_int_equal(decode_open("btcusdt", &decode, NULL), ERR_INVALID);
    assert_int_equal(decode_open("", &decode, NULL), ERR_INVALID);
}

int main(void)
{
#define WITH_DECODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_DECODE(decode_stamps_frames_with_their_record),
        WITH_DECODE(decode_refuses_a_foreign_symbol),
        WITH_DECODE(decode_tells_unsupported_from_malformed),
        WITH_DECODE(decode_reads_ticks_and_holes),
        WITH_DECODE(decode_reads_an_anchor_exactly),
        WITH_DECODE(decode_reads_how_many_levels_an_anchor_was_asked_for),
        WITH_DECODE(decode_anchors_take_the_exponents_of_the_last_frame),
        WITH_DECODE(decode_refuses_bad_anchor_documents),
        WITH_DECODE(decode_refuses_every_truncation_of_an_anchor),
        WITH_DECODE(decode_limits_the_levels_of_an_anchor),
        cmocka_unit_test(decode_wants_a_proper_symbol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
