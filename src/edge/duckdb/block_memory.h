/* The records of one block of bronze, copied one behind the other into pieces of memory:
 * what the archive holds until the block is whole. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_BLOCK_MEMORY_H
#define BTCAST_EDGE_DUCKDB_BLOCK_MEMORY_H

#include "learn/lake/archive_port.h"

/* A piece; a larger record has one of its own. */
#define BLOCK_MEMORY_PIECE ((size_t)512 * 1024)

struct block_piece;

struct block_memory {
    struct archive_block identity;
    struct block_piece *first, *last;
    uint64_t records;
    size_t bytes; /* allocated */
};

/* Where a reading stands; zero-initialised it is at the beginning. */
struct block_cursor {
    struct block_piece *piece;
    size_t at;
    bool started;
};

struct block_memory *block_memory_new(const struct archive_block *identity);
void block_memory_free(struct block_memory *block);
/* ERR_MEMORY: nothing was added. */
int block_memory_add(struct block_memory *block, const struct record *record) MUST_CHECK;
/* The next record (payload borrowed from the block); false behind the last. */
bool block_memory_next(const struct block_memory *block, struct block_cursor *cursor,
                       struct record *record);

#endif
