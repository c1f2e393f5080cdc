/* Writes stamped records to capture files: buffered, rotated by size and age, synced to
 * disk by a named policy. A file is never overwritten: the first free name of FILE,
 * FILE.0001, FILE.0002 … is taken, so a restarted recorder goes on where it was.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_CAPTURE_WRITER_H
#define BTCAST_EDGE_FILE_CAPTURE_WRITER_H

#include <stdint.h>

#include "base/err.h"
#include "edge/file/capture_file.h"

#define CAPTURE_WRITER_BUFFER          (RECORD_PAYLOAD_MAX + 65536u)
#define CAPTURE_WRITER_FLUSH_US        100000 /* longest time a record stays in memory */
#define CAPTURE_WRITER_BYTES_DEFAULT   (1LL << 30)
#define CAPTURE_WRITER_AGE_US_DEFAULT  3600000000LL
#define CAPTURE_WRITER_SYNC_US_DEFAULT 1000000

enum capture_writer_sync {
    CAPTURE_WRITER_SYNC_INTERVAL, /* fdatasync every sync_us, at rotation and at close */
    CAPTURE_WRITER_SYNC_CLOSE,    /* only at rotation and at close */
};

struct capture_writer_options {
    const char *path;
    struct capture_header header;
    int64_t bytes_max;  /* of one file; 0: the default */
    int64_t age_us_max; /* of one file; 0: the default */
    enum capture_writer_sync sync;
    int64_t sync_us; /* 0: the default */
};

struct capture_writer_counters {
    uint64_t records, bytes, files, syncs, errors;
};

struct capture_writer;

int capture_writer_open(const struct capture_writer_options *options, int64_t mono_us,
                        struct capture_writer **writer, struct err *err) MUST_CHECK;
/* Writes out, syncs, closes. ERR_IO: not everything is on disk. */
int capture_writer_close(struct capture_writer *writer, struct err *err);
/* ERR_IO when the disk does not take it; the records since the last flush are lost then and
 * the file is cut back to its last whole record. */
int capture_writer_add(struct capture_writer *writer, const struct record *record, int64_t mono_us,
                       struct err *err) MUST_CHECK;
/* Flush and sync when due. */
int capture_writer_do_work(struct capture_writer *writer, int64_t mono_us,
                           struct err *err) MUST_CHECK;
const struct capture_writer_counters *capture_writer_counters(const struct capture_writer *writer);
/* The file being written now. */
const char *capture_writer_path(const struct capture_writer *writer);

#endif
