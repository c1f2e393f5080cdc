-- SPDX-License-Identifier: Apache-2.0
-- Trades that a backfill fetched; times came in ms, since 2025 perhaps in µs.
INSERT INTO trades
SELECT trade_id, CASE WHEN "timestamp" > 100000000000000 THEN "timestamp" ELSE "timestamp" * 1000 END,
       CAST(price_mantissa AS HUGEINT) * CAST(10 ** (8 + price_exponent) AS HUGEINT),
       CAST(quantity_mantissa AS HUGEINT) * CAST(10 ** (8 + quantity_exponent) AS HUGEINT),
       is_buyer_maker, true
FROM read_parquet(@files@, hive_partitioning = false) WHERE trade_id IS NOT NULL
