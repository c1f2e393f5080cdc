/* Bytes on their way to a Redis server, and commands written into them in the protocol's
 * form (RESP arrays of bulk strings). Grows on demand up to its owner's limit, shrinks when
 * it has run empty. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_BUFFER_H
#define BTCAST_EDGE_REDIS_REDIS_BUFFER_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

/* Kept when empty; what a burst needed beyond it is given back. */
#define REDIS_BUFFER_KEEP_BYTES ((size_t)256 << 10)

/* Zero-initialise; waiting bytes are data[at..size). */
struct redis_buffer {
    uint8_t *data;
    size_t at, size, capacity;
};

void redis_buffer_close(struct redis_buffer *buffer);
size_t redis_buffer_waiting(const struct redis_buffer *buffer);
/* The longest form one argument list can take. */
size_t redis_buffer_command_size(const struct bytes *argv, int argc);
/* Room for `more` bytes behind; ERR_MEMORY. The adding calls below need it reserved. */
int redis_buffer_reserve(struct redis_buffer *buffer, size_t more) MUST_CHECK;
void redis_buffer_add(struct redis_buffer *buffer, const void *data, size_t size);
/* "*<count>\r\n", the head of a command of count arguments. */
void redis_buffer_add_head(struct redis_buffer *buffer, int count);
/* "$<size>\r\n<bytes>\r\n", one argument. */
void redis_buffer_add_argument(struct redis_buffer *buffer, struct bytes argument);
/* The first `size` waiting bytes were written. */
void redis_buffer_consume(struct redis_buffer *buffer, size_t size);
void redis_buffer_clear(struct redis_buffer *buffer);

#endif
