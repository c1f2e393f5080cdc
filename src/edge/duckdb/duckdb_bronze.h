/* Bronze read back: the records of a symbol in the order of the world, out of its blocks of
 * all kinds, with control records behind the record that they name. What cannot be read (a
 * truncated object, missing columns) is put aside in the lake's quarantine, named and
 * counted; the rest goes on. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_BRONZE_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_BRONZE_H

#include "base/err.h"
#include "edge/lake/lake_files.h"
#include "market/record.h"

#define DUCKDB_BRONZE_MEMORY_MB    1024
#define DUCKDB_BRONZE_CONTROLS_MAX (1u << 20)

struct duckdb_bronze;

struct duckdb_bronze_options {
    struct lake_files *lake; /* its owner's; used until close */
    const char *symbol;
    const char *library;    /* see duckdb_api_load */
    int64_t from_us, to_us; /* receive times, to excluded; to 0: all there is */
    /* Blocks whose records are all at or before this place are not opened: who goes on from it
     * does not pay for what lies behind. (0, 0): all. Control records are given in any case. */
    uint64_t after_epoch, after_seq;
};

struct duckdb_bronze_counters {
    uint64_t files, records, controls;
    uint64_t quarantined; /* objects put aside */
    uint64_t corrupt;     /* records whose frame is not what its CRC says: left out */
    uint64_t duplicates;  /* records that stand in two objects: given once */
};

int duckdb_bronze_open(const struct duckdb_bronze_options *options, struct duckdb_bronze **bronze,
                       struct err *err) MUST_CHECK;
void duckdb_bronze_close(struct duckdb_bronze *bronze);
/* The next record; its payload is borrowed until the next call. ERR_EMPTY: the end. ERR_IO:
 * an object could be read neither nor put aside; ERR_CONNECTION, ERR_TIMEOUT, ERR_FULL, ERR_AGAIN:
 * it could not be fetched. */
int duckdb_bronze_next(struct duckdb_bronze *bronze, struct record *record,
                       struct err *err) MUST_CHECK;
const struct duckdb_bronze_counters *duckdb_bronze_counters(const struct duckdb_bronze *bronze);

#endif
