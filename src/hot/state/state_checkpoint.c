/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_checkpoint.h"

#include <string.h>

#include "base/crc32c.h"
#include "hot/state/state_port.h"

#define STATE_CHECKPOINT_MAGIC   "BTCKPT1\n"
#define STATE_CHECKPOINT_VERSION 1u

#define STATE_CHECKPOINT_FLAG_ANCHORED 1u

/* The CRC covers everything behind itself. */
enum state_checkpoint_offset {
    STATE_CHECKPOINT_AT_CRC = 8,
    STATE_CHECKPOINT_AT_VERSION = 12,
    STATE_CHECKPOINT_AT_FLAGS = 14,
    STATE_CHECKPOINT_AT_SYMBOL = 16,
    STATE_CHECKPOINT_AT_EPOCH = STATE_CHECKPOINT_AT_SYMBOL + RECORD_SYMBOL_SIZE,
    STATE_CHECKPOINT_AT_SEQ = STATE_CHECKPOINT_AT_EPOCH + 8,
    STATE_CHECKPOINT_AT_POSITIONS = STATE_CHECKPOINT_AT_SEQ + 8,
};
_Static_assert(STATE_CHECKPOINT_AT_POSITIONS == STATE_CHECKPOINT_POSITION_AT(0),
               "where the trimming rule looks");
_Static_assert(STATE_CHECKPOINT_AT_POSITIONS + STREAM_COUNT * STREAM_POSITION_SIZE ==
                   STATE_CHECKPOINT_OVERHEAD,
               "the overhead is what stands in front of the world");

static uint32_t state_checkpoint_crc(const uint8_t *data, size_t size)
{
    return crc32c(0, data + STATE_CHECKPOINT_AT_VERSION, size - STATE_CHECKPOINT_AT_VERSION);
}

int state_checkpoint_write(const struct state_checkpoint *meta, const struct world *world,
                           uint8_t *out, size_t capacity, size_t *size, struct err *err)
{
    if (capacity < STATE_CHECKPOINT_OVERHEAD)
        return err_set(err, ERR_FULL, "checkpoint: %zu bytes of room", capacity);
    size_t world_size = 0;
    int result = world_save(world, out + STATE_CHECKPOINT_OVERHEAD,
                            capacity - STATE_CHECKPOINT_OVERHEAD, &world_size, err);
    if (result != ERR_OK)
        return result;
    *size = STATE_CHECKPOINT_OVERHEAD + world_size;
    if (*size > STATE_CHECKPOINT_BYTES_MAX)
        return err_set(err, ERR_FULL, "checkpoint: %zu bytes", *size);
    memset(out, 0, STATE_CHECKPOINT_OVERHEAD);
    memcpy(out, STATE_CHECKPOINT_MAGIC, sizeof(STATE_CHECKPOINT_MAGIC) - 1);
    bytes_store_u16(out + STATE_CHECKPOINT_AT_VERSION, STATE_CHECKPOINT_VERSION);
    bytes_store_u16(out + STATE_CHECKPOINT_AT_FLAGS,
                    meta->anchored ? STATE_CHECKPOINT_FLAG_ANCHORED : 0);
    memcpy(out + STATE_CHECKPOINT_AT_SYMBOL, meta->symbol,
           strnlen(meta->symbol, RECORD_SYMBOL_SIZE - 1));
    bytes_store_u64(out + STATE_CHECKPOINT_AT_EPOCH, meta->epoch);
    bytes_store_u64(out + STATE_CHECKPOINT_AT_SEQ, meta->seq);
    for (int i = 0; i < STREAM_COUNT; i++)
        memcpy(out + STATE_CHECKPOINT_POSITION_AT(i), meta->positions[i].text,
               strnlen(meta->positions[i].text, STREAM_POSITION_SIZE - 1));
    bytes_store_u32(out + STATE_CHECKPOINT_AT_CRC, state_checkpoint_crc(out, *size));
    return ERR_OK;
}

static void state_checkpoint_read_meta(struct bytes data, struct state_checkpoint *out)
{
    memcpy(out->symbol, data.data + STATE_CHECKPOINT_AT_SYMBOL, RECORD_SYMBOL_SIZE);
    out->symbol[RECORD_SYMBOL_SIZE - 1] = 0;
    out->epoch = bytes_load_u64(data.data + STATE_CHECKPOINT_AT_EPOCH);
    out->seq = bytes_load_u64(data.data + STATE_CHECKPOINT_AT_SEQ);
    out->anchored = (bytes_load_u16(data.data + STATE_CHECKPOINT_AT_FLAGS) &
                     STATE_CHECKPOINT_FLAG_ANCHORED) != 0;
    for (int i = 0; i < STREAM_COUNT; i++) {
        memcpy(out->positions[i].text, data.data + STATE_CHECKPOINT_POSITION_AT(i),
               STREAM_POSITION_SIZE);
        out->positions[i].text[STREAM_POSITION_SIZE - 1] = 0;
    }
    out->world =
        bytes_of(data.data + STATE_CHECKPOINT_OVERHEAD, data.size - STATE_CHECKPOINT_OVERHEAD);
}

int state_checkpoint_read(struct bytes data, const char *symbol, struct state_checkpoint *out,
                          struct err *err)
{
    size_t magic = sizeof(STATE_CHECKPOINT_MAGIC) - 1;
    if (data.size < STATE_CHECKPOINT_OVERHEAD)
        return err_set(err, ERR_MALFORMED, "checkpoint: only %zu bytes", data.size);
    if (memcmp(data.data, STATE_CHECKPOINT_MAGIC, magic) != 0)
        return err_set(err, ERR_MALFORMED, "checkpoint: wrong magic");
    if (bytes_load_u32(data.data + STATE_CHECKPOINT_AT_CRC) !=
        state_checkpoint_crc(data.data, data.size))
        return err_set(err, ERR_CORRUPT, "checkpoint of %zu bytes: checksum differs", data.size);
    unsigned version = bytes_load_u16(data.data + STATE_CHECKPOINT_AT_VERSION);
    if (version != STATE_CHECKPOINT_VERSION)
        return err_set(err, ERR_SCHEMA, "checkpoint: version %u, expected %u", version,
                       STATE_CHECKPOINT_VERSION);
    state_checkpoint_read_meta(data, out);
    if (strcmp(out->symbol, symbol) != 0)
        return err_set(err, ERR_SCHEMA, "checkpoint: of %s, expected %s", out->symbol, symbol);
    return ERR_OK;
}
