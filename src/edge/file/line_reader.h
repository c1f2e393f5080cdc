/* Lines of a text file, plain, gzip (told apart by zlib) or in a zip archive (the files in it one
 * after the other), for captures and CSV. Lines over the limit are skipped and counted.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_LINE_READER_H
#define BTCAST_EDGE_FILE_LINE_READER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define LINE_READER_LINE_MAX (2u * 1024 * 1024)

struct line_reader;

int line_reader_open(const char *path, struct line_reader **reader, struct err *err) MUST_CHECK;
void line_reader_close(struct line_reader *reader);
/* The next line without its newline, borrowed until the next call. ERR_EMPTY: the end.
 * ERR_CORRUPT: the compressed data ends early or is damaged, a zip file's CRC differs (in err);
 * what came before is good. */
int line_reader_next(struct line_reader *reader, struct bytes *line, struct err *err) MUST_CHECK;
/* Bytes of the file as it lies on the disk that have been read, for a progress display. */
uint64_t line_reader_offset(const struct line_reader *reader);
uint64_t line_reader_oversize(const struct line_reader *reader);

#endif
