/* covers: src/wire/envelope.c */
/* Any bytes as an envelope, and any bytes as the recipe of one: what is packed comes out
 * again, what is damaged is refused. The CRC is put right first, so that the fuzzer gets
 * behind it. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "wire/envelope.h"

#define CAPACITY 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct envelope_reader *reader)
{
    struct record record;
    uint32_t count = 0;
    uint64_t last = 0;
    while (envelope_next(reader, &record) == ERR_OK) {
        CHECK(record.epoch == reader->epoch && record.seq >= last && record.recv_us >= 0);
        CHECK(record.payload.data + record.payload.size <= reader->data.data + reader->data.size);
        last = record.seq;
        count++;
    }
    CHECK(count == reader->count && last == reader->last_seq);
}

static void read_bytes(const uint8_t *data, size_t size, bool seal)
{
    uint8_t *tight = malloc(size + (size == 0));
    memcpy(tight, data, size);
    if (seal && size >= 8) {
        memcpy(tight, "BTEN", 4);
        bytes_store_u32(tight + 4, crc32c(0, tight + 8, size - 8));
    }
    struct envelope_reader reader;
    struct err err = {0};
    if (envelope_open(&reader, bytes_of(tight, size), &err) == ERR_OK)
        walk(&reader);
    else
        CHECK(err.text[0] != '\0');
    free(tight);
}

/* Three bytes a record: kind and flags, seq and time steps, payload size. */
static void pack_recipe(const uint8_t *data, size_t size)
{
    static uint8_t out[CAPACITY];
    static uint8_t payload[4096];
    struct envelope_writer writer;
    envelope_begin(&writer, out, CAPACITY, "BTCUSDT", 7);
    uint64_t seq = 1;
    int64_t recv_us = 1000;
    uint32_t added = 0;
    for (; size >= 3; data += 3, size -= 3) {
        struct record record = {.epoch = 7, .kind = data[0] & 7, .flags = data[0] >> 3};
        bool repeats = record_is_control(&record) && data[1] == 0;
        seq += repeats ? 0 : 1ULL << (data[1] & 33);
        recv_us += data[1] == 255 ? -2000 : 1LL << (data[1] >> 2 & 33);
        record.seq = seq;
        record.recv_us = recv_us;
        record.payload = bytes_of(payload, (size_t)data[2] * 16);
        int rv = envelope_add(&writer, &record);
        CHECK(rv == ERR_OK || rv == ERR_FULL || rv == ERR_INVALID);
        if (rv == ERR_FULL)
            break;
        added += rv == ERR_OK;
    }
    if (added == 0)
        return;
    struct envelope_reader reader;
    CHECK(envelope_open(&reader, envelope_finish(&writer), NULL) == ERR_OK);
    CHECK(reader.count == added);
    walk(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_bytes(data, size, false);
    read_bytes(data, size, true);
    pack_recipe(data, size);
    return 0;
}
