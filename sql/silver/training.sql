-- SPDX-License-Identifier: Apache-2.0
-- Rows fit for training, as the store's view ml_training_data has them.
SELECT slot, features, mid, target_mid FROM read_parquet(@files@, hive_partitioning = false)
WHERE target_valid AND data_quality_score > 0.95 AND feature_completeness > 0.98 AND mid > 0
      AND slot >= @first@ AND slot < @end@ AND schema_hash = @schema@
ORDER BY slot
