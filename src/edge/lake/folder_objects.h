/* The object port over a folder: an object is a file below it. A put links the file when both
 * lie in one file system (so it must not be written to any more) and copies it otherwise;
 * either way it appears under its name whole, synced, by rename. get copies.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_FOLDER_OBJECTS_H
#define BTCAST_EDGE_LAKE_FOLDER_OBJECTS_H

#include "learn/lake/object_port.h"

/* Calls accepted and not answered; more: ERR_AGAIN. */
#define FOLDER_OBJECTS_CALLS_MAX 64
/* Names of files that are not objects yet begin with it and their process's number; lists leave
 * them out, and a put removes those of processes that are gone from its folder. */
#define FOLDER_OBJECTS_BEGUN ".begun-"

struct folder_objects;

/* The folder is made when it is first written to: one that is away now may come back.
 * ERR_CONFIG for a path that is empty or too long. */
int folder_objects_open(const char *folder, struct folder_objects **objects,
                        struct err *err) MUST_CHECK;
/* Calls that were not answered are dropped. */
void folder_objects_close(struct folder_objects *objects);
struct object_port folder_objects_port(struct folder_objects *objects);

#endif
