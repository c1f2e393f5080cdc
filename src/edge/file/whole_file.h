/* Files that are read and replaced whole: a reader, also one after a crash, finds the old
 * bytes or the new ones, never a part. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_WHOLE_FILE_H
#define BTCAST_EDGE_FILE_WHOLE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define WHOLE_FILE_PATH_SIZE 1024

/* *data is the caller's (free). ERR_NOT_FOUND, ERR_FULL (more than bytes_max), ERR_IO. */
int whole_file_read(const char *path, size_t bytes_max, uint8_t **data, size_t *size,
                    struct err *err) MUST_CHECK;
/* Written beside it, made durable, renamed over it, the folder made durable. ERR_IO leaves
 * the old file as it was. The folder exists. */
int whole_file_replace(const char *path, struct bytes data, struct err *err) MUST_CHECK;

#endif
