-- SPDX-License-Identifier: Apache-2.0
-- What the exchange says of closed minutes: volumes at exponent -8.
CREATE OR REPLACE TEMP TABLE klines AS
SELECT DISTINCT ON (open_ms) open_ms, volume, trade_count FROM (
    SELECT CASE WHEN open_time > 100000000000000 THEN open_time // 1000 ELSE open_time END AS open_ms,
           CAST(volume_mantissa AS HUGEINT) * CAST(10 ** (8 + quantity_exponent) AS HUGEINT) AS volume,
           trade_count, collection_ts
    FROM read_parquet(@files@, hive_partitioning = false) WHERE volume_mantissa IS NOT NULL)
WHERE collection_ts > (open_ms + 60000) * 1000
ORDER BY open_ms, collection_ts DESC
