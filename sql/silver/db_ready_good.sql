-- SPDX-License-Identifier: Apache-2.0
-- The rows that pass the checks: a sane price, and a move of at most 10 % in 10 s.
COPY (SELECT * FROM db_ready WHERE price BETWEEN @price_min@ AND @price_max@
      AND coalesce(abs(target_return_10s), 0) <= 0.1 ORDER BY slot)
TO @out@ (FORMAT parquet, COMPRESSION zstd)
