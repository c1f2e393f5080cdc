-- SPDX-License-Identifier: Apache-2.0
-- Minutes of trades with open times from @first_ms@ to @last_ms@ (both included), exact sums. A
-- trade id that is missing counts into the minute of the next one; where nothing is known of what
-- came before, the time up to the first trade is a gap.
CREATE OR REPLACE TEMP TABLE bars AS
WITH once AS (
    SELECT DISTINCT ON (trade_id) * FROM trades ORDER BY trade_id, is_rest
), chained AS (
    SELECT *, ts_us // 60000000 * 60000 AS open_ms,
           trade_id - lag(trade_id) OVER (ORDER BY trade_id) - 1 AS missing,
           ts_us - lag(ts_us) OVER (ORDER BY trade_id) AS since_us
    FROM once
), minutes AS (
    SELECT open_ms, arg_min(price, trade_id) AS o, max(price) AS h, min(price) AS l,
           arg_max(price, trade_id) AS c, sum(qty) AS v, sum(price * qty) AS n, count(*) AS k,
           count(*) FILTER (WHERE NOT is_buyer_maker) AS bk,
           coalesce(sum(qty) FILTER (WHERE NOT is_buyer_maker), 0) AS bv,
           coalesce(sum(price * qty) FILTER (WHERE NOT is_buyer_maker), 0) AS bn,
           count(*) FILTER (WHERE is_buyer_maker) AS sk,
           coalesce(sum(qty) FILTER (WHERE is_buyer_maker), 0) AS sv,
           coalesce(sum(price * qty) FILTER (WHERE is_buyer_maker), 0) AS sn,
           coalesce(sum(missing), 0) AS missing, bool_or(missing IS NULL) AS is_first,
           sum(CASE WHEN missing IS NULL THEN ts_us - open_ms * 1000
                    WHEN missing > 0 THEN least(since_us, ts_us - open_ms * 1000) ELSE 0 END) / 1e6
               AS gap_seconds,
           count(*) FILTER (WHERE is_rest) AS from_rest
    FROM chained GROUP BY open_ms
)
SELECT open_ms AS open_time, open_ms + 59999 AS close_time,
       CAST(CAST(o AS DECIMAL(20,0)) * 0.00000001 AS DECIMAL(20,8)) AS open_price,
       CAST(CAST(h AS DECIMAL(20,0)) * 0.00000001 AS DECIMAL(20,8)) AS high_price,
       CAST(CAST(l AS DECIMAL(20,0)) * 0.00000001 AS DECIMAL(20,8)) AS low_price,
       CAST(CAST(c AS DECIMAL(20,0)) * 0.00000001 AS DECIMAL(20,8)) AS close_price,
       CAST(CAST(v AS DECIMAL(24,0)) * 0.00000001 AS DECIMAL(24,8)) AS volume,
       CAST(CAST((CAST(n AS HUGEINT) + 50000000) // 100000000 AS DECIMAL(28,0)) * 0.00000001
            AS DECIMAL(32,8)) AS notional,
       k AS trade_count, bk AS buy_trade_count,
       CAST(CAST(bv AS DECIMAL(24,0)) * 0.00000001 AS DECIMAL(24,8)) AS buy_volume,
       CAST(CAST((CAST(bn AS HUGEINT) + 50000000) // 100000000 AS DECIMAL(28,0)) * 0.00000001
            AS DECIMAL(32,8)) AS buy_notional,
       sk AS sell_trade_count,
       CAST(CAST(sv AS DECIMAL(24,0)) * 0.00000001 AS DECIMAL(24,8)) AS sell_volume,
       CAST(CAST((CAST(sn AS HUGEINT) + 50000000) // 100000000 AS DECIMAL(28,0)) * 0.00000001
            AS DECIMAL(32,8)) AS sell_notional,
       CAST(n AS DOUBLE) / CAST(v AS DOUBLE) / 1e8 AS vwap,
       (CAST(bv AS DOUBLE) - CAST(sv AS DOUBLE)) / CAST(v AS DOUBLE) AS volume_imbalance,
       CAST(h - l AS DOUBLE) / 1e8 AS price_range, CAST(c - o AS DOUBLE) / 1e8 AS price_change,
       CAST(c - o AS DOUBLE) / CAST(o AS DOUBLE) * 100 AS price_change_pct,
       CASE WHEN is_first THEN greatest(0, 1 - gap_seconds / 60) ELSE 1 END * k / (k + missing)
           AS completeness_score,
       CASE WHEN from_rest = 0 THEN 'sbe' WHEN from_rest = k THEN 'rest' ELSE 'sbe+rest' END
           AS source_mix,
       gap_seconds, CAST(missing AS BIGINT) AS trades_missing
FROM minutes WHERE open_ms BETWEEN @first_ms@ AND @last_ms@ AND v > 0 ORDER BY open_ms
