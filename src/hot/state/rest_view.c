/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/rest_view.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/decimal.h"

/* Little endian. The CRC covers the sequence number and everything behind itself, so an
 * image put together from two is refused as well as one that lost a bit. */
enum rest_view_offset {
    REST_VIEW_AT_MAGIC = 0,    /* u64 */
    REST_VIEW_AT_SEQUENCE = 8, /* u64 */
    REST_VIEW_AT_CRC = 16,     /* u32 */
    REST_VIEW_AT_VERSION = 20, /* u32 */
    REST_VIEW_AT_SYMBOL = 24,  /* RECORD_SYMBOL_SIZE bytes */
    REST_VIEW_AT_NUMBERS = 48, /* i64 each: rest_view_numbers */
    REST_VIEW_AT_VALUES = 144, /* FEATURE_COUNT float32 */
    REST_VIEW_AT_SLOT_MIDS = REST_VIEW_AT_VALUES + 4 * FEATURE_COUNT, /* slot, mid2, valid */
};
#define REST_VIEW_SLOT_MID_SIZE 24
_Static_assert(RECORD_SYMBOL_SIZE == REST_VIEW_AT_NUMBERS - REST_VIEW_AT_SYMBOL, "symbol's place");
_Static_assert(REST_VIEW_AT_SLOT_MIDS + WORLD_SLOT_MIDS * REST_VIEW_SLOT_MID_SIZE <= REST_VIEW_SIZE,
               "an image holds everything");

enum rest_view_number {
    REST_VIEW_RECEIVED_US,
    REST_VIEW_LAST_UPDATE_ID,
    REST_VIEW_PRICE_EXPONENT,
    REST_VIEW_QTY_EXPONENT,
    REST_VIEW_BEST_BID,
    REST_VIEW_BEST_ASK,
    REST_VIEW_MID2,
    REST_VIEW_HAS_VECTOR,
    REST_VIEW_SCHEMA,
    REST_VIEW_AS_OF_US,
    REST_VIEW_SLOT_MID_COUNT,
    REST_VIEW_NUMBERS,
};
_Static_assert(REST_VIEW_AT_NUMBERS + 8 * REST_VIEW_NUMBERS <= REST_VIEW_AT_VALUES, "no overlap");

static uint32_t rest_view_crc(const uint8_t *image)
{
    uint32_t crc = crc32c(0, image + REST_VIEW_AT_SEQUENCE, 8);
    return crc32c(crc, image + REST_VIEW_AT_VERSION, REST_VIEW_SIZE - REST_VIEW_AT_VERSION);
}

static void rest_view_write_slot_mids(const struct rest_view *view, uint8_t *image)
{
    for (int i = 0; i < view->slot_mid_count; i++) {
        uint8_t *at = image + REST_VIEW_AT_SLOT_MIDS + i * REST_VIEW_SLOT_MID_SIZE;
        bytes_store_i64(at, view->slot_mids[i].slot);
        bytes_store_i64(at + 8, view->slot_mids[i].mid2);
        bytes_store_i64(at + 16, view->slot_mids[i].valid);
    }
}

void rest_view_write(const struct rest_view *view, uint64_t sequence, uint8_t *image)
{
    const int64_t numbers[REST_VIEW_NUMBERS] = {
        [REST_VIEW_RECEIVED_US] = view->received_us,
        [REST_VIEW_LAST_UPDATE_ID] = view->last_update_id,
        [REST_VIEW_PRICE_EXPONENT] = view->price_exponent,
        [REST_VIEW_QTY_EXPONENT] = view->qty_exponent,
        [REST_VIEW_BEST_BID] = view->best_bid,
        [REST_VIEW_BEST_ASK] = view->best_ask,
        [REST_VIEW_MID2] = view->mid2,
        [REST_VIEW_HAS_VECTOR] = view->has_vector,
        [REST_VIEW_SCHEMA] = (int64_t)view->schema,
        [REST_VIEW_AS_OF_US] = view->as_of_us,
        [REST_VIEW_SLOT_MID_COUNT] = view->slot_mid_count,
    };
    PRE(sequence % 2 == 0 && view->slot_mid_count >= 0 && view->slot_mid_count <= WORLD_SLOT_MIDS);
    memset(image, 0, REST_VIEW_SIZE);
    bytes_store_u64(image + REST_VIEW_AT_MAGIC, REST_VIEW_MAGIC);
    bytes_store_u64(image + REST_VIEW_AT_SEQUENCE, sequence);
    bytes_store_u32(image + REST_VIEW_AT_VERSION, REST_VIEW_VERSION);
    memcpy(image + REST_VIEW_AT_SYMBOL, view->symbol,
           strnlen(view->symbol, RECORD_SYMBOL_SIZE - 1));
    for (int i = 0; i < REST_VIEW_NUMBERS; i++)
        bytes_store_i64(image + REST_VIEW_AT_NUMBERS + 8 * i, numbers[i]);
    if (view->has_vector)
        memcpy(image + REST_VIEW_AT_VALUES, view->values, sizeof(view->values));
    rest_view_write_slot_mids(view, image);
    bytes_store_u32(image + REST_VIEW_AT_CRC, rest_view_crc(image));
}

static int rest_view_check(struct bytes image, struct err *err)
{
    static const uint8_t nothing[REST_VIEW_AT_VERSION] = {0};
    const uint8_t *at = image.data;
    if (image.size != REST_VIEW_SIZE)
        return err_set(err, ERR_CORRUPT, "REST view: %zu bytes, expected %d", image.size,
                       REST_VIEW_SIZE);
    if (memcmp(at, nothing, sizeof(nothing)) == 0)
        return err_set(err, ERR_EMPTY, "REST view: never written");
    /* Before the magic: the very first image may be under way. */
    if (bytes_load_u64(at + REST_VIEW_AT_SEQUENCE) % 2 != 0)
        return err_set(err, ERR_AGAIN, "REST view: it is being written");
    if (bytes_load_u64(at + REST_VIEW_AT_MAGIC) != REST_VIEW_MAGIC)
        return err_set(err, ERR_CORRUPT, "REST view: this is none");
    if (bytes_load_u32(at + REST_VIEW_AT_CRC) != rest_view_crc(at))
        return err_set(err, ERR_CORRUPT, "REST view: checksum mismatch");
    if (bytes_load_u32(at + REST_VIEW_AT_VERSION) != REST_VIEW_VERSION)
        return err_set(err, ERR_CORRUPT, "REST view: version %u, expected %d",
                       bytes_load_u32(at + REST_VIEW_AT_VERSION), REST_VIEW_VERSION);
    return ERR_OK;
}

static bool rest_view_exponent(int64_t value, int *out)
{
    *out = (int)value;
    return value >= -DECIMAL_EXPONENT_MAX && value <= DECIMAL_EXPONENT_MAX;
}

static bool rest_view_read_slot_mids(const uint8_t *image, int64_t count, struct rest_view *view)
{
    if (count < 0 || count > WORLD_SLOT_MIDS)
        return false;
    view->slot_mid_count = (int)count;
    for (int i = 0; i < view->slot_mid_count; i++) {
        const uint8_t *at = image + REST_VIEW_AT_SLOT_MIDS + i * REST_VIEW_SLOT_MID_SIZE;
        view->slot_mids[i] = (struct world_slot_mid){.slot = bytes_load_i64(at),
                                                     .mid2 = bytes_load_i64(at + 8),
                                                     .valid = bytes_load_i64(at + 16) == 1};
    }
    return true;
}

static bool rest_view_read_numbers(const uint8_t *image, struct rest_view *view)
{
    int64_t numbers[REST_VIEW_NUMBERS];
    for (int i = 0; i < REST_VIEW_NUMBERS; i++)
        numbers[i] = bytes_load_i64(image + REST_VIEW_AT_NUMBERS + 8 * i);
    view->received_us = numbers[REST_VIEW_RECEIVED_US];
    view->last_update_id = numbers[REST_VIEW_LAST_UPDATE_ID];
    view->best_bid = numbers[REST_VIEW_BEST_BID];
    view->best_ask = numbers[REST_VIEW_BEST_ASK];
    view->mid2 = numbers[REST_VIEW_MID2];
    view->has_vector = numbers[REST_VIEW_HAS_VECTOR] == 1;
    view->schema = (uint64_t)numbers[REST_VIEW_SCHEMA];
    view->as_of_us = numbers[REST_VIEW_AS_OF_US];
    return rest_view_exponent(numbers[REST_VIEW_PRICE_EXPONENT], &view->price_exponent) &&
           rest_view_exponent(numbers[REST_VIEW_QTY_EXPONENT], &view->qty_exponent) &&
           rest_view_read_slot_mids(image, numbers[REST_VIEW_SLOT_MID_COUNT], view);
}

/* The checksum says that it is what the writer meant; this, that the writer was sane. */
static bool rest_view_is_sane(const struct rest_view *view)
{
    if (view->received_us <= 0 || view->best_bid <= 0 || view->best_bid >= view->best_ask ||
        view->mid2 <= 0)
        return false;
    for (int i = 0; view->has_vector && i < FEATURE_COUNT; i++)
        if (!isfinite(view->values[i]))
            return false;
    return true;
}

int rest_view_read(struct bytes image, struct rest_view *view, struct err *err)
{
    *view = (struct rest_view){.symbol = ""};
    int result = rest_view_check(image, err);
    if (result != ERR_OK)
        return result;
    memcpy(view->symbol, image.data + REST_VIEW_AT_SYMBOL, RECORD_SYMBOL_SIZE - 1);
    memcpy(view->values, image.data + REST_VIEW_AT_VALUES, sizeof(view->values));
    if (!rest_view_read_numbers(image.data, view) || !rest_view_is_sane(view)) {
        *view = (struct rest_view){.symbol = ""};
        return err_set(err, ERR_CORRUPT, "REST view: values that cannot be");
    }
    if (view->schema == feature_schema_hash())
        return ERR_OK;
    view->has_vector = false;
    memset(view->values, 0, sizeof(view->values));
    return err_set(err, ERR_SCHEMA, "REST view: another feature schema");
}
