/* A private PostgreSQL: finding the programs, making the data folder, becoming the server. It
 * listens on a unix socket in its folder only. As root everything runs as the user postgres,
 * since PostgreSQL refuses to run as root. Blocking: for a process of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_SERVER_H
#define BTCAST_EDGE_POSTGRES_PQ_SERVER_H

#include <stdbool.h>

#include "base/err.h"

#define PQ_SERVER_PATH_SIZE 256
/* The folder's path with "/.s.PGSQL.5432" has to fit into a socket's address. */
#define PQ_SERVER_FOLDER_MAX 90

/* The folder with initdb and postgres: the version that `folder`/data was made by, else the
 * newest one. folder may be NULL. ERR_NOT_FOUND when the package is missing. */
int pq_server_find(const char *folder, char bin[PQ_SERVER_PATH_SIZE], struct err *err) MUST_CHECK;

/* Makes `folder` and in it `data`, when they are not there. A killed initdb leaves nothing that
 * a later one stumbles over. ERR_REFUSED when the folder belongs to another user or cannot be
 * entered by the server's. */
int pq_server_prepare(const char *folder, const char *bin, struct err *err) MUST_CHECK;

struct pq_server_options {
    const char *folder, *bin;
    bool durable; /* false: no fsync, for tests */
    int memory_mb;
};
/* Becomes the server. It ends by an immediate stop when this process' parent dies; SIGINT
 * stops it at once in order. Returns only on failure. */
int pq_server_become(const struct pq_server_options *options, struct err *err) MUST_CHECK;

#endif
