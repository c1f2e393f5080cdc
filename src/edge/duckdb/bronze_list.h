/* The blocks of a symbol that lie in the lake, sorted. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_BRONZE_LIST_H
#define BTCAST_EDGE_DUCKDB_BRONZE_LIST_H

#include "edge/lake/lake_files.h"
#include "learn/lake/archive_port.h"

#define BRONZE_LIST_FILES_MAX (4u << 20)

struct bronze_file {
    struct archive_block identity;
    struct lake_entry object; /* its key belongs to the list's objects */
};

struct bronze_list {
    struct lake_list objects;
    struct bronze_file *files; /* by kind, then epoch, block, minute */
    size_t count;
    size_t first[ARCHIVE_KINDS + 1]; /* of each kind; the last one is count */
};

/* Blocks with minutes in from..to (both included). ERR_NOT_FOUND when the symbol has none; codes of
 * lake_files_list. Free also after an error. */
int bronze_list_make(struct lake_files *lake, const char *symbol, int64_t from_minute,
                     int64_t to_minute, struct bronze_list *list, struct err *err) MUST_CHECK;
void bronze_list_free(struct bronze_list *list);

#endif
