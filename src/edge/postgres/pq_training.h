/* Training rows out of PostgreSQL by binary COPY, from the view ml_training_data.
 * Blocking: for the trainer. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_TRAINING_H
#define BTCAST_EDGE_POSTGRES_PQ_TRAINING_H

#include "edge/postgres/pq_sync.h"
#include "learn/train/dataset.h"

/* Rows of symbol with from_us <= slot time < to_us (to 0: all there are) in the order of time,
 * of this build's feature schema only; they are finished: no dataset_finish. Bit for bit the
 * rows of a capture of the same time (tests/integration/test_etl.c). What the trainer leaves
 * out is counted in the dataset. ERR_EMPTY: the store has none; a symbol that is none:
 * ERR_INVALID. */
int pq_training_load(struct pq_sync *sync, const char *symbol, int64_t from_us, int64_t to_us,
                     struct dataset *dataset, struct err *err) MUST_CHECK;

#endif
