/* pg_dump as a child process: schema and rows of a database as SQL text in a file.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_DUMP_H
#define BTCAST_EDGE_POSTGRES_PQ_DUMP_H

#include "base/err.h"

/* Waits until it has ended. The address goes to the child by its environment, since it may carry
 * a password. The file at path is replaced, and is no dump unless ERR_OK is returned.
 * ERR_UNSUPPORTED without pg_dump or libpq; ERR_IO with its own first words. */
int pq_dump_run(const char *target, const char *path, struct err *err) MUST_CHECK;

#endif
