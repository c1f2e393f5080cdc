-- SPDX-License-Identifier: Apache-2.0
-- A training that failed is recorded, too: why, and without the range of rows it may never have had.
ALTER TABLE ml_experiments
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ALTER COLUMN training_start DROP NOT NULL,
    ALTER COLUMN training_end DROP NOT NULL,
    ADD CONSTRAINT ml_experiments_whole CHECK (
        status <> 'completed' OR (training_start IS NOT NULL AND training_end IS NOT NULL)),
    ADD CONSTRAINT ml_experiments_failed CHECK (status <> 'failed' OR reason <> '');
