/* The file behind the REST view (hot/state/rest_view.h): one image, mapped shared. The
 * writer makes the sequence number odd, writes, makes it even; a reader copies and judges
 * its copy, so it never waits for a writer, not even for one that died half-way.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_VIEW_FILE_H
#define BTCAST_EDGE_FILE_VIEW_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "hot/state/rest_view.h"

struct view_file;

/* `<folder>/view-<symbol>.bin`. */
void view_file_path(const char *folder, const char *symbol, char *out, size_t size);

/* Makes the file or goes on in the one that is there, image included. One writer a file:
 * ERR_REFUSED when another process has it. ERR_IO, ERR_MEMORY. */
int view_file_open_write(const char *path, struct view_file **file, struct err *err) MUST_CHECK;
/* The image's successor. */
void view_file_put(struct view_file *file, const struct rest_view *view);

/* Never fails for a file that is not there yet: view_file_read looks again. ERR_MEMORY. */
int view_file_open_read(const char *path, struct view_file **file, struct err *err) MUST_CHECK;
/* Copies the image and reads the copy: as rest_view_read, and ERR_EMPTY without a file. A
 * file that was replaced or removed is found out at the next read. */
int view_file_read(struct view_file *file, struct rest_view *view, struct err *err) MUST_CHECK;

void view_file_close(struct view_file *file);

#endif
