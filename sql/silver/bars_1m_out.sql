-- SPDX-License-Identifier: Apache-2.0
COPY (SELECT * EXCLUDE (trades_missing), @created@ AS created_ts FROM bars ORDER BY open_time)
TO @out@ (FORMAT parquet, COMPRESSION zstd)
