/* Rows and mids of an hour as COPY text, one file each in the work folder: what silver is made of,
 * and what a pass adds to. A file that grew behind the kept place is cut back to it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_FILES_H
#define BTCAST_SERVICES_ETL_ETL_FILES_H

#include <stdio.h>

#include "base/bytes.h"
#include "edge/lake/lake_file.h"

#define ETL_FILES_SLOTS_HOUR 1800

enum etl_file { ETL_FILE_ROWS, ETL_FILE_MIDS, ETL_FILE_KINDS };

/* How long the files of the newest hour and of the one before it are. */
struct etl_files_place {
    int64_t hour;                     /* since 1970; 0: none yet */
    uint64_t size[ETL_FILE_KINDS][2]; /* [0]: of the hour before */
};

struct etl_files {
    char folder[LAKE_FILE_PATH_SIZE / 2];
    struct etl_files_open {
        FILE *file;
        int64_t hour;
    } open[ETL_FILE_KINDS];
    int64_t newest;
};

/* Makes the folder, and all files as they were at the place: later hours go. */
int etl_files_begin(struct etl_files *files, const char *folder, const struct etl_files_place *at,
                    struct err *err) MUST_CHECK;
void etl_files_close(struct etl_files *files);
/* Adds a line to the file of the slot's hour. ERR_FULL: no space. */
int etl_files_add(struct etl_files *files, enum etl_file kind, int64_t slot, struct bytes line,
                  struct err *err) MUST_CHECK;
/* Everything added is on the disk; where it ends. */
int etl_files_sync(struct etl_files *files, struct etl_files_place *at, struct err *err) MUST_CHECK;
/* Forgets the hours before `hour`. */
void etl_files_prune(struct etl_files *files, int64_t hour);
/* The file's path into out[LAKE_FILE_PATH_SIZE]; false when there is no such file, or an empty
 * one. */
bool etl_files_path(const struct etl_files *files, enum etl_file kind, int64_t hour, char *out);

#endif
