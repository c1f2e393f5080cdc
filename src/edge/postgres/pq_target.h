/* Which PostgreSQL: DATABASE_URL, or the private server of a data folder. The text of a URL
 * may carry a password, so no message repeats it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_TARGET_H
#define BTCAST_EDGE_POSTGRES_PQ_TARGET_H

#include <stdbool.h>

#include "base/err.h"

#define PQ_TARGET_SIZE 1024
#define PQ_TARGET_ENV  "DATABASE_URL"

/* ERR_CONFIG unless text is a postgresql:// URL or a list of key=value pairs that libpq
 * takes; ERR_UNSUPPORTED without libpq. */
int pq_target_check(const char *text, struct err *err) MUST_CHECK;
/* "db at host:port" without user and password, for messages. */
void pq_target_show(const char *text, char *out, size_t size);
/* True when the text carries a password: then it must not stand on a command line. */
bool pq_target_has_password(const char *text);
/* The private server with its socket in folder. */
void pq_target_private(const char *folder, char out[PQ_TARGET_SIZE]);

#endif
