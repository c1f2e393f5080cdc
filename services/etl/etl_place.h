/* Where the ETL of a symbol is: one file, replaced whole, with the state of the replay, the sizes
 * of the hours' files, and of each minute that was taken what it was taken from, so that an object
 * that comes late is seen. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_PLACE_H
#define BTCAST_SERVICES_ETL_ETL_PLACE_H

#include "learn/etl/etl_world.h"
#include "services/etl/etl_files.h"

/* Objects that come later than this behind their minute are not looked for. */
#define ETL_PLACE_MINUTES 2880

struct etl_place {
    struct etl_files_place files;
    bool with_store;      /* the rows are in an SQL store too … */
    int64_t stored_slot;  /* … up to this slot */
    int64_t first_minute; /* of [0] */
    int minute_count;
    uint64_t digests[ETL_PLACE_MINUTES]; /* of the names and sizes of the objects; 0: none */
};

/* ERR_NOT_FOUND before the first save; ERR_CORRUPT, ERR_SCHEMA (another build's), ERR_MALFORMED:
 * begin anew. */
int etl_place_load(const char *path, struct etl_place *place, struct etl_world *world,
                   struct err *err) MUST_CHECK;
int etl_place_save(const char *path, const struct etl_place *place, const struct etl_world *world,
                   struct err *err) MUST_CHECK;

#endif
