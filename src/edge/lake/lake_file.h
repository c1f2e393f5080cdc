/* What the lake needs of a file system: folders on the way, and files that are whole and
 * durable or not there. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_LAKE_FILE_H
#define BTCAST_EDGE_LAKE_LAKE_FILE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"

#define LAKE_FILE_PATH_SIZE 1024

/* errno as one of ours: ERR_NOT_FOUND, ERR_FULL (no space, quota, size limit), ERR_IO. */
int lake_file_code(int code);
/* mkdir -p. of_file: the last part is a file's name and not made. */
int lake_file_make_folders(const char *path, bool of_file, struct err *err) MUST_CHECK;
/* The file's bytes are on the disk. */
int lake_file_sync(const char *path, struct err *err) MUST_CHECK;
/* from becomes to, in the same file system, and stays so after a power cut. */
int lake_file_rename(const char *from, const char *to, struct err *err) MUST_CHECK;
/* Copies a file's bytes, synced. What was begun of `to` is removed on error. */
int lake_file_copy(const char *from, const char *to, struct err *err) MUST_CHECK;
/* Bytes become the file at path, whole or not at all (through path.tmp). */
int lake_file_write(const char *path, struct bytes data, struct err *err) MUST_CHECK;

#endif
