-- SPDX-License-Identifier: Apache-2.0
-- One book a minute: the first that the exchange was asked for in it, from @first_ms@ on and before
-- @end_ms@.
COPY (
WITH books AS (
    SELECT DISTINCT ON (minute) * FROM (
        SELECT *, collection_ts // 60000000 AS minute FROM read_parquet(@files@,
            hive_partitioning = false)
        WHERE collection_ts >= @first_ms@ * 1000 AND collection_ts < @end_ms@ * 1000
              AND len(bids) > 0 AND len(asks) > 0)
    ORDER BY minute, collection_ts
), valued AS (
    SELECT collection_ts // 1000 AS snapshot_ts, last_update_id,
           list_transform(bids, x -> {'price': x.price, 'quantity': x.quantity,
                                      'value': x.price * x.quantity}) AS bid_levels,
           list_transform(asks, x -> {'price': x.price, 'quantity': x.quantity,
                                      'value': x.price * x.quantity}) AS ask_levels,
           bids[1].price AS bid, bids[1].quantity AS bid_qty, asks[1].price AS ask,
           asks[1].quantity AS ask_qty, source
    FROM books
), summed AS (
    SELECT *, list_sum(list_transform(bid_levels, x -> x.value)) AS bid_value,
           list_sum(list_transform(ask_levels, x -> x.value)) AS ask_value FROM valued
)
SELECT snapshot_ts, last_update_id, bid AS best_bid_price, bid_qty AS best_bid_qty,
       ask AS best_ask_price, ask_qty AS best_ask_qty, ask - bid AS spread,
       (ask - bid) / ((ask + bid) / 2) * 1e4 AS spread_bp, bid_levels, ask_levels,
       bid_value AS total_bid_value, ask_value AS total_ask_value,
       (bid_value - ask_value) / (bid_value + ask_value) AS order_book_imbalance,
       (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty) AS weighted_mid_price, source,
       least(len(bid_levels), len(ask_levels)) AS levels_count
FROM summed ORDER BY snapshot_ts
) TO @out@ (FORMAT parquet, COMPRESSION zstd)
