/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *at,
                                                                  size_t size)
{
    uint64_t state = crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        state = _mm_crc32_u64(state, word);
    }
    crc = (uint32_t)state;
    for (; size > 0; at++, size--)
        crc = _mm_crc32_u8(crc, *at);
    return crc;
}

static bool crc32c_has_hardware(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}
#else
static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *at, size_t size)
{
    (void)at;
    (void)size;
    return crc;
}

static bool crc32c_has_hardware(void)
{
    return false;
}
#endif

static uint32_t crc32c_bitwise(uint32_t crc, const uint8_t *at, size_t size)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; size > 0; at++, size--) {
        crc ^= *at;
        crc = nibble[crc & 15] ^ (crc >> 4);
        crc = nibble[crc & 15] ^ (crc >> 4);
    }
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    crc = ~crc;
    crc =
        crc32c_has_hardware() ? crc32c_hardware(crc, data, size) : crc32c_bitwise(crc, data, size);
    return ~crc;
}
