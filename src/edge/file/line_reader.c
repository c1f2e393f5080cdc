/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/line_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unzip.h>
#include <zlib.h>

#define LINE_READER_INPUT 131072u
#define LINE_READER_ROOM  (LINE_READER_LINE_MAX + LINE_READER_INPUT)

struct line_reader {
    gzFile file; /* or: */
    unzFile zip;
    bool member;          /* one of the archive's files is open */
    uint64_t member_left; /* bytes of it that are to come */
    char path[256];       /* for messages */
    uint64_t oversize;
    bool ended, skipping;
    size_t at, end;  /* unread part of the buffer */
    uint8_t *buffer; /* LINE_READER_ROOM */
};

/* A zip archive says so at its beginning. */
static bool line_reader_is_zip(const char *path)
{
    char head[4] = {0};
    FILE *file = fopen(path, "rb");
    bool zip = file != NULL && fread(head, 1, sizeof(head), file) == sizeof(head) &&
               memcmp(head, "PK\3\4", sizeof(head)) == 0;
    if (file != NULL)
        fclose(file);
    return zip;
}

static bool line_reader_open_member(struct line_reader *reader)
{
    unz_file_info64 info;
    if (unzGetCurrentFileInfo64(reader->zip, &info, NULL, 0, NULL, 0, NULL, 0) != UNZ_OK ||
        unzOpenCurrentFile(reader->zip) != UNZ_OK)
        return false;
    reader->member = true;
    reader->member_left = info.uncompressed_size;
    return true;
}

static bool line_reader_open_file(struct line_reader *reader, const char *path)
{
    if (line_reader_is_zip(path)) {
        reader->zip = unzOpen64(path);
        return reader->zip != NULL && unzGoToFirstFile(reader->zip) == UNZ_OK &&
               line_reader_open_member(reader);
    }
    reader->file = gzopen(path, "rb");
    if (reader->file != NULL)
        gzbuffer(reader->file, LINE_READER_INPUT);
    return reader->file != NULL;
}

int line_reader_open(const char *path, struct line_reader **out, struct err *err)
{
    struct line_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return err_set(err, ERR_MEMORY, "line reader");
    snprintf(reader->path, sizeof(reader->path), "%s", path);
    reader->buffer = malloc(LINE_READER_ROOM);
    errno = 0;
    if (reader->buffer == NULL || !line_reader_open_file(reader, path)) {
        int result = reader->buffer == NULL
                         ? err_set(err, ERR_MEMORY, "line reader")
                         : err_set(err, ERR_IO, "cannot open %s: %s", path,
                                   errno != 0 ? strerror(errno) : "a damaged zip archive");
        line_reader_close(reader);
        return result;
    }
    *out = reader;
    return ERR_OK;
}

void line_reader_close(struct line_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->file != NULL)
        gzclose(reader->file);
    if (reader->member)
        unzCloseCurrentFile(reader->zip);
    if (reader->zip != NULL)
        unzClose(reader->zip);
    free(reader->buffer);
    free(reader);
}

uint64_t line_reader_oversize(const struct line_reader *reader)
{
    return reader->oversize;
}

uint64_t line_reader_offset(const struct line_reader *reader)
{
    return reader->zip != NULL ? unzGetCurrentFileZStreamPos64(reader->zip)
                               : (uint64_t)gzoffset(reader->file);
}

/* At the end of one file of the archive its CRC is judged and the next one begins. Damage may
 * end it early as well, and then minizip looks at no CRC: its size has to be right, too. */
static int line_reader_unzip(struct line_reader *reader, int *size, struct err *err)
{
    for (;;) {
        *size = unzReadCurrentFile(reader->zip, reader->buffer + reader->end, LINE_READER_INPUT);
        if (*size > 0 && (uint64_t)*size <= reader->member_left) {
            reader->member_left -= (uint64_t)*size;
            return ERR_OK;
        }
        const bool whole = *size == 0 && reader->member_left == 0;
        reader->member = false;
        if (unzCloseCurrentFile(reader->zip) != UNZ_OK || !whole)
            return err_set(err, ERR_CORRUPT, "%s: the archive is damaged", reader->path);
        if (unzGoToNextFile(reader->zip) != UNZ_OK)
            return ERR_OK; /* the last one was */
        if (!line_reader_open_member(reader))
            return err_set(err, ERR_CORRUPT, "%s: the archive is damaged", reader->path);
    }
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
    int size = 0, result = ERR_OK;
    if (reader->zip != NULL)
        result = line_reader_unzip(reader, &size, err);
    else
        size = gzread(reader->file, reader->buffer + reader->end, LINE_READER_INPUT);
    if (size > 0 && result == ERR_OK) {
        reader->end += (size_t)size;
        return ERR_OK;
    }
    reader->ended = true;
    if (reader->zip != NULL)
        return result;
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
