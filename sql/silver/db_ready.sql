-- SPDX-License-Identifier: Apache-2.0
-- Rows of one hour with their labels, as feature_store has them. @rows@ and @mids@: the COPY text
-- of the rows and of the mids at slot boundaries; @first@ and @last@: slots, both included. A row
-- that came again counts as it came last.
CREATE OR REPLACE TEMP TABLE db_ready AS
WITH raw AS (
    SELECT *, row_number() OVER () AS line FROM read_csv(@rows@, delim = '\t', header = false,
        nullstr = '\N', quote = '', escape = '', auto_detect = false, columns = {
        'symbol': 'VARCHAR', 'slot': 'BIGINT', 'price': 'DECIMAL(20,8)', 'return_1s': 'DOUBLE',
        'return_5s': 'DOUBLE', 'return_10s': 'DOUBLE', 'volume_1s': 'DECIMAL(20,8)',
        'volume_5s': 'DECIMAL(20,8)', 'vol_imbalance_1s': 'DOUBLE', 'vol_imbalance_5s': 'DOUBLE',
        'ob_imbalance': 'DOUBLE', 'spread_bp': 'DOUBLE', 'bid_strength': 'DOUBLE',
        'ask_strength': 'DOUBLE', 'vwap_dev_1s': 'DOUBLE', 'momentum': 'DOUBLE',
        'volatility': 'DOUBLE', 'no_price': 'DECIMAL(20,8)', 'no_return': 'DOUBLE',
        'no_validity': 'VARCHAR', 'data_quality_score': 'DOUBLE', 'feature_completeness': 'DOUBLE',
        'schema_hash': 'VARCHAR', 'features': 'VARCHAR', 'ingest_epoch': 'UBIGINT',
        'seq': 'UBIGINT', 'as_of_us': 'BIGINT'})
), mids AS (
    SELECT slot, arg_max(mid, line) AS mid, arg_max(valid, line) AS valid FROM (
        SELECT *, row_number() OVER () AS line FROM read_csv(@mids@, delim = '\t', header = false,
            nullstr = '\N', quote = '', escape = '', auto_detect = false, columns = {
            'symbol': 'VARCHAR', 'slot': 'BIGINT', 'mid': 'DOUBLE', 'valid': 'BOOLEAN'}))
    GROUP BY slot
)
SELECT make_timestamp(r.slot * 2000000) AS "timestamp", r.symbol, r.slot, r.price,
       r.return_1s, r.return_5s, r.return_10s, r.volume_1s, r.volume_5s, r.vol_imbalance_1s,
       r.vol_imbalance_5s, r.ob_imbalance, r.spread_bp, r.bid_strength, r.ask_strength,
       r.vwap_dev_1s, r.momentum, r.volatility,
       CASE WHEN t.valid AND t.mid > 0 THEN CAST(t.mid AS DECIMAL(20,8)) END AS target_price_10s,
       CASE WHEN t.valid AND t.mid > 0 THEN ln(t.mid / r.price) END AS target_return_10s,
       t.valid AND t.mid > 0 AS target_valid,
       -- The mids at the slot's own boundary and 10 s later, to the last bit: what is trained on.
       m.mid, CASE WHEN t.valid AND t.mid > 0 THEN t.mid END AS target_mid,
       r.data_quality_score, r.feature_completeness, r.schema_hash,
       CAST(string_split(trim(r.features, '{}'), ',') AS FLOAT[]) AS features,
       r.ingest_epoch, r.seq, r.as_of_us
FROM (SELECT DISTINCT ON (slot) * FROM raw WHERE slot BETWEEN @first@ AND @last@
      ORDER BY slot, line DESC) r
LEFT JOIN mids m ON m.slot = r.slot
LEFT JOIN mids t ON t.slot = r.slot + 5
ORDER BY r.slot
