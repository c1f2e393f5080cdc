/* Reads capture files in the order of the world. `FILE` may have been continued in
 * `FILE.0001`, `FILE.0002` …: they are read as one. Control records (adopted anchors,
 * declared holes) may lie behind their place in the file, because they become known late:
 * opening indexes them, and each is delivered right after the record whose (epoch, seq) it
 * names. Records that a restarted recorder brought twice are delivered once. A cut tail ends a file
 * quietly; damage in the middle costs what it hit and is counted.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_CAPTURE_FILE_H
#define BTCAST_EDGE_FILE_CAPTURE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "market/record.h"
#include "wire/capture.h"

#define CAPTURE_FILE_SEGMENTS_MAX 9999
#define CAPTURE_FILE_CONTROLS_MAX (1u << 20)
#define CAPTURE_FILE_PATH_SIZE    512

struct capture_file_counters {
    uint64_t records, controls; /* in the whole set, known after opening */
    uint64_t slots;             /* … of which say where a prediction was made */
    uint64_t corrupt;           /* damaged records skipped while reading, up to now */
    uint64_t cut_tail_bytes;    /* after the last whole record of each file */
    uint64_t bytes;
    int segments;
};

struct capture_file;

/* True if the file begins with a capture's magic. */
bool capture_file_is(const char *path);
/* Maps and indexes. ERR_IO (cannot read), ERR_MALFORMED or ERR_CORRUPT (not a capture),
 * ERR_SCHEMA (a continuation of another symbol). Contract: nobody truncates the files while
 * they are open; growing is harmless, what comes later is not seen. */
int capture_file_open(const char *path, struct capture_file **file, struct err *err) MUST_CHECK;
void capture_file_close(struct capture_file *file);
const struct capture_header *capture_file_header(const struct capture_file *file);
const struct capture_file_counters *capture_file_counters(const struct capture_file *file);
/* The next record of the world's order; its payload is borrowed until close. ERR_EMPTY:
 * the end. */
int capture_file_next(struct capture_file *file, struct record *record) MUST_CHECK;
/* Starts over from the first record. */
void capture_file_rewind(struct capture_file *file);

/* Writes the name of segment number (0: path itself) into out[CAPTURE_FILE_PATH_SIZE];
 * false if it does not fit. */
bool capture_file_segment_path(const char *path, int number, char *out);

#endif
