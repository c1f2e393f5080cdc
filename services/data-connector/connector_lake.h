/* Where the lake is: a folder, or s3://bucket/prefix with the environment's keys.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_LAKE_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_LAKE_H

#include "edge/loop/loop.h"
#include "learn/lake/object_port.h"

struct connector_lake {
    struct folder_objects *folder; /* one of the two */
    struct s3_objects *s3;
};

/* ERR_CONFIG for what is neither, or when the environment lacks keys. */
int connector_lake_open(struct connector_lake *lake, const char *where, struct loop *loop,
                        struct err *err) MUST_CHECK;
void connector_lake_close(struct connector_lake *lake);
struct object_port connector_lake_port(const struct connector_lake *lake);

#endif
