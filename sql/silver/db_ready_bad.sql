-- SPDX-License-Identifier: Apache-2.0
-- The rows that do not, with why.
COPY (SELECT *, CASE WHEN price BETWEEN @price_min@ AND @price_max@ THEN 'return' ELSE 'price' END
             AS cause
      FROM db_ready WHERE NOT (price BETWEEN @price_min@ AND @price_max@
      AND coalesce(abs(target_return_10s), 0) <= 0.1) ORDER BY slot)
TO @out@ (FORMAT parquet, COMPRESSION zstd)
