-- SPDX-License-Identifier: Apache-2.0
-- Experiments, models, and each move of a model with its reason.

CREATE TABLE ml_experiments (
    experiment_id bigserial PRIMARY KEY,
    experiment_name text NOT NULL,
    model_type text NOT NULL,
    model_version text NOT NULL,
    status text NOT NULL DEFAULT 'training'
        CHECK (status IN ('training', 'completed', 'failed', 'cancelled')),
    feature_set text[] NOT NULL,
    feature_schema char(16) NOT NULL,
    hyperparameters jsonb NOT NULL DEFAULT '{}',
    symbol varchar(24) NOT NULL,
    -- Half-open.
    training_start timestamptz NOT NULL,
    training_end timestamptz NOT NULL CHECK (training_end > training_start),
    data_sha256 char(64),
    seed numeric(20,0) NOT NULL,
    validation_accuracy double precision,
    test_accuracy double precision,
    directional_accuracy double precision,
    sharpe_ratio double precision,
    metrics jsonb NOT NULL DEFAULT '{}',
    s3_model_path text,
    s3_feature_transformer_path text,
    deployed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX ml_experiments_accuracy ON ml_experiments (test_accuracy DESC NULLS LAST);

CREATE TABLE model_registry (
    model_id bigserial PRIMARY KEY,
    model_name text NOT NULL,
    version text NOT NULL,
    experiment_id bigint REFERENCES ml_experiments,
    stage text NOT NULL DEFAULT 'staging'
        CHECK (stage IN ('staging', 'shadow', 'production', 'archived')),
    -- Why it is archived: only a model that was not withdrawn for being bad may come back.
    stage_reason text NOT NULL DEFAULT '',
    artifact_sha256 char(64) NOT NULL,
    artifact_path text NOT NULL,
    feature_schema jsonb NOT NULL,
    prediction_schema jsonb NOT NULL DEFAULT '{}',
    performance_metrics jsonb NOT NULL DEFAULT '{}',
    deployed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model_name, version)
);
-- At most one model of a name serves.
CREATE UNIQUE INDEX model_registry_production ON model_registry (model_name)
    WHERE stage = 'production';

-- One row for each move, never changed afterwards.
CREATE TABLE model_deployment_log (
    deployment_id bigserial PRIMARY KEY,
    model_id bigint NOT NULL REFERENCES model_registry,
    model_name text NOT NULL,
    version text NOT NULL,
    deployment_type text NOT NULL
        CHECK (deployment_type IN ('register', 'shadow', 'promote', 'rollback', 'replace', 'archive')),
    from_stage text,
    to_stage text NOT NULL,
    -- The model that served before.
    previous_version text,
    actor text NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX model_deployment_log_model ON model_deployment_log (model_name, deployment_id);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is a record: its rows are not changed', TG_TABLE_NAME;
END $$;
CREATE TRIGGER model_deployment_log_keep BEFORE UPDATE OR DELETE ON model_deployment_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
