/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_slot.h"

/* CRC-16/XMODEM; bit by bit, since it is asked once a link. */
static unsigned redis_slot_crc(struct bytes data)
{
    unsigned crc = 0;
    for (size_t i = 0; i < data.size; i++) {
        crc ^= (unsigned)data.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u) != 0 ? (crc << 1 ^ 0x1021u) & 0xffffu : crc << 1;
    }
    return crc;
}

/* What is hashed: between the first '{' and the next '}', if there is anything. */
static struct bytes redis_slot_tag(struct bytes key)
{
    const uint8_t *open = key.size > 0 ? memchr(key.data, '{', key.size) : NULL;
    if (open == NULL)
        return key;
    size_t rest = key.size - (size_t)(open + 1 - key.data);
    const uint8_t *close = rest > 0 ? memchr(open + 1, '}', rest) : NULL;
    if (close == NULL || close == open + 1)
        return key;
    return bytes_of(open + 1, (size_t)(close - open - 1));
}

int redis_slot_of(struct bytes key)
{
    return (int)(redis_slot_crc(redis_slot_tag(key)) % REDIS_SLOT_COUNT);
}
