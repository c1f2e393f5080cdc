/* The numbered migrations of sql/, embedded at build time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_FILES_H
#define BTCAST_EDGE_POSTGRES_PQ_FILES_H

#include <stdint.h>

struct pq_file {
    const char *name;           /* "001_partitions.sql" */
    const uint8_t *start, *end; /* a NUL stands at end */
};

/* In the order of their numbers. */
extern const struct pq_file pq_files[];
extern const int pq_file_count;

#endif
