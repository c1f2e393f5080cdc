/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http_server/http_server.h"

/* The middle buffer's index, and whether the reader has not seen it yet. */
#define HTTP_BOARD_FRESH 4u

struct http_board {
    size_t capacity;
    _Atomic unsigned middle;
    unsigned back;  /* the writer's */
    unsigned front; /* the reader's */
    size_t size[3];
    char *data[3];
};

int http_board_open(size_t capacity, struct http_board **out)
{
    struct http_board *board = calloc(1, sizeof(*board) + 3 * capacity);
    if (board == NULL)
        return ERR_MEMORY;
    board->capacity = capacity;
    for (unsigned i = 0; i < 3; i++)
        board->data[i] = (char *)(board + 1) + i * capacity;
    board->front = 0;
    board->back = 1;
    atomic_init(&board->middle, 2u);
    *out = board;
    return ERR_OK;
}

void http_board_close(struct http_board *board)
{
    free(board);
}

void http_board_write(struct http_board *board, struct bytes value)
{
    size_t size = value.size < board->capacity ? value.size : board->capacity;
    if (size > 0)
        memcpy(board->data[board->back], value.data, size);
    board->size[board->back] = size;
    unsigned old = atomic_exchange_explicit(&board->middle, board->back | HTTP_BOARD_FRESH,
                                            memory_order_acq_rel);
    board->back = old & ~HTTP_BOARD_FRESH;
}

size_t http_board_read(struct http_board *board, void *out, size_t capacity)
{
    if ((atomic_load_explicit(&board->middle, memory_order_acquire) & HTTP_BOARD_FRESH) != 0) {
        unsigned got = atomic_exchange_explicit(&board->middle, board->front, memory_order_acq_rel);
        board->front = got & ~HTTP_BOARD_FRESH;
    }
    size_t size = board->size[board->front];
    size = size < capacity ? size : capacity;
    if (size > 0)
        memcpy(out, board->data[board->front], size);
    return size;
}
