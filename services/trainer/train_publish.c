/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_publish.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/file/sha256_hex.h"
#include "edge/file/whole_file.h"
#include "edge/postgres/pq_registry.h"
#include "learn/registry/feature_psi.h"
#include "services/data-connector/lake_sync.h"
#include "wire/onnx.h"

#define PUBLISH_ACTOR "trainer"
#define PUBLISH_SMALL (256 * 1024)

struct publish {
    const struct train_publish_options *options;
    const struct train_run *run;
    char sha[SHA256_HEX_SIZE], data_sha[SHA256_HEX_SIZE];
    char path[OBJECT_KEY_SIZE]; /* of the artifact */
    char refusal[512];
    bool refused;           /* by a gate that no live outcome can make up for */
    char *report, *summary; /* JSON */
    struct pq_sync sync;
};

/* --- what is told ---------------------------------------------------------------------- */

/* Column after column: which rows the model saw and was judged on. */
static void publish_data_sha(const struct dataset *dataset, char out[SHA256_HEX_SIZE])
{
    char parts[4][SHA256_HEX_SIZE];
    const size_t n = dataset->count;
    sha256_hex(bytes_of(dataset->slot, n * sizeof(int64_t)), parts[0]);
    sha256_hex(bytes_of(dataset->mid, n * sizeof(double)), parts[1]);
    sha256_hex(bytes_of(dataset->label_bp, n * sizeof(double)), parts[2]);
    sha256_hex(bytes_of(dataset->values, n * FEATURE_COUNT * sizeof(float)), parts[3]);
    sha256_hex(bytes_of(parts, sizeof(parts)), out);
}

/* The training rows' distribution, which drift is measured against. */
static int publish_psi(const struct train_run *run, struct text *out, struct err *err)
{
    struct feature_psi_reference *reference = malloc(sizeof(*reference));
    struct split_range rows = run->split.slice[SPLIT_TRAIN];
    if (reference == NULL)
        return err_set(err, ERR_MEMORY, "no memory to publish");
    const float *values = run->report.dataset->values + rows.begin * FEATURE_COUNT;
    int rc = feature_psi_learn(values, rows.end - rows.begin, reference, err);
    text_add(out, ",\"psi\":[");
    for (int i = 0; i < FEATURE_COUNT * (FEATURE_PSI_BINS - 1) && rc == ERR_OK; i++) {
        text_add(out, i > 0 ? "," : "");
        text_add_f64(out, (double)(&reference->edges[0][0])[i]);
    }
    for (int i = 0; i < FEATURE_COUNT * FEATURE_PSI_BINS && rc == ERR_OK; i++) {
        text_add_char(out, ',');
        text_add_f64(out, (&reference->share[0][0])[i]);
    }
    text_add_char(out, ']');
    free(reference);
    return rc;
}

static void publish_number(struct text *out, const char *name, double value)
{
    text_add_format(out, ",\"%s\":", name);
    text_add_f64(out, value);
}

static int publish_summary(struct publish *publish, struct err *err)
{
    const struct evaluation *test = &publish->run->test;
    struct text out = text_begin(publish->summary, PUBLISH_SMALL);
    text_add_format(&out,
                    "{\"refuse_promotion\":%s,\"refusal\":", publish->refused ? "true" : "false");
    text_add_json_string(&out, publish->refusal, strlen(publish->refusal));
    text_add_format(&out, ",\"indicative\":%s,\"rows\":%zu,\"independent\":%zu",
                    test->indicative ? "true" : "false", test->rows, test->independent);
    publish_number(&out, "r2", test->r2[EVALUATED_MODEL].value);
    publish_number(&out, "r2_low", test->r2[EVALUATED_MODEL].low);
    publish_number(&out, "r2_ridge", test->r2[EVALUATED_RIDGE].value);
    publish_number(&out, "mae_bp", test->mae_bp[EVALUATED_MODEL].value);
    publish_number(&out, "mae_zero_bp", test->mae_zero_bp.value);
    publish_number(&out, "hit_rate", test->hit[EVALUATED_MODEL].value);
    publish_number(&out, "calibration_error", test->calibration_error);
    publish_number(&out, "coverage", test->coverage);
    int rc = publish_psi(publish->run, &out, err);
    text_add_char(&out, '}');
    text_end(&out);
    return rc == ERR_OK && out.truncated ? err_set(err, ERR_FULL, "the summary is too long") : rc;
}

static int publish_prepare(struct publish *publish, struct err *err)
{
    char path[WHOLE_FILE_PATH_SIZE];
    uint8_t *file;
    size_t size;
    publish->report = malloc(REPORT_SIZE_MAX);
    publish->summary = malloc(PUBLISH_SMALL);
    if (publish->report == NULL || publish->summary == NULL)
        return err_set(err, ERR_MEMORY, "no memory to publish");
    snprintf(path, sizeof(path), "%s/model.onnx", publish->options->out);
    int rc = whole_file_read(path, ONNX_FILE_MAX, &file, &size, err);
    if (rc != ERR_OK)
        return rc;
    sha256_hex(bytes_of(file, size), publish->sha);
    free(file);
    publish_data_sha(publish->run->report.dataset, publish->data_sha);
    report_refusal(&publish->run->report, publish->refusal, sizeof(publish->refusal));
    /* Whether it beats what serves is asked of live outcomes, beyond noise; too few data, or
     * nothing learned, is no candidate for that. */
    publish->refused = publish->run->test.indicative || publish->run->split.embargo_short ||
                       !(publish->run->test.r2[EVALUATED_MODEL].low > 0.0);
    struct text text = text_begin(publish->report, REPORT_SIZE_MAX);
    report_json(&publish->run->report, &text);
    text_end(&text);
    return publish_summary(publish, err);
}

/* --- gold ------------------------------------------------------------------------------ */

static void publish_key(const struct publish *publish, const char *name, char *out, size_t size)
{
    char version[MODEL_VERSION_SIZE];
    snprintf(version, sizeof(version), "%s", publish->run->version);
    for (char *at = version; *at != '\0'; at++)
        if (strchr("+:@", *at) != NULL) /* good in a version, not in a key */
            *at = '_';
    snprintf(out, size, "gold/model_artifacts/%s/%s", version, name);
}

static int publish_gold(struct publish *publish, struct err *err)
{
    static const char *const names[] = {"report.html", "report.json", "model.onnx"};
    char path[WHOLE_FILE_PATH_SIZE], key[OBJECT_KEY_SIZE];
    struct lake_sync lake;
    int rc = lake_sync_open(&lake, publish->options->lake, err);
    if (rc != ERR_OK)
        return rc;
    for (int i = 0; i < 3 && rc == ERR_OK; i++) {
        snprintf(path, sizeof(path), "%s/%s", publish->options->out, names[i]);
        publish_key(publish, names[i], key, sizeof(key));
        rc = lake_sync_put(&lake, key, path, err);
    }
    lake_sync_close(&lake);
    publish_key(publish, "model.onnx", publish->path, sizeof(publish->path));
    return rc;
}

/* Behind the run's row, which gives it its number. */
static int publish_results(const struct publish *publish, int64_t experiment, struct err *err)
{
    char path[WHOLE_FILE_PATH_SIZE], key[OBJECT_KEY_SIZE];
    struct lake_sync lake;
    if (publish->options->lake == NULL)
        return ERR_OK;
    int rc = lake_sync_open(&lake, publish->options->lake, err);
    if (rc != ERR_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/report.json", publish->options->out);
    snprintf(key, sizeof(key), "gold/experiment_results/%" PRId64 "/report.json", experiment);
    rc = lake_sync_put(&lake, key, path, err);
    lake_sync_close(&lake);
    return rc;
}

/* Without a lake the registry names the file itself. */
static void publish_local(struct publish *publish)
{
    char path[WHOLE_FILE_PATH_SIZE], *real;
    snprintf(path, sizeof(path), "%s/model.onnx", publish->options->out);
    real = realpath(path, NULL);
    snprintf(publish->path, sizeof(publish->path), "%.*s", OBJECT_KEY_SIZE - 1,
             real != NULL ? real : path);
    free(real);
}

/* --- SQL ------------------------------------------------------------------------------- */

static int publish_known(struct publish *publish, const char *seed, int64_t *id, struct err *err)
{
    const char *params[] = {publish->run->version, publish->data_sha, seed};
    struct pq_rows rows;
    int rc = pq_sync_run(&publish->sync,
                         "SELECT experiment_id FROM ml_experiments WHERE model_version = $1 AND "
                         "data_sha256 = $2 AND seed = $3::numeric AND status = 'completed'",
                         params, 3, &rows, err);
    *id = rc == ERR_OK && rows.count > 0 ? pq_rows_i64(&rows, 0, 0) : 0;
    pq_rows_free(&rows);
    return rc;
}

static const char publish_insert[] =
    "INSERT INTO ml_experiments (experiment_name, model_type, model_version, status, feature_set, "
    "feature_schema, hyperparameters, symbol, training_start, training_end, data_sha256, seed, "
    "validation_accuracy, test_accuracy, directional_accuracy, metrics, s3_model_path, "
    "finished_at) SELECT $1, 'mlp', $2, 'completed', $3::text[], $4, "
    "coalesce($5::jsonb #> ARRAY['training', 'trials', $5::jsonb #>> '{training,chosen}'], '{}'), "
    "$6, to_timestamp($7::bigint * 2), to_timestamp($8::bigint * 2), $9, $10::numeric, "
    "1 - ($5::jsonb #>> ARRAY['training', 'trials', $5::jsonb #>> '{training,chosen}', "
    "'valid_error'])::float8, $11::float8, $12::float8, $5::jsonb, $13, clock_timestamp() "
    "RETURNING experiment_id";

void train_publish_features(char out[TRAIN_PUBLISH_FEATURES_SIZE])
{
    struct text text = text_begin(out, TRAIN_PUBLISH_FEATURES_SIZE);
    for (int i = 0; i < FEATURE_COUNT; i++)
        text_add_format(&text, "%c%s", i == 0 ? '{' : ',', feature_name(i));
    text_add_char(&text, '}');
    text_end(&text);
}

static int publish_experiment(struct publish *publish, int64_t *id, struct err *err)
{
    const struct train_run *run = publish->run;
    const struct dataset *dataset = run->report.dataset;
    char features[TRAIN_PUBLISH_FEATURES_SIZE], schema[24], from[24], to[24], seed[24], r2[32],
        hit[32];
    train_publish_features(features);
    snprintf(schema, sizeof(schema), "%016" PRIx64, feature_schema_hash());
    snprintf(from, sizeof(from), "%" PRId64, dataset->slot[0]);
    snprintf(to, sizeof(to), "%" PRId64, dataset->slot[dataset->count - 1] + 1);
    snprintf(seed, sizeof(seed), "%" PRIu64, run->report.seed);
    snprintf(r2, sizeof(r2), "%.17g", run->test.r2[EVALUATED_MODEL].value);
    snprintf(hit, sizeof(hit), "%.17g", run->test.hit[EVALUATED_MODEL].value);
    int rc = publish_known(publish, seed, id, err);
    if (rc != ERR_OK || *id > 0)
        return rc;
    const char *params[] = {publish->options->experiment,
                            run->version,
                            features,
                            schema,
                            publish->report,
                            publish->options->symbol,
                            from,
                            to,
                            publish->data_sha,
                            seed,
                            r2,
                            hit,
                            publish->path};
    struct pq_rows rows;
    rc = pq_sync_run(&publish->sync, publish_insert, params, 13, &rows, err);
    *id = rc == ERR_OK ? pq_rows_i64(&rows, 0, 0) : 0;
    pq_rows_free(&rows);
    return rc;
}

/* Other candidates, and the new model's own stage. */
static int publish_stages(struct publish *publish, struct pq_rows *rows, struct err *err)
{
    const char *params[] = {publish->options->name, publish->run->version};
    return pq_sync_run(&publish->sync,
                       "SELECT version, stage, version = $2 FROM model_registry WHERE model_name = "
                       "$1 AND (version = $2 OR stage = 'shadow') ORDER BY version = $2, model_id",
                       params, 2, rows, err);
}

/* One candidate at a time: those that were not promoted make room. */
static int publish_shadow(struct publish *publish, char *stage, size_t size, struct err *err)
{
    struct pq_rows rows;
    struct pq_registry_cause room = {.actor = PUBLISH_ACTOR,
                                     .reason = "a newer candidate is there"};
    struct pq_registry_cause cause = {.actor = PUBLISH_ACTOR, .reason = "its gates hold"};
    int rc = publish_stages(publish, &rows, err);
    snprintf(stage, size, "%s",
             rc == ERR_OK && rows.count > 0 ? pq_rows_text(&rows, rows.count - 1, 1) : "staging");
    if (rc == ERR_OK && !publish->refused && strcmp(stage, "staging") == 0) {
        for (int i = 0; i < rows.count - 1 && rc == ERR_OK; i++)
            rc = pq_registry_move(&publish->sync, publish->options->name, pq_rows_text(&rows, i, 0),
                                  MODEL_MOVE_ARCHIVE, &room, err);
        if (rc == ERR_OK)
            rc = pq_registry_move(&publish->sync, publish->options->name, publish->run->version,
                                  MODEL_MOVE_SHADOW, &cause, err);
        snprintf(stage, size, "shadow");
    }
    pq_rows_free(&rows);
    return rc;
}

static int publish_register(struct publish *publish, char *stage, size_t size, struct err *err)
{
    int64_t experiment = 0;
    int rc = publish_experiment(publish, &experiment, err);
    if (rc == ERR_OK)
        rc = publish_results(publish, experiment, err);
    if (rc != ERR_OK)
        return rc;
    struct pq_registry_cause cause = {.actor = PUBLISH_ACTOR, .reason = "trained"};
    struct pq_registry_model model = {.name = publish->options->name,
                                      .version = publish->run->version,
                                      .sha256 = publish->sha,
                                      .artifact_path = publish->path,
                                      .feature_schema = feature_schema_hash(),
                                      .metrics_json = publish->summary,
                                      .experiment_id = experiment};
    rc = pq_registry_add(&publish->sync, &model, &cause, err);
    return rc == ERR_OK ? publish_shadow(publish, stage, size, err) : rc;
}

static int publish_sql(struct publish *publish, char *words, size_t size, struct err *err)
{
    char stage[24];
    int rc = pq_sync_open(&publish->sync, publish->options->database, err);
    if (rc != ERR_OK)
        return rc;
    rc = publish_register(publish, stage, sizeof(stage), err);
    pq_sync_close(&publish->sync);
    if (rc == ERR_OK)
        snprintf(words, size, "%s is registered, stage %s%s%s", publish->run->version, stage,
                 publish->refused              ? "; its report refuses promotion: "
                 : publish->refusal[0] != '\0' ? "; live outcomes decide, its report doubts: "
                                               : "",
                 publish->refusal);
    return rc;
}

int train_publish(const struct train_publish_options *options, const struct train_run *run,
                  char *words, size_t size, struct err *err)
{
    struct publish publish = {.options = options, .run = run};
    int rc = publish_prepare(&publish, err);
    if (rc == ERR_OK && options->lake != NULL)
        rc = publish_gold(&publish, err);
    else
        publish_local(&publish);
    snprintf(words, size, "%s is in %s", run->version, publish.path);
    if (rc == ERR_OK && options->database != NULL)
        rc = publish_sql(&publish, words, size, err);
    free(publish.report);
    free(publish.summary);
    return rc;
}
