/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hot/ingest/ingest.h"
#include "frames.h"
#include "model_stream.h"

#define START_WALL_US 1700000000000000LL

struct fixture {
    struct model_stream stream;
    struct model_spool spool;
    struct ingest *ingest;
    struct clock_now now;
    uint8_t frame[FRAMES_SIZE];
    int64_t next_id;
    int quarantined;
    int acks;
};

static void on_quarantine(void *context, enum sbe_verdict verdict, size_t offset,
                          struct bytes frame)
{
    struct fixture *fixture = context;
    (void)offset;
    (void)frame;
    assert_int_not_equal(verdict, SBE_OK);
    fixture->quarantined++;
}

static void on_ack(void *context, int64_t since_us)
{
    struct fixture *fixture = context;
    assert_true(since_us <= fixture->now.mono_us);
    fixture->acks++;
}

static void open_ingest(struct fixture *fixture, bool spool, size_t ring_bytes)
{
    struct ingest_options options = {
        .symbol = "BTCUSDT",
        .now = fixture->now,
        .publisher = {.producer = &fixture->stream.port,
                      .spool = spool ? &fixture->spool.port : NULL,
                      .ring_bytes_max = ring_bytes,
                      .epoch = (uint64_t)fixture->now.wall_us / 1000,
                      .on_ack = on_ack,
                      .context = fixture},
        .quarantine = on_quarantine,
        .context = fixture,
    };
    assert_int_equal(ingest_open(&options, &fixture->ingest, NULL), ERR_OK);
    fixture->stream.done = publisher_on_put;
    fixture->stream.context = ingest_publisher(fixture->ingest);
    ingest_source(fixture->ingest, 0, true, fixture->now);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->now = (struct clock_now){START_WALL_US, 1000000};
    fixture->next_id = 1;
    model_open(&fixture->stream, 1);
    model_spool_open(&fixture->spool, MODEL_SPOOL_MAX);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ingest_close(fixture->ingest);
    model_close(&fixture->stream);
    model_spool_close(&fixture->spool);
    free(fixture);
    return 0;
}

static void pass_time(struct fixture *fixture, int64_t us)
{
    fixture->now.wall_us += us;
    fixture->now.mono_us += us;
}

static enum sbe_verdict push(struct fixture *fixture, size_t size)
{
    return ingest_frame(fixture->ingest, 0, bytes_of(fixture->frame, size), 0, fixture->now);
}

/* The next frame of a feed whose ids have no holes: diffs, quotes and trades in turn. */
static void push_next(struct fixture *fixture)
{
    int64_t id = fixture->next_id++;
    size_t size = id % 3 == 0   ? frames_diff(fixture->frame, id / 3, id / 3)
                  : id % 3 == 1 ? frames_quote(fixture->frame, "BTCUSDT", id)
                                : frames_trades(fixture->frame, id / 3 + 1, 1);
    assert_int_equal(push(fixture, size), SBE_OK);
}

static void work(struct fixture *fixture)
{
    ingest_do_work(fixture->ingest, fixture->now);
    model_do_work(&fixture->stream, fixture->now.mono_us);
}

static void settle(struct fixture *fixture)
{
    fixture->stream.up = true;
    fixture->stream.retry_in_100 = 0;
    for (int i = 0; i < 5000; i++) {
        pass_time(fixture, 100);
        work(fixture);
    }
    ingest_seal(fixture->ingest);
    for (int i = 0; i < 100; i++) {
        pass_time(fixture, 100);
        ingest_do_work(fixture->ingest, fixture->now);
        model_do_work(&fixture->stream, fixture->now.mono_us);
    }
}

/* What lies in the streams, read back: how often each seq is there. */
struct readback {
    uint64_t epoch;
    uint64_t last_seq[STREAM_COUNT];
    int64_t last_recv_us;
    uint8_t *seen; /* by seq */
    uint64_t seen_size;
    uint64_t highest;
    int ticks, connected;
};

static void read_envelope(struct readback *readback, int stream, const struct model_entry *entry)
{
    struct envelope_reader reader;
    struct record record;
    int64_t recv_us = 0;
    assert_int_equal(envelope_open(&reader, bytes_of(entry->data, entry->size), NULL), ERR_OK);
    assert_string_equal(reader.symbol, "BTCUSDT");
    while (envelope_next(&reader, &record) == ERR_OK) {
        assert_int_equal(record.epoch, entry->epoch);
        assert_true(record.seq > readback->last_seq[stream]);
        assert_true(record.recv_us >= recv_us);
        assert_true(record.seq < readback->seen_size);
        assert_true(record.kind == RECORD_FRAME || stream == STREAM_DEPTH);
        readback->ticks += record.kind == RECORD_TICK;
        readback->connected += record.kind == RECORD_TICK && record.flags == RECORD_CONNECTED;
        readback->last_seq[stream] = record.seq;
        readback->seen[record.seq]++;
        readback->highest = record.seq > readback->highest ? record.seq : readback->highest;
        recv_us = record.recv_us;
    }
    assert_int_equal(readback->last_seq[stream], entry->last_seq);
}

static struct readback read_back(struct fixture *fixture)
{
    struct readback readback = {.seen_size = ingest_seq(fixture->ingest) + 1};
    readback.seen = calloc(readback.seen_size, 1);
    for (int s = 0; s < STREAM_COUNT; s++)
        for (int i = 0; i < fixture->stream.count[s]; i++) {
            readback.epoch = fixture->stream.log[s][i].epoch;
            read_envelope(&readback, s, &fixture->stream.log[s][i]);
        }
    return readback;
}

static void assert_complete(struct fixture *fixture)
{
    struct readback readback = read_back(fixture);
    assert_int_equal(readback.highest, ingest_seq(fixture->ingest));
    for (uint64_t seq = 1; seq <= readback.highest; seq++)
        if (readback.seen[seq] != 1)
            fail_msg("seq %llu is there %d times", (unsigned long long)seq, readback.seen[seq]);
    free(readback.seen);
}

static void ingest_stamps_all_three_streams_in_one_gapless_order(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    for (int i = 0; i < 3000; i++) {
        push_next(fixture);
        pass_time(fixture, 1000);
        work(fixture);
    }
    settle(fixture);
    assert_complete(fixture);
    struct readback readback = read_back(fixture);
    assert_int_equal(readback.epoch, START_WALL_US / 1000);
    /* 3.5 s: 35 ticks at 50 ms, one before the slot boundary at 2 s. */
    assert_true(readback.ticks >= 36 && readback.ticks <= 38);
    assert_int_equal(readback.connected, 1); /* the one connection, opened once */
    assert_true(fixture->acks > 0);
    for (int s = 0; s < INGEST_STREAMS; s++)
        assert_true(readback.last_seq[s] > 0);
    free(readback.seen);
}

static void ingest_flushes_at_once_when_the_stream_is_idle(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    work(fixture);
    push_next(fixture);
    work(fixture);
    assert_int_equal(fixture->stream.count[STREAM_BEST_BID_ASK], 1);
    assert_int_equal(fixture->acks, 1);
}

static void ingest_batches_by_itself_under_back_pressure(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    fixture->stream.flights_max = 1;
    work(fixture);
    for (int i = 0; i < 300; i++) {
        push_next(fixture);
        ingest_do_work(fixture->ingest, fixture->now); /* no answer comes */
    }
    assert_int_equal(fixture->stream.puts, 1);
    settle(fixture);
    assert_complete(fixture);
    assert_true(ingest_counters(fixture->ingest)->envelopes < 100);
}

static void ingest_goes_on_collecting_without_a_stream(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    for (int i = 0; i < 5000; i++) {
        push_next(fixture);
        pass_time(fixture, 200);
        work(fixture);
    }
    assert_int_equal(fixture->stream.puts, 0);
    settle(fixture);
    assert_complete(fixture);
}

static void ingest_keeps_what_memory_cannot_hold_in_the_spool(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, true, BACKLOG_BYTES_MIN);
    for (int i = 0; i < 100000; i++)
        push_next(fixture);
    const struct publisher *publisher = ingest_publisher(fixture->ingest);
    assert_true(publisher_counters(publisher)->spooled > 10);
    settle(fixture);
    assert_complete(fixture);
    assert_int_equal(publisher_counters(publisher)->entries_dropped, 0);
    assert_int_equal(publisher_pending(publisher), 0);
}

static void ingest_drops_the_oldest_and_counts_when_the_spool_is_full(void **state)
{
    struct fixture *fixture = *state;
    fixture->spool.limit = 5;
    open_ingest(fixture, true, BACKLOG_BYTES_MIN);
    for (int i = 0; i < 100000; i++)
        push_next(fixture);
    const struct publisher *publisher = ingest_publisher(fixture->ingest);
    assert_true(publisher_counters(publisher)->entries_dropped > 0);
    settle(fixture);
    struct readback readback = read_back(fixture);
    assert_int_equal(readback.highest, ingest_seq(fixture->ingest));
    assert_int_equal(readback.seen[1], 0); /* an old one is gone */
    for (uint64_t seq = readback.highest - 1000; seq <= readback.highest; seq++)
        assert_int_equal(readback.seen[seq], 1);
    free(readback.seen);
}

static void ingest_counts_a_spool_that_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    fixture->spool.broken = true;
    open_ingest(fixture, true, BACKLOG_BYTES_MIN);
    for (int i = 0; i < 100000; i++)
        push_next(fixture);
    const struct publisher_counters *counters =
        publisher_counters(ingest_publisher(fixture->ingest));
    assert_true(counters->spool_failed > 0);
    assert_int_equal(counters->spool_failed, counters->entries_dropped);
}

static void ingest_resends_what_a_failover_lost(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    for (int i = 0; i < 1000; i++) {
        push_next(fixture);
        work(fixture);
    }
    model_down(&fixture->stream);
    model_forget(&fixture->stream, 40);
    work(fixture);
    settle(fixture);
    assert_complete(fixture);
    assert_true(publisher_counters(ingest_publisher(fixture->ingest))->resent > 40);
}

static void ingest_asks_again_when_it_is_told_of_a_reconnect_it_did_not_see(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    for (int i = 0; i < 100; i++) {
        push_next(fixture);
        work(fixture);
    }
    model_forget(&fixture->stream, MODEL_ENTRIES_MAX);
    publisher_reconnected(ingest_publisher(fixture->ingest));
    settle(fixture);
    assert_complete(fixture);
}

static void ingest_takes_a_higher_epoch_when_the_streams_hold_its_own_or_a_newer_one(void **state)
{
    struct fixture *fixture = *state;
    uint8_t one[1] = {0};
    const uint64_t newest = START_WALL_US / 1000 + 77;
    struct stream_record old = {STREAM_TRADE, newest, 5, bytes_of(one, 1)};
    assert_int_equal(model_write(&fixture->stream, &old), STREAM_WRITTEN);
    open_ingest(fixture, true, BACKLOG_BYTES_MIN);
    for (int i = 0; i < 100000; i++) /* some lie in the spool, some in open envelopes */
        push_next(fixture);
    settle(fixture);
    assert_int_equal(publisher_epoch(ingest_publisher(fixture->ingest)), newest + 1);
    free(fixture->stream.log[STREAM_TRADE][0].data); /* not an envelope: take it out */
    fixture->stream.count[STREAM_TRADE]--;
    memmove(&fixture->stream.log[STREAM_TRADE][0], &fixture->stream.log[STREAM_TRADE][1],
            (size_t)fixture->stream.count[STREAM_TRADE] * sizeof(struct model_entry));
    assert_complete(fixture);
    struct readback readback = read_back(fixture);
    assert_int_equal(readback.epoch, newest + 1);
    free(readback.seen);
}

static void ingest_stops_when_a_newer_ingestor_has_written(void **state)
{
    struct fixture *fixture = *state;
    uint8_t one[1] = {0};
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    for (int i = 0; i < 10; i++) {
        push_next(fixture);
        work(fixture);
    }
    struct stream_record newer = {STREAM_DEPTH, START_WALL_US / 1000 + 1, 1, bytes_of(one, 1)};
    assert_int_equal(model_write(&fixture->stream, &newer), STREAM_WRITTEN);
    for (int i = 0; i < 10; i++) {
        push_next(fixture);
        work(fixture);
    }
    assert_int_equal(publisher_state(ingest_publisher(fixture->ingest)), PUBLISHER_FENCED);
    uint64_t puts = fixture->stream.puts;
    push_next(fixture);
    work(fixture);
    assert_int_equal(fixture->stream.puts, puts);
}

static void ingest_counts_and_quarantines_bad_frames_without_harm(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    size_t size = frames_diff(fixture->frame, 1, 2);
    assert_int_equal(push(fixture, size - 1), SBE_TRUNCATED);
    assert_int_equal(push(fixture, 3), SBE_TRUNCATED);
    fixture->frame[2] = 0x99;
    assert_int_equal(push(fixture, size), SBE_UNKNOWN_TEMPLATE);
    size = frames_quote(fixture->frame, "ETHUSDT", 1);
    assert_int_equal(push(fixture, size), SBE_BAD_SYMBOL);
    const struct ingest_counters *counters = ingest_counters(fixture->ingest);
    assert_int_equal(counters->verdicts[SBE_TRUNCATED], 2);
    assert_int_equal(counters->verdicts[SBE_BAD_SYMBOL], 1);
    assert_int_equal(counters->verdicts[SBE_UNKNOWN_TEMPLATE], 1);
    assert_int_equal(fixture->quarantined, 4);
    for (int i = 0; i < 100; i++)
        push(fixture, 3);
    assert_int_equal(fixture->quarantined, INGEST_QUARANTINE_PER_S);
    assert_int_equal(ingest_seq(fixture->ingest), 0);
    push_next(fixture);
    assert_int_equal(ingest_seq(fixture->ingest), 1);
}

static void ingest_takes_a_frame_of_the_largest_size(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    /* Bytes behind the symbol are legal (a newer version). */
    uint8_t *large = calloc(1, RECORD_PAYLOAD_MAX + 1);
    frames_diff(large, 1, 2);
    push_next(fixture);
    assert_int_equal(
        ingest_frame(fixture->ingest, 0, bytes_of(large, RECORD_PAYLOAD_MAX), 0, fixture->now),
        SBE_OK);
    assert_int_equal(
        ingest_frame(fixture->ingest, 0, bytes_of(large, RECORD_PAYLOAD_MAX + 1), 0, fixture->now),
        SBE_TRUNCATED);
    free(large);
    settle(fixture);
    assert_int_equal(ingest_counters(fixture->ingest)->oversize, 1);
    assert_int_equal(ingest_counters(fixture->ingest)->trailing, 1);
    assert_complete(fixture);
}

static void ingest_counts_longer_blocks_and_reads_them(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    uint8_t frame[FRAMES_SIZE];
    size_t size = frames_diff(frame, 1, 2);
    size_t end = SBE_HEADER_SIZE + (size_t)sbe_block_length(SBE_DEPTH_DIFF);
    memmove(frame + end + 8, frame + end, size - end);
    memset(frame + end, 0xa5, 8);
    bytes_store_u16(frame, (uint16_t)(sbe_block_length(SBE_DEPTH_DIFF) + 8));
    push_next(fixture);
    assert_int_equal(ingest_frame(fixture->ingest, 0, bytes_of(frame, size + 8), 0, fixture->now),
                     SBE_OK);
    size = frames_diff(frame, 3, 4);
    assert_int_equal(ingest_frame(fixture->ingest, 0, bytes_of(frame, size), 0, fixture->now),
                     SBE_OK);
    settle(fixture);
    assert_int_equal(ingest_counters(fixture->ingest)->longer_block, 1);
    assert_int_equal(ingest_counters(fixture->ingest)->trailing, 0);
    assert_complete(fixture);
}

static void ingest_receive_times_never_fall(void **state)
{
    struct fixture *fixture = *state;
    open_ingest(fixture, false, BACKLOG_BYTES_MIN);
    fixture->stream.up = true;
    for (int i = 0; i < 500; i++) {
        push_next(fixture);
        fixture->now.mono_us += 1000;
        fixture->now.wall_us += i % 50 == 0 ? -30000000 : 1000;
        work(fixture);
    }
    settle(fixture);
    assert_complete(fixture); /* checks recv_us in each stream */
    assert_true(ingest_clock_steps(fixture->ingest) >= 9);
}

static void random_step(struct fixture *fixture, struct prng *prng)
{
    uint64_t dice = prng_below(prng, 1000);
    if (dice < 10) {
        model_down(&fixture->stream);
    } else if (dice < 40) {
        fixture->stream.up = true;
    } else if (dice < 43 && !fixture->stream.up) {
        model_forget(&fixture->stream, 1 + (int)prng_below(prng, 20));
    } else if (dice < 60) {
        fixture->stream.retry_in_100 = (int)prng_below(prng, 30);
        fixture->stream.flights_max = 1 + (int)prng_below(prng, 4);
    } else if (dice < 500) {
        push_next(fixture);
    } else if (dice < 900) {
        ingest_do_work(fixture->ingest, fixture->now);
    } else {
        model_do_work(&fixture->stream, fixture->now.mono_us);
    }
    pass_time(fixture, (int64_t)prng_below(prng, 2000));
}

static void ingest_loses_nothing_whatever_the_stream_does(void **state)
{
    uint64_t resent = 0, retries = 0, lost = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        void *box = NULL;
        setup(&box);
        struct fixture *fixture = box;
        struct prng prng;
        prng_init(&prng, seed);
        open_ingest(fixture, seed % 2 == 0, BACKLOG_BYTES_MIN);
        for (int i = 0; i < 4000; i++)
            random_step(fixture, &prng);
        settle(fixture);
        assert_complete(fixture);
        const struct publisher_counters *counters =
            publisher_counters(ingest_publisher(fixture->ingest));
        assert_int_equal(publisher_pending(ingest_publisher(fixture->ingest)), 0);
        resent += counters->resent;
        retries += counters->retries;
        lost += counters->lost;
        teardown(&box);
    }
    assert_true(resent > 100 && retries > 100 && lost > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ingest_stamps_all_three_streams_in_one_gapless_order),
        TEST(ingest_flushes_at_once_when_the_stream_is_idle),
        TEST(ingest_batches_by_itself_under_back_pressure),
        TEST(ingest_goes_on_collecting_without_a_stream),
        TEST(ingest_keeps_what_memory_cannot_hold_in_the_spool),
        TEST(ingest_drops_the_oldest_and_counts_when_the_spool_is_full),
        TEST(ingest_counts_a_spool_that_cannot_write),
        TEST(ingest_resends_what_a_failover_lost),
        TEST(ingest_asks_again_when_it_is_told_of_a_reconnect_it_did_not_see),
        TEST(ingest_takes_a_higher_epoch_when_the_streams_hold_its_own_or_a_newer_one),
        TEST(ingest_stops_when_a_newer_ingestor_has_written),
        TEST(ingest_counts_and_quarantines_bad_frames_without_harm),
        TEST(ingest_takes_a_frame_of_the_largest_size),
        TEST(ingest_counts_longer_blocks_and_reads_them),
        TEST(ingest_receive_times_never_fall),
        cmocka_unit_test(ingest_loses_nothing_whatever_the_stream_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
