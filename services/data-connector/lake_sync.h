/* The lake for commands that wait: one object at a time. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_LAKE_SYNC_H
#define BTCAST_SERVICES_DATA_CONNECTOR_LAKE_SYNC_H

#include "services/data-connector/connector_lake.h"

struct lake_sync {
    struct loop *loop;
    struct connector_lake lake;
    struct object_port objects;
};

/* `where` as connector_lake_open has it. On failure there is nothing to close. */
int lake_sync_open(struct lake_sync *sync, const char *where, struct err *err) MUST_CHECK;
void lake_sync_close(struct lake_sync *sync);
/* ERR_TIMEOUT after LAKE_SYNC_TIMEOUT_US; else what the port says, with its words. */
#define LAKE_SYNC_TIMEOUT_US INT64_C(300000000)
int lake_sync_put(struct lake_sync *sync, const char *key, const char *path,
                  struct err *err) MUST_CHECK;
int lake_sync_drop(struct lake_sync *sync, const char *key, struct err *err) MUST_CHECK;
/* Calls `key` for every key that begins with prefix, in order. */
int lake_sync_list(struct lake_sync *sync, const char *prefix,
                   void (*key)(void *context, const char *key), void *context,
                   struct err *err) MUST_CHECK;

#endif
