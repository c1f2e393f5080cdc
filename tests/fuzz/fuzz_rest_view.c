/* covers: src/hot/state/rest_view.c */
/* Any bytes as an image; the checksum is put right first, so that the fuzzer gets behind
 * it. What is read can be written again. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "hot/state/rest_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const uint8_t *image)
{
    uint8_t again[REST_VIEW_SIZE];
    struct rest_view view, twice;
    int result = rest_view_read(bytes_of(image, REST_VIEW_SIZE), &view, NULL);
    if (result != ERR_OK && result != ERR_SCHEMA) {
        CHECK(view.mid2 == 0 && !view.has_vector);
        return;
    }
    CHECK(view.best_bid > 0 && view.best_bid < view.best_ask && view.slot_mid_count >= 0 &&
          view.slot_mid_count <= WORLD_SLOT_MIDS);
    CHECK(memchr(view.symbol, 0, sizeof(view.symbol)) != NULL);
    for (int i = 0; view.has_vector && i < FEATURE_COUNT; i++)
        CHECK(isfinite(view.values[i]));
    rest_view_write(&view, 8, again);
    CHECK(rest_view_read(bytes_of(again, REST_VIEW_SIZE), &twice, NULL) == result);
    CHECK(twice.mid2 == view.mid2 && twice.slot_mid_count == view.slot_mid_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t image[REST_VIEW_SIZE] = {0};
    struct rest_view view;
    int result = rest_view_read(bytes_of(data, size), &view, NULL);
    CHECK(result != ERR_OK || size == REST_VIEW_SIZE);
    if (size > 0)
        memcpy(image, data, size < REST_VIEW_SIZE ? size : REST_VIEW_SIZE);
    look(image);
    bytes_store_u64(image, REST_VIEW_MAGIC);
    image[8] &= 0xfe;
    bytes_store_u32(image + 20, REST_VIEW_VERSION);
    bytes_store_u32(image + 16, crc32c(crc32c(0, image + 8, 8), image + 20, REST_VIEW_SIZE - 20));
    look(image);
    return 0;
}
