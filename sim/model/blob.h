/* Bytes that several owners share, never changed once they are shared: values of the model
 * server, its replies, its replica and the frames on the wire. A NUL follows the last byte,
 * so that texts read as such. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_MODEL_BLOB_H
#define BTCAST_SIM_MODEL_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct blob {
    uint32_t refs;
    uint32_t size;
    uint8_t data[];
};

/* One owner; the bytes are the caller's to fill. */
struct blob *blob_new(size_t size);
struct blob *blob_copy(struct bytes bytes);
struct blob *blob_hold(struct blob *blob);
/* NULL is fine. */
void blob_drop(struct blob *blob);

static inline struct bytes blob_bytes(const struct blob *blob)
{
    return bytes_of(blob->data, blob->size);
}

/* A hash or the fields of a stream entry: sizes of field and value, field, value, … */
struct blob *blob_pairs(const struct bytes *fields_and_values, int count);
/* Takes the next pair off the front; false at the end. */
bool blob_next_pair(struct bytes *rest, struct bytes *field, struct bytes *value);
/* The value of a field; data NULL when there is none. */
struct bytes blob_find(const struct blob *pairs, struct bytes field);

static inline bool blob_same(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
