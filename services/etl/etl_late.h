/* Objects of bronze that come behind the place of the ETL: seen by the names and sizes that each
 * minute had when it was taken. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_LATE_H
#define BTCAST_SERVICES_ETL_ETL_LATE_H

#include "edge/duckdb/bronze_list.h"
#include "services/etl/etl_place.h"

/* Notes what the minutes up to and with `last` are taken from (a minute may have no object). */
void etl_late_note(const struct bronze_list *list, const struct lake_files *lake, int64_t last,
                   struct etl_place *place);
/* An object came, or was replaced by another one, in a minute that was noted: *minute. One that
 * went (it was put aside) is no reason to forget what it gave. */
bool etl_late_find(const struct bronze_list *list, const struct lake_files *lake,
                   const struct etl_place *place, int64_t *minute);

#endif
