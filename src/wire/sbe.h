/* Binance SBE market data streams, schema 1 version 0 (BINANCE.md section 5): decode
 * with every bound checked, encode for the simulator and for JSON sources. Sans I/O, no
 * allocation: decoding leaves groups where they are and hands out views.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_SBE_H
#define BTCAST_WIRE_SBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "market/event.h"

#define SBE_SCHEMA_ID   1
#define SBE_HEADER_SIZE 8
#define SBE_SYMBOL_MAX  23 /* longer: treated as layout drift */
/* Named limits on numInGroup; more is malformed. */
#define SBE_TRADES_MAX          32768u
#define SBE_DIFF_LEVELS_MAX     32768u
#define SBE_SNAPSHOT_LEVELS_MAX 20u

enum sbe_template {
    SBE_TRADES = 10000,
    SBE_BEST_BID_ASK = 10001,
    SBE_DEPTH_SNAPSHOT = 10002,
    SBE_DEPTH_DIFF = 10003,
};

/* Why a frame was refused; each has its own counter. */
#define SBE_VERDICT_TABLE(X)                                                                       \
    X(SBE_OK, "ok")                                                                                \
    X(SBE_TRUNCATED, "truncated")                                                                  \
    X(SBE_BLOCK_SHORT, "block shorter than the schema")                                            \
    X(SBE_UNKNOWN_SCHEMA, "unknown schema")                                                        \
    X(SBE_UNKNOWN_TEMPLATE, "unknown template")                                                    \
    X(SBE_GROUP_STRIDE, "group block shorter than the schema")                                     \
    X(SBE_GROUP_COUNT, "group count over the limit")                                               \
    X(SBE_NULL_VALUE, "null value")                                                                \
    X(SBE_BAD_VALUE, "value out of range")                                                         \
    X(SBE_BAD_SYMBOL, "bad symbol")                                                                \
    X(SBE_BAD_IDS, "update ids out of order")
enum sbe_verdict {
#define X(name, text) name,
    SBE_VERDICT_TABLE(X)
#undef X
        SBE_VERDICT_COUNT
};
const char *sbe_verdict_text(enum sbe_verdict verdict);

/* A decoded frame: header, symbol and an event whose views point into the frame. epoch,
 * seq, recv_us and flags of the event are zero: the record has them. */
struct sbe_frame {
    uint16_t block_length, template_id, schema_id, version;
    struct bytes symbol;
    uint32_t trailing; /* bytes after the symbol: appended by a newer version, tolerated */
    struct event event;
};

/* 1 to SBE_SYMBOL_MAX upper-case letters, digits, '_', '-' or '.'. */
bool sbe_symbol_valid(struct bytes symbol);

/* Root block length of schema version 0: what is longer was appended by a newer one. */
uint16_t sbe_block_length(uint16_t template_id);

/* Decodes one bare frame. On refusal *offset (may be NULL) is the byte where it went wrong
 * and nothing of the frame is to be used. */
enum sbe_verdict sbe_decode(struct bytes data, struct sbe_frame *frame, size_t *offset);
/* The same without the header: what the hot path needs. */
enum sbe_verdict sbe_decode_event(struct bytes data, struct event *event, struct bytes *symbol,
                                  size_t *offset);

/* Encoders write a schema-version-0 frame; they return its size, or 0 when capacity is
 * too small or an argument is out of the schema's range. Levels and trades are arrays. */
struct sbe_level {
    int64_t price, qty;
};
struct sbe_scale {
    int8_t price_exponent, qty_exponent;
};
size_t sbe_encode_trades(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                         int64_t event_us, int64_t transact_us, const struct trade *trades,
                         uint32_t count);
size_t sbe_encode_quote(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                        int64_t event_us, int64_t book_id, struct sbe_level bid,
                        struct sbe_level ask);
size_t sbe_encode_snapshot(uint8_t *out, size_t capacity, const char *symbol,
                           struct sbe_scale scale, int64_t event_us, int64_t book_id,
                           const struct sbe_level *bids, uint32_t bid_count,
                           const struct sbe_level *asks, uint32_t ask_count);
size_t sbe_encode_diff(uint8_t *out, size_t capacity, const char *symbol, struct sbe_scale scale,
                       int64_t event_us, int64_t first_id, int64_t last_id,
                       const struct sbe_level *bids, uint32_t bid_count,
                       const struct sbe_level *asks, uint32_t ask_count);

#endif
