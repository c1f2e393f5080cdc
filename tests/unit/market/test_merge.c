/* The merge of the streams against a sort. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "market/merge.h"

#define RECORDS_MAX 4000

struct sink {
    struct record records[2 * RECORDS_MAX];
    uint64_t payloads[2 * RECORDS_MAX];
    int count;
};

static void sink_emit(void *context, const struct record *record)
{
    struct sink *sink = context;
    assert_true(sink->count < 2 * RECORDS_MAX);
    sink->records[sink->count] = *record;
    sink->payloads[sink->count] =
        record->payload.size >= 8 ? bytes_load_u64(record->payload.data) : 0;
    sink->count++;
}

static struct merge *open_merge(struct sink *sink, int64_t hold_us, size_t bytes, int records)
{
    struct merge_options options = {hold_us, bytes, records, 0, 1};
    struct merge *merge = NULL;
    assert_int_equal(merge_open(&options, sink_emit, sink, &merge, NULL), ERR_OK);
    return merge;
}

static uint64_t payload_of(uint64_t epoch, uint64_t seq)
{
    return epoch * 1000003 + seq * 7919;
}

static void push_lane(struct merge *merge, int lane, uint64_t epoch, uint64_t seq, size_t size,
                      int64_t now_us)
{
    static uint8_t payload[512];
    memset(payload, 0xee, sizeof(payload));
    bytes_store_u64(payload, payload_of(epoch, seq));
    struct record record = {.epoch = epoch,
                            .seq = seq,
                            .recv_us = (int64_t)seq,
                            .kind = RECORD_FRAME,
                            .payload = bytes_of(payload, size)};
    merge_push(merge, lane, &record, now_us);
    memset(payload, 0, sizeof(payload)); /* borrowed for the call only */
}

static void push(struct merge *merge, uint64_t epoch, uint64_t seq, size_t size, int64_t now_us)
{
    push_lane(merge, 0, epoch, seq, size, now_us);
}

/* Records may be kept back by up to `span` places, repeated, or lost. */
struct plan {
    uint64_t span, lost_one_in, again_one_in, epoch_one_in;
};

struct arrival {
    uint64_t key, epoch, seq;
};

static int compare_arrivals(const void *a, const void *b)
{
    uint64_t left = ((const struct arrival *)a)->key, right = ((const struct arrival *)b)->key;
    return left < right ? -1 : left > right;
}

/* What comes out is ascending, complete but for the lost, each loss said once. */
static void check_output(const struct sink *sink, const bool *is_lost, const struct arrival *sent,
                         int count)
{
    int next = 0, out = 0;
    bool is_hole_open = false;
    for (; out < sink->count; out++) {
        const struct record *record = &sink->records[out];
        if (record->kind == RECORD_HOLE) {
            assert_false(is_hole_open);
            is_hole_open = true;
            assert_int_equal(record->payload.size, 16);
            continue;
        }
        bool has_lost = false;
        while (next < count && is_lost[next]) {
            has_lost = has_lost || !(next + 1 < count && sent[next + 1].seq == 1);
            next++;
        }
        assert_true(next < count);
        assert_int_equal(record->epoch, sent[next].epoch);
        assert_int_equal(record->seq, sent[next].seq);
        assert_true(sink->payloads[out] == payload_of(record->epoch, record->seq));
        if (is_hole_open)
            assert_true(has_lost);
        is_hole_open = false;
        next++;
    }
    while (next < count && is_lost[next])
        next++;
    assert_int_equal(next, count);
}

static void run_plan(const struct plan *plan, uint64_t seed)
{
    static struct sink sink;
    static struct arrival sent[RECORDS_MAX], arrivals[2 * RECORDS_MAX];
    static bool is_lost[RECORDS_MAX];
    sink.count = 0;
    struct prng prng;
    prng_init(&prng, seed);
    uint64_t epoch = 5, seq = 0;
    int arrival_count = 0, lost = 0;
    for (int i = 0; i < RECORDS_MAX; i++) {
        bool is_new =
            i > 0 && plan->epoch_one_in != 0 && prng_below(&prng, plan->epoch_one_in) == 0;
        epoch += is_new ? 1 : 0;
        seq = is_new ? 1 : seq + 1;
        sent[i] = (struct arrival){(uint64_t)i, epoch, seq};
        is_lost[i] = i > 0 && i < RECORDS_MAX - 1 && plan->lost_one_in != 0 &&
                     prng_below(&prng, plan->lost_one_in) == 0;
        lost += is_lost[i];
        if (is_lost[i])
            continue;
        bool is_twice = plan->again_one_in != 0 && prng_below(&prng, plan->again_one_in) == 0;
        for (int t = 0; t < (is_twice ? 2 : 1); t++) {
            uint64_t delay = i == 0 ? 0 : prng_below(&prng, plan->span);
            arrivals[arrival_count++] =
                (struct arrival){((uint64_t)i + delay) << 32 | (uint64_t)arrival_count, epoch, seq};
        }
    }
    qsort(arrivals, (size_t)arrival_count, sizeof(arrivals[0]), compare_arrivals);
    /* A record takes 1 ms: holding longer than the span loses nothing that comes. */
    struct merge *merge = open_merge(&sink, (int64_t)(plan->span + 2) * 1000, 1 << 18, 1024);
    for (int i = 0; i < arrival_count; i++) {
        int64_t now_us = (int64_t)(arrivals[i].key >> 32) * 1000;
        merge_expire(merge, now_us);
        push(merge, arrivals[i].epoch, arrivals[i].seq, 8 + prng_below(&prng, 100), now_us);
    }
    assert_int_equal(merge_expire(merge, INT64_MAX / 2), -1);
    check_output(&sink, is_lost, sent, RECORDS_MAX);
    const struct merge_counters *counters = merge_counters(merge);
    assert_int_equal(counters->emitted, RECORDS_MAX - lost);
    assert_int_equal(counters->duplicates, arrival_count - (RECORDS_MAX - lost));
    assert_int_equal(counters->full, 0);
    if (plan->epoch_one_in == 0)
        assert_int_equal(counters->records_missing, lost);
    assert_true(plan->lost_one_in == 0 || counters->holes > 0);
    assert_true(plan->lost_one_in != 0 || counters->holes == 0);
    merge_close(merge);
}

static void merge_equals_a_sort_for_any_interleaving(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_plan(&(struct plan){1, 0, 0, 0}, seed);
        run_plan(&(struct plan){40, 0, 5, 0}, seed);
    }
}

static void merge_equals_a_sort_with_lost_records(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_plan(&(struct plan){30, 20, 5, 0}, seed);
}

static void merge_equals_a_sort_over_epochs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_plan(&(struct plan){30, 0, 5, 100}, seed);
        run_plan(&(struct plan){30, 20, 5, 100}, seed);
    }
}

static void merge_waits_exactly_as_long_as_told(void **state)
{
    (void)state;
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = open_merge(&sink, 50000, 4096, 16);
    merge_start_after(merge, 1, 0);
    push(merge, 1, 1, 8, 0);
    push(merge, 1, 3, 8, 1000);
    push(merge, 1, 5, 8, 2000);
    assert_int_equal(sink.count, 1);
    assert_int_equal(merge_expire(merge, 2000), 49000);
    assert_int_equal(merge_expire(merge, 50999), 1);
    assert_int_equal(sink.count, 1);
    assert_int_equal(merge_expire(merge, 51000), 1000);
    assert_int_equal(sink.count, 3); /* hole, 3 */
    assert_int_equal(sink.records[1].kind, RECORD_HOLE);
    assert_int_equal(sink.records[1].epoch, 1);
    assert_int_equal(sink.records[1].seq, 1);
    push(merge, 1, 4, 8, 51500); /* in time for the second hole */
    assert_int_equal(sink.count, 5);
    assert_int_equal(sink.records[4].seq, 5);
    assert_int_equal(merge_expire(merge, 60000), -1);
    push(merge, 1, 2, 8, 60000); /* too late */
    assert_int_equal(merge_counters(merge)->duplicates, 1);
    assert_int_equal(merge_counters(merge)->holes, 1);
    assert_int_equal(merge_counters(merge)->records_missing, 1);
    merge_close(merge);
}

static void merge_has_patience_with_a_stream_that_is_behind(void **state)
{
    (void)state;
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = NULL;
    struct merge_options options = {50000, 4096, 16, 1000000, 3};
    assert_int_equal(merge_open(&options, sink_emit, &sink, &merge, NULL), ERR_OK);
    merge_start_after(merge, 1, 0);
    push_lane(merge, 0, 1, 1, 8, 0);
    push_lane(merge, 1, 1, 4, 8, 0);
    push_lane(merge, 2, 1, 5, 8, 0);
    assert_int_equal(merge_expire(merge, 60000), 940000); /* lane 0 may still bring 2 and 3 */
    push_lane(merge, 0, 1, 2, 8, 60000);
    push_lane(merge, 0, 1, 3, 8, 60000);
    assert_int_equal(sink.count, 5);
    assert_int_equal(merge_counters(merge)->holes, 0);
    push_lane(merge, 0, 1, 8, 8, 100000);
    push_lane(merge, 1, 1, 7, 8, 100000);
    assert_int_equal(merge_expire(merge, 150000), 950000);
    push_lane(merge, 2, 1, 9, 8, 150000); /* 6 is on no stream: all are past it */
    assert_int_equal(merge_expire(merge, 150000), -1);
    assert_int_equal(merge_counters(merge)->holes, 1);
    push_lane(merge, 2, 1, 11, 8, 200000); /* patience ends too */
    assert_int_equal(merge_expire(merge, 1199999), 1);
    assert_int_equal(merge_expire(merge, 1200000), -1);
    assert_int_equal(merge_counters(merge)->records_missing, 2);
    push_lane(merge, 1, 2, 1, 8, 2000000); /* a new epoch's first one waits for no stream */
    assert_int_equal(merge_expire(merge, 2050000), -1);
    assert_int_equal(sink.records[sink.count - 1].epoch, 2);
    merge_close(merge);
}

static void merge_begins_when_every_stream_has_shown_a_record(void **state)
{
    (void)state;
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = NULL;
    struct merge_options options = {50000, 4096, 16, 1000000, 2};
    assert_int_equal(merge_open(&options, sink_emit, &sink, &merge, NULL), ERR_OK);
    push_lane(merge, 0, 1, 2, 8, 0);
    assert_int_equal(merge_expire(merge, 900000), 100000);
    push_lane(merge, 1, 1, 1, 8, 900000);
    push_lane(merge, 1, 1, 3, 8, 900000);
    assert_int_equal(sink.count, 0);
    assert_int_equal(merge_expire(merge, 900000), -1); /* long held, and both have begun */
    assert_int_equal(sink.count, 3);
    assert_int_equal(sink.records[0].seq, 1);
    merge_close(merge);
}

/* The streams are read one after the other: what is read first need not be first. */
static void merge_begins_with_the_lowest_record_not_the_first_one(void **state)
{
    (void)state;
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = open_merge(&sink, 50000, 4096, 16);
    push(merge, 1, 2, 8, 0);
    push(merge, 1, 3, 8, 10);
    push(merge, 1, 1, 8, 20);
    assert_int_equal(sink.count, 0);
    assert_int_equal(merge_expire(merge, 49999), 1);
    assert_int_equal(merge_expire(merge, 50000), -1);
    assert_int_equal(sink.count, 3);
    for (uint64_t seq = 1; seq <= 3; seq++)
        assert_int_equal(sink.records[seq - 1].seq, seq);
    assert_int_equal(merge_counters(merge)->holes, 0);
    push(merge, 1, 4, 8, 50001); /* from now on at once */
    assert_int_equal(sink.count, 4);
    merge_close(merge);
}

static void merge_names_what_comes_after_a_hole(void **state)
{
    (void)state;
    struct record hole = {0};
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = open_merge(&sink, 0, 4096, 16);
    merge_start_after(merge, 7, 10);
    push(merge, 7, 14, 8, 0);
    merge_expire(merge, 0);
    hole = sink.records[0];
    assert_int_equal(hole.kind, RECORD_HOLE);
    assert_int_equal(hole.epoch, 7);
    assert_int_equal(hole.seq, 10);
    assert_true(sink.payloads[0] == 7);
    assert_int_equal(merge_counters(merge)->records_missing, 3);
    merge_close(merge);
}

static void merge_declares_holes_at_once_when_full(void **state)
{
    (void)state;
    static struct sink sink;
    sink.count = 0;
    struct merge *merge = open_merge(&sink, 1000000, 64, 1000);
    merge_start_after(merge, 1, 0);
    push(merge, 1, 3, 24, 0);
    push(merge, 1, 5, 24, 0);
    assert_int_equal(sink.count, 0);
    push(merge, 1, 7, 24, 0); /* does not fit: 3 goes, with its hole */
    assert_int_equal(sink.count, 2);
    push(merge, 1, 4, 500, 0); /* next, needs no room: 4 and 5 go */
    assert_int_equal(sink.count, 4);
    push(merge, 1, 9, 500, 0); /* larger than the arena: 7 goes, then itself */
    assert_int_equal(sink.count, 8);
    assert_int_equal(sink.records[7].seq, 9);
    for (int i = 0; i < sink.count; i++)
        if (sink.records[i].kind == RECORD_FRAME)
            assert_true(sink.payloads[i] == payload_of(1, sink.records[i].seq));
    assert_true(merge_counters(merge)->full > 0);
    merge_close(merge);
    sink.count = 0;
    merge = open_merge(&sink, 1000000, 4096, 2);
    merge_start_after(merge, 1, 0);
    push(merge, 1, 5, 8, 0);
    push(merge, 1, 7, 8, 0);
    push(merge, 1, 3, 8, 0); /* the lowest of three: passed at once */
    assert_int_equal(sink.count, 2);
    assert_int_equal(sink.records[1].seq, 3);
    merge_close(merge);
}

static void the_wait_runs_only_while_all_is_read(void **state)
{
    (void)state;
    struct merge_clock clock = {0};
    merge_clock_pass(&clock, 5000000, true); /* the first look: a step like any other */
    assert_int_equal(clock.now_us, MERGE_STEP_US_MAX);
    merge_clock_pass(&clock, 5003000, true);
    assert_int_equal(clock.now_us, MERGE_STEP_US_MAX + 3000);
    merge_clock_pass(&clock, 5090000, false); /* a backlog is being read */
    merge_clock_pass(&clock, 5190000, false);
    assert_int_equal(clock.now_us, MERGE_STEP_US_MAX + 3000);
    merge_clock_pass(&clock, 5191000, true);
    assert_int_equal(clock.now_us, MERGE_STEP_US_MAX + 4000);
    merge_clock_pass(&clock, 9000000, true); /* stopped for seconds */
    assert_int_equal(clock.now_us, 2 * MERGE_STEP_US_MAX + 4000);
    merge_clock_pass(&clock, 8000000, true);
    assert_int_equal(clock.now_us, 2 * MERGE_STEP_US_MAX + 4000);
}

static void merge_refuses_nonsense_options(void **state)
{
    (void)state;
    struct merge *merge = NULL;
    struct err err = {0};
    struct merge_options options = {0, 0, 0, 0, 1};
    assert_int_equal(merge_open(&options, sink_emit, NULL, &merge, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "records_max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_equals_a_sort_for_any_interleaving),
        cmocka_unit_test(merge_equals_a_sort_with_lost_records),
        cmocka_unit_test(merge_equals_a_sort_over_epochs),
        cmocka_unit_test(merge_waits_exactly_as_long_as_told),
        cmocka_unit_test(merge_has_patience_with_a_stream_that_is_behind),
        cmocka_unit_test(merge_begins_when_every_stream_has_shown_a_record),
        cmocka_unit_test(merge_begins_with_the_lowest_record_not_the_first_one),
        cmocka_unit_test(merge_names_what_comes_after_a_hole),
        cmocka_unit_test(merge_declares_holes_at_once_when_full),
        cmocka_unit_test(the_wait_runs_only_while_all_is_read),
        cmocka_unit_test(merge_refuses_nonsense_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
