/* Entries of gap-events: what is written reads back, what is wrong is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hot/state/gap_event.h"

struct written {
    struct text text;
    struct state_pair pairs[GAP_EVENT_PAIRS_MAX];
    int count;
    char bytes[GAP_EVENT_BYTES];
};

static struct gap_event example(enum gap_kind kind)
{
    struct gap_event event = {.kind = kind,
                              .cause = "depth id gap",
                              .epoch = 1770000000000,
                              .seq = INT64_MAX,
                              .recv_us = 1770000000123456,
                              .writer = 7,
                              .last_update_id = 3590363810690373,
                              .book_live = kind != GAP_LOSS};
    if (kind == GAP_TRADE_HOLE || kind == GAP_MINUTE) {
        event.first_trade_id = kind == GAP_MINUTE ? -1 : 5;
        event.last_trade_id = kind == GAP_MINUTE ? -1 : 9;
    }
    if (kind == GAP_RECORD_HOLE) {
        event.next_epoch = 1770000000001;
        event.next_seq = 12;
    }
    if (kind == GAP_MINUTE) {
        event.cause[0] = 0;
        event.minute = 29500000;
        event.volume = 123456789;
        event.volume_exponent = -8;
        event.trades = 42;
        event.complete = true;
    }
    return event;
}

static void put(const struct gap_event *event, struct written *out)
{
    out->text = text_begin(out->bytes, sizeof(out->bytes));
    out->count = gap_event_write(event, "BTCUSDT", &out->text, out->pairs);
}

/* Leaves out one pair, or puts a value in its place. */
static bool get(const struct written *in, int skip, const char *instead, struct gap_event *out)
{
    struct gap_event_reader reader;
    gap_event_begin(&reader, "BTCUSDT");
    for (int i = 0; i < in->count; i++) {
        if (i == skip && instead == NULL)
            continue;
        gap_event_field(&reader, in->pairs[i].field,
                        i == skip ? bytes_text(instead) : in->pairs[i].value);
    }
    *out = reader.event;
    return gap_event_finish(&reader);
}

static void every_kind_reads_back(void **state)
{
    (void)state;
    for (int kind = 0; kind < GAP_KINDS; kind++) {
        struct gap_event event = example((enum gap_kind)kind), read;
        struct written written;
        put(&event, &written);
        assert_true(get(&written, -1, NULL, &read));
        assert_int_equal(read.kind, event.kind);
        assert_string_equal(read.cause, event.cause);
        assert_int_equal(read.epoch, event.epoch);
        assert_int_equal(read.seq, event.seq);
        assert_int_equal(read.recv_us, event.recv_us);
        assert_int_equal(read.book_live, event.book_live);
        assert_int_equal(read.last_update_id, event.last_update_id);
        assert_int_equal(read.first_trade_id, event.first_trade_id);
        assert_int_equal(read.last_trade_id, event.last_trade_id);
        assert_int_equal(read.next_epoch, event.next_epoch);
        assert_int_equal(read.next_seq, event.next_seq);
        assert_int_equal(read.minute, event.minute);
        assert_int_equal(read.volume, event.volume);
        assert_int_equal(read.volume_exponent, event.volume_exponent);
        assert_int_equal(read.trades, event.trades);
        assert_int_equal(read.complete, event.complete);
    }
}

static void a_missing_field_or_nonsense_in_one_is_refused(void **state)
{
    static const char *const nonsense[] = {"", "x", "1e5", "99999999999999999999", "-7", "\x01\""};
    (void)state;
    for (int kind = 0; kind < GAP_KINDS; kind++) {
        struct gap_event event = example((enum gap_kind)kind), read;
        struct written written;
        put(&event, &written);
        for (int i = 0; i < written.count; i++) {
            bool is_cause = written.pairs[i].field.size == 5 &&
                            memcmp(written.pairs[i].field.data, "cause", 5) == 0;
            bool is_exponent = written.pairs[i].field.size > 9 &&
                               memcmp(written.pairs[i].field.data, "volume_ex", 9) == 0;
            if (!is_cause)
                assert_false(get(&written, i, NULL, &read));
            for (size_t n = 0; n < sizeof(nonsense) / sizeof(nonsense[0]); n++) {
                if ((is_cause && n < 5) || (is_exponent && n == 4))
                    continue; /* plain words may be a cause, -7 an exponent */
                assert_false(get(&written, i, nonsense[n], &read));
            }
        }
    }
}

static void a_hole_that_ends_before_it_begins_is_refused(void **state)
{
    struct gap_event event = example(GAP_TRADE_HOLE), read;
    struct written written;
    (void)state;
    event.first_trade_id = 10;
    put(&event, &written);
    assert_false(get(&written, -1, NULL, &read));
}

static void unknown_fields_are_left_alone(void **state)
{
    struct gap_event event = example(GAP_LOSS);
    struct written written;
    struct gap_event_reader reader;
    (void)state;
    put(&event, &written);
    gap_event_begin(&reader, "BTCUSDT");
    gap_event_field(&reader, BYTES_LITERAL("gaps"), BYTES_LITERAL("many"));
    for (int i = 0; i < written.count; i++)
        gap_event_field(&reader, written.pairs[i].field, written.pairs[i].value);
    assert_true(gap_event_finish(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_reads_back),
        cmocka_unit_test(a_missing_field_or_nonsense_in_one_is_refused),
        cmocka_unit_test(a_hole_that_ends_before_it_begins_is_refused),
        cmocka_unit_test(unknown_fields_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
