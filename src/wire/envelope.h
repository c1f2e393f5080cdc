/* The stream record's body: 1..N stamped records of one symbol and epoch with a CRC
 * (DESIGN.md section 5, Streams). One envelope is one stream entry.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ENVELOPE_H
#define BTCAST_WIRE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "market/record.h"

#define ENVELOPE_RECORDS_MAX 4096
/* Under Kinesis' 1 MB a record; a single larger frame travels alone. */
#define ENVELOPE_BYTES_MAX ((size_t)900 * 1024)
/* Bytes before the first record (longest symbol), and around each payload. */
#define ENVELOPE_OVERHEAD_MAX    64
#define ENVELOPE_RECORD_OVERHEAD 14

/* Building: records of one epoch with ascending seq (gaps allowed: the other streams'). */
struct envelope_writer {
    uint8_t *out;
    size_t capacity, size;
    uint32_t count;
    uint64_t epoch, first_seq, last_seq;
    int64_t first_recv_us;
};
/* Starts over in out (borrowed until finished). */
void envelope_begin(struct envelope_writer *writer, uint8_t *out, size_t capacity,
                    const char *symbol, uint64_t epoch);
/* ERR_FULL: finish this one and begin another; nothing was written. ERR_INVALID: the
 * record fits into no envelope of this capacity, or is none (kind, size, time). PRE: the
 * writer's epoch, seq above the last one's (a control record may repeat it). */
int envelope_add(struct envelope_writer *writer, const struct record *record) MUST_CHECK;
/* Seals count and CRC; the envelope is out[0..result.size). PRE: count > 0. */
struct bytes envelope_finish(struct envelope_writer *writer);

/* Reading: opens after checking magic, version, CRC and every length. */
struct envelope_reader {
    struct bytes data;
    size_t at;
    uint32_t count, index;
    uint64_t epoch, first_seq, last_seq;
    int64_t first_recv_us;
    char symbol[RECORD_SYMBOL_SIZE];
};
/* ERR_MALFORMED, ERR_CORRUPT (CRC), ERR_UNSUPPORTED (version). */
int envelope_open(struct envelope_reader *reader, struct bytes data, struct err *err) MUST_CHECK;
/* Next record (payload borrowed from data), or ERR_EMPTY after the last. */
int envelope_next(struct envelope_reader *reader, struct record *record) MUST_CHECK;

#endif
