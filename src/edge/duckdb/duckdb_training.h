/* Training rows straight out of silver/db_ready: for those without a server.
 * Blocking: for the trainer. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_TRAINING_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_TRAINING_H

#include "base/err.h"
#include "edge/lake/lake_files.h"
#include "learn/train/dataset.h"

struct duckdb_training_options {
    struct lake_files *lake;
    const char *symbol;
    const char *library;    /* see duckdb_api_load */
    int64_t from_us, to_us; /* slot times, to excluded; to 0: all there is */
};

/* Finished rows in the order of time, of this build's feature schema; the same, bit for bit, as
 * pq_training_load and a capture give. ERR_EMPTY: silver has none. */
int duckdb_training_load(const struct duckdb_training_options *options, struct dataset *dataset,
                         struct err *err) MUST_CHECK;

#endif
