/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/envelope.h"

#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "wire/sbe.h"

/* docs/formats.md, "Envelope". The CRC covers everything behind itself. */
#define ENVELOPE_MAGIC   0x4e455442u /* "BTEN" */
#define ENVELOPE_VERSION 1
enum envelope_offset {
    ENVELOPE_AT_CRC = 4,
    ENVELOPE_AT_VERSION = 8,
    ENVELOPE_AT_SYMBOL_SIZE = 10,
    ENVELOPE_AT_RESERVED = 11,
    ENVELOPE_AT_COUNT = 12,
    ENVELOPE_AT_EPOCH = 16,
    ENVELOPE_AT_FIRST_SEQ = 24,
    ENVELOPE_AT_FIRST_RECV = 32,
    ENVELOPE_AT_SYMBOL = 40,
};

/* A record's own head: seq and recv_us as distances from the first record's. */
enum envelope_record_offset {
    ENVELOPE_RECORD_SEQ = 0,
    ENVELOPE_RECORD_RECV = 4,
    ENVELOPE_RECORD_SIZE = 8,
    ENVELOPE_RECORD_KIND = 12,
    ENVELOPE_RECORD_FLAGS = 13,
    ENVELOPE_RECORD_PAYLOAD = ENVELOPE_RECORD_OVERHEAD,
};

void envelope_begin(struct envelope_writer *writer, uint8_t *out, size_t capacity,
                    const char *symbol, uint64_t epoch)
{
    struct bytes name = bytes_text(symbol);
    PRE(sbe_symbol_valid(name));
    PRE(capacity >= ENVELOPE_OVERHEAD_MAX);
    *writer = (struct envelope_writer){
        .out = out,
        .capacity = capacity,
        .size = ENVELOPE_AT_SYMBOL + name.size,
        .epoch = epoch,
    };
    memset(out, 0, ENVELOPE_AT_SYMBOL);
    bytes_store_u32(out, ENVELOPE_MAGIC);
    bytes_store_u16(out + ENVELOPE_AT_VERSION, ENVELOPE_VERSION);
    out[ENVELOPE_AT_SYMBOL_SIZE] = (uint8_t)name.size;
    bytes_store_u64(out + ENVELOPE_AT_EPOCH, epoch);
    memcpy(out + ENVELOPE_AT_SYMBOL, name.data, name.size);
}

static bool envelope_kind_valid(uint8_t kind)
{
    return kind >= RECORD_FRAME && kind <= RECORD_HOLE;
}

/* Does the record fit behind those already in? Distances that do not fit in 32 bits (71
 * minutes, or a clock that ran back) begin a new envelope. */
static bool envelope_add_fits(const struct envelope_writer *writer, const struct record *record)
{
    if (writer->count == ENVELOPE_RECORDS_MAX || record->seq - writer->first_seq > UINT32_MAX ||
        record->recv_us < writer->first_recv_us ||
        record->recv_us - writer->first_recv_us > (int64_t)UINT32_MAX)
        return false;
    return writer->size + ENVELOPE_RECORD_OVERHEAD + record->payload.size <= ENVELOPE_BYTES_MAX;
}

int envelope_add(struct envelope_writer *writer, const struct record *record)
{
    PRE(record->epoch == writer->epoch);
    PRE(writer->count == 0 || record->seq > writer->last_seq ||
        (record_is_control(record) && record->seq == writer->last_seq));
    if (!envelope_kind_valid(record->kind) || record->payload.size > RECORD_PAYLOAD_MAX ||
        record->recv_us < 0)
        return ERR_INVALID;
    size_t need = ENVELOPE_RECORD_OVERHEAD + record->payload.size;
    if (writer->count > 0 && !envelope_add_fits(writer, record))
        return ERR_FULL;
    if (writer->capacity - writer->size < need)
        return writer->count > 0 ? ERR_FULL : ERR_INVALID;
    if (writer->count == 0) {
        writer->first_seq = record->seq;
        writer->first_recv_us = record->recv_us;
    }
    uint8_t *at = writer->out + writer->size;
    bytes_store_u32(at + ENVELOPE_RECORD_SEQ, (uint32_t)(record->seq - writer->first_seq));
    bytes_store_u32(at + ENVELOPE_RECORD_RECV, (uint32_t)(record->recv_us - writer->first_recv_us));
    bytes_store_u32(at + ENVELOPE_RECORD_SIZE, (uint32_t)record->payload.size);
    at[ENVELOPE_RECORD_KIND] = record->kind;
    at[ENVELOPE_RECORD_FLAGS] = record->flags;
    if (record->payload.size > 0)
        memcpy(at + ENVELOPE_RECORD_PAYLOAD, record->payload.data, record->payload.size);
    writer->size += need;
    writer->last_seq = record->seq;
    writer->count++;
    return ERR_OK;
}

struct bytes envelope_finish(struct envelope_writer *writer)
{
    PRE(writer->count > 0);
    uint8_t *out = writer->out;
    bytes_store_u32(out + ENVELOPE_AT_COUNT, writer->count);
    bytes_store_u64(out + ENVELOPE_AT_FIRST_SEQ, writer->first_seq);
    bytes_store_i64(out + ENVELOPE_AT_FIRST_RECV, writer->first_recv_us);
    uint32_t crc = crc32c(0, out + ENVELOPE_AT_VERSION, writer->size - ENVELOPE_AT_VERSION);
    bytes_store_u32(out + ENVELOPE_AT_CRC, crc);
    return bytes_of(out, writer->size);
}

/* Magic, CRC and version, in this order: a damaged version is damage, not a newer one. */
static int envelope_open_guard(struct bytes data, struct err *err)
{
    if (data.size < ENVELOPE_AT_SYMBOL)
        return err_set(err, ERR_MALFORMED, "envelope of %zu bytes is shorter than its head",
                       data.size);
    if (bytes_load_u32(data.data) != ENVELOPE_MAGIC)
        return err_set(err, ERR_MALFORMED, "not an envelope: wrong magic");
    uint32_t crc = crc32c(0, data.data + ENVELOPE_AT_VERSION, data.size - ENVELOPE_AT_VERSION);
    if (bytes_load_u32(data.data + ENVELOPE_AT_CRC) != crc)
        return err_set(err, ERR_CORRUPT, "envelope of %zu bytes: CRC differs", data.size);
    unsigned version = bytes_load_u16(data.data + ENVELOPE_AT_VERSION);
    if (version != ENVELOPE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "envelope version %u, this program reads %u", version,
                       ENVELOPE_VERSION);
    return ERR_OK;
}

static int envelope_open_head(struct envelope_reader *reader, struct err *err)
{
    const uint8_t *head = reader->data.data;
    size_t symbol_size = head[ENVELOPE_AT_SYMBOL_SIZE];
    if (symbol_size > reader->data.size - ENVELOPE_AT_SYMBOL ||
        !sbe_symbol_valid(bytes_of(head + ENVELOPE_AT_SYMBOL, symbol_size)))
        return err_set(err, ERR_MALFORMED, "envelope: bad symbol");
    memcpy(reader->symbol, head + ENVELOPE_AT_SYMBOL, symbol_size);
    reader->at = ENVELOPE_AT_SYMBOL + symbol_size;
    reader->count = bytes_load_u32(head + ENVELOPE_AT_COUNT);
    reader->epoch = bytes_load_u64(head + ENVELOPE_AT_EPOCH);
    reader->first_seq = bytes_load_u64(head + ENVELOPE_AT_FIRST_SEQ);
    reader->first_recv_us = bytes_load_i64(head + ENVELOPE_AT_FIRST_RECV);
    if (reader->count == 0 || reader->count > ENVELOPE_RECORDS_MAX)
        return err_set(err, ERR_MALFORMED, "envelope: %u records", reader->count);
    if (reader->first_recv_us < 0 || reader->first_recv_us > INT64_MAX - UINT32_MAX ||
        reader->first_seq > UINT64_MAX - UINT32_MAX)
        return err_set(err, ERR_MALFORMED, "envelope: first record's seq or time out of range");
    return ERR_OK;
}

/* One record's lengths, kind and order; moves *at behind it. */
static int envelope_open_record(struct envelope_reader *reader, size_t *at, uint32_t index)
{
    size_t left = reader->data.size - *at;
    if (left < ENVELOPE_RECORD_OVERHEAD)
        return ERR_MALFORMED;
    const uint8_t *head = reader->data.data + *at;
    uint32_t distance = bytes_load_u32(head + ENVELOPE_RECORD_SEQ);
    size_t size = bytes_load_u32(head + ENVELOPE_RECORD_SIZE);
    struct record record = {.kind = head[ENVELOPE_RECORD_KIND]};
    uint64_t seq = reader->first_seq + distance;
    bool ascends = index == 0 ? distance == 0
                              : seq > reader->last_seq ||
                                    (record_is_control(&record) && seq == reader->last_seq);
    if (size > left - ENVELOPE_RECORD_OVERHEAD || size > RECORD_PAYLOAD_MAX ||
        !envelope_kind_valid(record.kind) || !ascends)
        return ERR_MALFORMED;
    reader->last_seq = seq;
    *at += ENVELOPE_RECORD_OVERHEAD + size;
    return ERR_OK;
}

int envelope_open(struct envelope_reader *reader, struct bytes data, struct err *err)
{
    *reader = (struct envelope_reader){.data = data};
    int rv = envelope_open_guard(data, err);
    if (rv == ERR_OK)
        rv = envelope_open_head(reader, err);
    if (rv != ERR_OK)
        return rv;
    size_t at = reader->at;
    for (uint32_t i = 0; i < reader->count; i++)
        if (envelope_open_record(reader, &at, i) != ERR_OK)
            return err_set(err, ERR_MALFORMED, "envelope: bad record %u at byte %zu", i, at);
    if (at != data.size)
        return err_set(err, ERR_MALFORMED, "envelope: %zu bytes behind the last record",
                       data.size - at);
    return ERR_OK;
}

int envelope_next(struct envelope_reader *reader, struct record *record)
{
    if (reader->index == reader->count)
        return ERR_EMPTY;
    const uint8_t *at = reader->data.data + reader->at;
    size_t size = bytes_load_u32(at + ENVELOPE_RECORD_SIZE);
    *record = (struct record){
        .epoch = reader->epoch,
        .seq = reader->first_seq + bytes_load_u32(at + ENVELOPE_RECORD_SEQ),
        .recv_us = reader->first_recv_us + bytes_load_u32(at + ENVELOPE_RECORD_RECV),
        .kind = at[ENVELOPE_RECORD_KIND],
        .flags = at[ENVELOPE_RECORD_FLAGS],
        .payload = bytes_of(at + ENVELOPE_RECORD_PAYLOAD, size),
    };
    reader->at += ENVELOPE_RECORD_OVERHEAD + size;
    reader->index++;
    return ERR_OK;
}
