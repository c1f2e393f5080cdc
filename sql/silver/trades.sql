-- SPDX-License-Identifier: Apache-2.0
-- Single trades of the streams, as integers at exponent -8.
CREATE OR REPLACE TEMP TABLE trades AS
SELECT trade_id, transact_ts AS ts_us,
       CAST(price_mantissa AS HUGEINT) * CAST(10 ** (8 + price_exponent) AS HUGEINT) AS price,
       CAST(quantity_mantissa AS HUGEINT) * CAST(10 ** (8 + quantity_exponent) AS HUGEINT) AS qty,
       is_buyer_maker, false AS is_rest
FROM read_parquet(@files@, hive_partitioning = false) WHERE trade_id IS NOT NULL
