/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/wire/frames.h"
#include "wire/capture.h"

#define RECORDS  20
#define CAPACITY (RECORDS * (FRAMES_SIZE_MAX + CAPTURE_OVERHEAD))

struct sample {
    uint8_t data[CAPACITY];
    size_t size;
    size_t starts[RECORDS + 1];
    struct record records[RECORDS];
    uint8_t payloads[RECORDS][FRAMES_SIZE_MAX];
};

static struct sample *sample_create(uint64_t seed)
{
    struct sample *sample = calloc(1, sizeof(*sample));
    struct prng prng;
    prng_init(&prng, seed);
    for (int i = 0; i < RECORDS; i++) {
        struct record *record = &sample->records[i];
        record->epoch = 1770000000000;
        record->seq = (uint64_t)i + 1;
        record->recv_us = 1770000000000000 + i;
        record->kind = i % 5 == 4 ? RECORD_TICK : RECORD_FRAME;
        record->flags = (uint8_t)(i % 4);
        size_t size = i % 5 == 4 ? 0 : frames_random(&prng, sample->payloads[i]);
        record->payload = bytes_of(sample->payloads[i], size);
        sample->starts[i] = sample->size;
        size_t written =
            capture_write_record(record, sample->data + sample->size, CAPACITY - sample->size);
        assert_int_equal(written, CAPTURE_OVERHEAD + size);
        sample->size += written;
    }
    sample->starts[RECORDS] = sample->size;
    return sample;
}

/* How many of the sample's records come out of these bytes unchanged. */
static int count_good(const struct sample *sample, struct bytes data, int *corrupt)
{
    int good = 0;
    *corrupt = 0;
    while (data.size > 0) {
        struct record record;
        size_t size = 0;
        int rv = capture_read_record(data, &record, &size);
        if (rv == ERR_EMPTY)
            break;
        assert_true(size > 0 && size <= data.size);
        if (rv == ERR_OK) {
            const struct record *wanted = &sample->records[record.seq - 1];
            assert_int_equal(record.recv_us, wanted->recv_us);
            assert_int_equal(record.kind, wanted->kind);
            assert_int_equal(record.flags, wanted->flags);
            assert_int_equal(record.payload.size, wanted->payload.size);
            assert_memory_equal(record.payload.data, wanted->payload.data, record.payload.size);
            good++;
        } else {
            assert_int_equal(rv, ERR_CORRUPT);
            ++*corrupt;
        }
        data = bytes_of(data.data + size, data.size - size);
    }
    return good;
}

static void capture_gives_back_what_was_written(void **state)
{
    (void)state;
    struct sample *sample = sample_create(5);
    int corrupt = 0;
    assert_int_equal(count_good(sample, bytes_of(sample->data, sample->size), &corrupt), RECORDS);
    assert_int_equal(corrupt, 0);
    free(sample);
}

static void capture_carries_every_kind_of_record_and_no_other(void **state)
{
    (void)state;
    uint8_t data[CAPTURE_OVERHEAD + RECORD_SLOT_SIZE];
    for (uint8_t kind = 0; kind < 10; kind++) {
        struct record record = {.epoch = 1,
                                .seq = 2,
                                .recv_us = 3,
                                .kind = kind,
                                .payload = BYTES_LITERAL("\x01\0\0\0\0\0\0\0")};
        size_t size = capture_write_record(&record, data, sizeof(data));
        assert_int_equal(size, sizeof(data));
        struct record read;
        bool known = kind >= RECORD_FRAME && kind <= RECORD_SLOT;
        assert_int_equal(capture_read_record(bytes_of(data, size), &read, &size),
                         known ? ERR_OK : ERR_CORRUPT);
        if (known)
            assert_int_equal(read.kind, kind);
    }
}

static void capture_is_readable_up_to_the_last_whole_record(void **state)
{
    (void)state;
    struct sample *sample = sample_create(6);
    int whole = 0;
    for (size_t cut = 0; cut < sample->size; cut++) {
        while (sample->starts[whole + 1] <= cut)
            whole++;
        uint8_t *tight = malloc(cut + 1);
        memcpy(tight, sample->data, cut);
        int corrupt = 0;
        tight = realloc(tight, cut + (cut == 0));
        assert_int_equal(count_good(sample, bytes_of(tight, cut), &corrupt), whole);
        assert_int_equal(corrupt, 0);
        free(tight);
        cut += cut % 7;
    }
    free(sample);
}

static void capture_damage_costs_only_the_record_it_hit(void **state)
{
    (void)state;
    struct sample *sample = sample_create(7);
    for (size_t at = 0; at < sample->size; at += 3) {
        sample->data[at] ^= 0x10;
        int corrupt = 0;
        int good = count_good(sample, bytes_of(sample->data, sample->size), &corrupt);
        assert_int_equal(good, RECORDS - 1 + (corrupt == 0 && at >= sample->starts[RECORDS - 1]));
        assert_true(corrupt == 1 || at >= sample->starts[RECORDS - 1]);
        sample->data[at] ^= 0x10;
    }
    free(sample);
}

static void capture_header_is_read_back_and_guarded(void **state)
{
    (void)state;
    struct capture_header header = {
        .symbol = "BTCUSDT", .created_us = 1770000000000000, .feature_schema = 0xfedcba9876543210};
    uint8_t data[CAPTURE_HEADER_SIZE];
    capture_write_header(&header, data);
    struct capture_header again;
    struct err err = {0};
    assert_int_equal(capture_read_header(bytes_of(data, sizeof(data)), &again, &err), ERR_OK);
    assert_string_equal(again.symbol, "BTCUSDT");
    assert_int_equal(again.created_us, header.created_us);
    assert_true(again.feature_schema == header.feature_schema);
    for (size_t at = 0; at < sizeof(data); at++) {
        data[at] ^= 1;
        assert_int_equal(capture_read_header(bytes_of(data, sizeof(data)), &again, &err),
                         at < 8 ? ERR_MALFORMED : ERR_CORRUPT);
        data[at] ^= 1;
        assert_int_equal(capture_read_header(bytes_of(data, at), &again, &err), ERR_MALFORMED);
    }
}

static void capture_writes_nothing_into_too_small_a_buffer(void **state)
{
    (void)state;
    uint8_t data[CAPTURE_OVERHEAD + 3];
    struct record record = {.kind = RECORD_FRAME, .payload = BYTES_LITERAL("abc")};
    for (size_t room = 0; room < sizeof(data); room++)
        assert_int_equal(capture_write_record(&record, data, room), 0);
    assert_int_equal(capture_write_record(&record, data, sizeof(data)), sizeof(data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capture_gives_back_what_was_written),
        cmocka_unit_test(capture_carries_every_kind_of_record_and_no_other),
        cmocka_unit_test(capture_is_readable_up_to_the_last_whole_record),
        cmocka_unit_test(capture_damage_costs_only_the_record_it_hit),
        cmocka_unit_test(capture_header_is_read_back_and_guarded),
        cmocka_unit_test(capture_writes_nothing_into_too_small_a_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
