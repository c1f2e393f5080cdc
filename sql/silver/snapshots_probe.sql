-- SPDX-License-Identifier: Apache-2.0
-- Whether an object has what snapshots.sql wants of it.
SELECT count(collection_ts), count(last_update_id), count(bids[1].price), count(asks[1].price),
       count(bids[1].quantity), count(asks[1].quantity), count(source)
FROM read_parquet(@files@, hive_partitioning = false)
