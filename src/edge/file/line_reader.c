/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/line_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LINE_READER_INPUT 131072u
#define LINE_READER_ROOM  (LINE_READER_LINE_MAX + LINE_READER_INPUT)

struct line_reader {
    gzFile file;
    char path[256]; /* for messages */
    uint64_t oversize;
    bool ended, skipping;
    size_t at, end;  /* unread part of the buffer */
    uint8_t *buffer; /* LINE_READER_ROOM */
};

int line_reader_open(const char *path, struct line_reader **out, struct err *err)
{
    struct line_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return err_set(err, ERR_MEMORY, "line reader");
    snprintf(reader->path, sizeof(reader->path), "%s", path);
    reader->buffer = malloc(LINE_READER_ROOM);
    reader->file = reader->buffer == NULL ? NULL : gzopen(path, "rb");
    if (reader->file == NULL) {
        int result = reader->buffer == NULL
                         ? err_set(err, ERR_MEMORY, "line reader")
                         : err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
        line_reader_close(reader);
        return result;
    }
    gzbuffer(reader->file, LINE_READER_INPUT);
    *out = reader;
    return ERR_OK;
}

void line_reader_close(struct line_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->file != NULL)
        gzclose(reader->file);
    free(reader->buffer);
    free(reader);
}

uint64_t line_reader_oversize(const struct line_reader *reader)
{
    return reader->oversize;
}

static int line_reader_fill(struct line_reader *reader, struct err *err)
{
    memmove(reader->buffer, reader->buffer + reader->at, reader->end - reader->at);
    reader->end -= reader->at;
    reader->at = 0;
    if (reader->end >= LINE_READER_LINE_MAX) {
        reader->oversize += reader->skipping ? 0 : 1;
        reader->skipping = true;
        reader->end = 0;
    }
    int size = gzread(reader->file, reader->buffer + reader->end, LINE_READER_INPUT);
    if (size > 0) {
        reader->end += (size_t)size;
        return ERR_OK;
    }
    reader->ended = true;
    int code = Z_OK;
    const char *words = gzerror(reader->file, &code);
    if (size < 0 || (code != Z_OK && code != Z_STREAM_END))
        return err_set(err, ERR_CORRUPT, "%s: %s", reader->path, words);
    return ERR_OK;
}

int line_reader_next(struct line_reader *reader, struct bytes *line, struct err *err)
{
    size_t seen = 0;
    for (;;) {
        uint8_t *start = reader->buffer + reader->at;
        const size_t left = reader->end - reader->at;
        uint8_t *newline = left > seen ? memchr(start + seen, '\n', left - seen) : NULL;
        const bool whole = newline != NULL || (reader->ended && left > 0);
        if (whole) {
            size_t size = newline != NULL ? (size_t)(newline - start) : left;
            reader->at += size + (newline != NULL ? 1 : 0);
            seen = 0;
            if (reader->skipping || size > LINE_READER_LINE_MAX) {
                reader->oversize += reader->skipping ? 0 : 1;
                reader->skipping = false;
                continue;
            }
            *line = bytes_of(start, size > 0 && start[size - 1] == '\r' ? size - 1 : size);
            return ERR_OK;
        }
        if (reader->ended)
            return ERR_EMPTY;
        seen = left < LINE_READER_LINE_MAX ? left : 0;
        int result = line_reader_fill(reader, err);
        if (result != ERR_OK)
            return result;
    }
}
