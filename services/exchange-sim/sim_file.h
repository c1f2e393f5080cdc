/* Reads what is replayed: btcast captures, and the JSON capture format whose messages
 * become SBE frames and whose REST depth becomes an anchor document; plain or gzipped.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_FILE_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_FILE_H

#include "base/err.h"
#include "market/record.h"

struct sim_file;

/* Valid until the next call. */
struct sim_file_record {
    struct record record; /* frames and anchors; of a JSON capture without epoch and seq */
};

int sim_file_open(const char *path, const char *symbol, struct sim_file **file,
                  struct err *err) MUST_CHECK;
void sim_file_close(struct sim_file *file);
/* ERR_EMPTY at the end (a cut last record is the end too). A JSON line that cannot be read
 * is skipped and counted. */
int sim_file_next(struct sim_file *file, struct sim_file_record *record,
                  struct err *err) MUST_CHECK;
void sim_file_rewind(struct sim_file *file);

#endif
