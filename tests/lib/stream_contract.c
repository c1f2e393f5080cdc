/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/stream_contract.h"

/* Patience for anything that has to happen; never the measure of a test. */
#define PATIENCE_US 20000000
#define RECORDS_MAX 4000
#define BODY_MAX    64
#define ALL_STREAMS ((1u << STREAM_COUNT) - 1)

static const struct stream_engine *engine;

/* Everything that shall be in the streams, in order, and how far it is confirmed: what the
 * ingestor does with its ring. */
static struct {
    struct stream_producer port;
    struct stream_record records[RECORDS_MAX];
    uint8_t body[RECORDS_MAX][BODY_MAX];
    int count;
    int next;      /* to be put */
    int confirmed; /* all before are in */
    int in_flight; /* batches */
    int batch_size;
    int starts[RECORDS_MAX]; /* first record of each batch, in ticket order */
    int put_count, done_count;
    uint64_t last_ticket;
    int outcomes[STREAM_LOST + 1];
    int refusals; /* put calls answered ERR_AGAIN */
} sender;

static struct {
    struct stream_consumer port;
    struct stream_record records[RECORDS_MAX];
    char position[RECORDS_MAX][STREAM_POSITION_SIZE];
    int count;
    int redelivered;
    int per_stream[STREAM_COUNT];
    struct stream_record last[STREAM_COUNT];
    bool open;
} reader;

static void body_of(const struct stream_record *record, uint8_t *body, size_t *size)
{
    uint64_t mix = record->last_seq * 0x9e3779b97f4a7c15u + record->epoch + record->stream;
    *size = 1 + mix % BODY_MAX;
    for (size_t i = 0; i < *size; i++)
        body[i] = (uint8_t)(mix >> (i % 8 * 8)) ^ (uint8_t)(i / 8); /* with zeros, CR, LF */
}

static void sender_add(enum stream_name stream, uint64_t epoch, uint64_t seq)
{
    assert_true(sender.count < RECORDS_MAX);
    struct stream_record *record = &sender.records[sender.count];
    *record = (struct stream_record){.stream = stream, .epoch = epoch, .last_seq = seq};
    body_of(record, sender.body[sender.count], &record->data.size);
    record->data.data = sender.body[sender.count++];
}

/* count records of one epoch over the three market streams, seq from first on. */
static void sender_add_run(uint64_t epoch, uint64_t first, int count)
{
    for (int i = 0; i < count; i++)
        sender_add((enum stream_name)((first + (uint64_t)i) % 3), epoch, first + (uint64_t)i);
}

static void sender_done(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                        int count)
{
    assert_ptr_equal(context, &sender);
    assert_true(ticket > sender.last_ticket); /* in the order of the tickets */
    sender.last_ticket = ticket;
    int start = sender.starts[sender.done_count++];
    bool failed[STREAM_COUNT] = {false};
    for (int i = 0; i < count; i++) {
        enum stream_name stream = sender.records[start + i].stream;
        bool in = outcome[i] == STREAM_WRITTEN || outcome[i] == STREAM_DUPLICATE;
        assert_false(in && failed[stream]);
        failed[stream] = !in;
        sender.outcomes[outcome[i]]++;
        if (in && start + i == sender.confirmed)
            sender.confirmed++;
    }
    if (--sender.in_flight == 0)
        sender.next = sender.confirmed;
}

static void sender_put_some(void)
{
    while (sender.next < sender.count) {
        int count = sender.count - sender.next;
        if (count > sender.batch_size)
            count = sender.batch_size;
        int64_t ticket = sender.port.put(sender.port.self, &sender.records[sender.next], count);
        if (ticket == ERR_AGAIN) {
            sender.refusals++;
            return;
        }
        assert_true(ticket > 0);
        assert_true(sender.put_count < RECORDS_MAX);
        sender.starts[sender.put_count++] = sender.next;
        sender.next += count;
        sender.in_flight++;
    }
}

static void reader_record(void *context, const struct stream_record *record, const char *position)
{
    assert_ptr_equal(context, &reader);
    uint8_t body[BODY_MAX];
    size_t size;
    assert_true(strlen(position) < STREAM_POSITION_SIZE);
    if (record->stream != STREAM_CONTROL) {
        body_of(record, body, &size);
        assert_int_equal(record->data.size, size);
        assert_memory_equal(record->data.data, body, size);
        struct stream_record *last = &reader.last[record->stream];
        bool later = record->epoch > last->epoch ||
                     (record->epoch == last->epoch && record->last_seq > last->last_seq);
        if (!later) { /* allowed: at least once; but never out of order without having been */
            reader.redelivered++;
            return;
        }
        *last = *record;
    }
    assert_true(reader.count < RECORDS_MAX);
    snprintf(reader.position[reader.count], STREAM_POSITION_SIZE, "%s", position);
    reader.records[reader.count++] = *record;
    reader.per_stream[record->stream]++;
}

static void turn(void)
{
    int64_t now_us = engine->now_us();
    sender.port.do_work(sender.port.self, now_us);
    if (reader.open)
        reader.port.do_work(reader.port.self, now_us);
    engine->wait();
}

static bool patient(int64_t start_us)
{
    return engine->now_us() - start_us < PATIENCE_US;
}

static void until_ready(void)
{
    for (int64_t start_us = engine->now_us(); !sender.port.ready(sender.port.self); turn())
        assert_true(patient(start_us));
}

/* Sends until all is confirmed, resending what has to be. */
static void until_sent(void)
{
    for (int64_t start_us = engine->now_us(); sender.confirmed < sender.count; turn()) {
        assert_true(patient(start_us));
        sender_put_some();
    }
}

static void until_answered(void)
{
    for (int64_t start_us = engine->now_us(); sender.in_flight > 0; turn())
        assert_true(patient(start_us));
}

static void until_read(int count)
{
    for (int64_t start_us = engine->now_us(); reader.count < count; turn())
        assert_true(patient(start_us));
}

static void open_reader(const char *name, unsigned mask, const struct stream_position *from)
{
    memset(&reader, 0, sizeof(reader));
    reader.port = engine->open_consumer(name, reader_record, &reader);
    reader.open = true;
    assert_int_equal(reader.port.follow(reader.port.self, mask, from), ERR_OK);
}

static void close_reader(void)
{
    if (reader.open)
        engine->close_consumer();
    reader.open = false;
}

/* Every market record of the sender came exactly once, in order within its stream. */
static void assert_all_read(void)
{
    until_read(sender.count);
    assert_int_equal(reader.count, sender.count);
    int at[STREAM_COUNT] = {0};
    for (int i = 0; i < sender.count; i++) {
        enum stream_name stream = sender.records[i].stream;
        int found = at[stream];
        while (found < reader.count && reader.records[found].stream != stream)
            found++;
        assert_true(found < reader.count);
        assert_int_equal(reader.records[found].epoch, sender.records[i].epoch);
        assert_int_equal(reader.records[found].last_seq, sender.records[i].last_seq);
        at[stream] = found + 1;
    }
}

static void begin(bool durable)
{
    engine->start(durable);
    memset(&sender, 0, sizeof(sender));
    memset(&reader, 0, sizeof(reader));
    sender.batch_size = 7;
    sender.port = engine->open_producer(sender_done, &sender);
    until_ready();
}

static int setup(void **state)
{
    (void)state;
    begin(false);
    return 0;
}

static int setup_durable(void **state)
{
    (void)state;
    begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_reader();
    engine->close_producer();
    engine->stop();
    return 0;
}

static const struct stream_position oldest[STREAM_COUNT];

static void stream_delivers_each_partition_complete_and_in_order(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add_run(1000, 1, 1500);
    until_sent();
    assert_all_read();
    assert_int_equal(sender.outcomes[STREAM_WRITTEN], 1500);
    assert_int_equal(reader.redelivered, 0);
    assert_true(reader.per_stream[STREAM_TRADE] == 500 && reader.per_stream[STREAM_DEPTH] == 500);
}

static void stream_answers_a_resent_record_as_duplicate_and_delivers_it_once(void **state)
{
    (void)state;
    sender_add_run(1000, 1, 30);
    until_sent();
    sender.next = sender.confirmed = 0;
    sender_add_run(1000, 31, 5);
    sender.batch_size = 12; /* other boundaries than the first time */
    until_sent();
    assert_int_equal(sender.outcomes[STREAM_DUPLICATE], 30);
    assert_int_equal(sender.outcomes[STREAM_WRITTEN], 35);
    open_reader("reader", ALL_STREAMS, oldest);
    assert_all_read();
    assert_int_equal(reader.redelivered, 0);
}

static void stream_fences_a_producer_of_an_older_epoch(void **state)
{
    (void)state;
    sender_add(STREAM_DEPTH, 1000, 1);
    sender_add(STREAM_DEPTH, 2000, 1);
    until_sent();
    struct stream_record late[2] = {sender.records[0], sender.records[0]};
    late[0].last_seq = 500;
    late[1].last_seq = 501;
    sender.starts[sender.put_count++] = 0;
    sender.in_flight++;
    assert_true(sender.port.put(sender.port.self, late, 2) > 0);
    until_answered();
    assert_int_equal(sender.outcomes[STREAM_FENCED], 2);
    /* A partition the newer epoch has not written to cannot know it: still open. */
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add(STREAM_DEPTH, 2000, 2);
    sender.next = sender.confirmed = 2;
    until_sent();
    assert_all_read();
}

static void stream_fails_a_part_of_a_batch_and_keeps_the_order_of_the_rest(void **state)
{
    (void)state;
    engine->refuse(STREAM_TRADE, true);
    sender_add_run(1000, 1, 60);
    sender.batch_size = 20;
    sender_put_some();
    until_answered();
    /* The other partitions of the first batch are in, nothing of the refused one. */
    assert_true(sender.outcomes[STREAM_RETRY] >= 20);
    assert_true(sender.outcomes[STREAM_WRITTEN] >= 12);
    engine->refuse(STREAM_TRADE, false);
    until_sent();
    open_reader("reader", ALL_STREAMS, oldest);
    assert_all_read();
    assert_int_equal(sender.outcomes[STREAM_WRITTEN], 60);
}

static void stream_resumes_behind_a_position(void **state)
{
    (void)state;
    sender_add_run(1000, 1, 90);
    until_sent();
    open_reader("reader", ALL_STREAMS, oldest);
    until_read(90);
    struct stream_position from[STREAM_COUNT];
    memset(from, 0, sizeof(from));
    struct stream_record last[STREAM_COUNT] = {0};
    int left = 0;
    for (int i = 0, seen[STREAM_COUNT] = {0}; i < 90; i++) {
        enum stream_name stream = reader.records[i].stream;
        if (++seen[stream] > 20) {
            left++;
            continue;
        }
        memcpy(from[stream].text, reader.position[i], STREAM_POSITION_SIZE);
        last[stream] = reader.records[i];
    }
    assert_int_equal(left, 30);
    close_reader();
    open_reader("reader", ALL_STREAMS, from);
    memcpy(reader.last, last, sizeof(last));
    until_read(30);
    assert_int_equal(reader.count, 30);
    assert_int_equal(reader.redelivered, 0);
}

static void stream_begins_with_the_oldest_or_with_new_ones_as_asked(void **state)
{
    (void)state;
    sender_add_run(1000, 1, 9);
    until_sent();
    struct stream_position from[STREAM_COUNT];
    memset(from, 0, sizeof(from));
    strcpy(from[STREAM_DEPTH].text, "$");
    strcpy(from[STREAM_CONTROL].text, "$"); /* a partition that does not exist yet */
    open_reader("", ALL_STREAMS & ~(1u << STREAM_BEST_BID_ASK), from);
    until_read(3); /* the trades */
    assert_int_equal(reader.per_stream[STREAM_TRADE], 3);
    sender_add_run(1000, 10, 9);
    sender_add(STREAM_CONTROL, 1000, 18);
    until_sent();
    until_read(10);
    assert_int_equal(reader.per_stream[STREAM_TRADE], 6);
    assert_int_equal(reader.per_stream[STREAM_DEPTH], 3);
    assert_int_equal(reader.per_stream[STREAM_BEST_BID_ASK], 0);
    assert_int_equal(reader.per_stream[STREAM_CONTROL], 1);
    for (int i = 0; i < reader.count; i++)
        assert_true(reader.records[i].stream != STREAM_DEPTH || reader.records[i].last_seq > 9);
}

static void stream_appends_control_records_without_a_place_of_their_own(void **state)
{
    (void)state;
    open_reader("reader", 1u << STREAM_CONTROL, oldest);
    for (int i = 0; i < 3; i++)
        sender_add(STREAM_CONTROL, 0, 0);
    until_sent();
    until_read(3);
    for (int i = 0; i < 3; i++)
        assert_true(reader.records[i].epoch == 0 && reader.records[i].last_seq == 0);
    assert_string_not_equal(reader.position[0], reader.position[1]);
}

static struct stream_top tops[STREAM_COUNT];
static int tops_result;
static int tops_calls;

static void tops_done(void *context, int result, const struct stream_top *got)
{
    assert_ptr_equal(context, tops);
    tops_result = result;
    tops_calls++;
    memcpy(tops, got, sizeof(tops));
}

static void ask_tops(void)
{
    int before = tops_calls;
    assert_int_equal(sender.port.tops(sender.port.self, tops_done, tops), ERR_OK);
    for (int64_t start_us = engine->now_us(); tops_calls == before; turn())
        assert_true(patient(start_us));
    assert_int_equal(tops_result, ERR_OK);
}

static void stream_tells_the_tops_of_its_partitions(void **state)
{
    (void)state;
    ask_tops();
    for (int i = 0; i < STREAM_COUNT; i++)
        assert_true(tops[i].epoch == 0 && tops[i].last_seq == 0);
    sender_add(STREAM_DEPTH, 1700000000000u, 12345678901u);
    sender_add(STREAM_TRADE, 3, 4);
    until_sent();
    ask_tops();
    assert_int_equal(tops[STREAM_DEPTH].epoch, 1700000000000u);
    assert_int_equal(tops[STREAM_DEPTH].last_seq, 12345678901u);
    assert_int_equal(tops[STREAM_TRADE].epoch, 3);
    assert_int_equal(tops[STREAM_TRADE].last_seq, 4);
    assert_int_equal(tops[STREAM_BEST_BID_ASK].epoch, 0);
}

static void stream_refuses_batches_over_the_limits_and_takes_the_largest(void **state)
{
    (void)state;
    static struct stream_record records[STREAM_BATCH_RECORDS_MAX + 1];
    for (int i = 0; i <= STREAM_BATCH_RECORDS_MAX; i++)
        records[i] = (struct stream_record){.stream = STREAM_TRADE,
                                            .epoch = 1,
                                            .last_seq = (uint64_t)i + 1,
                                            .data = BYTES_LITERAL("x")};
    void *self = sender.port.self;
    assert_int_equal(sender.port.put(self, records, STREAM_BATCH_RECORDS_MAX + 1), ERR_FULL);
    assert_int_equal(sender.port.put(self, records, 0), ERR_INVALID);
    records[0].epoch = 0;
    assert_int_equal(sender.port.put(self, records, 1), ERR_INVALID);
    records[0].epoch = 1;
    uint8_t *large = calloc(1, STREAM_BATCH_BYTES_MAX + 1);
    records[0].data = bytes_of(large, STREAM_BATCH_BYTES_MAX + 1);
    assert_int_equal(sender.port.put(self, records, 1), ERR_FULL);
    records[0].data.size = STREAM_BATCH_BYTES_MAX - STREAM_BATCH_RECORDS_MAX + 1;
    sender.in_flight++;
    sender.put_count++;
    sender.count = STREAM_BATCH_RECORDS_MAX;
    assert_true(sender.port.put(self, records, STREAM_BATCH_RECORDS_MAX) > 0);
    until_answered();
    free(large);
    assert_int_equal(sender.outcomes[STREAM_WRITTEN], STREAM_BATCH_RECORDS_MAX);
}

static void stream_carries_on_after_a_crash_of_a_durable_server(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add_run(1000, 1, 300);
    until_sent();
    until_read(300);
    sender_add_run(1000, 301, 300);
    sender_put_some(); /* under way when the server dies */
    engine->kill();
    until_answered();
    assert_false(sender.port.ready(sender.port.self));
    assert_int_equal(sender.port.put(sender.port.self, sender.records, 1), ERR_AGAIN);
    engine->restart();
    until_sent();
    assert_all_read();
    assert_true(sender.outcomes[STREAM_LOST] > 0);
    ask_tops();
    assert_int_equal(tops[STREAM_TRADE].last_seq, 600);
}

static void stream_shows_by_its_tops_what_a_crash_has_lost_and_takes_it_again(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add_run(1000, 1, 60);
    until_sent();
    until_read(60);
    engine->kill();
    for (int64_t start_us = engine->now_us();
         sender.port.ready(sender.port.self) || reader.port.ready(reader.port.self); turn())
        assert_true(patient(start_us));
    engine->restart();
    for (int64_t start_us = engine->now_us();
         !sender.port.ready(sender.port.self) || !reader.port.ready(reader.port.self); turn())
        assert_true(patient(start_us));
    ask_tops();
    assert_int_equal(tops[STREAM_TRADE].epoch, 0);
    /* Resend the last 30 and go on: the reader continues behind what it had. */
    sender.next = sender.confirmed = 30;
    sender_add_run(1000, 61, 30);
    until_sent();
    assert_all_read();
    ask_tops();
    assert_int_equal(tops[STREAM_TRADE].last_seq, 90);
}

static void stream_goes_on_after_a_loss_of_all_data(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add_run(1000, 1, 60);
    until_sent();
    until_read(60);
    engine->lose_data();
    ask_tops();
    for (int i = 0; i < STREAM_COUNT; i++)
        assert_int_equal(tops[i].epoch, 0);
    sender.next = sender.confirmed = 0;
    sender_add_run(1000, 61, 60);
    until_sent();
    assert_all_read();
}

static void stream_pushes_back_while_the_server_hangs_and_loses_nothing(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    sender_add_run(1000, 1, 50);
    until_sent();
    engine->pause();
    sender_add_run(1000, 51, RECORDS_MAX - 50);
    sender.batch_size = 100;
    for (int64_t start_us = engine->now_us(); sender.refusals == 0; turn()) {
        assert_true(patient(start_us));
        sender_put_some();
    }
    until_answered(); /* nobody waits for ever */
    assert_int_equal(sender.confirmed, 50);
    engine->resume();
    until_sent();
    assert_all_read();
}

static int again_left;

static void done_and_put_again(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                               int count)
{
    (void)context;
    (void)ticket;
    assert_int_equal(count, 1);
    assert_int_equal(outcome[0], STREAM_WRITTEN);
    if (again_left-- == 0)
        return;
    struct stream_record next = {.stream = STREAM_TRADE,
                                 .epoch = 1,
                                 .last_seq = (uint64_t)(100 - again_left),
                                 .data = BYTES_LITERAL("next")};
    assert_true(sender.port.put(sender.port.self, &next, 1) > 0);
}

static void stream_takes_records_from_inside_the_completion(void **state)
{
    (void)state;
    engine->close_producer();
    sender.port = engine->open_producer(done_and_put_again, &sender);
    until_ready();
    again_left = 20;
    struct stream_record first = {
        .stream = STREAM_TRADE, .epoch = 1, .last_seq = 1, .data = BYTES_LITERAL("first")};
    assert_true(sender.port.put(sender.port.self, &first, 1) > 0);
    for (int64_t start_us = engine->now_us(); again_left >= 0; turn())
        assert_true(patient(start_us));
    ask_tops();
    assert_int_equal(tops[STREAM_TRADE].last_seq, 100);
}

static void stream_refuses_positions_that_are_none(void **state)
{
    (void)state;
    open_reader("reader", ALL_STREAMS, oldest);
    struct stream_position wrong[STREAM_COUNT];
    memset(wrong, 0, sizeof(wrong));
    strcpy(wrong[STREAM_DEPTH].text, "half a sentence");
    void *self = reader.port.self;
    assert_int_equal(reader.port.follow(self, ALL_STREAMS, wrong), ERR_INVALID);
    assert_int_equal(reader.port.commit(self, wrong), ERR_INVALID);
    assert_int_equal(reader.port.follow(self, 0, oldest), ERR_INVALID);
    assert_int_equal(reader.port.follow(self, 1u << STREAM_COUNT, oldest), ERR_INVALID);
    /* And what was followed before is still followed. */
    sender_add_run(1000, 1, 6);
    until_sent();
    assert_all_read();
}

static void stream_follows_anew_from_where_it_is_told(void **state)
{
    (void)state;
    sender_add_run(1000, 1, 30);
    until_sent();
    open_reader("reader", ALL_STREAMS, oldest);
    until_read(30);
    assert_int_equal(reader.port.follow(reader.port.self, 1u << STREAM_TRADE, oldest), ERR_OK);
    for (int64_t start_us = engine->now_us(); reader.redelivered < 10; turn())
        assert_true(patient(start_us));
    assert_int_equal(reader.redelivered, 10);
    sender_add_run(1000, 31, 3);
    until_sent();
    until_read(31);
    assert_int_equal(reader.records[30].stream, STREAM_TRADE);
    assert_true(reader.port.drained(reader.port.self));
}

static int switched;

/* Turns to another partition in the middle of a delivery: nothing more of the old one. */
static void record_and_switch(void *context, const struct stream_record *record,
                              const char *position)
{
    if (switched > 0)
        assert_int_equal(record->stream, STREAM_TRADE);
    if (switched++ == 0) {
        assert_int_equal(record->stream, STREAM_DEPTH);
        assert_int_equal(reader.port.follow(reader.port.self, 1u << STREAM_TRADE, oldest), ERR_OK);
    }
    reader_record(context, record, position);
}

static void stream_follows_anew_from_inside_a_delivery(void **state)
{
    (void)state;
    sender_add_run(1000, 1, 30);
    until_sent();
    switched = 0;
    reader.port = engine->open_consumer("reader", record_and_switch, &reader);
    reader.open = true;
    assert_int_equal(reader.port.follow(reader.port.self, 1u << STREAM_DEPTH, oldest), ERR_OK);
    until_read(11);
    assert_int_equal(reader.per_stream[STREAM_DEPTH], 1);
    assert_int_equal(reader.per_stream[STREAM_TRADE], 10);
}

int stream_contract_run(const struct stream_engine *under_test)
{
    engine = under_test;
#define EACH(test)    cmocka_unit_test_setup_teardown(test, setup, teardown)
#define DURABLE(test) cmocka_unit_test_setup_teardown(test, setup_durable, teardown)
    const struct CMUnitTest tests[] = {
        EACH(stream_delivers_each_partition_complete_and_in_order),
        EACH(stream_answers_a_resent_record_as_duplicate_and_delivers_it_once),
        EACH(stream_fences_a_producer_of_an_older_epoch),
        EACH(stream_fails_a_part_of_a_batch_and_keeps_the_order_of_the_rest),
        EACH(stream_resumes_behind_a_position),
        EACH(stream_begins_with_the_oldest_or_with_new_ones_as_asked),
        EACH(stream_appends_control_records_without_a_place_of_their_own),
        EACH(stream_tells_the_tops_of_its_partitions),
        EACH(stream_refuses_batches_over_the_limits_and_takes_the_largest),
        DURABLE(stream_carries_on_after_a_crash_of_a_durable_server),
        EACH(stream_shows_by_its_tops_what_a_crash_has_lost_and_takes_it_again),
        EACH(stream_goes_on_after_a_loss_of_all_data),
        EACH(stream_pushes_back_while_the_server_hangs_and_loses_nothing),
        EACH(stream_takes_records_from_inside_the_completion),
        EACH(stream_refuses_positions_that_are_none),
        EACH(stream_follows_anew_from_where_it_is_told),
        EACH(stream_follows_anew_from_inside_a_delivery),
    };
    return cmocka_run_group_tests_name(under_test->name, tests, NULL, NULL);
}
