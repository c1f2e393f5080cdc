/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_backup.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/postgres/pq_target.h"

#define BACKUP_ENV_MAX 512

void connector_backup_open(struct connector_backup *backup, struct metrics *metrics,
                           int64_t mono_us)
{
    backup->next_us = mono_us + CONNECTOR_BACKUP_FIRST_US;
    backup->done = metrics_counter(metrics, "data_connector_backups_total", "result=\"good\"",
                                   "Runs of the daily dump of the SQL store.");
    backup->failed = metrics_counter(metrics, "data_connector_backups_total", "result=\"failed\"",
                                     "Runs of the daily dump of the SQL store.");
}

/* The address goes by environment: it may carry a password. */
static int connector_backup_spawn(struct connector_backup *backup)
{
    char setting[sizeof(PQ_TARGET_ENV) + PQ_TARGET_SIZE + 1], days[24];
    char *env[BACKUP_ENV_MAX + 2];
    int count = 0;
    snprintf(setting, sizeof(setting), PQ_TARGET_ENV "=%s", backup->database);
    snprintf(days, sizeof(days), "%lld", (long long)backup->keep_days);
    for (char **at = environ; *at != NULL && count < BACKUP_ENV_MAX; at++)
        if (strncmp(*at, PQ_TARGET_ENV "=", sizeof(PQ_TARGET_ENV)) != 0)
            env[count++] = *at;
    env[count++] = setting;
    env[count] = NULL;
    const char *const argv[] = {"btcast",      "db",         "backup", "--daily",
                                "--lake",      backup->lake, "--data", backup->data,
                                "--keep-days", days,         NULL};
    return posix_spawn(&backup->child, "/proc/self/exe", NULL, NULL, (char *const *)argv, env);
}

static void connector_backup_reap(struct connector_backup *backup)
{
    int status = 0;
    pid_t gone = waitpid(backup->child, &status, WNOHANG);
    if (gone == 0 || (gone < 0 && errno == EINTR))
        return;
    const bool good = gone > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    backup->child = 0;
    metric_add(good ? backup->done : backup->failed, 1);
    log_line(good ? LOG_INFO : LOG_WARN, good ? "backup_made" : "backup_failed", "status=%d",
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

void connector_backup_do_work(struct connector_backup *backup, int64_t mono_us)
{
    if (backup->child > 0)
        connector_backup_reap(backup);
    if (backup->database == NULL || backup->database[0] == '\0' || backup->child > 0 ||
        mono_us < backup->next_us)
        return;
    backup->next_us = mono_us + CONNECTOR_BACKUP_EVERY_US;
    int code = connector_backup_spawn(backup);
    if (code == 0)
        return;
    backup->child = 0;
    metric_add(backup->failed, 1);
    log_warn("backup_failed", "reason=\"%s\"", strerror(code));
}

void connector_backup_close(struct connector_backup *backup)
{
    if (backup->child <= 0)
        return;
    kill(backup->child, SIGTERM);
    while (waitpid(backup->child, NULL, 0) < 0 && errno == EINTR)
        ;
    backup->child = 0;
}
