/* covers: src/wire/json_*.c src/wire/exchange_*.c src/wire/rest_*.c src/wire/decode.c */
/* Any text as JSON from the exchange: messages, replies, anchor documents, capture lines.
 * What jansson takes the scanner takes, and what becomes a frame is a valid one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/decode.h"
#include "wire/exchange_json.h"
#include "wire/json_scan.h"
#include "wire/rest_json.h"

#define LIST 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_with_jansson(struct bytes text)
{
    struct json_scan scan = json_scan_begin(text);
    struct bytes raw;
    (void)json_scan_skip(&scan, &raw);
    bool good = json_scan_finish(&scan);
    CHECK(json_scan_offset(&scan) <= text.size);
    /* jansson takes a NUL for the end of the text. */
    if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL)
        return;
    json_error_t error;
    json_t *value = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, &error);
    /* The scanner's depth limit is the lower one. */
    if (value != NULL && !good)
        CHECK(memchr(text.data, '[', text.size) != NULL ||
              memchr(text.data, '{', text.size) != NULL);
    if (value != NULL && text.size <= JSON_SCAN_DEPTH_MAX)
        CHECK(good);
    json_decref(value);
}

static void read_message(struct bytes text)
{
    static struct exchange_json *json;
    static uint8_t frame[EXCHANGE_JSON_FRAME_MAX];
    if (json == NULL)
        CHECK(exchange_json_open(&json, NULL) == ERR_OK);
    struct exchange_json_message message;
    struct err err = {0};
    int rv = exchange_json_read(json, text, 1, frame, sizeof(frame), &message, &err);
    CHECK(rv == ERR_OK || (rv == ERR_MALFORMED && err.text[0] != '\0'));
    if (rv == ERR_OK && message.kind == EXCHANGE_JSON_FRAME) {
        struct sbe_frame decoded;
        CHECK(sbe_decode(bytes_of(frame, message.frame_size), &decoded, NULL) == SBE_OK);
        CHECK(decoded.template_id == message.template_id && decoded.trailing == 0);
    }
}

/* As the payload of every kind of record, known and unknown. */
static void read_record(struct bytes text)
{
    static struct decode *decode;
    if (decode == NULL)
        CHECK(decode_open("BTCUSDT", &decode, NULL) == ERR_OK);
    for (uint8_t kind = 0; kind <= RECORD_HOLE + 1; kind++) {
        struct record record = {.kind = kind, .payload = text};
        struct event event;
        enum sbe_verdict verdict;
        int rv = decode_record(decode, &record, &event, &verdict, NULL);
        CHECK(verdict == SBE_OK || (kind == RECORD_FRAME && rv != ERR_OK));
        if (rv != ERR_OK || event.kind != EVENT_ANCHOR)
            continue;
        for (uint32_t i = 0; i < event.snapshot.bids.count; i++)
            CHECK(level_price(&event.snapshot.bids, i) >= 0);
    }
}

static void read_replies(struct bytes text)
{
    static struct sbe_level bids[LIST];
    static struct sbe_level asks[LIST];
    static struct rest_agg_trade agg_trades[LIST];
    static struct rest_kline klines[LIST];
    static struct trade trades[LIST];
    static int64_t times_us[LIST];
    struct sbe_scale scale = {.price_exponent = -8, .qty_exponent = -8};
    struct rest_depth depth = {.bids = bids, .asks = asks, .capacity = LIST};
    struct rest_exchange_info info;
    struct rest_error error;
    int64_t time_us = 0;
    uint32_t count = 0;
    if (rest_json_read_depth(text, scale, &depth, NULL) == ERR_OK)
        CHECK(depth.bid_count <= LIST && depth.last_update_id >= 0);
    if (rest_json_read_agg_trades(text, scale, agg_trades, LIST, &count, NULL) == ERR_OK)
        CHECK(count <= LIST);
    if (rest_json_read_trades(text, scale, trades, times_us, LIST, &count, NULL) == ERR_OK)
        CHECK(count <= LIST);
    if (rest_json_read_klines(text, scale, klines, LIST, &count, NULL) == ERR_OK)
        CHECK(count <= LIST);
    if (rest_json_read_time(text, &time_us, NULL) == ERR_OK)
        CHECK(time_us >= 0);
    if (rest_json_read_exchange_info(text, "BTCUSDT", scale, &info, NULL) == ERR_OK)
        CHECK(strcmp(info.symbol, "BTCUSDT") == 0);
    if (rest_json_read_error(text, &error, NULL) == ERR_OK)
        CHECK(error.banned_until_us >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    compare_with_jansson(text);
    read_message(text);
    read_record(text);
    read_replies(text);
    int64_t recv_us = 0;
    struct bytes json;
    if (exchange_json_line(text, &recv_us, &json) == ERR_OK)
        CHECK(recv_us >= 0 && json.size > 0);
    return 0;
}
