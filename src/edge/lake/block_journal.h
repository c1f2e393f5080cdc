/* The journal of open blocks as files: a capture (docs/formats.md) for each block, appended to
 * as its records come and removed when its object is durable. What was flushed survives
 * kill -9 (it is in the page cache); a block's file is synced when the next block of its kind
 * begins, so a power cut costs at most what the newest blocks had. A cut or damaged end is cut
 * off and counted. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_BLOCK_JOURNAL_H
#define BTCAST_EDGE_LAKE_BLOCK_JOURNAL_H

#include "base/metrics.h"
#include "edge/lake/lake_spool.h"
#include "learn/lake/archive_journal.h"

/* Blocks with a file; more: ERR_AGAIN. */
#define BLOCK_JOURNAL_FILES_MAX 1024

struct block_journal;

struct block_journal_options {
    const char *folder; /* of one symbol; made when missing */
    const char *symbol;
    struct lake_spool *spool; /* counts the bytes; borrowed; NULL: nobody does */
    struct metrics *metrics;  /* NULL: none */
};

struct block_journal_counters {
    uint64_t records, recovered, cut_bytes, failures; /* failures: writes that the disk refused */
};

/* ERR_IO and its like when the folder cannot be made or read. Files of another symbol, or that
 * are no captures, are left alone. */
int block_journal_open(const struct block_journal_options *options, struct block_journal **journal,
                       struct err *err) MUST_CHECK;
/* Writes out what was appended. */
void block_journal_close(struct block_journal *journal);
struct archive_journal_port block_journal_port(struct block_journal *journal);
const struct block_journal_counters *block_journal_counters(const struct block_journal *journal);
uint64_t block_journal_bytes(const struct block_journal *journal);

#endif
