/* Records of bronze in the order of the world -> vectors at the slots and mids at their
 * boundaries: the live path's own decoder and world. It goes on where it stopped: its whole
 * state is bytes that a restart loads, so that the vectors of a pass that began there are
 * those of one that never stopped. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_ETL_ETL_WORLD_H
#define BTCAST_LEARN_ETL_ETL_WORLD_H

#include "base/bytes.h"
#include "market/record.h"
#include "market/world.h"

struct etl_world; /* opaque */

/* A slot and what the world knew then. */
struct etl_slot {
    int64_t slot;
    const struct world_view *view;
    double quality;      /* 1: fit to learn from; 0: no live book, or the vector is old */
    double completeness; /* of the span that features look back over, how much was seen whole */
};

/* What comes out; a result other than ERR_OK ends the pass. */
struct etl_sink {
    void *context;
    int (*slot)(void *context, const struct etl_slot *slot, struct err *err);
    /* The mid at a boundary, as mid2 at the exponent; 0: none was known. */
    int (*mid)(void *context, const struct world_slot_mid *mid, int exponent, struct err *err);
};

struct etl_world_counters {
    uint64_t records, slots, mids;
    uint64_t refused;  /* frames and controls that could not be read */
    uint64_t given_up; /* records inside a declared hole */
    uint64_t pauses;   /* stretches without data that have no slots */
};

int etl_world_open(const char *symbol, const struct etl_sink *sink, struct etl_world **world,
                   struct err *err) MUST_CHECK;
void etl_world_close(struct etl_world *world);
/* The next record in the order; one that was applied already is passed over. */
int etl_world_apply(struct etl_world *world, const struct record *record,
                    struct err *err) MUST_CHECK;
/* No more records for now: gives the mids that are known already. */
int etl_world_end(struct etl_world *world, struct err *err) MUST_CHECK;
/* The place of the last record: 0, 0 before the first. */
void etl_world_place(const struct etl_world *world, uint64_t *epoch, uint64_t *seq,
                     int64_t *recv_us);
const struct etl_world_counters *etl_world_counters(const struct etl_world *world);

/* The state as bytes, and back. load: ERR_CORRUPT, ERR_SCHEMA (of another build's features or
 * world), ERR_MALFORMED; the world is then as after open. */
size_t etl_world_save_max(const struct etl_world *world);
int etl_world_save(const struct etl_world *world, uint8_t *out, size_t capacity, size_t *size,
                   struct err *err) MUST_CHECK;
int etl_world_load(struct etl_world *world, struct bytes saved, struct err *err) MUST_CHECK;

#endif
