/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/capture.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "wire/sbe.h"

/* docs/formats.md, "Capture". */
enum capture_header_offset {
    CAPTURE_HEADER_SYMBOL = 8,
    CAPTURE_HEADER_CREATED = 32,
    CAPTURE_HEADER_SCHEMA = 40,
    CAPTURE_HEADER_CRC = 60,
};

#define CAPTURE_RECORD_MAGIC 0x63525442u /* "BTRc" */
enum capture_record_offset {
    CAPTURE_RECORD_SIZE = 4,
    CAPTURE_RECORD_EPOCH = 8,
    CAPTURE_RECORD_SEQ = 16,
    CAPTURE_RECORD_RECV = 24,
    CAPTURE_RECORD_KIND = 32,
    CAPTURE_RECORD_FLAGS = 33,
    CAPTURE_RECORD_RESERVED = 34,
    CAPTURE_RECORD_HEAD_CRC = 36,
    CAPTURE_RECORD_PAYLOAD = 40,
};
#define CAPTURE_RECORD_TAIL 4

_Static_assert(CAPTURE_OVERHEAD == CAPTURE_RECORD_PAYLOAD + CAPTURE_RECORD_TAIL,
               "the head and the CRC behind the payload");

void capture_write_header(const struct capture_header *header, uint8_t *out)
{
    size_t symbol_size = strlen(header->symbol);
    PRE(sbe_symbol_valid(bytes_of(header->symbol, symbol_size)));
    memset(out, 0, CAPTURE_HEADER_SIZE);
    memcpy(out, CAPTURE_MAGIC, sizeof(CAPTURE_MAGIC) - 1);
    memcpy(out + CAPTURE_HEADER_SYMBOL, header->symbol, symbol_size);
    bytes_store_i64(out + CAPTURE_HEADER_CREATED, header->created_us);
    bytes_store_u64(out + CAPTURE_HEADER_SCHEMA, header->feature_schema);
    bytes_store_u32(out + CAPTURE_HEADER_CRC, crc32c(0, out, CAPTURE_HEADER_CRC));
}

int capture_read_header(struct bytes data, struct capture_header *header, struct err *err)
{
    if (data.size < CAPTURE_HEADER_SIZE)
        return err_set(err, ERR_MALFORMED, "capture of %zu bytes is shorter than its head",
                       data.size);
    if (memcmp(data.data, CAPTURE_MAGIC, sizeof(CAPTURE_MAGIC) - 1) != 0)
        return err_set(err, ERR_MALFORMED, "not a capture: wrong magic");
    if (bytes_load_u32(data.data + CAPTURE_HEADER_CRC) != crc32c(0, data.data, CAPTURE_HEADER_CRC))
        return err_set(err, ERR_CORRUPT, "capture: the head's CRC differs");
    const char *symbol = (const char *)data.data + CAPTURE_HEADER_SYMBOL;
    size_t symbol_size = strnlen(symbol, RECORD_SYMBOL_SIZE);
    if (!sbe_symbol_valid(bytes_of(symbol, symbol_size)))
        return err_set(err, ERR_MALFORMED, "capture: bad symbol");
    *header = (struct capture_header){
        .created_us = bytes_load_i64(data.data + CAPTURE_HEADER_CREATED),
        .feature_schema = bytes_load_u64(data.data + CAPTURE_HEADER_SCHEMA),
    };
    memcpy(header->symbol, symbol, symbol_size);
    return ERR_OK;
}

size_t capture_write_record(const struct record *record, uint8_t *out, size_t capacity)
{
    PRE(record->payload.size <= RECORD_PAYLOAD_MAX);
    size_t size = CAPTURE_OVERHEAD + record->payload.size;
    if (capacity < size)
        return 0;
    bytes_store_u32(out, CAPTURE_RECORD_MAGIC);
    bytes_store_u32(out + CAPTURE_RECORD_SIZE, (uint32_t)record->payload.size);
    bytes_store_u64(out + CAPTURE_RECORD_EPOCH, record->epoch);
    bytes_store_u64(out + CAPTURE_RECORD_SEQ, record->seq);
    bytes_store_i64(out + CAPTURE_RECORD_RECV, record->recv_us);
    out[CAPTURE_RECORD_KIND] = record->kind;
    out[CAPTURE_RECORD_FLAGS] = record->flags;
    bytes_store_u16(out + CAPTURE_RECORD_RESERVED, 0);
    uint32_t crc = crc32c(0, out, CAPTURE_RECORD_HEAD_CRC);
    bytes_store_u32(out + CAPTURE_RECORD_HEAD_CRC, crc);
    uint8_t *payload = out + CAPTURE_RECORD_PAYLOAD;
    if (record->payload.size > 0)
        memcpy(payload, record->payload.data, record->payload.size);
    /* Going on from the head's CRC ties the payload to its head. */
    bytes_store_u32(payload + record->payload.size, crc32c(crc, payload, record->payload.size));
    return size;
}

/* A whole head whose CRC is right. */
static bool capture_head_valid(const uint8_t *at)
{
    return bytes_load_u32(at) == CAPTURE_RECORD_MAGIC &&
           bytes_load_u32(at + CAPTURE_RECORD_HEAD_CRC) == crc32c(0, at, CAPTURE_RECORD_HEAD_CRC) &&
           bytes_load_u32(at + CAPTURE_RECORD_SIZE) <= RECORD_PAYLOAD_MAX &&
           at[CAPTURE_RECORD_KIND] >= RECORD_FRAME && at[CAPTURE_RECORD_KIND] <= RECORD_SLOT &&
           bytes_load_i64(at + CAPTURE_RECORD_RECV) >= 0;
}

/* Distance from a broken head to the next good one, or to where one could still begin. */
static size_t capture_resync(struct bytes data)
{
    size_t at = 1;
    for (; at + CAPTURE_RECORD_PAYLOAD <= data.size; at++)
        if (capture_head_valid(data.data + at))
            break;
    return at;
}

int capture_peek_record(struct bytes data, struct record *record, size_t *size)
{
    *size = 0;
    if (data.size < CAPTURE_RECORD_PAYLOAD)
        return ERR_EMPTY;
    if (!capture_head_valid(data.data)) {
        *size = capture_resync(data);
        return ERR_CORRUPT;
    }
    size_t payload_size = bytes_load_u32(data.data + CAPTURE_RECORD_SIZE);
    if (data.size < CAPTURE_OVERHEAD + payload_size)
        return ERR_EMPTY;
    *size = CAPTURE_OVERHEAD + payload_size;
    *record = (struct record){
        .epoch = bytes_load_u64(data.data + CAPTURE_RECORD_EPOCH),
        .seq = bytes_load_u64(data.data + CAPTURE_RECORD_SEQ),
        .recv_us = bytes_load_i64(data.data + CAPTURE_RECORD_RECV),
        .kind = data.data[CAPTURE_RECORD_KIND],
        .flags = data.data[CAPTURE_RECORD_FLAGS],
        .payload = bytes_of(data.data + CAPTURE_RECORD_PAYLOAD, payload_size),
    };
    return ERR_OK;
}

int capture_read_record(struct bytes data, struct record *record, size_t *size)
{
    struct record whole;
    int result = capture_peek_record(data, &whole, size);
    if (result != ERR_OK)
        return result;
    uint32_t head_crc = bytes_load_u32(data.data + CAPTURE_RECORD_HEAD_CRC);
    uint32_t crc = crc32c(head_crc, whole.payload.data, whole.payload.size);
    if (bytes_load_u32(whole.payload.data + whole.payload.size) != crc)
        return ERR_CORRUPT;
    *record = whole;
    return ERR_OK;
}
