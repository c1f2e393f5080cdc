/* `btcast db`: the SQL store's schema, and the private server of `btcast up`.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "edge/postgres/pq_files.h"
#include "edge/postgres/pq_migrate.h"
#include "edge/postgres/pq_server.h"
#include "services/cli/commands.h"
#include "services/cli/db_backup.h"
#include "services/cli/db_target.h"
#include "services/cli/up_folder.h"
#include "services/service.h"
#include "services/service_options.h"

#define DB_MEMORY_MB     32
#define DB_WAIT_S        60
#define DB_WAIT_STEP_US  (20 * CLOCK_US_PER_MS)
#define DB_KEEP_DAYS_MAX 36500

struct db_options {
    const char *verb, *data, *lake, *keep_days;
    int64_t days;
    bool daily;
    enum pq_migrate_mode mode;
    bool wait;
};

static int db_parse(int argc, char **argv, struct db_options *options, struct err *err)
{
    static const char *const known[] = {"--data", "--dry-run",   "--status", "--wait",
                                        "--lake", "--keep-days", "--daily",  NULL};
    int result = ERR_OK;
    options->data = ".btcast";
    options->mode = PQ_MIGRATE_APPLY;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        if (service_options_flag(argc, argv, &at, "--data", &options->data, &result, err))
            continue;
        if (service_options_flag(argc, argv, &at, "--lake", &options->lake, &result, err) ||
            service_options_flag(argc, argv, &at, "--keep-days", &options->keep_days, &result, err))
            continue;
        if (strcmp(argv[at], "--daily") == 0)
            options->daily = true;
        else if (strcmp(argv[at], "--dry-run") == 0)
            options->mode = PQ_MIGRATE_DRY;
        else if (strcmp(argv[at], "--status") == 0)
            options->mode = PQ_MIGRATE_STATUS;
        else if (strcmp(argv[at], "--wait") == 0)
            options->wait = true;
        else if (argv[at][0] != '-' && options->verb == NULL)
            options->verb = argv[at];
        else
            result = service_options_unknown(argv[at], known, err);
    }
    options->days = DB_BACKUP_KEEP_DAYS;
    if (result == ERR_OK && options->keep_days != NULL)
        result = service_options_number("--keep-days", options->keep_days, 0, DB_KEEP_DAYS_MAX,
                                        &options->days, err);
    if (result == ERR_OK && options->verb == NULL)
        result = err_set(err, ERR_CONFIG, "expected migrate, url, backup or serve");
    return result;
}

static void db_report(void *context, const struct pq_migration *migration)
{
    const struct db_options *options = context;
    if (migration->applied)
        printf("%-28s applied %s\n", migration->name, migration->applied_at);
    else if (migration->duration_us < 0)
        printf("%-28s pending\n", migration->name);
    else
        printf("%-28s %s in %.1f ms\n", migration->name,
               options->mode == PQ_MIGRATE_DRY ? "would apply" : "applied now",
               (double)migration->duration_us / 1e3);
}

/* A server that is just starting is waited for. */
static int db_connect(const struct db_options *options, const char *target, struct pq_sync *sync,
                      struct err *err)
{
    int64_t end_us = loop_mono_us() + DB_WAIT_S * CLOCK_US_PER_S;
    int result;
    while ((result = pq_sync_open(sync, target, err)) == ERR_CONNECTION && options->wait &&
           loop_mono_us() < end_us)
        usleep(DB_WAIT_STEP_US);
    return result;
}

static int db_migrate(struct db_options *options, struct err *err)
{
    char target[PQ_TARGET_SIZE], shown[160];
    struct pq_sync sync;
    int result = db_target_choose(options->data, target, err);
    if (result == ERR_OK)
        result = db_connect(options, target, &sync, err);
    if (result != ERR_OK)
        return result;
    pq_target_show(target, shown, sizeof(shown));
    printf("database: %s\n", shown);
    result = pq_migrate_run(&sync, pq_files, pq_file_count, options->mode, db_report, options, err);
    pq_sync_close(&sync);
    return result;
}

/* For psql and the like: what may carry a password stays where it is. */
static int db_url(const struct db_options *options, struct err *err)
{
    char target[PQ_TARGET_SIZE];
    int result = db_target_choose(options->data, target, err);
    if (result == ERR_OK)
        printf("%s\n", target);
    return result;
}

static int db_serve(const struct db_options *options, struct err *err)
{
    char folder[128], bin[PQ_SERVER_PATH_SIZE];
    int result = up_folder_postgres(options->data, folder, sizeof(folder), err);
    if (result == ERR_OK)
        result = pq_server_find(folder, bin, err);
    if (result == ERR_OK)
        result = pq_server_prepare(folder, bin, err);
    if (result != ERR_OK)
        return result;
    struct pq_server_options server = {
        .folder = folder, .bin = bin, .durable = true, .memory_mb = DB_MEMORY_MB};
    return pq_server_become(&server, err);
}

static int db_dump(const struct db_options *options, struct err *err)
{
    char target[PQ_TARGET_SIZE], lake[512];
    struct db_backup_result made;
    int result = db_target_choose(options->data, target, err);
    if (result != ERR_OK)
        return result;
    snprintf(lake, sizeof(lake), "%.400s/lake", options->data);
    struct db_backup_options backup = {.target = target,
                                       .lake = options->lake != NULL ? options->lake : lake,
                                       .folder = options->data,
                                       .keep_days = options->days,
                                       .daily = options->daily};
    result = db_backup(&backup, loop_wall_us(), &made, err);
    if (made.made)
        printf("%s: %lld bytes\n", made.key, (long long)made.bytes);
    if (made.removed > 0)
        printf("%d older removed\n", made.removed);
    if (result == ERR_OK && !made.made)
        printf("today has one already\n");
    return result;
}

static int db_run(int argc, char **argv)
{
    struct db_options options = {0};
    struct err err = {0};
    int result = db_parse(argc, argv, &options, &err);
    if (result != ERR_OK)
        ;
    else if (strcmp(options.verb, "migrate") == 0)
        result = db_migrate(&options, &err);
    else if (strcmp(options.verb, "url") == 0)
        result = db_url(&options, &err);
    else if (strcmp(options.verb, "backup") == 0)
        result = db_dump(&options, &err);
    else if (strcmp(options.verb, "serve") == 0)
        result = db_serve(&options, &err);
    else
        result = err_set(&err, ERR_CONFIG, "expected migrate, url, backup or serve, found %s",
                         options.verb);
    fflush(stdout);
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast db: %s\n", err.text);
    return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_db = {
    .name = "db",
    .summary = "the SQL store: migrations, address, backup, private server",
    .usage =
        "usage: btcast db migrate [--dry-run | --status] [--wait] [--data DIR]\n"
        "       btcast db url [--data DIR]\n"
        "       btcast db backup [--lake LAKE] [--keep-days N] [--daily] [--data DIR]\n"
        "       btcast db serve [--data DIR]\n"
        "\n"
        "migrate brings the tables up to date: the numbered files of this build that were not\n"
        "applied yet, each in a transaction of its own, one migration at a time. A file that was\n"
        "applied and has changed since is refused, and so is a database of a newer build.\n"
        "  --dry-run   runs what is pending and takes all of it back\n"
        "  --status    shows what is applied and what is pending\n"
        "  --wait      waits up to 60 s for a server that is just starting\n"
        "backup puts a dump (pg_dump) into the lake's gold/rdbms_backups and removes old ones.\n"
        "  --lake LAKE    a folder or s3://bucket/prefix (default: DIR/lake)\n"
        "  --keep-days N  the days whose dumps stay (default 30; 0: all)\n"
        "  --daily        nothing when today (UTC) has one\n"
        "url prints the address, for psql. serve becomes the private server of DIR (`btcast up\n"
        "--postgres private` runs it).\n"
        "\n"
        "The database is DATABASE_URL, else the private one of --data (default .btcast).\n",
    .run = db_run,
};
