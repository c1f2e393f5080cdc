/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PQ_JUDGE_ROWS     20000
#define PQ_JUDGE_EVIDENCE 1024
#define PQ_JUDGE_ACTOR    "registry"

void pq_judge_init(struct pq_judge *judge, const struct pq_judge_options *options)
{
    memset(judge, 0, sizeof(*judge));
    judge->options = *options;
}

/* --- what the registry says ------------------------------------------------------------- */

static void pq_judge_take(const struct pq_rows *rows, int row, struct pq_judge_model *model)
{
    *model = (struct pq_judge_model){.there = true, .id = pq_rows_i64(rows, row, 0)};
    snprintf(model->version, sizeof(model->version), "%s", pq_rows_text(rows, row, 1));
    snprintf(model->sha256, sizeof(model->sha256), "%s", pq_rows_text(rows, row, 3));
    snprintf(model->path, sizeof(model->path), "%s", pq_rows_text(rows, row, 4));
    model->since_slot = pq_rows_i64(rows, row, 5);
    model->refuse_promotion = strcmp(pq_rows_text(rows, row, 6), "true") == 0;
}

static void pq_judge_sort(struct pq_judge *judge, const struct pq_rows *rows)
{
    judge->production = judge->previous = judge->candidate = (struct pq_judge_model){0};
    judge->served_before = false;
    for (int i = 0; i < rows->count; i++) {
        enum model_stage stage = model_stage_parse(pq_rows_text(rows, i, 2));
        struct pq_judge_model *into = stage == MODEL_STAGE_PRODUCTION ? &judge->production
                                      : stage == MODEL_STAGE_SHADOW   ? &judge->candidate
                                                                      : NULL;
        if (stage == MODEL_STAGE_ARCHIVED) {
            judge->served_before = true;
            if (model_stage_may_restore(stage, pq_rows_text(rows, i, 7)))
                into = &judge->previous;
        }
        if (into != NULL && !into->there)
            pq_judge_take(rows, i, into);
    }
}

static int pq_judge_read(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    struct pq_rows rows;
    /* The one that served last first; of candidates the newest. */
    int result = pq_sync_run(
        sync,
        "SELECT model_id, version, stage, artifact_sha256, artifact_path, "
        "coalesce(floor(extract(epoch FROM deployed_at) / 2)::bigint, 0), "
        "coalesce(performance_metrics->>'refuse_promotion', 'false'), stage_reason "
        "FROM model_registry WHERE model_name = $1 AND (stage IN ('production', 'shadow') OR "
        "(stage = 'archived' AND deployed_at IS NOT NULL)) "
        "ORDER BY deployed_at DESC NULLS FIRST, model_id DESC",
        &judge->options.name, 1, &rows, err);
    if (result == ERR_OK)
        pq_judge_sort(judge, &rows);
    pq_rows_free(&rows);
    return result;
}

/* The version that predicts live: the registry's, else what the log has last. */
static int pq_judge_serving(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    struct pq_rows rows;
    if (judge->production.there) {
        snprintf(judge->serving, sizeof(judge->serving), "%s", judge->production.version);
        return ERR_OK;
    }
    int result = pq_sync_run(sync,
                             "SELECT model_version FROM predictions_log WHERE symbol = $1 AND "
                             "role = 'live' ORDER BY prediction_ts DESC LIMIT 1",
                             &judge->options.symbol, 1, &rows, err);
    if (result == ERR_OK)
        snprintf(judge->serving, sizeof(judge->serving), "%s",
                 rows.count > 0 ? pq_rows_text(&rows, 0, 0) : "");
    pq_rows_free(&rows);
    return result;
}

/* --- the rival --------------------------------------------------------------------------- */

const struct pq_judge_model *pq_judge_shadow(const struct pq_judge *judge)
{
    return judge->rival == PQ_JUDGE_PREVIOUS    ? &judge->previous
           : judge->rival == PQ_JUDGE_CANDIDATE ? &judge->candidate
                                                : NULL;
}

static enum pq_judge_rival pq_judge_choose(const struct pq_judge *judge)
{
    bool way_back = judge->production.there && judge->previous.there;
    if (way_back && (!judge->probation_over || !judge->candidate.there))
        return PQ_JUDGE_PREVIOUS;
    return judge->candidate.there ? PQ_JUDGE_CANDIDATE : PQ_JUDGE_NO_RIVAL;
}

/* How the training data of the serving model were distributed, from its registry row. */
static int pq_judge_reference(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    const int edges = FEATURE_COUNT * (FEATURE_PSI_BINS - 1);
    char id[24];
    const char *params[] = {id};
    struct pq_rows rows;
    snprintf(id, sizeof(id), "%lld", (long long)judge->production.id);
    judge->has_reference = false;
    if (!judge->production.there)
        return ERR_OK;
    int result = pq_sync_run(sync,
                             "SELECT value FROM model_registry, "
                             "jsonb_array_elements_text(performance_metrics->'psi') "
                             "WITH ORDINALITY AS v(value, at) WHERE model_id = $1 ORDER BY at",
                             params, 1, &rows, err);
    if (result == ERR_OK && rows.count == edges + FEATURE_COUNT * FEATURE_PSI_BINS) {
        for (int i = 0; i < edges; i++)
            (&judge->reference.edges[0][0])[i] = (float)pq_rows_f64(&rows, i, 0);
        for (int i = 0; i < FEATURE_COUNT * FEATURE_PSI_BINS; i++)
            (&judge->reference.share[0][0])[i] = pq_rows_f64(&rows, edges + i, 0);
        judge->has_reference = true;
    }
    pq_rows_free(&rows);
    return result;
}

/* 99th percentile of the latency before the serving model began. */
static int pq_judge_usual_latency(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    char slot[24];
    const char *params[] = {judge->options.symbol, slot};
    struct pq_rows rows;
    snprintf(slot, sizeof(slot), "%lld", (long long)judge->production.since_slot);
    int result = pq_sync_run(
        sync,
        "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY inference_latency_ms) * 1e3 FROM "
        "(SELECT inference_latency_ms FROM predictions_log WHERE symbol = $1 AND role = 'live' AND "
        "prediction_ts < $2::bigint * 2000 ORDER BY prediction_ts DESC LIMIT 900) AS before",
        params, 2, &rows, err);
    if (result == ERR_OK && rows.count == 1)
        judge->judge.usual_latency_us = pq_rows_f64(&rows, 0, 0);
    pq_rows_free(&rows);
    return result;
}

/* A judgement begins anew whenever one of the two is another model. */
static int pq_judge_match(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    bool same = strcmp(judge->matched, judge->serving) == 0;
    judge->probation_over = judge->probation_over && same;
    judge->rival = pq_judge_choose(judge);
    const struct pq_judge_model *rival = pq_judge_shadow(judge);
    int64_t rival_id = rival != NULL ? rival->id : 0;
    if (same && rival_id == judge->rival_id)
        return ERR_OK;
    model_judge_begin(&judge->judge, &judge->options.rules, judge->production.since_slot);
    judge->feature_slot = judge->production.since_slot;
    int result = same ? ERR_OK : pq_judge_reference(judge, sync, err);
    if (result == ERR_OK)
        result = pq_judge_usual_latency(judge, sync, err);
    if (result == ERR_OK) {
        snprintf(judge->matched, sizeof(judge->matched), "%s", judge->serving);
        judge->rival_id = rival_id;
    }
    return result;
}

/* --- outcomes ---------------------------------------------------------------------------- */

static int pq_judge_outcomes_part(struct pq_judge *judge, struct pq_sync *sync, int *count,
                                  struct err *err)
{
    char after[24], settle[24];
    const char *params[] = {judge->options.symbol, judge->serving, pq_judge_shadow(judge)->version,
                            after, settle};
    struct pq_rows rows;
    snprintf(after, sizeof(after), "%lld", (long long)judge->judge.slot);
    snprintf(settle, sizeof(settle), "%d", PQ_JUDGE_SETTLE_SLOTS);
    int result = pq_sync_run(
        sync,
        "SELECT a.slot, a.absolute_error * 1e4, b.absolute_error * 1e4, "
        "coalesce(a.inference_latency_ms * 1e3, -1) FROM predictions_log a JOIN predictions_log b "
        "ON b.symbol = a.symbol AND b.slot = a.slot AND b.prediction_ts = a.prediction_ts "
        "WHERE a.symbol = $1 AND a.role = 'live' AND b.role = 'shadow' AND a.model_version = $2 "
        "AND b.model_version = $3 AND a.prediction_ts > $4::bigint * 2000 AND a.prediction_ts <= "
        "((SELECT max(slot) FROM slot_mid WHERE symbol = $1) - 5 - $5::bigint) * 2000 "
        "AND a.outcome_valid AND b.outcome_valid ORDER BY a.prediction_ts LIMIT 20000",
        params, 5, &rows, err);
    *count = result == ERR_OK ? rows.count : 0;
    for (int i = 0; i < *count; i++)
        model_judge_add(&judge->judge,
                        &(struct model_outcome){.slot = pq_rows_i64(&rows, i, 0),
                                                .loss_serving_bp = pq_rows_f64(&rows, i, 1),
                                                .loss_rival_bp = pq_rows_f64(&rows, i, 2),
                                                .latency_us = pq_rows_f64(&rows, i, 3)});
    pq_rows_free(&rows);
    return result;
}

static int pq_judge_outcomes(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    int count = PQ_JUDGE_ROWS, result = ERR_OK;
    while (result == ERR_OK && count == PQ_JUDGE_ROWS)
        result = pq_judge_outcomes_part(judge, sync, &count, err);
    return result;
}

/* "{0.5,-1}" as PostgreSQL writes real[]. */
static bool pq_judge_floats(const char *text, float out[FEATURE_COUNT])
{
    for (int i = 0; i < FEATURE_COUNT; i++) {
        char *end;
        if (*text != (i == 0 ? '{' : ','))
            return false;
        out[i] = strtof(text + 1, &end);
        text = end;
    }
    return strcmp(text, "}") == 0;
}

static int pq_judge_features(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    char after[24], schema[24];
    const char *params[] = {judge->options.symbol, after, schema};
    struct pq_rows rows;
    float values[FEATURE_COUNT];
    if (!judge->has_reference)
        return ERR_OK;
    snprintf(after, sizeof(after), "%lld", (long long)judge->feature_slot);
    snprintf(schema, sizeof(schema), "%016llx", (unsigned long long)feature_schema_hash());
    int result = pq_sync_run(sync,
                             "SELECT slot, features FROM feature_store WHERE symbol = $1 AND "
                             "\"timestamp\" > to_timestamp($2::bigint * 2) AND schema_hash = $3 "
                             "ORDER BY \"timestamp\" LIMIT 20000",
                             params, 3, &rows, err);
    for (int i = 0; result == ERR_OK && i < rows.count; i++) {
        judge->feature_slot = pq_rows_i64(&rows, i, 0);
        if (pq_judge_floats(pq_rows_text(&rows, i, 1), values))
            model_judge_see(&judge->judge, &judge->reference, values);
    }
    pq_rows_free(&rows);
    return result;
}

/* --- moves ------------------------------------------------------------------------------- */

static void pq_judge_evidence(const struct pq_judge *judge, char out[PQ_JUDGE_EVIDENCE])
{
    const struct pq_judge_model *rival = pq_judge_shadow(judge);
    const char *version = rival != NULL ? rival->version : "";
    struct text text = text_begin(out, PQ_JUDGE_EVIDENCE);
    text_add(&text, "{\"rival\":");
    text_add_json_string(&text, version, strlen(version));
    text_add(&text, ",\"figures\":");
    model_judge_evidence(&judge->judge, judge->has_reference ? &judge->reference : NULL, &text);
    text_add_char(&text, '}');
    text_end(&text);
}

static int pq_judge_rollback(struct pq_judge *judge, struct pq_sync *sync,
                             enum model_verdict verdict, struct err *err)
{
    char restored[PQ_JUDGE_VERSION_SIZE], evidence[PQ_JUDGE_EVIDENCE];
    pq_judge_evidence(judge, evidence);
    struct pq_registry_cause cause = {.actor = PQ_JUDGE_ACTOR,
                                      .reason = model_verdict_name(verdict),
                                      .evidence_json = evidence,
                                      .serving = judge->production.version};
    int result =
        pq_registry_rollback(sync, judge->options.name, &cause, restored, sizeof(restored), err);
    if (result != ERR_OK)
        return result;
    judge->rolled_back++;
    snprintf(judge->last_move, sizeof(judge->last_move), "rolled back %.90s (%s), serving %.90s",
             judge->production.version, cause.reason, restored);
    return ERR_OK;
}

static int pq_judge_promote(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    char evidence[PQ_JUDGE_EVIDENCE];
    pq_judge_evidence(judge, evidence);
    struct pq_registry_cause cause = {
        .actor = PQ_JUDGE_ACTOR, .reason = "better beyond noise", .evidence_json = evidence};
    int result = pq_judge_found(sync, &judge->options, &cause, err);
    cause.serving = judge->production.there ? judge->production.version : NULL;
    if (result == ERR_OK)
        result = pq_registry_move(sync, judge->options.name, judge->candidate.version,
                                  MODEL_MOVE_PROMOTE, &cause, err);
    if (result != ERR_OK)
        return result;
    judge->promoted++;
    snprintf(judge->last_move, sizeof(judge->last_move), "promoted %.90s over %.90s",
             judge->candidate.version, judge->serving);
    return ERR_OK;
}

/* *moved: a model has another stage now. */
static int pq_judge_decide(struct pq_judge *judge, struct pq_sync *sync, bool *moved,
                           struct err *err)
{
    const struct feature_psi_reference *reference = judge->has_reference ? &judge->reference : NULL;
    bool served = judge->rival == PQ_JUDGE_PREVIOUS;
    if (served && judge->judge.outcomes >= judge->options.rules.promote_least)
        judge->probation_over = true;
    *moved = !served && judge->options.promote && !judge->candidate.refuse_promotion &&
             model_judge_rival(&judge->judge) == MODEL_BETTER;
    if (*moved)
        return pq_judge_promote(judge, sync, err);
    enum model_verdict verdict = model_judge_serving(&judge->judge, served, reference);
    *moved = judge->production.there && judge->previous.there && verdict != MODEL_KEEP;
    return *moved ? pq_judge_rollback(judge, sync, verdict, err) : ERR_OK;
}

static int pq_judge_look(struct pq_judge *judge, struct pq_sync *sync, bool *moved, struct err *err)
{
    *moved = false;
    int result = pq_judge_read(judge, sync, err);
    if (result == ERR_OK)
        result = pq_judge_serving(judge, sync, err);
    if (result == ERR_OK)
        result = pq_judge_match(judge, sync, err);
    if (result != ERR_OK || judge->rival == PQ_JUDGE_NO_RIVAL || judge->serving[0] == '\0')
        return result;
    result = pq_judge_outcomes(judge, sync, err);
    if (result == ERR_OK)
        result = pq_judge_features(judge, sync, err);
    return result == ERR_OK ? pq_judge_decide(judge, sync, moved, err) : result;
}

int pq_judge_round(struct pq_judge *judge, struct pq_sync *sync, struct err *err)
{
    bool moved = false;
    int result = pq_judge_look(judge, sync, &moved, err);
    /* After a move once more, so that the roles are the new ones: that one finds no outcomes. */
    return result == ERR_OK && moved ? pq_judge_look(judge, sync, &moved, err) : result;
}

/* --- the built-in model ------------------------------------------------------------------ */

/* Whether the registry has nothing in production and the built-in model is what served. */
static int pq_judge_is_unfounded(struct pq_sync *sync, const struct pq_judge_options *options,
                                 bool *unfounded, struct err *err)
{
    const char *params[] = {options->name, options->symbol, options->built_in.version};
    struct pq_rows rows;
    int result = pq_sync_run(
        sync,
        "SELECT NOT EXISTS (SELECT 1 FROM model_registry WHERE model_name = $1 AND (stage = "
        "'production' OR version = $3)) AND coalesce((SELECT model_version FROM predictions_log "
        "WHERE symbol = $2 AND role = 'live' ORDER BY prediction_ts DESC LIMIT 1), $3) = $3",
        params, 3, &rows, err);
    *unfounded = result == ERR_OK && strcmp(pq_rows_text(&rows, 0, 0), "t") == 0;
    pq_rows_free(&rows);
    return result;
}

int pq_judge_found(struct pq_sync *sync, const struct pq_judge_options *options,
                   const struct pq_registry_cause *cause, struct err *err)
{
    bool unfounded;
    struct pq_registry_cause first = {.actor = cause->actor,
                                      .reason = "the built-in model served from the start"};
    struct pq_registry_model model = {.name = options->name,
                                      .version = options->built_in.version,
                                      .sha256 = options->built_in.sha256,
                                      .artifact_path = PQ_JUDGE_BUILT_IN,
                                      .feature_schema = options->built_in.feature_schema,
                                      .metrics_json = "{}"};
    int result = pq_judge_is_unfounded(sync, options, &unfounded, err);
    if (result != ERR_OK || !unfounded)
        return result;
    result = pq_registry_add(sync, &model, &first, err);
    if (result == ERR_OK)
        result = pq_registry_move(sync, model.name, model.version, MODEL_MOVE_SHADOW, &first, err);
    if (result == ERR_OK)
        result = pq_registry_move(sync, model.name, model.version, MODEL_MOVE_PROMOTE, &first, err);
    return result;
}

void pq_judge_words(const struct pq_judge *judge, char *out, size_t size)
{
    const struct model_judge *figures = &judge->judge;
    const struct pq_judge_model *rival = pq_judge_shadow(judge);
    if (rival == NULL) {
        snprintf(out, size, "no model predicts beside the serving one");
        return;
    }
    double count = figures->outcomes > 0 ? (double)figures->outcomes : 1;
    const char *what = judge->rival == PQ_JUDGE_PREVIOUS ? "the model before"
                       : judge->candidate.refuse_promotion
                           ? "a candidate whose report refuses promotion"
                           : "a candidate";
    int used =
        snprintf(out, size, "%.80s beside it, %s: MAE %.4f bp, the serving one's %.4f bp, ",
                 rival->version, what, figures->loss_rival / count, figures->loss_serving / count);
    size_t at = used > 0 && (size_t)used < size ? (size_t)used : size;
    if (figures->looks == 0)
        snprintf(out + at, size - at, "not yet: %llu of %llu outcomes",
                 (unsigned long long)figures->outcomes, (unsigned long long)figures->next_look);
    else
        snprintf(out + at, size - at, "%s: gain %.4f bp, at least %.4f; next look at %llu outcomes",
                 figures->better ? "better beyond noise" : "not better beyond noise",
                 figures->mean_bp, figures->low_bp, (unsigned long long)figures->next_look);
}
