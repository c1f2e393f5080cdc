/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/db_backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/postgres/pq_dump.h"
#include "services/data-connector/lake_sync.h"

#define DB_BACKUP_PREFIX "gold/rdbms_backups/"
/* Removed in one run; what is older waits for the next. */
#define DB_BACKUP_OLD_MAX 256
#define DB_BACKUP_DAY_S   86400

struct db_backup {
    char today[16], first_kept[16]; /* days, YYYY-MM-DD: they sort as they follow */
    bool has_today;
    char *old[DB_BACKUP_OLD_MAX];
    int old_count;
};

static struct tm db_backup_utc(int64_t wall_us)
{
    const time_t seconds = (time_t)(wall_us / CLOCK_US_PER_S);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return tm;
}

static void db_backup_day(int64_t wall_us, char out[16])
{
    const struct tm tm = db_backup_utc(wall_us);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

/* Keys that are no dump of a day are nobody's business here. */
static void db_backup_on_key(void *context, const char *key)
{
    struct db_backup *backup = context;
    const char *day = key + strlen(DB_BACKUP_PREFIX);
    if (strlen(day) < 12 || day[4] != '-' || day[7] != '-' || day[10] != '/')
        return;
    backup->has_today = backup->has_today || strncmp(day, backup->today, 10) == 0;
    if (strncmp(day, backup->first_kept, 10) < 0 && backup->old_count < DB_BACKUP_OLD_MAX)
        backup->old[backup->old_count] = strdup(key);
    if (backup->old_count < DB_BACKUP_OLD_MAX && backup->old[backup->old_count] != NULL)
        backup->old_count++;
}

static int db_backup_make(struct lake_sync *sync, const struct db_backup_options *options,
                          int64_t wall_us, struct db_backup_result *result, struct err *err)
{
    char path[512], day[16], stamp[24];
    const struct tm tm = db_backup_utc(wall_us);
    struct stat file;
    db_backup_day(wall_us, day);
    strftime(stamp, sizeof(stamp), "%Y%m%d_%H%M%S", &tm);
    snprintf(result->key, sizeof(result->key), DB_BACKUP_PREFIX "%s/btcast_%s.sql", day, stamp);
    snprintf(path, sizeof(path), "%.400s/backup_%s_%d.sql", options->folder, stamp, (int)getpid());
    int rc = pq_dump_run(options->target, path, err);
    if (rc == ERR_OK)
        rc = lake_sync_put(sync, result->key, path, err);
    result->bytes = rc == ERR_OK && stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
    result->made = rc == ERR_OK;
    unlink(path);
    return rc;
}

static int db_backup_run(struct lake_sync *sync, const struct db_backup_options *options,
                         int64_t wall_us, struct db_backup *backup, struct db_backup_result *result,
                         struct err *err)
{
    int rc = lake_sync_list(sync, DB_BACKUP_PREFIX, db_backup_on_key, backup, err);
    if (rc == ERR_OK && !(options->daily && backup->has_today))
        rc = db_backup_make(sync, options, wall_us, result, err);
    for (int i = 0; i < backup->old_count && rc == ERR_OK; i++) {
        rc = lake_sync_drop(sync, backup->old[i], err);
        result->removed += rc == ERR_OK;
    }
    return rc;
}

int db_backup(const struct db_backup_options *options, int64_t wall_us,
              struct db_backup_result *result, struct err *err)
{
    struct lake_sync sync;
    struct db_backup backup = {0};
    memset(result, 0, sizeof(*result));
    db_backup_day(wall_us, backup.today);
    if (options->keep_days > 0)
        db_backup_day(wall_us - (options->keep_days - 1) * DB_BACKUP_DAY_S * CLOCK_US_PER_S,
                      backup.first_kept);
    int rc = lake_sync_open(&sync, options->lake, err);
    if (rc != ERR_OK)
        return rc;
    rc = db_backup_run(&sync, options, wall_us, &backup, result, err);
    lake_sync_close(&sync);
    for (int i = 0; i < backup.old_count; i++)
        free(backup.old[i]);
    return rc;
}
