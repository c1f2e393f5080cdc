/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_registry.h"

#include <stdio.h>
#include <string.h>

#define PQ_REGISTRY_TEXT_SIZE 160

/* One model as the transaction sees it. */
struct pq_registry_row {
    char id[24], version[PQ_REGISTRY_TEXT_SIZE], reason[40];
    enum model_stage stage;
};

static void pq_registry_take(const struct pq_rows *rows, int row, struct pq_registry_row *out)
{
    snprintf(out->id, sizeof(out->id), "%s", pq_rows_text(rows, row, 0));
    snprintf(out->version, sizeof(out->version), "%s", pq_rows_text(rows, row, 1));
    out->stage = model_stage_parse(pq_rows_text(rows, row, 2));
    snprintf(out->reason, sizeof(out->reason), "%s", pq_rows_text(rows, row, 3));
}

/* All models of a name, locked; the newest served first. */
static int pq_registry_lock(struct pq_sync *sync, const char *name, struct pq_rows *rows,
                            struct err *err)
{
    return pq_sync_run(sync,
                       "SELECT model_id, version, stage, stage_reason FROM model_registry "
                       "WHERE model_name = $1 ORDER BY deployed_at DESC NULLS LAST, model_id DESC "
                       "FOR UPDATE",
                       &name, 1, rows, err);
}

static bool pq_registry_find_stage(const struct pq_rows *rows, enum model_stage stage,
                                   struct pq_registry_row *out)
{
    for (int i = 0; i < rows->count; i++) {
        pq_registry_take(rows, i, out);
        if (out->stage == stage)
            return true;
    }
    return false;
}

static bool pq_registry_find_version(const struct pq_rows *rows, const char *version,
                                     struct pq_registry_row *out)
{
    for (int i = 0; i < rows->count; i++) {
        pq_registry_take(rows, i, out);
        if (strcmp(out->version, version) == 0)
            return true;
    }
    return false;
}

static int pq_registry_audit(struct pq_sync *sync, const char *name,
                             const struct pq_registry_row *row, const char *type,
                             const char *to_stage, const char *previous,
                             const struct pq_registry_cause *cause, struct err *err)
{
    const char *params[] = {row->id,
                            name,
                            row->version,
                            type,
                            row->stage != MODEL_NO_STAGE ? model_stage_name(row->stage) : NULL,
                            to_stage,
                            previous[0] != '\0' ? previous : NULL,
                            cause->actor,
                            cause->reason,
                            cause->evidence_json != NULL ? cause->evidence_json : "{}"};
    return pq_sync_run(sync,
                       "INSERT INTO model_deployment_log (model_id, model_name, version, "
                       "deployment_type, from_stage, to_stage, previous_version, actor, reason, "
                       "evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                       params, 10, NULL, err);
}

/* Changes the stage and says so in the audit table. */
static int pq_registry_step(struct pq_sync *sync, const char *name,
                            const struct pq_registry_row *row, enum model_move move,
                            const char *previous, const struct pq_registry_cause *cause,
                            struct err *err)
{
    enum model_stage to = model_stage_after(row->stage, move);
    if (to == MODEL_NO_STAGE)
        return err_set(err, ERR_BAD_STATE, "%s %s is in stage %s, which does not have the move %s",
                       name, row->version, model_stage_name(row->stage), model_move_name(move));
    const char *params[] = {row->id, model_stage_name(to), model_stage_reason(move)};
    int result = pq_sync_run(sync,
                             "UPDATE model_registry SET stage = $2, stage_reason = $3, deployed_at "
                             "= CASE WHEN $2 = 'production' THEN clock_timestamp() ELSE "
                             "deployed_at END WHERE model_id = $1",
                             params, 3, NULL, err);
    if (result != ERR_OK)
        return result;
    return pq_registry_audit(sync, name, row, model_move_name(move), model_stage_name(to), previous,
                             cause, err);
}

static int pq_registry_expect(const struct pq_rows *rows, const struct pq_registry_cause *cause,
                              struct err *err)
{
    struct pq_registry_row serving;
    if (cause->serving == NULL || (pq_registry_find_stage(rows, MODEL_STAGE_PRODUCTION, &serving) &&
                                   strcmp(serving.version, cause->serving) == 0))
        return ERR_OK;
    return err_set(err, ERR_BAD_STATE, "%s does not serve any more", cause->serving);
}

/* COMMIT, or ROLLBACK with the result there was. */
static int pq_registry_end(struct pq_sync *sync, int result, struct err *err)
{
    if (result == ERR_OK)
        return pq_sync_script(sync, "COMMIT", err);
    int undone = pq_sync_script(sync, "ROLLBACK", NULL);
    return undone == ERR_OK ? result : ERR_CONNECTION;
}

/* A transaction over all models of a name, locked, in which the move may be done still. Without one
 * after an error; else pq_registry_end ends it. The rows are to be freed in both cases. */
static int pq_registry_begin(struct pq_sync *sync, const char *name,
                             const struct pq_registry_cause *cause, struct pq_rows *rows,
                             struct err *err)
{
    int result = pq_sync_script(sync, "BEGIN", err);
    if (result != ERR_OK)
        return result;
    result = pq_registry_lock(sync, name, rows, err);
    if (result == ERR_OK)
        result = pq_registry_expect(rows, cause, err);
    return result == ERR_OK ? ERR_OK : pq_registry_end(sync, result, err);
}

static int pq_registry_move_locked(struct pq_sync *sync, const struct pq_rows *rows,
                                   const char *name, const char *version, enum model_move move,
                                   const struct pq_registry_cause *cause, struct err *err)
{
    struct pq_registry_row model, serving;
    if (!pq_registry_find_version(rows, version, &model))
        return err_set(err, ERR_NOT_FOUND, "there is no model %s %s", name, version);
    bool replaces = move == MODEL_MOVE_PROMOTE &&
                    model_stage_after(model.stage, move) == MODEL_STAGE_PRODUCTION &&
                    pq_registry_find_stage(rows, MODEL_STAGE_PRODUCTION, &serving);
    int result = ERR_OK;
    if (replaces) /* first: at most one may serve */
        result = pq_registry_step(sync, name, &serving, MODEL_MOVE_REPLACE, "", cause, err);
    if (result == ERR_OK)
        result =
            pq_registry_step(sync, name, &model, move, replaces ? serving.version : "", cause, err);
    return result;
}

int pq_registry_move(struct pq_sync *sync, const char *name, const char *version,
                     enum model_move move, const struct pq_registry_cause *cause, struct err *err)
{
    struct pq_rows rows = {0};
    int result = pq_registry_begin(sync, name, cause, &rows, err);
    if (result == ERR_OK)
        result = pq_registry_end(
            sync, pq_registry_move_locked(sync, &rows, name, version, move, cause, err), err);
    pq_rows_free(&rows);
    return result;
}

static int pq_registry_rollback_locked(struct pq_sync *sync, const struct pq_rows *rows,
                                       const char *name, const struct pq_registry_cause *cause,
                                       char *restored, size_t size, struct err *err)
{
    struct pq_registry_row bad, back;
    if (!pq_registry_find_stage(rows, MODEL_STAGE_PRODUCTION, &bad))
        return err_set(err, ERR_BAD_STATE, "no model %s is in production", name);
    int result = pq_registry_step(sync, name, &bad, MODEL_MOVE_ROLLBACK, "", cause, err);
    for (int i = 0; i < rows->count && result == ERR_OK; i++) {
        pq_registry_take(rows, i, &back);
        if (!model_stage_may_restore(back.stage, back.reason))
            continue;
        snprintf(restored, size, "%s", back.version);
        return pq_registry_step(sync, name, &back, MODEL_MOVE_RESTORE, bad.version, cause, err);
    }
    return result;
}

int pq_registry_rollback(struct pq_sync *sync, const char *name,
                         const struct pq_registry_cause *cause, char *restored, size_t size,
                         struct err *err)
{
    struct pq_rows rows = {0};
    restored[0] = '\0';
    int result = pq_registry_begin(sync, name, cause, &rows, err);
    if (result == ERR_OK)
        result = pq_registry_end(
            sync, pq_registry_rollback_locked(sync, &rows, name, cause, restored, size, err), err);
    pq_rows_free(&rows);
    return result;
}

/* The row that stands under this name and version already. */
static int pq_registry_known(struct pq_sync *sync, const struct pq_registry_model *model,
                             struct err *err)
{
    const char *params[] = {model->name, model->version};
    struct pq_rows rows;
    int result = pq_sync_run(
        sync, "SELECT artifact_sha256 FROM model_registry WHERE model_name = $1 AND version = $2",
        params, 2, &rows, err);
    if (result == ERR_OK &&
        (rows.count != 1 || strcmp(pq_rows_text(&rows, 0, 0), model->sha256) != 0))
        result =
            err_set(err, ERR_DUPLICATE, "%s %s stands for another file (SHA-256 %.12s)",
                    model->name, model->version, rows.count == 1 ? pq_rows_text(&rows, 0, 0) : "");
    pq_rows_free(&rows);
    return result;
}

static int pq_registry_insert(struct pq_sync *sync, const struct pq_registry_model *model,
                              const struct pq_registry_cause *cause, struct err *err)
{
    char schema[64], experiment[24];
    struct pq_rows rows;
    snprintf(schema, sizeof(schema), "{\"hash\":\"%016llx\"}",
             (unsigned long long)model->feature_schema);
    snprintf(experiment, sizeof(experiment), "%lld", (long long)model->experiment_id);
    const char *params[] = {model->name,
                            model->version,
                            model->sha256,
                            model->artifact_path,
                            schema,
                            model->metrics_json,
                            model->experiment_id > 0 ? experiment : NULL};
    int result =
        pq_sync_run(sync,
                    "INSERT INTO model_registry (model_name, version, artifact_sha256, "
                    "artifact_path, feature_schema, performance_metrics, experiment_id) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (model_name, version) "
                    "DO NOTHING RETURNING model_id",
                    params, 7, &rows, err);
    if (result != ERR_OK)
        return result;
    struct pq_registry_row row = {.stage = MODEL_NO_STAGE};
    bool known = rows.count == 0;
    if (!known)
        snprintf(row.id, sizeof(row.id), "%s", pq_rows_text(&rows, 0, 0));
    snprintf(row.version, sizeof(row.version), "%s", model->version);
    pq_rows_free(&rows);
    return known ? pq_registry_known(sync, model, err)
                 : pq_registry_audit(sync, model->name, &row, "register",
                                     model_stage_name(MODEL_STAGE_STAGING), "", cause, err);
}

int pq_registry_add(struct pq_sync *sync, const struct pq_registry_model *model,
                    const struct pq_registry_cause *cause, struct err *err)
{
    if (strlen(model->version) >= PQ_REGISTRY_TEXT_SIZE)
        return err_set(err, ERR_INVALID, "the version is too long");
    int result = pq_sync_script(sync, "BEGIN", err);
    if (result == ERR_OK)
        result = pq_registry_end(sync, pq_registry_insert(sync, model, cause, err), err);
    return result;
}
