/* What the kinds of import share: the lake, its spool, the engine, the summary, and the note of
 * what is durable already, so that a killed import goes on where it was.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_IMPORT_IMPORT_DESK_H
#define BTCAST_SERVICES_IMPORT_IMPORT_DESK_H

#include <stdio.h>

#include "edge/duckdb/archive_job.h"
#include "edge/lake/lake_spool.h"
#include "edge/loop/loop.h"
#include "learn/import/import_check.h"
#include "services/data-connector/connector_lake.h"

/* Rows that are kept of those refused; more are only counted. */
#define IMPORT_DESK_REFUSED_MAX 100000
/* Files that are remembered as begun or done. */
#define IMPORT_DESK_NOTES_MAX 4096

struct import_note {
    char name[256];
    int64_t size, modified_us;
    int64_t pieces; /* durable ones, from the beginning */
};

struct import_totals {
    uint64_t files, rows, records, objects, skipped; /* skipped: objects that were there */
    uint64_t refused, oversize;                      /* lines */
    uint64_t undecodable;                            /* frames of an unknown template */
};

struct import_desk {
    char symbol[RECORD_SYMBOL_SIZE];
    char folder[LAKE_FILE_PATH_SIZE / 4]; /* of the import, in the data folder */
    struct loop *loop;
    struct connector_lake lake;
    struct lake_spool *spool;
    struct archive_maker maker;
    struct import_check checks[IMPORT_TYPES];
    bool seen[IMPORT_TYPES];
    struct import_totals totals;
    struct import_note notes[IMPORT_DESK_NOTES_MAX];
    int note_count;
    FILE *refused; /* of the file at hand; NULL: none yet */
    uint64_t refused_kept;
    int64_t shown_us, begun_us;
    bool quiet;
};

struct import_desk_options {
    const char *symbol, *lake, *data;
    bool quiet; /* no progress */
};

/* Also after an error: close. */
int import_desk_open(struct import_desk *desk, const struct import_desk_options *options,
                     struct err *err) MUST_CHECK;
void import_desk_close(struct import_desk *desk);
/* Hands a whole file of the spool on; waits while the spool is full. */
int import_desk_add(struct import_desk *desk, const char *path, struct err *err) MUST_CHECK;
/* Until the lake has everything. ERR_CONNECTION when it does not take anything for a minute;
 * the next import goes on from the spool. */
int import_desk_drain(struct import_desk *desk, struct err *err) MUST_CHECK;

/* The note on the file at path: the one there is if size and time are the same, else a new one.
 * NULL with err set when it cannot be made. */
struct import_note *import_desk_note(struct import_desk *desk, const char *path, struct err *err);
/* Makes the notes durable. */
int import_desk_save(struct import_desk *desk, struct err *err) MUST_CHECK;

/* Keeps a refused line: number, reason, bytes. */
void import_desk_refuse(struct import_desk *desk, const char *path, uint64_t number,
                        const char *reason, struct bytes line);
/* Ends the file's list of refused lines. */
void import_desk_refused_end(struct import_desk *desk);
/* Once a second on stderr: file, rows, rate, time left. done of all: bytes of the file. */
void import_desk_show(struct import_desk *desk, const char *path, uint64_t rows, uint64_t done,
                      uint64_t all);
/* The last part of a path. */
const char *import_desk_name(const char *path);

#endif
