/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model/blob.h"

#include <stdlib.h>

#include "base/check.h"

#define BLOB_PAIR_HEAD 8u

struct blob *blob_new(size_t size)
{
    struct blob *blob = malloc(sizeof(*blob) + size + 1);
    CHECK(blob != NULL && size < UINT32_MAX);
    blob->refs = 1;
    blob->size = (uint32_t)size;
    blob->data[size] = 0;
    return blob;
}

struct blob *blob_copy(struct bytes bytes)
{
    struct blob *blob = blob_new(bytes.size);
    if (bytes.size > 0)
        memcpy(blob->data, bytes.data, bytes.size);
    return blob;
}

struct blob *blob_hold(struct blob *blob)
{
    blob->refs++;
    return blob;
}

void blob_drop(struct blob *blob)
{
    if (blob != NULL && --blob->refs == 0)
        free(blob);
}

struct blob *blob_pairs(const struct bytes *fields_and_values, int count)
{
    size_t size = 0;
    for (int i = 0; i < 2 * count; i++)
        size += fields_and_values[i].size;
    struct blob *blob = blob_new(size + BLOB_PAIR_HEAD * (size_t)count);
    uint8_t *at = blob->data;
    for (int i = 0; i < count; i++) {
        struct bytes field = fields_and_values[2 * i], value = fields_and_values[2 * i + 1];
        bytes_store_u32(at, (uint32_t)field.size);
        bytes_store_u32(at + 4, (uint32_t)value.size);
        at += BLOB_PAIR_HEAD;
        memcpy(at, field.data, field.size);
        at += field.size;
        if (value.size > 0)
            memcpy(at, value.data, value.size);
        at += value.size;
    }
    return blob;
}

bool blob_next_pair(struct bytes *rest, struct bytes *field, struct bytes *value)
{
    if (rest->size < BLOB_PAIR_HEAD)
        return false;
    uint32_t field_size = bytes_load_u32(rest->data);
    uint32_t value_size = bytes_load_u32(rest->data + 4);
    size_t whole = BLOB_PAIR_HEAD + (size_t)field_size + value_size;
    *field = bytes_of(rest->data + BLOB_PAIR_HEAD, field_size);
    *value = bytes_of(rest->data + BLOB_PAIR_HEAD + field_size, value_size);
    *rest = bytes_of(rest->data + whole, rest->size - whole);
    return true;
}

struct bytes blob_find(const struct blob *pairs, struct bytes field)
{
    struct bytes rest = blob_bytes(pairs), name, value;
    while (blob_next_pair(&rest, &name, &value))
        if (blob_same(name, field))
            return value;
    return (struct bytes){NULL, 0};
}
