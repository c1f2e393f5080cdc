/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/log.h"
#include "services/exchange-sim/sim_file.h"
#include "wire/decode.h"

/* Diffs kept for a snapshot that is older than they are: some seconds of them. */
#define REPLAY_DIFFS_MAX 256
/* Ids move on by more than this when the capture begins again, so that a client sees a
 * gap, not old news; the time moves on by one step of the stream. */
#define REPLAY_LOOP_ID_GAP  1000
#define REPLAY_LOOP_STEP_US 100000

struct sim_replay {
    struct sim_file *file;
    char path[512];
    char symbol[RECORD_SYMBOL_SIZE];
    bool loop;
    struct sim_sink sink;
    struct sim_book book;
    struct decode *decode;
    struct sim_file_record pending; /* the next one */
    bool ended, book_ready;
    struct sim_diff *diffs[REPLAY_DIFFS_MAX];
    int64_t diff_total;
    /* What is added to the file's times and ids since it began again. */
    int64_t time_shift_us, book_shift, trade_shift;
    int64_t first_recv_us, first_book_id, first_trade_id;
    int64_t last_recv_us, last_book_id, last_trade_id;
    struct trade *trades;
    int trade_capacity;
    uint64_t refused;
};

static void replay_fetch(struct sim_replay *replay)
{
    struct err err = {0};
    int rc = sim_file_next(replay->file, &replay->pending, &err);
    if (rc == ERR_EMPTY && replay->loop && replay->last_recv_us != 0) {
        replay->time_shift_us += replay->last_recv_us - replay->first_recv_us + REPLAY_LOOP_STEP_US;
        replay->book_shift += replay->last_book_id - replay->first_book_id + REPLAY_LOOP_ID_GAP;
        replay->trade_shift += replay->last_trade_id - replay->first_trade_id + 1;
        replay->first_recv_us = replay->first_book_id = replay->first_trade_id = 0;
        replay->book_ready = false;
        sim_file_rewind(replay->file);
        rc = sim_file_next(replay->file, &replay->pending, &err);
    }
    if (rc != ERR_OK && rc != ERR_EMPTY)
        log_error("replay_failed", "reason=\"%s\"", err.text);
    replay->ended = rc != ERR_OK;
}

/* Ids and times with what the loops have added; what was first and last in this one. */
static int64_t replay_book_id(struct sim_replay *replay, int64_t id)
{
    if (replay->first_book_id == 0)
        replay->first_book_id = id;
    replay->last_book_id = id > replay->last_book_id ? id : replay->last_book_id;
    return id + replay->book_shift;
}

static int64_t replay_time(const struct sim_replay *replay, int64_t time_us)
{
    return time_us + replay->time_shift_us;
}

/* To the simulator's scale; a value that would lose digits refuses its event. */
static bool replay_scale(const struct event *event, int64_t *price, int64_t *qty)
{
    return decimal_rescale(*price, event->price_exponent, SIM_EXPONENT, price) == ERR_OK &&
           decimal_rescale(*qty, event->qty_exponent, SIM_EXPONENT, qty) == ERR_OK;
}

static bool replay_levels(const struct event *event, const struct level_view *view,
                          struct sbe_level *levels, int capacity, int *count)
{
    if (view->count > (uint32_t)capacity)
        return false;
    *count = (int)view->count;
    for (uint32_t i = 0; i < view->count; i++) {
        levels[i] = (struct sbe_level){level_price(view, i), level_qty(view, i)};
        if (!replay_scale(event, &levels[i].price, &levels[i].qty) || levels[i].price <= 0)
            return false;
    }
    return true;
}

static void replay_top(struct sim_replay *replay)
{
    sim_book_clear_changes(&replay->book);
    if (!replay->book_ready || !replay->book.top_changed)
        return;
    replay->book.top_changed = false;
    replay->sink.top(replay->sink.context, &replay->book);
}

static void replay_apply(struct sim_replay *replay, const struct sim_diff *diff)
{
    if (!replay->book_ready || diff->last_id <= replay->book.last_id)
        return;
    if (diff->first_id > replay->book.last_id + 1) {
        replay->book_ready = false; /* a gap in the recording: wait for its next snapshot */
        return;
    }
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < diff->counts[side]; i++)
            sim_book_set(&replay->book, (enum sim_side_name)side, diff->levels[side][i].price,
                         diff->levels[side][i].qty, diff->last_id);
    replay->book.last_id = diff->last_id;
}

static bool replay_diff(struct sim_replay *replay, const struct event *event)
{
    struct sim_diff *diff = replay->diffs[replay->diff_total % REPLAY_DIFFS_MAX];
    if (!replay_levels(event, &event->diff.bids, diff->levels[SIM_BID], SIM_CHANGES_MAX,
                       &diff->counts[SIM_BID]) ||
        !replay_levels(event, &event->diff.asks, diff->levels[SIM_ASK], SIM_CHANGES_MAX,
                       &diff->counts[SIM_ASK]))
        return false;
    diff->first_id = replay_book_id(replay, event->diff.first_id);
    diff->last_id = replay_book_id(replay, event->diff.last_id);
    replay->diff_total++;
    replay_apply(replay, diff);
    replay_top(replay);
    int64_t time_us = replay_time(replay, event->event_us);
    for (int i = 0; i < SIM_CADENCE_COUNT; i++)
        replay->sink.diff(replay->sink.context, time_us, (enum sim_cadence)i, diff);
    return true;
}

/* A recorded REST snapshot: the book begins anew there, and the diffs behind it follow. */
static bool replay_anchor(struct sim_replay *replay, const struct event *event)
{
    struct sbe_level level;
    const struct level_view *views[2] = {&event->snapshot.bids, &event->snapshot.asks};
    int64_t id = replay_book_id(replay, event->snapshot.book_id);
    sim_book_clear(&replay->book, id);
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < views[side]->count; i++) {
            level = (struct sbe_level){level_price(views[side], i), level_qty(views[side], i)};
            if (!replay_scale(event, &level.price, &level.qty) || level.price <= 0)
                return false;
            sim_book_set(&replay->book, (enum sim_side_name)side, level.price, level.qty, id);
        }
    }
    replay->book_ready = true;
    int64_t kept = replay->diff_total < REPLAY_DIFFS_MAX ? replay->diff_total : REPLAY_DIFFS_MAX;
    for (int64_t i = replay->diff_total - kept; i < replay->diff_total; i++)
        replay_apply(replay, replay->diffs[i % REPLAY_DIFFS_MAX]);
    replay_top(replay);
    return true;
}

static bool replay_quote(struct sim_replay *replay, const struct event *event)
{
    struct sbe_level bid = {event->quote.bid_price, event->quote.bid_qty};
    struct sbe_level ask = {event->quote.ask_price, event->quote.ask_qty};
    if (!replay_scale(event, &bid.price, &bid.qty) || !replay_scale(event, &ask.price, &ask.qty))
        return false;
    replay->sink.quote(replay->sink.context, replay_time(replay, event->event_us),
                       replay_book_id(replay, event->quote.book_id), bid, ask);
    return true;
}

static bool replay_snapshot(struct sim_replay *replay, const struct event *event)
{
    struct sbe_level bids[SIM_SNAPSHOT_LEVELS], asks[SIM_SNAPSHOT_LEVELS];
    int bid_count, ask_count;
    if (!replay_levels(event, &event->snapshot.bids, bids, SIM_SNAPSHOT_LEVELS, &bid_count) ||
        !replay_levels(event, &event->snapshot.asks, asks, SIM_SNAPSHOT_LEVELS, &ask_count))
        return false;
    replay->sink.snapshot(replay->sink.context, replay_time(replay, event->event_us),
                          replay_book_id(replay, event->snapshot.book_id), bids, bid_count, asks,
                          ask_count);
    return true;
}

static bool replay_room(struct sim_replay *replay, uint32_t count)
{
    if (count <= (uint32_t)replay->trade_capacity)
        return true;
    struct trade *trades = realloc(replay->trades, count * sizeof(*trades));
    if (!trades)
        return false;
    replay->trades = trades;
    replay->trade_capacity = (int)count;
    return true;
}

static bool replay_trades(struct sim_replay *replay, const struct event *event)
{
    const struct trade_view *view = &event->trades.list;
    if (view->count == 0 || !replay_room(replay, view->count))
        return false;
    for (uint32_t i = 0; i < view->count; i++) {
        struct trade trade = trade_at(view, i);
        if (!replay_scale(event, &trade.price, &trade.qty))
            return false;
        if (replay->first_trade_id == 0)
            replay->first_trade_id = trade.id;
        replay->last_trade_id = trade.id;
        trade.id += replay->trade_shift;
        replay->trades[i] = trade;
    }
    replay->sink.trades(replay->sink.context, replay_time(replay, event->event_us),
                        replay_time(replay, event->trades.transact_us), replay->trades,
                        (int)view->count);
    return true;
}

static bool replay_event(struct sim_replay *replay, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TRADES:
        return replay_trades(replay, event);
    case EVENT_QUOTE:
        return replay_quote(replay, event);
    case EVENT_SNAPSHOT:
        return replay_snapshot(replay, event);
    case EVENT_DIFF:
        return replay_diff(replay, event);
    case EVENT_ANCHOR:
        return replay_anchor(replay, event);
    default:
        return true; /* ticks and holes are the recorder's, not the exchange's */
    }
}

static void replay_record(struct sim_replay *replay)
{
    const struct record *record = &replay->pending.record;
    struct event event;
    struct err err = {0};
    if (replay->first_recv_us == 0)
        replay->first_recv_us = record->recv_us;
    replay->last_recv_us = record->recv_us;
    int rc = decode_record(replay->decode, record, &event, NULL, &err);
    if (rc == ERR_OK && replay_event(replay, &event))
        return;
    if (replay->refused++ == 0)
        log_warn("replay_refused", "reason=\"%s\"", rc != ERR_OK ? err.text : "value out of scale");
}

static int64_t replay_next_us(void *self)
{
    const struct sim_replay *replay = self;
    return replay->ended ? INT64_MAX : replay_time(replay, replay->pending.record.recv_us);
}

static void replay_run(void *self, int64_t until_us)
{
    struct sim_replay *replay = self;
    while (!replay->ended && replay_next_us(replay) < until_us) {
        replay_record(replay);
        replay_fetch(replay);
    }
}

static bool replay_book_ready(void *self)
{
    return ((struct sim_replay *)self)->book_ready;
}

struct sim_source sim_replay_source(struct sim_replay *replay)
{
    return (struct sim_source){replay, replay_next_us, replay_run, replay_book_ready,
                               &replay->book};
}

static int replay_memory(struct sim_replay *replay, struct err *err)
{
    for (int i = 0; i < REPLAY_DIFFS_MAX; i++) {
        replay->diffs[i] = malloc(sizeof(struct sim_diff));
        if (!replay->diffs[i])
            return err_set(err, ERR_MEMORY, "replay of %s", replay->path);
    }
    return sim_book_open(&replay->book, 0, err);
}

int sim_replay_open(const char *path, const char *symbol, bool loop, const struct sim_sink *sink,
                    struct sim_replay **out, struct err *err)
{
    struct sim_replay *replay = calloc(1, sizeof(*replay));
    if (!replay)
        return err_set(err, ERR_MEMORY, "replay of %s", path);
    (void)snprintf(replay->path, sizeof(replay->path), "%s", path);
    (void)snprintf(replay->symbol, sizeof(replay->symbol), "%s", symbol);
    replay->loop = loop;
    replay->sink = *sink;
    int rc = replay_memory(replay, err);
    if (rc == ERR_OK)
        rc = decode_open(symbol, &replay->decode, err);
    if (rc == ERR_OK)
        rc = sim_file_open(path, symbol, &replay->file, err);
    if (rc == ERR_OK) {
        rc = sim_file_next(replay->file, &replay->pending, err);
        if (rc == ERR_EMPTY)
            rc = err_set(err, ERR_MALFORMED, "%s holds no record", path);
    }
    if (rc != ERR_OK) {
        sim_replay_close(replay);
        return rc;
    }
    *out = replay;
    return ERR_OK;
}

void sim_replay_close(struct sim_replay *replay)
{
    if (!replay)
        return;
    for (int i = 0; i < REPLAY_DIFFS_MAX; i++)
        free(replay->diffs[i]);
    sim_book_close(&replay->book);
    if (replay->decode)
        decode_close(replay->decode);
    sim_file_close(replay->file);
    free(replay->trades);
    free(replay);
}
