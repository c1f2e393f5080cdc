/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/loop/loop.h"

/* Any number that only this program uses: "btcast" in ASCII. */
#define PQ_MIGRATE_LOCK "108123956769652"

static const char pq_migrate_table[] =
    "CREATE TABLE IF NOT EXISTS schema_migration ("
    "version integer PRIMARY KEY, name text NOT NULL, sha256 char(64) NOT NULL,"
    "applied_at timestamptz NOT NULL DEFAULT now(), duration_ms double precision NOT NULL)";

static int pq_migrate_list(const struct pq_file *files, int count, struct pq_migration *list,
                           struct err *err)
{
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        long version = strtol(files[i].name, &end, 10);
        if (version != i + 1 || end != files[i].name + 3 || *end != '_')
            return err_set(err, ERR_INVALID,
                           "migration %d: expected a name that begins with %03d_, "
                           "found %s",
                           i + 1, i + 1, files[i].name);
        list[i] = (struct pq_migration){
            .version = (int)version, .name = files[i].name, .duration_us = -1};
        sha256_hex(bytes_of(files[i].start, (size_t)(files[i].end - files[i].start)),
                   list[i].sha256);
    }
    return ERR_OK;
}

static int pq_migrate_check_row(struct pq_migration *list, int count, const struct pq_rows *rows,
                                int row, struct err *err)
{
    int64_t version = pq_rows_i64(rows, row, 0);
    const char *name = pq_rows_text(rows, row, 1);
    if (version < 1 || version > count)
        return err_set(err, ERR_BAD_STATE,
                       "the database has migration %s, which this build does not know: it was "
                       "migrated by a newer one",
                       name);
    if (version != row + 1)
        return err_set(err, ERR_BAD_STATE, "migration %s is applied, but %s before it is not", name,
                       list[row].name);
    struct pq_migration *migration = &list[version - 1];
    if (strcmp(migration->sha256, pq_rows_text(rows, row, 2)) != 0)
        return err_set(err, ERR_BAD_STATE,
                       "migration %s was applied on %s and has been changed since (SHA-256 %.12s "
                       "then, %.12s now): a change belongs into a new file",
                       migration->name, pq_rows_text(rows, row, 3), pq_rows_text(rows, row, 2),
                       migration->sha256);
    migration->applied = true;
    snprintf(migration->applied_at, sizeof(migration->applied_at), "%s",
             pq_rows_text(rows, row, 3));
    return ERR_OK;
}

/* Marks what is applied. */
static int pq_migrate_compare(struct pq_sync *sync, struct pq_migration *list, int count,
                              struct err *err)
{
    struct pq_rows rows;
    int result = pq_sync_run(sync, "SELECT to_regclass('schema_migration') IS NOT NULL", NULL, 0,
                             &rows, err);
    if (result != ERR_OK)
        return result;
    bool fresh = strcmp(pq_rows_text(&rows, 0, 0), "t") != 0;
    pq_rows_free(&rows);
    if (fresh)
        return ERR_OK;
    result = pq_sync_run(sync,
                         "SELECT version, name, sha256, to_char(applied_at, 'YYYY-MM-DD "
                         "HH24:MI:SS') FROM schema_migration ORDER BY version",
                         NULL, 0, &rows, err);
    for (int i = 0; i < rows.count && result == ERR_OK; i++)
        result = pq_migrate_check_row(list, count, &rows, i, err);
    pq_rows_free(&rows);
    return result;
}

static int pq_migrate_record(struct pq_sync *sync, const struct pq_migration *migration,
                             struct err *err)
{
    char version[16], duration_ms[32];
    snprintf(version, sizeof(version), "%d", migration->version);
    snprintf(duration_ms, sizeof(duration_ms), "%lld.%03lld",
             (long long)(migration->duration_us / 1000),
             (long long)(migration->duration_us % 1000));
    const char *params[] = {version, migration->name, migration->sha256, duration_ms};
    return pq_sync_run(sync,
                       "INSERT INTO schema_migration (version, name, sha256, duration_ms) "
                       "VALUES ($1, $2, $3, $4)",
                       params, 4, NULL, err);
}

static int pq_migrate_one(struct pq_sync *sync, const struct pq_file *file,
                          struct pq_migration *migration, bool own_transaction, struct err *err)
{
    int64_t begin_us = loop_mono_us();
    int result = own_transaction ? pq_sync_script(sync, "BEGIN", err) : ERR_OK;
    if (result == ERR_OK)
        result = pq_sync_script(sync, (const char *)file->start, err);
    migration->duration_us = loop_mono_us() - begin_us;
    if (result == ERR_OK)
        result = pq_migrate_record(sync, migration, err);
    if (result == ERR_OK && own_transaction)
        result = pq_sync_script(sync, "COMMIT", err);
    if (result == ERR_OK)
        return ERR_OK;
    migration->duration_us = -1;
    if (own_transaction && pq_sync_script(sync, "ROLLBACK", NULL) != ERR_OK)
        return err_wrap(err, result, "%s (and the connection is lost)", migration->name);
    return err_wrap(err, result, "%s", migration->name);
}

/* Dry: one transaction around all, which is taken back. */
static int pq_migrate_pending(struct pq_sync *sync, const struct pq_file *files,
                              struct pq_migration *list, int count, bool dry, struct err *err)
{
    int result = dry ? pq_sync_script(sync, "BEGIN", err) : ERR_OK;
    if (result == ERR_OK)
        result = pq_sync_script(sync, pq_migrate_table, err);
    for (int i = 0; i < count && result == ERR_OK; i++)
        if (!list[i].applied)
            result = pq_migrate_one(sync, &files[i], &list[i], !dry, err);
    if (dry && pq_sync_script(sync, "ROLLBACK", result == ERR_OK ? err : NULL) != ERR_OK &&
        result == ERR_OK)
        result = ERR_CONNECTION;
    return result;
}

static int pq_migrate_lock(struct pq_sync *sync, struct err *err)
{
    struct pq_rows rows;
    int result =
        pq_sync_run(sync, "SELECT pg_try_advisory_lock(" PQ_MIGRATE_LOCK ")", NULL, 0, &rows, err);
    if (result == ERR_OK && strcmp(pq_rows_text(&rows, 0, 0), "t") != 0)
        result = err_set(err, ERR_AGAIN, "another migration of this database is running");
    pq_rows_free(&rows);
    return result;
}

static int pq_migrate_locked(struct pq_sync *sync, const struct pq_file *files,
                             struct pq_migration *list, int count, enum pq_migrate_mode mode,
                             struct err *err)
{
    int result = pq_migrate_compare(sync, list, count, err);
    if (result == ERR_OK && mode != PQ_MIGRATE_STATUS)
        result = pq_migrate_pending(sync, files, list, count, mode == PQ_MIGRATE_DRY, err);
    return result;
}

int pq_migrate_run(struct pq_sync *sync, const struct pq_file *files, int count,
                   enum pq_migrate_mode mode, pq_migrate_fn report, void *context, struct err *err)
{
    PRE(count > 0 && count <= PQ_MIGRATE_MAX);
    struct pq_migration *list = calloc((size_t)count, sizeof(*list));
    if (list == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    int result = pq_migrate_list(files, count, list, err);
    bool locks = mode != PQ_MIGRATE_STATUS;
    if (result == ERR_OK && locks)
        result = pq_migrate_lock(sync, err);
    else
        locks = false;
    if (result == ERR_OK) {
        result = pq_migrate_locked(sync, files, list, count, mode, err);
        if (locks)
            /* The end of the connection frees it too. */
            (void)!pq_sync_script(sync, "SELECT pg_advisory_unlock(" PQ_MIGRATE_LOCK ")", NULL);
    }
    for (int i = 0; i < count; i++)
        report(context, &list[i]);
    free(list);
    return result;
}
