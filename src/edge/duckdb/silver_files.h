/* The statements of sql/silver, embedded at build time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_SILVER_FILES_H
#define BTCAST_EDGE_DUCKDB_SILVER_FILES_H

#include <stdint.h>

struct silver_file {
    const char *name;           /* "bars_1m.sql" */
    const uint8_t *start, *end; /* a NUL stands at end */
};

extern const struct silver_file silver_files[];
extern const int silver_file_count;

#endif
