-- SPDX-License-Identifier: Apache-2.0
-- The minutes as COPY text for market_data_minute.
SELECT concat_ws(chr(9), @symbol@, open_time, close_time, open_price, high_price, low_price,
       close_price, volume, notional, trade_count, buy_trade_count, buy_volume, buy_notional,
       sell_trade_count, sell_volume, sell_notional, vwap, volume_imbalance, completeness_score,
       gap_seconds, source_mix) || chr(10)
FROM bars ORDER BY open_time
