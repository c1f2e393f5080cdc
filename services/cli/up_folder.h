/* The folders of `btcast up`: DIR with data and logs, and a short one for sockets in
 * /var/tmp, linked from DIR (DESIGN.md section 1: socket paths end at 107 bytes).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_FOLDER_H
#define BTCAST_SERVICES_CLI_UP_FOLDER_H

#include <stddef.h>

#include "base/err.h"

struct up_folder {
    char data[512];    /* DIR, absolute */
    char logs[540];    /* DIR/logs */
    char run[64];      /* /var/tmp/btcast-<hash of DIR>, also DIR/run */
    char socket[80];   /* of the private Redis */
    char postgres[80]; /* of the private PostgreSQL: data and socket */
    int lock_fd;       /* held: one `up` for each DIR */
};

/* Makes what is missing. ERR_REFUSED when another `up` runs on the same DIR, or when the
 * folder in /var/tmp belongs to somebody else. */
int up_folder_open(const char *data, struct up_folder *folder, struct err *err) MUST_CHECK;
/* Lets the database's user pass through the run folder (not look into it), when that is
 * another one than ours. */
int up_folder_open_way(const struct up_folder *folder, struct err *err) MUST_CHECK;
/* The folder of the private PostgreSQL of the `up` on DIR, which must exist. */
int up_folder_postgres(const char *data, char *out, size_t size, struct err *err) MUST_CHECK;
void up_folder_close(struct up_folder *folder);

#endif
