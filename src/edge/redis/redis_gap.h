/* The gap detector's port on one Redis link (recover/gap/gap_port.h): a look and a saying
 * are one script each. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_GAP_H
#define BTCAST_EDGE_REDIS_REDIS_GAP_H

#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "recover/gap/gap_port.h"

#define REDIS_GAP_CALLS_MAX 8
/* Audit records kept (stream `gap-audit:{symbol}`, approximate). */
#define REDIS_GAP_AUDIT_MAX "10000"

struct redis_gap;

/* link is borrowed; the port's do_work runs it. */
int redis_gap_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                   struct redis_gap **gap, struct err *err) MUST_CHECK;
/* Call after redis_link_close: the link answers what is owed first. */
void redis_gap_close(struct redis_gap *gap);
struct gap_port redis_gap_port(struct redis_gap *gap);

#endif
