-- SPDX-License-Identifier: Apache-2.0
-- Feature vectors every 2 s and their labels 10 s ahead. Prices are exact decimals; what is a
-- ratio, a return or a score is double precision, because a fixed number of decimals turns a
-- spread of one tick into 0.

CREATE TABLE feature_schema (
    schema_hash char(16) PRIMARY KEY,
    version integer NOT NULL,
    names text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE feature_store (
    "timestamp" timestamptz NOT NULL,
    symbol varchar(24) NOT NULL,
    slot bigint NOT NULL,
    price numeric(20,8) NOT NULL,
    return_1s double precision,
    return_5s double precision,
    return_10s double precision,
    volume_1s numeric(20,8),
    volume_5s numeric(20,8),
    vol_imbalance_1s double precision,
    vol_imbalance_5s double precision,
    ob_imbalance double precision,
    spread_bp double precision,
    bid_strength double precision,
    ask_strength double precision,
    vwap_dev_1s double precision,
    momentum double precision,
    volatility double precision,
    target_price_10s numeric(20,8),
    target_return_10s double precision,
    -- NULL: not known yet; false: a gap lies between.
    target_valid boolean,
    data_quality_score double precision NOT NULL CHECK (data_quality_score BETWEEN 0 AND 1),
    feature_completeness double precision NOT NULL CHECK (feature_completeness BETWEEN 0 AND 1),
    -- The vector itself, bit for bit, and the tick that it belongs to.
    schema_hash char(16) NOT NULL REFERENCES feature_schema,
    features real[] NOT NULL,
    ingest_epoch numeric(20,0) NOT NULL,
    seq numeric(20,0) NOT NULL,
    as_of_us bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ("timestamp", symbol),
    CHECK (slot * 2 = extract(epoch FROM "timestamp")::bigint)
) PARTITION BY RANGE ("timestamp");
CREATE INDEX feature_store_brin ON feature_store USING brin ("timestamp");
CREATE INDEX feature_store_symbol ON feature_store (symbol, "timestamp");

-- Rows fit for training. Ask for half-open intervals: "timestamp" >= a AND "timestamp" < b.
CREATE VIEW ml_training_data AS
SELECT "timestamp", symbol, slot, price, return_1s, return_5s, return_10s, volume_1s,
       vol_imbalance_1s, spread_bp, ob_imbalance, momentum, volatility, target_price_10s,
       target_return_10s, data_quality_score, feature_completeness, schema_hash, features
FROM feature_store
WHERE target_valid AND data_quality_score > 0.95 AND feature_completeness > 0.98;

-- The rows of [from_time, to_time), in order of time.
CREATE FUNCTION ml_training_rows(for_symbol text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF ml_training_data LANGUAGE sql STABLE AS $$
    SELECT * FROM ml_training_data
    WHERE symbol = for_symbol AND "timestamp" >= from_time AND "timestamp" < to_time
    ORDER BY "timestamp"
$$;

-- The vectors that were served live, to be compared with the recomputed ones.
CREATE TABLE served_vector (
    symbol varchar(24) NOT NULL,
    slot bigint NOT NULL,
    slot_ms bigint NOT NULL CHECK (slot_ms = slot * 2000),
    schema_hash char(16) NOT NULL REFERENCES feature_schema,
    features real[] NOT NULL,
    ingest_epoch numeric(20,0) NOT NULL,
    seq numeric(20,0) NOT NULL,
    as_of_us bigint NOT NULL,
    PRIMARY KEY (symbol, slot_ms)
) PARTITION BY RANGE (slot_ms);

-- Slots whose served vector is not the recomputed one, bit for bit, although both belong to the
-- same tick.
CREATE VIEW feature_skew AS
SELECT s.symbol, s.slot, f."timestamp", f.features, s.features AS served_features
FROM served_vector s
JOIN feature_store f ON f.symbol = s.symbol AND f.slot = s.slot
     AND f."timestamp" = to_timestamp(s.slot * 2)
WHERE (s.ingest_epoch, s.seq) = (f.ingest_epoch, f.seq)
  AND (s.features IS DISTINCT FROM f.features OR s.schema_hash <> f.schema_hash);

CREATE TABLE data_quality_metrics (
    "timestamp" timestamptz NOT NULL,
    symbol varchar(24) NOT NULL,
    dataset text NOT NULL,
    completeness double precision,
    accuracy double precision,
    consistency double precision,
    timeliness double precision,
    uniqueness double precision,
    validity double precision,
    score double precision NOT NULL,
    gap_count bigint NOT NULL DEFAULT 0,
    details jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ("timestamp", symbol, dataset)
) PARTITION BY RANGE ("timestamp");

CREATE TABLE market_data_minute (
    symbol varchar(24) NOT NULL,
    open_time bigint NOT NULL CHECK (open_time % 60000 = 0),
    close_time bigint NOT NULL,
    open_price numeric(20,8) NOT NULL,
    high_price numeric(20,8) NOT NULL,
    low_price numeric(20,8) NOT NULL,
    close_price numeric(20,8) NOT NULL,
    volume numeric(24,8) NOT NULL,
    notional numeric(32,8) NOT NULL,
    trade_count bigint NOT NULL,
    buy_trade_count bigint,
    buy_volume numeric(24,8),
    buy_notional numeric(32,8),
    sell_trade_count bigint,
    sell_volume numeric(24,8),
    sell_notional numeric(32,8),
    vwap double precision,
    volume_imbalance double precision,
    completeness_score double precision,
    gap_seconds double precision NOT NULL DEFAULT 0,
    data_source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, open_time)
) PARTITION BY RANGE (open_time);
