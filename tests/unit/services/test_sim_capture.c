/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/exchange-sim/sim_replay.h"
#include "services/replay/replay_slots.h"
#include "wire/capture.h"
#include "wire/decode.h"

#define START_MS 1767225600000LL
#define MINUTES  3

static char folder[64];

static int folder_make(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/btcast-sim-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int folder_remove(void **state)
{
    (void)state;
    char path[96];
    const char *names[] = {"a.btc", "a.csv", "b.btc", "b.csv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static struct sim_capture_result make(const char *name, int64_t seed)
{
    struct sim_options *options = calloc(1, sizeof(*options));
    struct sim_capture_result result;
    struct err err = {0};
    strcpy(options->symbol, "BTCUSDT");
    options->seed = seed;
    options->price = 61837.63;
    options->diff_interval_ms = 20;
    options->depth20 = true;
    options->capture_hours = MINUTES / 60.0;
    options->capture_start_ms = START_MS;
    snprintf(options->capture_out, sizeof(options->capture_out), "%s/%s.btc", folder, name);
    snprintf(options->capture_oracle, sizeof(options->capture_oracle), "%s/%s.csv", folder, name);
    assert_int_equal(sim_capture_write(options, &result, &err), ERR_OK);
    free(options);
    return result;
}

static uint8_t *load(const char *name, size_t *size)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* What a consumer of the capture would keep. */
struct reader {
    struct sim_book book;
    bool live;
    uint64_t seq, ticks, frames, anchors, compared;
    int64_t recv_us, last_diff_id, last_trade_id;
};

static void reader_levels(struct sim_book *book, enum sim_side_name side,
                          const struct level_view *view, int64_t id)
{
    for (uint32_t i = 0; i < view->count; i++)
        sim_book_set(book, side, level_price(view, i), level_qty(view, i), id);
    sim_book_clear_changes(book);
}

static void reader_diff(struct reader *reader, const struct event *event)
{
    if (reader->last_diff_id)
        assert_int_equal(event->diff.first_id, reader->last_diff_id + 1);
    reader->last_diff_id = event->diff.last_id;
    if (!reader->live || event->diff.last_id <= reader->book.last_id)
        return;
    assert_true(event->diff.first_id <= reader->book.last_id + 1);
    reader_levels(&reader->book, SIM_BID, &event->diff.bids, event->diff.last_id);
    reader_levels(&reader->book, SIM_ASK, &event->diff.asks, event->diff.last_id);
}

static void reader_snapshot(struct reader *reader, const struct event *event)
{
    struct sbe_level own[SIM_SNAPSHOT_LEVELS];
    if (!reader->live || event->snapshot.book_id != reader->book.last_id)
        return;
    for (int side = 0; side < 2; side++) {
        const struct level_view *view = side ? &event->snapshot.asks : &event->snapshot.bids;
        assert_int_equal(sim_book_copy(&reader->book, (enum sim_side_name)side, own, 20),
                         view->count);
        for (uint32_t i = 0; i < view->count; i++) {
            assert_int_equal(own[i].price, level_price(view, i));
            assert_int_equal(own[i].qty, level_qty(view, i));
        }
    }
    reader->compared++;
}

static void reader_event(struct reader *reader, const struct event *event)
{
    if (event->kind == EVENT_DIFF)
        reader_diff(reader, event);
    if (event->kind == EVENT_SNAPSHOT)
        reader_snapshot(reader, event);
    if (event->kind == EVENT_TRADES) {
        for (uint32_t i = 0; i < event->trades.list.count; i++) {
            struct trade trade = trade_at(&event->trades.list, i);
            if (reader->last_trade_id)
                assert_int_equal(trade.id, reader->last_trade_id + 1);
            reader->last_trade_id = trade.id;
        }
    }
    if (event->kind == EVENT_ANCHOR) {
        assert_true(reader->last_diff_id != 0 && event->snapshot.book_id >= reader->last_diff_id);
        sim_book_clear(&reader->book, event->snapshot.book_id);
        reader_levels(&reader->book, SIM_BID, &event->snapshot.bids, event->snapshot.book_id);
        reader_levels(&reader->book, SIM_ASK, &event->snapshot.asks, event->snapshot.book_id);
        reader->live = true;
        reader->anchors++;
    }
}

static void reader_stamp(struct reader *reader, const struct record *record)
{
    assert_int_equal(record->epoch, START_MS);
    assert_int_equal(record->seq, reader->seq + !record_is_control(record));
    assert_true(record->recv_us >= reader->recv_us);
    reader->seq = record->seq;
    reader->recv_us = record->recv_us;
    reader->frames += record->kind == RECORD_FRAME;
    if (record->kind == RECORD_TICK) {
        int64_t in_slot_us = record->recv_us % CLOCK_SLOT_US;
        assert_true(in_slot_us % 100000 == 50000 || in_slot_us == CLOCK_SLOT_US - 5000);
        reader->ticks++;
    }
}

static void a_capture_is_stamped_like_the_ingestors_and_its_book_comes_together(void **state)
{
    (void)state;
    struct sim_capture_result result = make("a", 4);
    size_t size, at = CAPTURE_HEADER_SIZE, step;
    uint8_t *data = load("a.btc", &size);
    struct capture_header header;
    struct err err = {0};
    assert_int_equal(capture_read_header(bytes_of(data, size), &header, &err), ERR_OK);
    assert_string_equal(header.symbol, "BTCUSDT");
    struct reader *reader = calloc(1, sizeof(*reader));
    struct decode *decode;
    assert_int_equal(sim_book_open(&reader->book, 0, &err), ERR_OK);
    assert_int_equal(decode_open("BTCUSDT", &decode, &err), ERR_OK);
    struct record record;
    while (capture_read_record(bytes_of(data + at, size - at), &record, &step) == ERR_OK) {
        struct event event;
        at += step;
        reader_stamp(reader, &record);
        assert_int_equal(decode_record(decode, &record, &event, NULL, &err), ERR_OK);
        reader_event(reader, &event);
    }
    assert_int_equal(at, size);
    assert_int_equal(reader->frames, result.frames);
    assert_int_equal(reader->ticks, MINUTES * (600 + 30));
    assert_int_equal(reader->anchors, 1);
    assert_true(reader->compared > 20 * 60 * MINUTES / 4);
    decode_close(decode);
    sim_book_close(&reader->book);
    free(reader);
    free(data);
}

static void the_same_seed_gives_the_same_bytes_and_another_one_does_not(void **state)
{
    (void)state;
    size_t size_a, size_b;
    (void)make("a", 4);
    (void)make("b", 4);
    uint8_t *a = load("a.btc", &size_a);
    uint8_t *b = load("b.btc", &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(a, b, size_a);
    free(b);
    uint8_t *rows = load("a.csv", &size_b);
    int lines = 0;
    for (size_t i = 0; i < size_b; i++)
        lines += rows[i] == '\n';
    assert_int_equal(lines, 1 + MINUTES * 30);
    assert_memory_equal(rows, "slot,oracle_bp\n", 15);
    free(rows);
    (void)make("b", 5);
    b = load("b.btc", &size_b);
    assert_true(size_a != size_b || memcmp(a, b, size_a) != 0);
    free(a);
    free(b);
}

static int apply(void *context, const struct record *record, struct err *err)
{
    (void)err;
    replay_slots_apply(context, record);
    return ERR_OK;
}

/* This market climbs by 330 USD within minutes, past the thousand levels that a usual anchor shows:
 * what stood there from the beginning has to be in the capture's anchor, for no other one comes. */
static void a_market_that_runs_away_keeps_its_book(void **state)
{
    (void)state;
    struct sim_options *options = calloc(1, sizeof(*options));
    struct replay_slots_options slots = {.symbol = "BTCUSDT"};
    struct sim_capture_result result;
    struct replay_slots *replay;
    struct err err = {0};
    strcpy(options->symbol, "BTCUSDT");
    options->seed = 5006;
    options->price = 61837.63;
    options->diff_interval_ms = 20;
    options->depth20 = true;
    options->capture_hours = 0.08;
    options->capture_start_ms = 1768327200000LL;
    assert_int_equal(replay_slots_open(&slots, &replay, &err), ERR_OK);
    assert_int_equal(sim_capture_records(options, apply, replay, &result, &err), ERR_OK);
    const struct world_counters *counters = world_counters(replay_slots_world(replay));
    assert_int_equal(counters->gaps, 0);
    assert_int_equal(counters->snapshots_diverged, 0);
    assert_true(counters->snapshots_verified > 2800);
    replay_slots_close(replay);
    free(options);
}

/* --- replay ---------------------------------------------------------------------------- */

struct heard {
    long diffs, trades, quotes, snapshots;
    int64_t last_diff_id, last_trade_id, first_us, last_us;
    long gaps, crossed;
};

static void heard_trades(void *context, int64_t time_us, int64_t transact_us,
                         const struct trade *trades, int count)
{
    struct heard *heard = context;
    (void)time_us;
    (void)transact_us;
    for (int i = 0; i < count; i++) {
        heard->gaps += heard->last_trade_id != 0 && trades[i].id != heard->last_trade_id + 1;
        heard->last_trade_id = trades[i].id;
    }
    heard->trades += count;
}

static void heard_quote(void *context, int64_t time_us, int64_t id, struct sbe_level bid,
                        struct sbe_level ask)
{
    struct heard *heard = context;
    (void)id;
    heard->first_us = heard->first_us ? heard->first_us : time_us;
    heard->last_us = time_us;
    heard->quotes++;
    assert_true(bid.price < ask.price);
}

static void heard_diff(void *context, int64_t time_us, enum sim_cadence cadence,
                       const struct sim_diff *diff)
{
    struct heard *heard = context;
    (void)time_us;
    if (cadence != SIM_CADENCE_FAST)
        return;
    heard->gaps += heard->last_diff_id != 0 && diff->first_id != heard->last_diff_id + 1;
    heard->last_diff_id = diff->last_id;
    heard->diffs++;
}

static void heard_snapshot(void *context, int64_t time_us, int64_t id, const struct sbe_level *bids,
                           int bid_count, const struct sbe_level *asks, int ask_count)
{
    struct heard *heard = context;
    (void)time_us;
    (void)id;
    assert_true(bid_count > 0 && ask_count > 0 && bids[0].price < asks[0].price);
    heard->snapshots++;
}

static void heard_top(void *context, const struct sim_book *book)
{
    struct heard *heard = context;
    heard->crossed +=
        sim_book_level(book, SIM_BID, 0)->price >= sim_book_level(book, SIM_ASK, 0)->price;
}

static struct sim_sink heard_sink(struct heard *heard)
{
    return (struct sim_sink){heard,      heard_trades,   heard_quote,
                             heard_diff, heard_snapshot, heard_top};
}

static struct sim_replay *replay_open(const char *path, bool loop, struct heard *heard)
{
    struct sim_replay *replay = NULL;
    struct err err = {0};
    struct sim_sink sink = heard_sink(heard);
    int rc = sim_replay_open(path, "BTCUSDT", loop, &sink, &replay, &err);
    if (rc != ERR_OK)
        print_message("%s\n", err.text);
    assert_int_equal(rc, ERR_OK);
    return replay;
}

static void the_real_capture_replays_whole_without_gap_or_crossed_book(void **state)
{
    (void)state;
    const char *path =
        BTCAST_SOURCE_DIR "/../shared/data/capture/binance-spot-btcusdt-20240808.jsonl.gz";
    if (access(path, R_OK) != 0) {
        print_message("SKIPPED: %s is not there\n", path);
        skip();
    }
    struct heard heard = {0};
    struct sim_replay *replay = replay_open(path, false, &heard);
    struct sim_source source = sim_replay_source(replay);
    assert_false(source.book_ready(replay));
    source.run(replay, INT64_MAX);
    assert_int_equal(source.next_us(replay), INT64_MAX);
    assert_true(source.book_ready(replay));
    assert_int_equal(heard.diffs, 3451);
    assert_int_equal(heard.quotes, 28040);
    assert_int_equal(heard.trades, 9757);
    assert_int_equal(heard.gaps, 0);
    assert_int_equal(heard.crossed, 0);
    assert_int_equal(source.book->last_id, heard.last_diff_id);
    sim_replay_close(replay);
}

static void a_looped_btcast_capture_goes_on_in_time_and_trade_ids(void **state)
{
    (void)state;
    char path[96];
    (void)make("a", 4);
    snprintf(path, sizeof(path), "%s/a.btc", folder);
    struct heard heard = {0};
    struct sim_replay *replay = replay_open(path, true, &heard);
    struct sim_source source = sim_replay_source(replay);
    int64_t first_us = source.next_us(replay);
    source.run(replay, first_us + MINUTES * 60000000LL - 2000000);
    assert_int_equal(heard.gaps, 0);
    assert_int_equal(heard.crossed, 0);
    assert_true(source.book_ready(replay));
    source.run(replay, first_us + 2 * MINUTES * 60000000LL);
    assert_int_equal(heard.gaps, 1); /* the book's ids jump once, so that clients notice */
    assert_true(source.book_ready(replay));
    assert_true(heard.last_us > first_us + (2 * MINUTES * 60 - 2) * 1000000LL);
    sim_replay_close(replay);
}

static void what_is_no_capture_is_refused_by_name(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct sim_sink sink = heard_sink(&heard);
    struct sim_replay *replay = NULL;
    struct err err = {0};
    assert_int_equal(sim_replay_open("/nowhere", "BTCUSDT", false, &sink, &replay, &err), ERR_IO);
    assert_non_null(strstr(err.text, "/nowhere"));
    assert_int_equal(sim_replay_open(BTCAST_SOURCE_DIR "/CMakeLists.txt", "BTCUSDT", false, &sink,
                                     &replay, &err),
                     ERR_MALFORMED);
    (void)make("a", 4);
    char path[96];
    snprintf(path, sizeof(path), "%s/a.btc", folder);
    assert_int_equal(sim_replay_open(path, "ETHUSDT", false, &sink, &replay, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, "ETHUSDT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capture_is_stamped_like_the_ingestors_and_its_book_comes_together),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_one_does_not),
        cmocka_unit_test(a_market_that_runs_away_keeps_its_book),
        cmocka_unit_test(the_real_capture_replays_whole_without_gap_or_crossed_book),
        cmocka_unit_test(a_looped_btcast_capture_goes_on_in_time_and_trade_ids),
        cmocka_unit_test(what_is_no_capture_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
