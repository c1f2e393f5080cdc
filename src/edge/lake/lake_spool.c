/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/lake_spool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "learn/lake/bronze_key.h"

/* Stands for '/' in a file's name; no key holds it. */
#define LAKE_SPOOL_SLASH '!'

struct lake_spool_file {
    struct lake_spool_file *next;
    uint64_t number, size;
    char key[OBJECT_KEY_SIZE];
};

struct lake_spool {
    char folder[LAKE_FILE_PATH_SIZE / 2];
    uint64_t bytes_max;
    struct object_port objects;
    _Atomic uint64_t next_number;
    struct lake_spool_file *first, *last; /* by number */
    uint64_t bytes, files, journal_bytes;
    bool putting, failed;
    int64_t now_us, retry_us;
    struct log_limit log;
    struct metric *metric_bytes, *metric_files, *metric_put, *metric_failed;
};

static int lake_spool_path_of(const struct lake_spool *spool, uint64_t number, const char *key,
                              char *out)
{
    int size = snprintf(out, LAKE_FILE_PATH_SIZE, "%s/%016" PRIx64 "~", spool->folder, number);
    const int begin = size;
    size += snprintf(out + size, (size_t)(LAKE_FILE_PATH_SIZE - size), "%s", key);
    if (size >= LAKE_FILE_PATH_SIZE)
        return ERR_INVALID;
    for (int i = begin; i < size; i++)
        if (out[i] == '/')
            out[i] = LAKE_SPOOL_SLASH;
    return ERR_OK;
}

/* Number and key out of a file's name; false for a foreign file. */
static bool lake_spool_parse(const char *name, struct lake_spool_file *file)
{
    int used = 0;
    if (sscanf(name, "%16" SCNx64 "~%n", &file->number, &used) != 1 || used != 17)
        return false;
    snprintf(file->key, sizeof(file->key), "%s", name + used);
    for (char *at = file->key; *at != '\0'; at++)
        if (*at == LAKE_SPOOL_SLASH)
            *at = '/';
    return strlen(name + used) < sizeof(file->key) && bronze_key_valid(file->key);
}

static void lake_spool_measure(struct lake_spool *spool)
{
    if (spool->metric_bytes == NULL)
        return;
    metric_set(spool->metric_bytes, (double)spool->bytes);
    metric_set(spool->metric_files, (double)spool->files);
}

static void lake_spool_link(struct lake_spool *spool, struct lake_spool_file *file)
{
    struct lake_spool_file **at = &spool->first;
    if (spool->last != NULL && spool->last->number < file->number)
        at = &spool->last->next;
    while (*at != NULL && (*at)->number < file->number)
        at = &(*at)->next;
    file->next = *at;
    *at = file;
    if (file->next == NULL)
        spool->last = file;
    spool->bytes += file->size;
    spool->files++;
    lake_spool_measure(spool);
}

int lake_spool_add(struct lake_spool *spool, const char *path, struct err *err)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    struct lake_spool_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return err_set(err, ERR_MEMORY, "spool");
    int result = ERR_OK;
    if (slash == NULL || !lake_spool_parse(slash + 1, file))
        result = err_set(err, ERR_INVALID, "%s is no file of the spool", path);
    else if (stat(path, &status) != 0)
        result = err_set(err, lake_file_code(errno), "%s: %s", path, strerror(errno));
    if (result != ERR_OK) {
        free(file);
        return result;
    }
    file->size = (uint64_t)status.st_size;
    lake_spool_link(spool, file);
    return ERR_OK;
}

/* One name found at open: a file that is owed, or a beginning that is nothing. */
static int lake_spool_found(struct lake_spool *spool, const char *name, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct lake_spool_file parsed = {0};
    if (snprintf(path, sizeof(path), "%s/%s", spool->folder, name) >= (int)sizeof(path))
        return ERR_OK;
    if (strncmp(name, LAKE_SPOOL_BEGUN, sizeof(LAKE_SPOOL_BEGUN) - 1) == 0) {
        unlink(path);
        return ERR_OK;
    }
    if (!lake_spool_parse(name, &parsed))
        return ERR_OK; /* not ours: left alone */
    if (parsed.number >= spool->next_number)
        spool->next_number = parsed.number + 1;
    return lake_spool_add(spool, path, err);
}

static int lake_spool_scan(struct lake_spool *spool, struct err *err)
{
    DIR *folder = opendir(spool->folder);
    if (folder == NULL)
        return err_set(err, lake_file_code(errno), "cannot read %s: %s", spool->folder,
                       strerror(errno));
    int result = ERR_OK;
    for (struct dirent *entry; result == ERR_OK && (entry = readdir(folder)) != NULL;)
        result = lake_spool_found(spool, entry->d_name, err);
    closedir(folder);
    return result;
}

static void lake_spool_metrics(struct lake_spool *spool, struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    spool->metric_bytes = metrics_gauge(metrics, "data_connector_spool_bytes", NULL,
                                        "Bytes of files that the lake does not have yet.");
    spool->metric_files = metrics_gauge(metrics, "data_connector_spool_files", NULL,
                                        "Files that the lake does not have yet.");
    spool->metric_put = metrics_counter(metrics, "data_connector_files_processed_total",
                                        "status=\"ok\"", "Objects put into the lake.");
    spool->metric_failed = metrics_counter(metrics, "data_connector_files_processed_total",
                                           "status=\"error\"", "Objects put into the lake.");
}

int lake_spool_open(const struct lake_spool_options *options, struct lake_spool **out,
                    struct err *err)
{
    struct lake_spool *spool = calloc(1, sizeof(*spool));
    if (spool == NULL)
        return err_set(err, ERR_MEMORY, "spool");
    spool->bytes_max = options->bytes_max > 0 ? options->bytes_max : LAKE_SPOOL_BYTES_MAX;
    spool->objects = options->objects;
    spool->next_number = 1;
    spool->log = LOG_LIMIT_DEFAULT;
    lake_spool_metrics(spool, options->metrics);
    int result = ERR_OK;
    if (snprintf(spool->folder, sizeof(spool->folder), "%s", options->folder) >=
        (int)sizeof(spool->folder))
        result = err_set(err, ERR_CONFIG, "%.80s…: the path is too long", options->folder);
    if (result == ERR_OK)
        result = lake_file_make_folders(spool->folder, false, err);
    if (result == ERR_OK)
        result = lake_spool_scan(spool, err);
    if (result != ERR_OK) {
        lake_spool_close(spool);
        return result;
    }
    *out = spool;
    return ERR_OK;
}

void lake_spool_close(struct lake_spool *spool)
{
    if (spool == NULL)
        return;
    for (struct lake_spool_file *file = spool->first; file != NULL;) {
        struct lake_spool_file *next = file->next;
        free(file);
        file = next;
    }
    free(spool);
}

int lake_spool_paths(struct lake_spool *spool, const char *key, char *begun, char *path,
                     struct err *err)
{
    const uint64_t number = atomic_fetch_add(&spool->next_number, 1);
    if (!bronze_key_valid(key) || lake_spool_path_of(spool, number, key, path) != ERR_OK)
        return err_set(err, ERR_INVALID, "\"%.100s\" is no key", key);
    snprintf(begun, LAKE_FILE_PATH_SIZE, "%s/" LAKE_SPOOL_BEGUN "%016" PRIx64 ".parquet",
             spool->folder, number);
    return ERR_OK;
}

/* --- into the lake ---------------------------------------------------------------------- */

static void lake_spool_forget_first(struct lake_spool *spool)
{
    struct lake_spool_file *file = spool->first;
    spool->first = file->next;
    if (spool->first == NULL)
        spool->last = NULL;
    spool->bytes -= file->size;
    spool->files--;
    free(file);
    lake_spool_measure(spool);
}

static void lake_spool_complain(struct lake_spool *spool, const char *key, const char *text)
{
    uint64_t skipped = 0;
    if (spool->metric_failed != NULL)
        metric_add(spool->metric_failed, 1);
    if (log_limit_pass(&spool->log, spool->now_us, &skipped))
        log_warn("lake_put_failed",
                 "key=%s files=%" PRIu64 " bytes=%" PRIu64 " skipped=%" PRIu64 " reason=\"%s\"",
                 key, spool->files, spool->bytes, skipped, text != NULL ? text : "");
}

static void lake_spool_on_put(void *context, const struct object_reply *reply)
{
    struct lake_spool *spool = context;
    char path[LAKE_FILE_PATH_SIZE];
    spool->putting = false;
    if (reply->result != ERR_OK) {
        lake_spool_complain(spool, spool->first->key, reply->text);
        spool->failed = true;
        spool->retry_us = spool->now_us + LAKE_SPOOL_RETRY_US;
        return;
    }
    if (spool->failed)
        log_info("lake_is_back", "files=%" PRIu64 " bytes=%" PRIu64, spool->files, spool->bytes);
    spool->failed = false;
    if (spool->metric_put != NULL)
        metric_add(spool->metric_put, 1);
    if (lake_spool_path_of(spool, spool->first->number, spool->first->key, path) == ERR_OK)
        unlink(path);
    lake_spool_forget_first(spool);
}

static void lake_spool_put(struct lake_spool *spool)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct lake_spool_file *file = spool->first;
    if (lake_spool_path_of(spool, file->number, file->key, path) != ERR_OK ||
        (access(path, F_OK) != 0 && errno == ENOENT)) {
        /* Removed by a hand from outside: nothing that trying again would bring back. */
        lake_spool_complain(spool, file->key, "the file has gone from the spool");
        lake_spool_forget_first(spool);
        return;
    }
    int result = spool->objects.put(spool->objects.self, file->key, path, lake_spool_on_put, spool);
    spool->putting = result == ERR_OK;
    if (result != ERR_OK)
        spool->retry_us = spool->now_us + LAKE_SPOOL_RETRY_US;
}

int lake_spool_do_work(struct lake_spool *spool, int64_t mono_us)
{
    spool->now_us = mono_us;
    int done = spool->objects.do_work(spool->objects.self, mono_us);
    if (!spool->putting && spool->first != NULL && mono_us >= spool->retry_us) {
        lake_spool_put(spool);
        done++;
    }
    return done;
}

bool lake_spool_full(const struct lake_spool *spool)
{
    return spool->bytes >= spool->bytes_max;
}

bool lake_spool_ready(const struct lake_spool *spool)
{
    return !spool->failed;
}

void lake_spool_set_journal(struct lake_spool *spool, uint64_t bytes)
{
    spool->journal_bytes = bytes;
}

bool lake_spool_crowded(const struct lake_spool *spool)
{
    return spool->files > 0 && spool->bytes + spool->journal_bytes >= spool->bytes_max;
}

uint64_t lake_spool_bytes(const struct lake_spool *spool)
{
    return spool->bytes + spool->journal_bytes;
}

uint64_t lake_spool_journal_bytes(const struct lake_spool *spool)
{
    return spool->journal_bytes;
}

uint64_t lake_spool_bytes_max(const struct lake_spool *spool)
{
    return spool->bytes_max;
}

uint64_t lake_spool_files(const struct lake_spool *spool)
{
    return spool->files;
}
