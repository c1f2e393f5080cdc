/* The re-anchor agent's claim port on one Redis link (recover/anchor/anchor_port.h): the
 * flag `reanchor:{symbol}` holds a token, taken with SET NX PX, kept and given back only
 * by its owner. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_ANCHOR_H
#define BTCAST_EDGE_REDIS_REDIS_ANCHOR_H

#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "recover/anchor/anchor_port.h"

#define REDIS_ANCHOR_CALLS_MAX 16
/* Audit records kept (stream `reanchor-events`, approximate). */
#define REDIS_ANCHOR_EVENTS_MAX "10000"

struct redis_anchor;

/* link is borrowed; the port's do_work runs it. */
int redis_anchor_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                      struct redis_anchor **anchor, struct err *err) MUST_CHECK;
/* Call after redis_link_close: the link answers what is owed first. */
void redis_anchor_close(struct redis_anchor *anchor);
struct anchor_claim_port redis_anchor_port(struct redis_anchor *anchor);

#endif
