/* The inference port on Redis: MULTI/EXEC over the keys of a symbol in one round trip, and
 * the publishing script (DESIGN.md section 4, "Exactly one prediction").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_INFER_H
#define BTCAST_EDGE_REDIS_REDIS_INFER_H

#include "edge/redis/redis_link.h"
#include "hot/infer/infer_port.h"
#include "hot/state/state_keys.h"

/* Entries kept in predictions:{symbol}: 48 hours of slots. */
#define REDIS_INFER_PREDICTIONS_MAX 86400

struct redis_infer;

/* link is borrowed. */
int redis_infer_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                     struct redis_infer **infer, struct err *err) MUST_CHECK;
void redis_infer_close(struct redis_infer *infer);
struct infer_port redis_infer_port(struct redis_infer *infer);

#endif
