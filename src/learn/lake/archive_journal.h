/* The journal port: the records of blocks that have no object yet, kept where the end of the
 * process does not reach them, so that a restart does not depend on the streams still having
 * them. An engine of files stands in edge/lake; a port without functions keeps nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_JOURNAL_H
#define BTCAST_LEARN_LAKE_ARCHIVE_JOURNAL_H

#include "learn/lake/archive_port.h"

struct archive_journal_port {
    void *self;
    /* Keeps the record behind those of its block; it survives the process after the next flush
     * that says ERR_OK. ERR_AGAIN: the disk does not take it now, nothing was kept. */
    int (*append)(void *self, const struct archive_block *block, const struct record *record);
    /* Writes out what was appended. On an error it is kept in memory and tried by the next. */
    int (*flush)(void *self);
    /* Everything of the kind up to (epoch, seq) is durable elsewhere and goes. */
    void (*settle)(void *self, enum archive_kind kind, uint64_t epoch, uint64_t seq);
    /* The block's records go, whatever their numbers. */
    void (*forget)(void *self, const struct archive_block *block);
    /* What an earlier process left, a kind after the other, blocks in their order, records in
     * theirs. ERR_EMPTY: the end. Before the first append. The payload is borrowed until the
     * next call. */
    int (*next)(void *self, enum archive_kind *kind, struct record *record);
};

#endif
