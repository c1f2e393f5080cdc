/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_failure.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "edge/postgres/pq_sync.h"
#include "services/trainer/train_publish.h"

#define FAILURE_NUMBER_SIZE 24

/* The last run of this kind tells whether this one is news. */
static const char failure_insert[] =
    "WITH run AS (SELECT $1::text AS name, $2::text AS version, $5::text AS symbol, "
    "to_timestamp($6::bigint) AS since, to_timestamp($7::bigint) AS until, $8::numeric AS seed, "
    "$9::text AS reason), last AS (SELECT e.* FROM ml_experiments e, run WHERE "
    "e.experiment_name = run.name AND e.symbol = run.symbol AND e.seed = run.seed "
    "ORDER BY e.experiment_id DESC LIMIT 1) "
    "INSERT INTO ml_experiments (experiment_name, model_type, model_version, status, feature_set, "
    "feature_schema, symbol, training_start, training_end, seed, reason, finished_at) "
    "SELECT name, 'mlp', version, 'failed', $3::text[], $4, symbol, since, until, seed, reason, "
    "clock_timestamp() FROM run WHERE NOT EXISTS (SELECT 1 FROM last WHERE last.status = 'failed' "
    "AND last.reason = run.reason AND last.training_start IS NOT DISTINCT FROM run.since "
    "AND last.training_end IS NOT DISTINCT FROM run.until)";

/* NULL when it is not known. */
static const char *failure_seconds(char text[FAILURE_NUMBER_SIZE], int64_t us)
{
    if (us <= 0)
        return NULL;
    snprintf(text, FAILURE_NUMBER_SIZE, "%" PRId64, (int64_t)(us / CLOCK_US_PER_S));
    return text;
}

int train_failure_record(const struct train_failure *failure, struct err *err)
{
    const struct dataset *rows = failure->dataset;
    bool any = rows != NULL && rows->count > 0;
    bool asked = failure->from_us > 0 && failure->to_us > failure->from_us;
    char from[FAILURE_NUMBER_SIZE], to[FAILURE_NUMBER_SIZE], seed[FAILURE_NUMBER_SIZE];
    char features[TRAIN_PUBLISH_FEATURES_SIZE], schema[24];
    struct pq_sync sync;
    int rc = pq_sync_open(&sync, failure->database, err);
    if (rc != ERR_OK)
        return rc;
    train_publish_features(features);
    snprintf(schema, sizeof(schema), "%016" PRIx64, feature_schema_hash());
    snprintf(seed, sizeof(seed), "%" PRIu64, failure->seed);
    const char *params[] = {failure->experiment,
                            failure->version != NULL ? failure->version : "",
                            features,
                            schema,
                            failure->symbol,
                            failure_seconds(from, any     ? clock_slot_us(rows->slot[0])
                                                  : asked ? failure->from_us
                                                          : 0),
                            failure_seconds(to, any ? clock_slot_us(rows->slot[rows->count - 1] + 1)
                                                : asked ? failure->to_us
                                                        : 0),
                            seed,
                            failure->reason};
    rc = pq_sync_run(&sync, failure_insert, params, 9, NULL, err);
    pq_sync_close(&sync);
    return rc;
}
