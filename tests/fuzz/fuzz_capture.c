/* covers: src/wire/capture.c */
/* Any bytes as a capture, and as records written into one and then damaged: reading always
 * goes on, and damage costs no record it did not touch. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "wire/capture.h"

#define RECORDS  4
#define CAPACITY 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many whole records are in there. */
static int walk(struct bytes data)
{
    int good = 0;
    struct record record;
    size_t size = 0;
    int rv;
    while ((rv = capture_read_record(data, &record, &size)) != ERR_EMPTY) {
        CHECK(size > 0 && size <= data.size);
        if (rv == ERR_OK) {
            CHECK(record.payload.size + CAPTURE_OVERHEAD == size);
            good++;
        }
        data = bytes_of(data.data + size, data.size - size);
    }
    CHECK(size == 0);
    return good;
}

static void read_header(const uint8_t *data, size_t size)
{
    uint8_t sealed[CAPTURE_HEADER_SIZE] = {0};
    struct capture_header header;
    struct err err = {0};
    (void)!capture_read_header(bytes_of(data, size), &header, &err);
    memcpy(sealed, data, size < sizeof(sealed) ? size : sizeof(sealed));
    memcpy(sealed, CAPTURE_MAGIC, sizeof(CAPTURE_MAGIC) - 1);
    bytes_store_u32(sealed + 60, crc32c(0, sealed, 60));
    if (capture_read_header(bytes_of(sealed, sizeof(sealed)), &header, &err) == ERR_OK) {
        uint8_t again[CAPTURE_HEADER_SIZE];
        struct capture_header second;
        capture_write_header(&header, again);
        CHECK(capture_read_header(bytes_of(again, sizeof(again)), &second, &err) == ERR_OK);
        CHECK(strcmp(second.symbol, header.symbol) == 0);
    }
}

/* The first bytes say what to damage and how, the rest is payload. */
static void damage(const uint8_t *data, size_t size)
{
    static uint8_t out[CAPACITY];
    static uint8_t payload[500];
    size_t starts[RECORDS + 1] = {0};
    if (size < 3 || size > 500)
        return;
    /* A record inside a payload is nothing an exchange sends; without the letters of a
     * record's magic one changed byte makes none either. */
    for (size_t i = 3; i < size; i++)
        payload[i - 3] = memchr("BTRc", data[i], 4) != NULL ? 0 : data[i];
    for (size_t i = 0; i < RECORDS; i++) {
        struct record record = {.epoch = 1,
                                .seq = i + 1,
                                .recv_us = (int64_t)i,
                                .kind = (uint8_t)(1 + i),
                                .payload = bytes_of(payload, size - 3)};
        size_t written = capture_write_record(&record, out + starts[i], sizeof(out) - starts[i]);
        CHECK(written == CAPTURE_OVERHEAD + size - 3);
        CHECK(capture_write_record(&record, out + starts[i], written - 1) == 0);
        starts[i + 1] = starts[i] + written;
    }
    CHECK(walk(bytes_of(out, starts[RECORDS])) == RECORDS);
    size_t at = ((size_t)data[0] << 8 | data[1]) % starts[RECORDS];
    out[at] ^= data[2] == 0 ? 1 : data[2];
    CHECK(walk(bytes_of(out, starts[RECORDS])) >= RECORDS - 1);
    CHECK(walk(bytes_of(out, at)) <= RECORDS);
}

/* Behind the head's CRC: kinds, times and sizes nobody writes. */
static void seal_head(const uint8_t *data, size_t size)
{
    if (size < 40)
        return;
    uint8_t *sealed = malloc(size);
    memcpy(sealed, data, size);
    memcpy(sealed, "BTRc", 4);
    bytes_store_u32(sealed + 36, crc32c(0, sealed, 36));
    (void)walk(bytes_of(sealed, size));
    free(sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    read_header(data, size);
    (void)walk(bytes_of(data, size));
    damage(data, size);
    seal_head(data, size);
    return 0;
}
