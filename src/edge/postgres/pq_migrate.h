/* Numbered migrations: which are there, which are applied, and applying the rest. An advisory
 * lock lets one at a time; each file runs in a transaction of its own together with its row in
 * schema_migration; a file that was applied must not change afterwards (its SHA-256 is kept).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_MIGRATE_H
#define BTCAST_EDGE_POSTGRES_PQ_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "edge/file/sha256_hex.h"
#include "edge/postgres/pq_files.h"
#include "edge/postgres/pq_sync.h"

#define PQ_MIGRATE_MAX 999

enum pq_migrate_mode {
    PQ_MIGRATE_STATUS, /* looks only */
    PQ_MIGRATE_DRY,    /* runs what is pending and takes it all back */
    PQ_MIGRATE_APPLY,
};

struct pq_migration {
    int version;
    const char *name; /* "001_partitions.sql" */
    char sha256[SHA256_HEX_SIZE];
    bool applied;        /* before this run */
    char applied_at[40]; /* "" when it was not */
    int64_t duration_us; /* of this run, -1: did not run */
};
typedef void (*pq_migrate_fn)(void *context, const struct pq_migration *migration);

/* Calls report for each file in order. ERR_BAD_STATE when the history differs: an applied
 * file has changed, is missing here (the database is newer than this build), or lies behind
 * one that is not applied; nothing is changed then. ERR_AGAIN when another migration runs.
 * ERR_INVALID for files whose names do not count 001, 002, …. */
int pq_migrate_run(struct pq_sync *sync, const struct pq_file *files, int count,
                   enum pq_migrate_mode mode, pq_migrate_fn report, void *context,
                   struct err *err) MUST_CHECK;

#endif
