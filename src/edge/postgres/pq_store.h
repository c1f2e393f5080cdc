/* The store port over a PostgreSQL link. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_STORE_H
#define BTCAST_EDGE_POSTGRES_PQ_STORE_H

#include "edge/postgres/pq_link.h"
#include "learn/store/store_port.h"

struct pq_store;

/* The link is the store's until it is closed: its do_work is called by the port's. */
int pq_store_open(const struct pq_link_options *options, struct loop *loop, struct pq_store **store,
                  struct err *err) MUST_CHECK;
/* Loads under way are answered with ERR_CONNECTION. */
void pq_store_close(struct pq_store *store);
/* Valid as long as the store. */
const struct store_port *pq_store_port(struct pq_store *store);
struct pq_link *pq_store_link(struct pq_store *store);

#endif
