/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/block_memory.h"

#include <stdlib.h>
#include <string.h>

struct block_piece {
    struct block_piece *next;
    size_t size, capacity;
    uint8_t data[];
};

/* In front of each payload. */
struct block_head {
    uint64_t seq;
    int64_t recv_us;
    uint64_t epoch;
    uint32_t size;
    uint8_t kind, flags;
};

struct block_memory *block_memory_new(const struct archive_block *identity)
{
    struct block_memory *block = calloc(1, sizeof(*block));
    if (block != NULL)
        block->identity = *identity;
    return block;
}

void block_memory_free(struct block_memory *block)
{
    if (block == NULL)
        return;
    for (struct block_piece *piece = block->first; piece != NULL;) {
        struct block_piece *next = piece->next;
        free(piece);
        piece = next;
    }
    free(block);
}

static bool block_memory_grow(struct block_memory *block, size_t wanted)
{
    const size_t capacity = wanted > BLOCK_MEMORY_PIECE ? wanted : BLOCK_MEMORY_PIECE;
    struct block_piece *piece = malloc(sizeof(*piece) + capacity);
    if (piece == NULL)
        return false;
    *piece = (struct block_piece){.capacity = capacity};
    if (block->last == NULL)
        block->first = piece;
    else
        block->last->next = piece;
    block->last = piece;
    block->bytes += sizeof(*piece) + capacity;
    return true;
}

int block_memory_add(struct block_memory *block, const struct record *record)
{
    const struct block_head head = {.seq = record->seq,
                                    .recv_us = record->recv_us,
                                    .epoch = record->epoch,
                                    .size = (uint32_t)record->payload.size,
                                    .kind = record->kind,
                                    .flags = record->flags};
    const size_t size = sizeof(head) + record->payload.size;
    if ((block->last == NULL || block->last->capacity - block->last->size < size) &&
        !block_memory_grow(block, size))
        return ERR_MEMORY;
    uint8_t *at = block->last->data + block->last->size;
    memcpy(at, &head, sizeof(head));
    if (record->payload.size > 0)
        memcpy(at + sizeof(head), record->payload.data, record->payload.size);
    block->last->size += size;
    block->records++;
    return ERR_OK;
}

bool block_memory_next(const struct block_memory *block, struct block_cursor *cursor,
                       struct record *record)
{
    struct block_head head;
    if (!cursor->started)
        *cursor = (struct block_cursor){.piece = block->first, .started = true};
    while (cursor->piece != NULL && cursor->at == cursor->piece->size) {
        cursor->piece = cursor->piece->next;
        cursor->at = 0;
    }
    if (cursor->piece == NULL)
        return false;
    const uint8_t *at = cursor->piece->data + cursor->at;
    memcpy(&head, at, sizeof(head));
    *record = (struct record){.epoch = head.epoch,
                              .seq = head.seq,
                              .recv_us = head.recv_us,
                              .kind = head.kind,
                              .flags = head.flags,
                              .payload = bytes_of(at + sizeof(head), head.size)};
    cursor->at += sizeof(head) + head.size;
    return true;
}
