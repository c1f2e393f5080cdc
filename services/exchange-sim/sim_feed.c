/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_feed.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "wire/sbe.h"

static const char *const feed_names[SIM_STREAM_COUNT] = {
    [SIM_STREAM_TRADE] = "trade",
    [SIM_STREAM_BEST_BID_ASK] = "bestBidAsk",
    [SIM_STREAM_DEPTH20] = "depth20",
    [SIM_STREAM_DEPTH] = "depth",
    [SIM_STREAM_JSON_TRADE] = "json:trade",
    [SIM_STREAM_JSON_BOOK_TICKER] = "json:bookTicker",
    [SIM_STREAM_JSON_DEPTH20] = "json:depth20",
    [SIM_STREAM_JSON_DEPTH] = "json:depth@100ms",
};

const char *sim_stream_name(enum sim_stream stream)
{
    return feed_names[stream];
}

int sim_stream_parse(const char *symbol, const char *name, bool json)
{
    size_t size = strlen(symbol);
    for (size_t i = 0; i < size; i++)
        if (name[i] != tolower((unsigned char)symbol[i]))
            return -1;
    if (name[size] != '@')
        return -1;
    const char *kind = name + size + 1;
    if (!json) {
        for (int i = 0; i < SIM_STREAM_SBE_COUNT; i++)
            if (strcmp(kind, feed_names[i]) == 0)
                return i;
        return -1;
    }
    if (strcmp(kind, "depth20@100ms") == 0)
        return SIM_STREAM_JSON_DEPTH20;
    for (int i = SIM_STREAM_SBE_COUNT; i < SIM_STREAM_COUNT; i++)
        if (strcmp(kind, feed_names[i] + strlen("json:")) == 0)
            return i;
    return -1;
}

int64_t sim_clock_wall(const struct sim_clock *clock, int64_t model_us)
{
    return clock->wall_us + (int64_t)((double)(model_us - clock->model_us) / clock->rate);
}

int64_t sim_clock_model(const struct sim_clock *clock, int64_t wall_us)
{
    return clock->model_us + (int64_t)((double)(wall_us - clock->wall_us) * clock->rate);
}

int sim_feed_open(struct sim_feed *feed, const struct sim_feed_options *options,
                  sim_publish_fn publish, void *context, struct err *err)
{
    memset(feed, 0, sizeof(*feed));
    feed->options = *options;
    feed->publish = publish;
    feed->context = context;
    feed->clock.rate = 1;
    feed->out = malloc(SIM_MESSAGE_MAX);
    if (!feed->out)
        return err_set(err, ERR_MEMORY, "simulated feed");
    int rc = sim_tape_open(&feed->tape, options->tops_max, err);
    if (rc != ERR_OK)
        free(feed->out);
    return rc;
}

void sim_feed_close(struct sim_feed *feed)
{
    sim_tape_close(&feed->tape);
    free(feed->out);
    feed->out = NULL;
}

static void feed_send(struct sim_feed *feed, enum sim_stream stream, size_t size)
{
    CHECK(size > 0);
    feed->messages[stream]++;
    feed->publish(feed->context, stream, bytes_of(feed->out, size));
}

static void feed_send_text(struct sim_feed *feed, enum sim_stream stream, const struct text *text)
{
    CHECK(!text->truncated);
    feed_send(feed, stream, text->size);
}

static struct text feed_text(struct sim_feed *feed)
{
    return text_begin((char *)feed->out, SIM_MESSAGE_MAX);
}

static void feed_trades(void *context, int64_t time_us, int64_t matched_us,
                        const struct trade *trades, int count)
{
    struct sim_feed *feed = context;
    int64_t event_us = sim_clock_wall(&feed->clock, time_us);
    int64_t transact_us = sim_clock_wall(&feed->clock, matched_us);
    if (!feed->options.frames_only)
        sim_tape_add(&feed->tape, transact_us, trades, count);
    feed_send(feed, SIM_STREAM_TRADE,
              sbe_encode_trades(feed->out, SIM_MESSAGE_MAX, feed->options.symbol, SIM_SCALE,
                                event_us, transact_us, trades, (uint32_t)count));
    for (int i = 0; feed->wants_json && i < count; i++) {
        struct text text = feed_text(feed);
        sim_json_trade(&text, feed->options.symbol, event_us, transact_us, &trades[i]);
        feed_send_text(feed, SIM_STREAM_JSON_TRADE, &text);
    }
}

static void feed_quote(void *context, int64_t time_us, int64_t id, struct sbe_level bid,
                       struct sbe_level ask)
{
    struct sim_feed *feed = context;
    feed_send(feed, SIM_STREAM_BEST_BID_ASK,
              sbe_encode_quote(feed->out, SIM_MESSAGE_MAX, feed->options.symbol, SIM_SCALE,
                               sim_clock_wall(&feed->clock, time_us), id, bid, ask));
    if (!feed->wants_json)
        return;
    struct text text = feed_text(feed);
    sim_json_book_ticker(&text, feed->options.symbol, id, bid, ask);
    feed_send_text(feed, SIM_STREAM_JSON_BOOK_TICKER, &text);
}

static void feed_diff(void *context, int64_t time_us, enum sim_cadence cadence,
                      const struct sim_diff *diff)
{
    struct sim_feed *feed = context;
    int64_t event_us = sim_clock_wall(&feed->clock, time_us);
    if (cadence == SIM_CADENCE_FAST) {
        if (!feed->options.frames_only)
            sim_tape_copy(&feed->tape, event_us, feed->book);
        feed_send(feed, SIM_STREAM_DEPTH,
                  sbe_encode_diff(feed->out, SIM_MESSAGE_MAX, feed->options.symbol, SIM_SCALE,
                                  event_us, diff->first_id, diff->last_id, diff->levels[SIM_BID],
                                  (uint32_t)diff->counts[SIM_BID], diff->levels[SIM_ASK],
                                  (uint32_t)diff->counts[SIM_ASK]));
    } else if (feed->wants_json) {
        struct text text = feed_text(feed);
        sim_json_diff(&text, feed->options.symbol, event_us, diff);
        feed_send_text(feed, SIM_STREAM_JSON_DEPTH, &text);
    }
}

static void feed_snapshot(void *context, int64_t time_us, int64_t id, const struct sbe_level *bids,
                          int bid_count, const struct sbe_level *asks, int ask_count)
{
    struct sim_feed *feed = context;
    if (!feed->options.depth20)
        return;
    feed_send(feed, SIM_STREAM_DEPTH20,
              sbe_encode_snapshot(feed->out, SIM_MESSAGE_MAX, feed->options.symbol, SIM_SCALE,
                                  sim_clock_wall(&feed->clock, time_us), id, bids,
                                  (uint32_t)bid_count, asks, (uint32_t)ask_count));
    /* The JSON stream speaks every second time: 100 ms. */
    if (!feed->wants_json || feed->messages[SIM_STREAM_DEPTH20] % 2 != 0)
        return;
    struct text text = feed_text(feed);
    sim_json_depth(&text, id, bids, bid_count, asks, ask_count);
    feed_send_text(feed, SIM_STREAM_JSON_DEPTH20, &text);
}

static void feed_top(void *context, const struct sim_book *book)
{
    struct sim_feed *feed = context;
    if (!feed->options.frames_only)
        sim_tape_add_top(&feed->tape, book);
}

struct sim_sink sim_feed_sink(struct sim_feed *feed)
{
    return (struct sim_sink){feed, feed_trades, feed_quote, feed_diff, feed_snapshot, feed_top};
}
