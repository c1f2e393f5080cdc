/* Capture files: stamped records with receive times and CRCs, append-only, readable after
 * a crash up to the last whole record. `btcast record` writes them, `btcast replay`
 * reads them, `btcast decode` prints them. Sans I/O: bytes in, bytes out; files are
 * opened by edge/. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_CAPTURE_H
#define BTCAST_WIRE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "market/record.h"

#define CAPTURE_MAGIC       "BTCAPT1\n"
#define CAPTURE_HEADER_SIZE 64
/* Bytes around a record's payload. */
#define CAPTURE_OVERHEAD 44

struct capture_header {
    char symbol[RECORD_SYMBOL_SIZE];
    int64_t created_us;
    uint64_t feature_schema; /* of the writer, for information */
};

/* Writes CAPTURE_HEADER_SIZE bytes. */
void capture_write_header(const struct capture_header *header, uint8_t *out);
int capture_read_header(struct bytes data, struct capture_header *header,
                        struct err *err) MUST_CHECK;

/* Appends one record; returns its size or 0 when capacity is too small. PRE: a payload of
 * at most RECORD_PAYLOAD_MAX. */
size_t capture_write_record(const struct record *record, uint8_t *out, size_t capacity);
/* Reads the record at the start of data; *size is how far to go on.
 * ERR_EMPTY: data ends here or inside a record (a crash, or still being written), *size 0;
 * ERR_CORRUPT: a CRC differs; going on by *size leads behind the damaged record, or to the
 * next good head, so damage costs only what it hit. The payload is borrowed. */
int capture_read_record(struct bytes data, struct record *record, size_t *size) MUST_CHECK;
/* The same without looking at the payload's CRC: for an index, and to pass over records. */
int capture_peek_record(struct bytes data, struct record *record, size_t *size) MUST_CHECK;

#endif
