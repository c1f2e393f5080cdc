/* The REST view of a symbol: what inference falls back on when Redis or its keys are gone
 * (DESIGN.md section 5, Degradation). rest-ingestor keeps it fresh in a file of fixed size
 * under the data folder, view-{symbol}.bin; inference maps it read-only. The view carries
 * the same things as one atomic read of the hot state: touch, and the feature vector that a
 * world fed with REST replies has. One image, guarded by a sequence number (odd while it is
 * being written) and a CRC over everything behind it: a torn or stale image is refused.
 * Pure: bytes in and out; edge/file/view_file maps the file.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_REST_VIEW_H
#define BTCAST_HOT_STATE_REST_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "market/feature.h"
#include "market/record.h"
#include "market/world.h"

#define REST_VIEW_SIZE      2048 /* bytes of an image, the rest of it zero */
#define REST_VIEW_MAGIC     0x7765697674736372ull
#define REST_VIEW_VERSION   1
#define REST_VIEW_PERIOD_US 2000000  /* how often it is made */
#define REST_VIEW_OLD_US    15000000 /* older: no view */

struct rest_view {
    char symbol[RECORD_SYMBOL_SIZE];
    int64_t received_us; /* wall: when the REST book came */
    int64_t last_update_id;
    int price_exponent, qty_exponent;
    int64_t best_bid, best_ask, mid2; /* mantissas; mid2 = twice the mid */
    bool has_vector;                  /* the world had enough history for a vector */
    uint64_t schema;
    int64_t as_of_us;
    float values[FEATURE_COUNT];
    int slot_mid_count; /* newest first: outcomes for accuracy and calibration */
    struct world_slot_mid slot_mids[WORLD_SLOT_MIDS];
};

/* Writes the image (REST_VIEW_SIZE bytes) with sequence number `sequence`, even. */
void rest_view_write(const struct rest_view *view, uint64_t sequence, uint8_t *image);
/* Reads an image that is a private copy. ERR_AGAIN: it was being written; ERR_CORRUPT,
 * ERR_SCHEMA (another feature schema: everything but the vector is there), ERR_EMPTY (never
 * written). */
int rest_view_read(struct bytes image, struct rest_view *view, struct err *err) MUST_CHECK;

#endif
