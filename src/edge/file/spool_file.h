/* The ingestor's spool on disk: a folder of numbered segment files, bounded in bytes, in
 * first-in first-out order with a CRC an entry. What a killed process left is found again
 * at open. A full disk refuses the entry and leaves the file as it was.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_SPOOL_FILE_H
#define BTCAST_EDGE_FILE_SPOOL_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "hot/ingest/spool_port.h"

#define SPOOL_FILE_SEGMENT_BYTES (8u * 1024 * 1024)
#define SPOOL_FILE_BYTES_MIN     (2u * SPOOL_FILE_SEGMENT_BYTES)
#define SPOOL_FILE_ENTRY_MAX     (2u * 1024 * 1024)
#define SPOOL_FILE_SEGMENTS_MAX  4096

struct spool_file;

/* folder is made when missing. bytes_max >= SPOOL_FILE_BYTES_MIN; over it the oldest
 * segment goes. */
int spool_file_open(const char *folder, int64_t bytes_max, struct spool_file **spool,
                    struct err *err) MUST_CHECK;
void spool_file_close(struct spool_file *spool);
const struct spool_port *spool_file_port(const struct spool_file *spool);
/* The highest epoch among the entries found at open; 0: none. */
uint64_t spool_file_newest_epoch(const struct spool_file *spool);
int64_t spool_file_bytes(const struct spool_file *spool);

#endif
