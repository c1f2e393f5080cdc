-- SPDX-License-Identifier: Apache-2.0
-- What was predicted, and what came.

-- The mid at the boundary of each slot: the outcome of the prediction five slots earlier.
CREATE TABLE slot_mid (
    symbol varchar(24) NOT NULL,
    slot bigint NOT NULL,
    mid numeric(28,12) NOT NULL CHECK (mid >= 0),
    -- false: no live book at the boundary, or a gap within the 10 s before it.
    valid boolean NOT NULL,
    PRIMARY KEY (symbol, slot)
);

CREATE TABLE predictions_log (
    prediction_id bigserial NOT NULL,
    symbol varchar(24) NOT NULL,
    slot bigint NOT NULL,
    -- live: the one that was published; shadow: another model beside it.
    role text NOT NULL CHECK (role IN ('live', 'shadow')),
    model_version text NOT NULL,
    prediction_ts bigint NOT NULL CHECK (prediction_ts = slot * 2000),
    target_ts bigint NOT NULL CHECK (target_ts = prediction_ts + 10000),
    current_price numeric(28,12),
    predicted_price numeric(28,12),
    return_predicted double precision,
    confidence double precision,
    p10 double precision,
    p90 double precision,
    inference_latency_ms double precision,
    features_age_ms bigint,
    data_source text,
    mode text,
    reason text,
    ingest_epoch numeric(20,0),
    seq numeric(20,0),
    -- Filled when the target time has passed. NULL outcome_valid: not known yet.
    outcome_valid boolean,
    actual_price numeric(28,12),
    actual_return double precision,
    prediction_error double precision,
    absolute_error double precision,
    squared_error double precision,
    directional_correct boolean,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- prediction_ts follows from slot: it is here because a partitioned key needs it.
    PRIMARY KEY (symbol, slot, role, model_version, prediction_ts)
) PARTITION BY RANGE (prediction_ts);
CREATE INDEX predictions_log_symbol ON predictions_log (symbol, prediction_ts);
CREATE INDEX predictions_log_target ON predictions_log (target_ts);
CREATE INDEX predictions_log_version ON predictions_log (model_version, prediction_ts);
-- Published once, whatever replicas do.
CREATE UNIQUE INDEX predictions_log_live ON predictions_log (symbol, slot, prediction_ts)
    WHERE role = 'live';

-- Fills the outcomes of predictions of slots from_slot to to_slot that slot mids make known: the mid
-- at exactly +10 s; a mid is not valid when a gap lies within the 10 s before it. Errors are in log
-- return. An unchanged mid counts as a wrong direction.
CREATE FUNCTION fill_outcomes(for_symbol text, from_slot bigint, to_slot bigint)
RETURNS bigint LANGUAGE sql AS $$
    WITH judged AS (
        SELECT p.slot, p.role, p.model_version, p.prediction_ts, m.mid, p.return_predicted,
               m.valid AND coalesce(p.current_price, 0) > 0 AND m.mid > 0 AS good,
               CASE WHEN p.current_price > 0 AND m.mid > 0
                    THEN ln((m.mid / p.current_price)::double precision) END AS came
        FROM predictions_log p
        JOIN slot_mid m ON m.symbol = p.symbol AND m.slot = p.slot + 5
        WHERE p.symbol = for_symbol
          AND p.prediction_ts >= from_slot * 2000 AND p.prediction_ts <= to_slot * 2000
          AND (p.outcome_valid IS NULL OR (NOT p.outcome_valid AND m.valid))
    ), filled AS (
        UPDATE predictions_log p
        SET outcome_valid = j.good,
            actual_price = CASE WHEN j.good THEN j.mid END,
            actual_return = CASE WHEN j.good THEN j.came END,
            prediction_error = CASE WHEN j.good THEN j.return_predicted - j.came END,
            absolute_error = CASE WHEN j.good THEN abs(j.return_predicted - j.came) END,
            squared_error = CASE WHEN j.good THEN (j.return_predicted - j.came) ^ 2 END,
            directional_correct = CASE WHEN j.good
                THEN j.came <> 0 AND sign(j.return_predicted) = sign(j.came) END
        FROM judged j
        WHERE p.symbol = for_symbol AND p.slot = j.slot AND p.role = j.role
          AND p.model_version = j.model_version AND p.prediction_ts = j.prediction_ts
          AND (p.outcome_valid IS DISTINCT FROM j.good)
        RETURNING 1
    )
    SELECT count(*) FROM filled
$$;
