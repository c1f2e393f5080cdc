/* The daily dump of the SQL store into gold: `btcast db backup --daily` as a child, each hour, so
 * that a day is not missed for an hour's trouble. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_BACKUP_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_BACKUP_H

#include <stdint.h>
#include <sys/types.h>

#include "base/metrics.h"

#define CONNECTOR_BACKUP_FIRST_US INT64_C(600000000) /* after the start */
#define CONNECTOR_BACKUP_EVERY_US INT64_C(3600000000)

struct connector_backup {
    const char *database, *lake, *data; /* the owner's; database "": nothing to do */
    int64_t keep_days;
    pid_t child; /* 0: none */
    int64_t next_us;
    struct metric *done, *failed;
};

void connector_backup_open(struct connector_backup *backup, struct metrics *metrics,
                           int64_t mono_us);
/* Never waits for the child. */
void connector_backup_do_work(struct connector_backup *backup, int64_t mono_us);
/* Ends the child; the lake never has half a dump. */
void connector_backup_close(struct connector_backup *backup);

#endif
