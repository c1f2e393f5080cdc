/* From what a market source says to what the exchange shows: the tape, and one message a
 * stream, SBE frames and JSON texts alike, handed to a publisher. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_FEED_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "services/exchange-sim/sim_sink.h"
#include "services/exchange-sim/sim_tape.h"

#define SIM_SYMBOL_SIZE 24
/* Longest message: a diff of SIM_CHANGES_MAX levels as JSON. */
#define SIM_MESSAGE_MAX (1u << 20)

enum sim_stream {
    SIM_STREAM_TRADE,
    SIM_STREAM_BEST_BID_ASK,
    SIM_STREAM_DEPTH20,
    SIM_STREAM_DEPTH,
    SIM_STREAM_SBE_COUNT,
    SIM_STREAM_JSON_TRADE = SIM_STREAM_SBE_COUNT,
    SIM_STREAM_JSON_BOOK_TICKER,
    SIM_STREAM_JSON_DEPTH20,
    SIM_STREAM_JSON_DEPTH,
    SIM_STREAM_COUNT,
};
/* "trade", "bestBidAsk", …, "json:depth@100ms": for faults and state. */
const char *sim_stream_name(enum sim_stream stream);
/* A subscription name ("btcusdt@trade") to a stream; -1: no such stream of this symbol. */
int sim_stream_parse(const char *symbol, const char *name, bool json);

/* Model time to wall time: wall = wall_us + (model - model_us) / rate. */
struct sim_clock {
    int64_t model_us, wall_us;
    double rate;
};
int64_t sim_clock_wall(const struct sim_clock *clock, int64_t model_us);
int64_t sim_clock_model(const struct sim_clock *clock, int64_t wall_us);

typedef void (*sim_publish_fn)(void *context, enum sim_stream stream, struct bytes message);

struct sim_feed_options {
    char symbol[SIM_SYMBOL_SIZE];
    int64_t tops_max;
    bool depth20;
    bool frames_only; /* nobody asks REST or reads JSON: no tape is kept */
};

struct sim_feed {
    struct sim_feed_options options;
    struct sim_clock clock;
    struct sim_tape tape;
    const struct sim_book *book; /* the source's */
    bool book_ready;             /* REST may serve depth */
    bool wants_json;             /* somebody listens to JSON streams */
    sim_publish_fn publish;
    void *context;
    uint64_t messages[SIM_STREAM_COUNT];
    uint8_t *out; /* SIM_MESSAGE_MAX scratch */
};

int sim_feed_open(struct sim_feed *feed, const struct sim_feed_options *options,
                  sim_publish_fn publish, void *context, struct err *err) MUST_CHECK;
void sim_feed_close(struct sim_feed *feed);
/* The sink to give to a source. */
struct sim_sink sim_feed_sink(struct sim_feed *feed);

/* sim_json.c: the exchange's JSON shapes (BINANCE.md section 8, and the JSON streams). */
void sim_json_trade(struct text *text, const char *symbol, int64_t event_us, int64_t transact_us,
                    const struct trade *trade);
void sim_json_book_ticker(struct text *text, const char *symbol, int64_t id, struct sbe_level bid,
                          struct sbe_level ask);
void sim_json_diff(struct text *text, const char *symbol, int64_t event_us,
                   const struct sim_diff *diff);
/* {"lastUpdateId":…,"bids":…,"asks":…}: REST depth and the partial book stream. */
void sim_json_depth(struct text *text, int64_t id, const struct sbe_level *bids, int bid_count,
                    const struct sbe_level *asks, int ask_count);

#endif
