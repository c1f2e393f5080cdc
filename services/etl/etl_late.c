/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_late.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a of the name and the size; 0: it was put aside meanwhile. */
static uint64_t etl_late_digest(const struct lake_entry *object, const struct lake_files *lake)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (lake_files_is_aside(lake, object->key))
        return 0;
    for (const char *at = object->key; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    return (hash ^ object->size) * UINT64_C(0x100000001b3);
}

void etl_late_note(const struct bronze_list *list, const struct lake_files *lake, int64_t last,
                   struct etl_place *place)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < list->count; i++)
        if (list->files[i].identity.minute < first)
            first = list->files[i].identity.minute;
    if (first < last - ETL_PLACE_MINUTES + 1)
        first = last - ETL_PLACE_MINUTES + 1;
    place->first_minute = first;
    place->minute_count = first <= last ? (int)(last - first + 1) : 0;
    memset(place->digests, 0, sizeof(place->digests));
    for (size_t i = 0; i < list->count; i++) {
        int64_t at = list->files[i].identity.minute - first;
        if (at >= 0 && at < place->minute_count)
            place->digests[at] += etl_late_digest(&list->files[i].object, lake);
    }
}

bool etl_late_find(const struct bronze_list *list, const struct lake_files *lake,
                   const struct etl_place *place, int64_t *minute)
{
    struct etl_place *now = malloc(sizeof(*now));
    bool late = false;
    if (now == NULL)
        return false;
    etl_late_note(list, lake, place->first_minute + place->minute_count - 1, now);
    for (int i = 0; i < now->minute_count && !late; i++) {
        int64_t at = now->first_minute + i - place->first_minute;
        *minute = now->first_minute + i;
        late = now->digests[i] != 0 && (at < 0 || now->digests[i] != place->digests[at]);
    }
    free(now);
    return late && place->minute_count > 0;
}
