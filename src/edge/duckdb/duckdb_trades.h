/* Single trades in bronze by id: is any between the first and the last missing?
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_TRADES_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_TRADES_H

#include "base/err.h"
#include "edge/lake/lake_files.h"

/* Those of the streams and those that a backfill fetched (historicalTrades). */
struct duckdb_trades {
    int64_t first_id, last_id; /* of the streams */
    int64_t streamed;          /* ids in blocks */
    int64_t backfilled;        /* ids that only replies have, between first and last */
    int64_t missing;           /* between first and last, in neither */
};

/* Reads every block of trades and every historicalTrades reply of the symbol, one object after the
 * other; keeps of each its stretches of ids without a hole. All zero when there are no blocks.
 * library: see duckdb_api_load. ERR_IO: an object cannot be read; else the lake's own errors. */
int duckdb_trades_count(struct lake_files *lake, const char *symbol, const char *library,
                        struct duckdb_trades *trades, struct err *err) MUST_CHECK;

#endif
