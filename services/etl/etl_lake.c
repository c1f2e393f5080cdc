/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_lake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int etl_lake_make_cache(struct etl_lake *lake, struct err *err)
{
    const char *temporary = getenv("TMPDIR");
    char path[ETL_LAKE_PATH_SIZE];
    snprintf(path, sizeof(path), "%.200s/btcast-lake-XXXXXX",
             temporary != NULL && temporary[0] != '\0' ? temporary : "/var/tmp");
    if (mkdtemp(path) == NULL)
        return err_set(err, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    memcpy(lake->own_cache, path, sizeof(path));
    return ERR_OK;
}

static int etl_lake_open_remote(struct etl_lake *lake, const struct etl_lake_options *options,
                                struct lake_files_options *files, struct err *err)
{
    int result = loop_open(&lake->loop, err);
    if (result == ERR_OK)
        result = connector_lake_open(&lake->door, options->where, lake->loop, err);
    if (result == ERR_OK && options->cache == NULL)
        result = etl_lake_make_cache(lake, err);
    if (result != ERR_OK)
        return result;
    files->objects = connector_lake_port(&lake->door);
    files->loop = lake->loop;
    files->cache = options->cache != NULL ? options->cache : lake->own_cache;
    files->cache_bytes_max =
        (uint64_t)(options->cache_mb > 0 ? options->cache_mb : ETL_LAKE_CACHE_MB) << 20;
    return ERR_OK;
}

int etl_lake_open(struct etl_lake *lake, const struct etl_lake_options *options, struct err *err)
{
    struct lake_files_options files = {.stop = options->stop};
    int result = ERR_OK;
    memset(lake, 0, sizeof(*lake));
    if (strncmp(options->where, "s3:", 3) == 0)
        result = etl_lake_open_remote(lake, options, &files, err);
    else
        files.folder = options->where;
    return result == ERR_OK ? lake_files_open(&files, &lake->files, err) : result;
}

void etl_lake_close(struct etl_lake *lake)
{
    /* First the port: what is under way is dropped, nothing comes into the folder any more. */
    connector_lake_close(&lake->door);
    lake_files_close(lake->files);
    if (lake->loop != NULL)
        loop_close(lake->loop);
    if (lake->own_cache[0] != '\0')
        rmdir(lake->own_cache);
    memset(lake, 0, sizeof(*lake));
}
