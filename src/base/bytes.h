/* Borrowed bytes and unaligned little-endian loads and stores.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_BYTES_H
#define BTCAST_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view: never owns, valid as long as what it points to. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

#define BYTES_LITERAL(text) ((struct bytes){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){(const uint8_t *)data, size};
}

static inline struct bytes bytes_text(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads below assume little endian");

#define BYTES_LOAD(name, type)                                                                     \
    static inline type bytes_load_##name(const uint8_t *at)                                        \
    {                                                                                              \
        type value;                                                                                \
        memcpy(&value, at, sizeof(value));                                                         \
        return value;                                                                              \
    }                                                                                              \
    static inline void bytes_store_##name(uint8_t *at, type value)                                 \
    {                                                                                              \
        memcpy(at, &value, sizeof(value));                                                         \
    }
BYTES_LOAD(u16, uint16_t)
BYTES_LOAD(u32, uint32_t)
BYTES_LOAD(u64, uint64_t)
BYTES_LOAD(i64, int64_t)
#undef BYTES_LOAD

#endif
