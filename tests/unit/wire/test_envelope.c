/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "tests/unit/wire/frames.h"
#include "wire/envelope.h"

#define EPOCH   1770000000000ULL
#define RECORDS 200

struct sample {
    uint8_t payloads[RECORDS][FRAMES_SIZE_MAX];
    struct record records[RECORDS];
    int count;
};

/* Frames, ticks and a control record, with the seqs of the other streams missing. */
static void sample_fill(struct sample *sample, struct prng *prng, int count)
{
    uint64_t seq = 1 + prng_below(prng, 1000);
    int64_t recv_us = 1770000000000000 + (int64_t)prng_below(prng, 1000000);
    sample->count = count;
    for (int i = 0; i < count; i++) {
        struct record *record = &sample->records[i];
        bool tick = prng_below(prng, 4) == 0;
        size_t size = tick ? 0 : frames_random(prng, sample->payloads[i]);
        *record = (struct record){.epoch = EPOCH,
                                  .seq = seq,
                                  .recv_us = recv_us,
                                  .kind = tick ? RECORD_TICK : RECORD_FRAME,
                                  .flags = (uint8_t)prng_below(prng, 4),
                                  .payload = bytes_of(sample->payloads[i], size)};
        seq += 1 + prng_below(prng, 3);
        recv_us += (int64_t)prng_below(prng, 100000);
    }
}

static struct bytes sample_pack(const struct sample *sample, uint8_t *out, size_t capacity)
{
    struct envelope_writer writer;
    envelope_begin(&writer, out, capacity, "BTCUSDT", EPOCH);
    for (int i = 0; i < sample->count; i++)
        assert_int_equal(envelope_add(&writer, &sample->records[i]), ERR_OK);
    return envelope_finish(&writer);
}

static void assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(record_compare(a->epoch, a->seq, b->epoch, b->seq), 0);
    assert_int_equal(a->recv_us, b->recv_us);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->payload.size, b->payload.size);
    assert_memory_equal(a->payload.data, b->payload.data, a->payload.size);
}

static void envelope_gives_back_what_was_put_in(void **state)
{
    (void)state;
    struct sample *sample = malloc(sizeof(*sample));
    uint8_t *out = malloc(ENVELOPE_BYTES_MAX);
    struct prng prng;
    prng_init(&prng, 3);
    for (int round = 0; round < 50; round++) {
        sample_fill(sample, &prng, 1 + (int)prng_below(&prng, RECORDS));
        struct bytes data = sample_pack(sample, out, ENVELOPE_BYTES_MAX);
        struct envelope_reader reader;
        assert_int_equal(envelope_open(&reader, data, NULL), ERR_OK);
        assert_string_equal(reader.symbol, "BTCUSDT");
        assert_int_equal(reader.count, sample->count);
        assert_int_equal(reader.epoch, EPOCH);
        assert_int_equal(reader.first_seq, sample->records[0].seq);
        assert_int_equal(reader.last_seq, sample->records[sample->count - 1].seq);
        assert_int_equal(reader.first_recv_us, sample->records[0].recv_us);
        struct record record;
        for (int i = 0; i < sample->count; i++) {
            assert_int_equal(envelope_next(&reader, &record), ERR_OK);
            assert_same_record(&record, &sample->records[i]);
        }
        assert_int_equal(envelope_next(&reader, &record), ERR_EMPTY);
        assert_int_equal(envelope_next(&reader, &record), ERR_EMPTY);
    }
    free(out);
    free(sample);
}

static void envelope_refuses_every_truncation_and_every_flipped_byte(void **state)
{
    (void)state;
    struct sample *sample = malloc(sizeof(*sample));
    uint8_t *out = malloc(ENVELOPE_BYTES_MAX);
    struct prng prng;
    prng_init(&prng, 4);
    sample_fill(sample, &prng, 3);
    struct bytes data = sample_pack(sample, out, ENVELOPE_BYTES_MAX);
    struct envelope_reader reader;
    struct err err = {0};
    for (size_t cut = 0; cut < data.size; cut++) {
        uint8_t *tight = malloc(cut + (cut == 0));
        memcpy(tight, data.data, cut);
        assert_int_not_equal(envelope_open(&reader, bytes_of(tight, cut), &err), ERR_OK);
        free(tight);
    }
    for (size_t at = 0; at < data.size; at++) {
        out[at] ^= (uint8_t)(1u << (at % 8));
        int rv = envelope_open(&reader, data, &err);
        assert_int_equal(rv, at < 4 ? ERR_MALFORMED : ERR_CORRUPT);
        assert_int_equal(err.code, rv);
        out[at] ^= (uint8_t)(1u << (at % 8));
    }
    assert_int_equal(envelope_open(&reader, data, &err), ERR_OK);
    free(out);
    free(sample);
}

static void seal(uint8_t *out, size_t size)
{
    bytes_store_u32(out + 4, crc32c(0, out + 8, size - 8));
}

/* Damage with a right CRC: what a foreign or wrong writer could send. */
static void envelope_checks_every_field_even_under_a_right_crc(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t at, width;
        uint64_t value;
        int rv;
    } damage[] = {
        {"newer version", 8, 2, 2, ERR_UNSUPPORTED},
        {"no symbol", 10, 1, 0, ERR_MALFORMED},
        {"symbol beyond the end", 10, 1, 255, ERR_MALFORMED},
        {"lower case symbol", 40, 1, 'b', ERR_MALFORMED},
        {"no records", 12, 4, 0, ERR_MALFORMED},
        {"one record fewer", 12, 4, 1, ERR_MALFORMED},
        {"one record more", 12, 4, 3, ERR_MALFORMED},
        {"absurd count", 12, 4, UINT32_MAX, ERR_MALFORMED},
        {"seq that would wrap", 24, 8, UINT64_MAX - 5, ERR_MALFORMED},
        {"negative time", 32, 8, UINT64_MAX, ERR_MALFORMED},
        {"time that would wrap", 32, 8, INT64_MAX, ERR_MALFORMED},
        {"first record not at first_seq", 47, 4, 1, ERR_MALFORMED},
        {"payload beyond the end", 55, 4, 2000, ERR_MALFORMED},
        {"payload of 4 GB", 55, 4, UINT32_MAX, ERR_MALFORMED},
        {"unknown kind", 59, 1, 9, ERR_MALFORMED},
        {"kind 0", 59, 1, 0, ERR_MALFORMED},
        {"second record's seq not above", 61, 4, 0, ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        uint8_t out[256];
        struct envelope_writer writer;
        envelope_begin(&writer, out, sizeof(out), "BTCUSDT", EPOCH);
        struct record record = {.epoch = EPOCH, .seq = 7, .recv_us = 1, .kind = RECORD_TICK};
        assert_int_equal(envelope_add(&writer, &record), ERR_OK);
        record.seq = 8;
        assert_int_equal(envelope_add(&writer, &record), ERR_OK);
        struct bytes data = envelope_finish(&writer);
        memcpy(out + damage[i].at, &damage[i].value, damage[i].width);
        seal(out, data.size);
        struct envelope_reader reader;
        struct err err = {0};
        int rv = envelope_open(&reader, data, &err);
        if (rv != damage[i].rv)
            fail_msg("%s: %d %s", damage[i].what, rv, err.text);
    }
}

static void envelope_says_full_and_stays_usable(void **state)
{
    (void)state;
    uint8_t out[120];
    uint8_t payload[40] = {1};
    struct envelope_writer writer;
    envelope_begin(&writer, out, sizeof(out), "BTCUSDT", EPOCH);
    struct record record = {.epoch = EPOCH, .seq = 1, .recv_us = 5, .kind = RECORD_FRAME};
    record.payload = bytes_of(payload, 60);
    assert_int_equal(envelope_add(&writer, &record), ERR_INVALID);
    record.payload = bytes_of(payload, sizeof(payload));
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    record.seq = 2;
    assert_int_equal(envelope_add(&writer, &record), ERR_FULL);
    struct envelope_reader reader;
    assert_int_equal(envelope_open(&reader, envelope_finish(&writer), NULL), ERR_OK);
    assert_int_equal(reader.last_seq, 1);
}

static void envelope_takes_its_record_limit_and_no_more(void **state)
{
    (void)state;
    size_t capacity = ENVELOPE_OVERHEAD_MAX + (ENVELOPE_RECORDS_MAX + 1) * 20;
    uint8_t *out = malloc(capacity);
    struct envelope_writer writer;
    envelope_begin(&writer, out, capacity, "BTCUSDT", EPOCH);
    struct record record = {.epoch = EPOCH, .recv_us = 5, .kind = RECORD_TICK};
    for (record.seq = 1; record.seq <= ENVELOPE_RECORDS_MAX; record.seq++)
        assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    assert_int_equal(envelope_add(&writer, &record), ERR_FULL);
    struct envelope_reader reader;
    assert_int_equal(envelope_open(&reader, envelope_finish(&writer), NULL), ERR_OK);
    assert_int_equal(reader.count, ENVELOPE_RECORDS_MAX);
    free(out);
}

static void envelope_begins_anew_for_far_seqs_and_times(void **state)
{
    (void)state;
    uint8_t out[200];
    struct envelope_writer writer;
    struct record record = {.epoch = EPOCH, .seq = 1, .recv_us = 5, .kind = RECORD_TICK};
    envelope_begin(&writer, out, sizeof(out), "BTCUSDT", EPOCH);
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    record.seq = 2 + (uint64_t)UINT32_MAX;
    assert_int_equal(envelope_add(&writer, &record), ERR_FULL);
    record.seq = 2;
    record.recv_us = 6 + (int64_t)UINT32_MAX;
    assert_int_equal(envelope_add(&writer, &record), ERR_FULL);
    record.recv_us = 4;
    assert_int_equal(envelope_add(&writer, &record), ERR_FULL);
    record.recv_us = 5 + (int64_t)UINT32_MAX;
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
}

static void envelope_lets_a_large_frame_travel_alone(void **state)
{
    (void)state;
    size_t capacity = RECORD_PAYLOAD_MAX + 1000;
    uint8_t *out = malloc(capacity);
    uint8_t *payload = calloc(1, RECORD_PAYLOAD_MAX);
    struct envelope_writer writer;
    struct record record = {.epoch = EPOCH, .seq = 1, .recv_us = 5, .kind = RECORD_FRAME};
    record.payload = bytes_of(payload, RECORD_PAYLOAD_MAX);
    envelope_begin(&writer, out, capacity, "BTCUSDT", EPOCH);
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    struct record tick = {.epoch = EPOCH, .seq = 2, .recv_us = 5, .kind = RECORD_TICK};
    assert_int_equal(envelope_add(&writer, &tick), ERR_FULL);
    struct envelope_reader reader;
    assert_int_equal(envelope_open(&reader, envelope_finish(&writer), NULL), ERR_OK);
    free(payload);
    free(out);
}

static void envelope_carries_control_records_of_one_place(void **state)
{
    (void)state;
    uint8_t out[200];
    struct envelope_writer writer;
    struct record record = {.epoch = EPOCH, .seq = 9, .recv_us = 5, .kind = RECORD_HOLE};
    envelope_begin(&writer, out, sizeof(out), "BTCUSDT", EPOCH);
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    struct envelope_reader reader;
    assert_int_equal(envelope_open(&reader, envelope_finish(&writer), NULL), ERR_OK);
    assert_int_equal(reader.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_gives_back_what_was_put_in),
        cmocka_unit_test(envelope_refuses_every_truncation_and_every_flipped_byte),
        cmocka_unit_test(envelope_checks_every_field_even_under_a_right_crc),
        cmocka_unit_test(envelope_says_full_and_stays_usable),
        cmocka_unit_test(envelope_takes_its_record_limit_and_no_more),
        cmocka_unit_test(envelope_begins_anew_for_far_seqs_and_times),
        cmocka_unit_test(envelope_lets_a_large_frame_travel_alone),
        cmocka_unit_test(envelope_carries_control_records_of_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
