/* SPDX-License-Identifier: Apache-2.0 */
#include "services/rest-ingestor/rest_archive.h"

#include <stdio.h>

int rest_archive_open(struct rest_archive *archive, const struct rest_ingestor_options *options,
                      struct loop *loop, struct metrics *metrics, struct err *err)
{
    char lake[600], spool[600], quarantine[600];
    const char *data = options->common.data_dir;
    snprintf(lake, sizeof(lake), "%s/lake", data);
    snprintf(spool, sizeof(spool), "%s/spool-rest", data);
    snprintf(quarantine, sizeof(quarantine), "%s/quarantine-rest", data);
    int result = connector_lake_open(&archive->lake, options->lake[0] != 0 ? options->lake : lake,
                                     loop, err);
    if (result == ERR_OK)
        result = lake_spool_open(
            &(struct lake_spool_options){.folder = spool,
                                         .bytes_max = (uint64_t)options->spool_mb << 20,
                                         .objects = connector_lake_port(&archive->lake),
                                         .metrics = metrics},
            &archive->spool, err);
    if (result == ERR_OK)
        result = duckdb_archive_open(
            &(struct duckdb_archive_options){
                .library = options->duckdb_library[0] != 0 ? options->duckdb_library : NULL,
                .quarantine_folder = quarantine,
                .spool = archive->spool,
                .duckdb_memory_mb = options->duckdb_memory_mb,
                .metrics = metrics},
            &archive->duckdb, err);
    if (result == ERR_OK)
        archive->port = duckdb_archive_port(archive->duckdb);
    return result;
}

void rest_archive_close(struct rest_archive *archive)
{
    if (archive->duckdb != NULL)
        duckdb_archive_close(archive->duckdb);
    connector_lake_close(&archive->lake);
    if (archive->spool != NULL)
        lake_spool_close(archive->spool);
    *archive = (struct rest_archive){.port = {.self = NULL}};
}
