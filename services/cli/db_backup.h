/* `btcast db backup`: the SQL store as a dump in the lake's gold, old ones removed (CONTRACTS.md
 * section 4: gold/rdbms_backups/{date}/). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_DB_BACKUP_H
#define BTCAST_SERVICES_CLI_DB_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DB_BACKUP_KEEP_DAYS 30

struct db_backup_options {
    const char *target, *lake;
    const char *folder; /* where the dump is made before the lake has it; has to be there */
    int64_t keep_days;  /* days whose dumps stay, today included; 0: all of them */
    bool daily;         /* nothing when today (UTC) has one */
};

struct db_backup_result {
    bool made;
    char key[128];
    int64_t bytes;
    int removed;
};

/* wall_us says which day it is. An older dump that cannot be removed is an error, too: the new
 * one is there (`made`). */
int db_backup(const struct db_backup_options *options, int64_t wall_us,
              struct db_backup_result *result, struct err *err) MUST_CHECK;

#endif
