/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const etl_files_names[ETL_FILE_KINDS] = {"rows", "mids"};

static void etl_files_name(const struct etl_files *files, enum etl_file kind, int64_t hour,
                           char *out)
{
    snprintf(out, LAKE_FILE_PATH_SIZE, "%s/%s-%" PRId64 ".tsv", files->folder,
             etl_files_names[kind], hour);
}

bool etl_files_path(const struct etl_files *files, enum etl_file kind, int64_t hour, char *out)
{
    struct stat status;
    etl_files_name(files, kind, hour, out);
    return stat(out, &status) == 0 && status.st_size > 0;
}

static int etl_files_close_one(struct etl_files *files, enum etl_file kind, struct err *err)
{
    struct etl_files_open *open = &files->open[kind];
    if (open->file == NULL)
        return ERR_OK;
    bool good = fflush(open->file) == 0 && fsync(fileno(open->file)) == 0;
    int code = errno;
    good = fclose(open->file) == 0 && good;
    open->file = NULL;
    return good ? ERR_OK
                : err_set(err, lake_file_code(code), "%s: %s", files->folder, strerror(code));
}

void etl_files_close(struct etl_files *files)
{
    for (int kind = 0; kind < ETL_FILE_KINDS; kind++)
        if (files->open[kind].file != NULL) {
            fclose(files->open[kind].file);
            files->open[kind].file = NULL;
        }
}

/* --- the kept place --------------------------------------------------------------------- */

/* Hours of the files that are there: each is told to keep(). */
static int etl_files_each(struct etl_files *files,
                          int (*keep)(struct etl_files *files, enum etl_file kind, int64_t hour,
                                      const void *context),
                          const void *context)
{
    struct dirent *entry;
    int result = ERR_OK;
    DIR *folder = opendir(files->folder);
    if (folder == NULL)
        return lake_file_code(errno);
    while ((entry = readdir(folder)) != NULL && result == ERR_OK) {
        char name[16], end[8];
        int64_t hour;
        if (sscanf(entry->d_name, "%4[a-z]-%" SCNd64 ".%4s", name, &hour, end) != 3)
            continue;
        for (int kind = 0; kind < ETL_FILE_KINDS && result == ERR_OK; kind++)
            if (strcmp(name, etl_files_names[kind]) == 0)
                result = keep(files, (enum etl_file)kind, hour, context);
    }
    closedir(folder);
    return result;
}

static int etl_files_cut(struct etl_files *files, enum etl_file kind, int64_t hour,
                         const void *context)
{
    const struct etl_files_place *at = context;
    char path[LAKE_FILE_PATH_SIZE];
    struct stat status;
    etl_files_name(files, kind, hour, path);
    if (hour > at->hour)
        return unlink(path) == 0 ? ERR_OK : lake_file_code(errno);
    if (hour < at->hour - 1)
        return ERR_OK;
    uint64_t size = at->size[kind][hour == at->hour];
    if (stat(path, &status) != 0 || (uint64_t)status.st_size < size)
        return ERR_CORRUPT;
    return truncate(path, (off_t)size) == 0 ? ERR_OK : lake_file_code(errno);
}

int etl_files_begin(struct etl_files *files, const char *folder, const struct etl_files_place *at,
                    struct err *err)
{
    etl_files_close(files);
    memset(files, 0, sizeof(*files));
    if (snprintf(files->folder, sizeof(files->folder), "%s", folder) >= (int)sizeof(files->folder))
        return err_set(err, ERR_INVALID, "%.80s: the path is too long", folder);
    files->newest = at->hour;
    int result = lake_file_make_folders(folder, false, err);
    if (result != ERR_OK)
        return result;
    result = etl_files_each(files, etl_files_cut, at);
    char path[LAKE_FILE_PATH_SIZE];
    for (int i = 0; i < 2 * ETL_FILE_KINDS && result == ERR_OK; i++)
        if (at->size[i / 2][i % 2] > 0 &&
            !etl_files_path(files, (enum etl_file)(i / 2), at->hour - 1 + i % 2, path))
            result = ERR_CORRUPT;
    return result == ERR_OK ? ERR_OK
                            : err_set(err, result, "%s is not what the kept place says", folder);
}

/* --- lines ------------------------------------------------------------------------------ */

static int etl_files_open_hour(struct etl_files *files, enum etl_file kind, int64_t hour,
                               struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    int result = etl_files_close_one(files, kind, err);
    if (result != ERR_OK)
        return result;
    etl_files_name(files, kind, hour, path);
    files->open[kind] = (struct etl_files_open){.file = fopen(path, "ab"), .hour = hour};
    if (files->open[kind].file == NULL)
        return err_set(err, lake_file_code(errno), "%s: %s", path, strerror(errno));
    files->newest = hour > files->newest ? hour : files->newest;
    return ERR_OK;
}

int etl_files_add(struct etl_files *files, enum etl_file kind, int64_t slot, struct bytes line,
                  struct err *err)
{
    struct etl_files_open *open = &files->open[kind];
    int64_t hour = slot / ETL_FILES_SLOTS_HOUR;
    int result = open->file == NULL || open->hour != hour
                     ? etl_files_open_hour(files, kind, hour, err)
                     : ERR_OK;
    if (result != ERR_OK)
        return result;
    if (fwrite(line.data, 1, line.size, open->file) == line.size)
        return ERR_OK;
    return err_set(err, lake_file_code(errno), "%s: %s", files->folder, strerror(errno));
}

int etl_files_sync(struct etl_files *files, struct etl_files_place *at, struct err *err)
{
    struct stat status;
    char path[LAKE_FILE_PATH_SIZE];
    *at = (struct etl_files_place){.hour = files->newest};
    for (int kind = 0; kind < ETL_FILE_KINDS; kind++) {
        int result = etl_files_close_one(files, (enum etl_file)kind, err);
        if (result != ERR_OK)
            return result;
        for (int i = 0; i < 2; i++) {
            etl_files_name(files, (enum etl_file)kind, at->hour - 1 + i, path);
            at->size[kind][i] = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
        }
    }
    return ERR_OK;
}

static int etl_files_drop(struct etl_files *files, enum etl_file kind, int64_t hour,
                          const void *context)
{
    char path[LAKE_FILE_PATH_SIZE];
    if (hour >= *(const int64_t *)context)
        return ERR_OK;
    etl_files_name(files, kind, hour, path);
    unlink(path); /* one that stays costs space only, and is tried again */
    return ERR_OK;
}

void etl_files_prune(struct etl_files *files, int64_t hour)
{
    int result = etl_files_each(files, etl_files_drop, &hour);
    (void)result;
}
