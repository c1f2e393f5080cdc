-- SPDX-License-Identifier: Apache-2.0
-- What each minute is worth, as COPY text for data_quality_metrics. accuracy: 1 when the volume is
-- the exchange's own to the last digit, 0 when it is not, null where there is no closed kline.
SELECT concat_ws(chr(9), strftime(make_timestamp(b.open_time * 1000), '%Y-%m-%d %H:%M:%S+00'),
       @symbol@, 'bars_1m', b.completeness_score,
       CASE WHEN k.open_ms IS NULL THEN '\N'
            WHEN CAST(b.volume * 100000000 AS HUGEINT) = k.volume THEN '1' ELSE '0' END,
       '\N', '\N', '1', '1', b.completeness_score, b.trades_missing,
       '{"trades":' || b.trade_count || ',"gap_seconds":' || b.gap_seconds || ',"kline_trades":' ||
       coalesce(CAST(k.trade_count AS VARCHAR), 'null') || '}') || chr(10)
FROM bars b LEFT JOIN klines k ON k.open_ms = b.open_time ORDER BY b.open_time
