/* CRC-32C (Castagnoli): guards captures, envelopes and checkpoints. Uses the
 * SSE4.2 instruction when the CPU has it (asked at run time), else a table.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CRC32C_H
#define BTCAST_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from crc (0 to start). crc32c(0, "123456789", 9) == 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
