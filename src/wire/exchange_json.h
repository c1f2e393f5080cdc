/* The exchange's JSON streams (trade, bookTicker, depth, depth20; combined or raw) turned
 * into the SBE frames the rest of the system reads, and the text messages of any stream:
 * control replies and serverShutdown. One pass over the text with wire/json_scan: the
 * public streams bring up to 100,000 messages a second. BINANCE.md sections 1 and 3.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_EXCHANGE_JSON_H
#define BTCAST_WIRE_EXCHANGE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/sbe.h"

/* Levels a side of one message; more is malformed. */
#define EXCHANGE_JSON_LEVELS_MAX 10000
/* Decimals are encoded with these exponents, or finer ones if a value needs it. */
#define EXCHANGE_JSON_EXPONENT (-8)
/* No frame made here is longer. */
#define EXCHANGE_JSON_FRAME_MAX (128 + 2 * EXCHANGE_JSON_LEVELS_MAX * 16)

enum exchange_json_kind {
    EXCHANGE_JSON_FRAME,    /* market data: the SBE frame was written */
    EXCHANGE_JSON_DEPTH,    /* a bare REST depth reply, as JSON captures hold one */
    EXCHANGE_JSON_SHUTDOWN, /* serverShutdown: open a new connection at once */
    EXCHANGE_JSON_REPLY,    /* the answer to a control request */
    EXCHANGE_JSON_OTHER,    /* well-formed, but of no stream that is used */
};

struct exchange_json_message {
    enum exchange_json_kind kind;
    /* EXCHANGE_JSON_FRAME */
    size_t frame_size;
    uint16_t template_id; /* enum sbe_template */
    uint8_t flags;        /* enum record_flag */
    /* EXCHANGE_JSON_REPLY: borrowed from the text */
    struct bytes id;   /* as written: a number, a string without quotes, or null */
    int64_t code;      /* 0: success */
    struct bytes text; /* the error's message */
    /* EXCHANGE_JSON_DEPTH: the whole object, borrowed */
    struct bytes depth;
};

struct exchange_json; /* scratch for levels, opaque */

int exchange_json_open(struct exchange_json **json, struct err *err) MUST_CHECK;
void exchange_json_close(struct exchange_json *json);

/* Reads one text message; market data is encoded into frame (EXCHANGE_JSON_FRAME_MAX bytes
 * always suffice). recv_us stands in where a stream has none of its own (bookTicker,
 * depth20: RECORD_SYNTHETIC_TIME); event times in milliseconds or microseconds are both
 * taken. ERR_MALFORMED: unreadable at a byte offset, members missing, values out of range,
 * or a frame longer than capacity. */
int exchange_json_read(struct exchange_json *json, struct bytes text, int64_t recv_us,
                       uint8_t *frame, size_t capacity, struct exchange_json_message *message,
                       struct err *err) MUST_CHECK;

/* A line of the JSON capture format, `<receive time, ns> <JSON>`: the time and the rest.
 * A line end is tolerated. ERR_MALFORMED. */
int exchange_json_line(struct bytes line, int64_t *recv_us, struct bytes *json) MUST_CHECK;

#endif
