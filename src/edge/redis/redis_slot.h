/* Which of a cluster's 16384 slots a key lies in (Redis Cluster specification, "Keys
 * distribution model" and "Hash tags"). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_SLOT_H
#define BTCAST_EDGE_REDIS_REDIS_SLOT_H

#include "base/bytes.h"

#define REDIS_SLOT_COUNT 16384

/* 0 to REDIS_SLOT_COUNT - 1. */
int redis_slot_of(struct bytes key);

#endif
