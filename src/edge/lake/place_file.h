/* The archive's place as a small file: written whole, synced, renamed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_PLACE_FILE_H
#define BTCAST_EDGE_LAKE_PLACE_FILE_H

#include "edge/lake/lake_file.h"
#include "learn/lake/archive_place.h"

struct place_file {
    char path[LAKE_FILE_PATH_SIZE / 2];
};

/* place is borrowed by the port. */
struct archive_place_port place_file_port(struct place_file *place);

#endif
