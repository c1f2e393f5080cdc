/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "edge/file/whole_file.h"
#include "market/codec.h"

#define ETL_PLACE_MAGIC    UINT64_C(0x314c504c5445420a)
#define ETL_PLACE_HEAD_MAX (256 + ETL_PLACE_MINUTES * sizeof(uint64_t))
#define ETL_PLACE_SIZE_MAX (64u << 20)
#define ETL_PLACE_CRC_SIZE 4

static void etl_place_code(struct etl_place *place, struct codec *codec)
{
    uint64_t magic = ETL_PLACE_MAGIC;
    codec_u64(codec, &magic);
    codec_expect(codec, magic == ETL_PLACE_MAGIC);
    codec_i64(codec, &place->files.hour);
    for (int kind = 0; kind < ETL_FILE_KINDS; kind++)
        for (int i = 0; i < 2; i++)
            codec_u64(codec, &place->files.size[kind][i]);
    codec_bool(codec, &place->with_store);
    codec_i64(codec, &place->stored_slot);
    codec_i64(codec, &place->first_minute);
    codec_int(codec, &place->minute_count, 0, ETL_PLACE_MINUTES);
    for (int i = 0; i < place->minute_count; i++)
        codec_u64(codec, &place->digests[i]);
}

static int etl_place_decode(struct bytes data, struct etl_place *place, struct etl_world *world,
                            struct err *err)
{
    memset(place, 0, sizeof(*place));
    if (data.size <= ETL_PLACE_CRC_SIZE)
        return err_set(err, ERR_CORRUPT, "it is cut");
    size_t size = data.size - ETL_PLACE_CRC_SIZE;
    if (crc32c(0, data.data, size) != bytes_load_u32(data.data + size))
        return err_set(err, ERR_CORRUPT, "its checksum is wrong");
    struct codec codec = codec_load(bytes_of(data.data, size));
    etl_place_code(place, &codec);
    if (codec.failed)
        return err_set(err, ERR_MALFORMED, "it is no place of an ETL");
    return etl_world_load(world, bytes_of(data.data + codec.at, size - codec.at), err);
}

int etl_place_load(const char *path, struct etl_place *place, struct etl_world *world,
                   struct err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    memset(place, 0, sizeof(*place));
    int result = whole_file_read(path, ETL_PLACE_SIZE_MAX, &data, &size, err);
    if (result != ERR_OK)
        return result;
    result = etl_place_decode(bytes_of(data, size), place, world, err);
    free(data);
    if (result == ERR_OK)
        return ERR_OK;
    memset(place, 0, sizeof(*place));
    return err_wrap(err, result, "%s", path);
}

int etl_place_save(const char *path, const struct etl_place *place, const struct etl_world *world,
                   struct err *err)
{
    size_t capacity = ETL_PLACE_HEAD_MAX + etl_world_save_max(world) + ETL_PLACE_CRC_SIZE;
    size_t size = 0;
    struct etl_place *head = malloc(sizeof(*head));
    uint8_t *out = malloc(capacity);
    int result = head != NULL && out != NULL ? ERR_OK : err_set(err, ERR_MEMORY, "no memory");
    if (result == ERR_OK) {
        *head = *place; /* the codec is for both directions */
        struct codec codec = codec_save(out, capacity - ETL_PLACE_CRC_SIZE);
        etl_place_code(head, &codec);
        result = etl_world_save(world, out + codec.at, capacity - ETL_PLACE_CRC_SIZE - codec.at,
                                &size, err);
        size += codec.at;
    }
    if (result == ERR_OK) {
        bytes_store_u32(out + size, crc32c(0, out, size));
        result = whole_file_replace(path, bytes_of(out, size + ETL_PLACE_CRC_SIZE), err);
    }
    free(head);
    free(out);
    return result;
}
