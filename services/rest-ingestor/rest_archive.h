/* The archive of REST replies: the DuckDB engine, its spool and the lake, opened and
 * closed together. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REST_ARCHIVE_H
#define BTCAST_SERVICES_REST_ARCHIVE_H

#include "base/metrics.h"
#include "edge/duckdb/duckdb_archive.h"
#include "services/data-connector/connector_lake.h"
#include "services/rest-ingestor/rest_ingestor_options.h"

struct rest_archive {
    struct connector_lake lake;
    struct lake_spool *spool;
    struct duckdb_archive *duckdb;
    struct archive_port port;
};

/* Close also one that could not be opened. */
int rest_archive_open(struct rest_archive *archive, const struct rest_ingestor_options *options,
                      struct loop *loop, struct metrics *metrics, struct err *err) MUST_CHECK;
void rest_archive_close(struct rest_archive *archive);

#endif
