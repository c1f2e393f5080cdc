/* The blocks of a symbol that lie in a folder lake, sorted, and the putting aside of those
 * that cannot be read. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_BRONZE_LIST_H
#define BTCAST_EDGE_DUCKDB_BRONZE_LIST_H

#include "edge/duckdb/duckdb_session.h"
#include "edge/lake/lake_file.h"
#include "learn/lake/archive_port.h"
#include "learn/lake/object_port.h"

#define BRONZE_LIST_FILES_MAX (4u << 20)

struct bronze_file {
    struct archive_block identity;
    char *key; /* owned */
};

struct bronze_list {
    char folder[LAKE_FILE_PATH_SIZE / 2]; /* of the lake, without a '/' at its end */
    struct bronze_file *files;            /* by kind, then epoch, block, minute */
    size_t count;
    size_t first[ARCHIVE_KINDS + 1]; /* of each kind; the last one is count */
};

/* Blocks with minutes in from..to (both included). ERR_NOT_FOUND when there is no folder of
 * this symbol's blocks. Free also after an error. */
int bronze_list_make(struct duckdb_session *session, const char *folder, const char *symbol,
                     int64_t from_minute, int64_t to_minute, struct bronze_list *list,
                     struct err *err) MUST_CHECK;
void bronze_list_free(struct bronze_list *list);
/* The file's path, into out[LAKE_FILE_PATH_SIZE]. */
int bronze_list_path(const struct bronze_list *list, const char *key, char *out) MUST_CHECK;
/* Moves the object to quarantine/<key> in the lake. */
int bronze_list_quarantine(const struct bronze_list *list, const char *key,
                           struct err *err) MUST_CHECK;

#endif
