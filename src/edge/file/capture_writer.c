/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/capture_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

struct capture_writer {
    struct capture_writer_options options;
    char base[CAPTURE_FILE_PATH_SIZE];
    char path[CAPTURE_FILE_PATH_SIZE];
    struct capture_writer_counters counters;
    int fd;
    int number;       /* of the segment */
    int64_t size;     /* on disk, whole records only */
    int64_t begun_us; /* of this file */
    int64_t flushed_us, synced_us;
    size_t used;
    uint8_t *buffer; /* CAPTURE_WRITER_BUFFER */
};

static int capture_writer_write(struct capture_writer *writer, struct err *err)
{
    size_t done = 0;
    while (done < writer->used) {
        ssize_t size = write(writer->fd, writer->buffer + done, writer->used - done);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0) {
            const int cause = size < 0 ? errno : ENOSPC;
            writer->counters.errors++;
            writer->used = 0;
            /* Without the half-written record the file stays readable to its end. */
            if (ftruncate(writer->fd, writer->size) == 0)
                lseek(writer->fd, writer->size, SEEK_SET);
            return err_set(err, ERR_IO, "cannot write %s: %s", writer->path, strerror(cause));
        }
        done += (size_t)size;
    }
    writer->size += (int64_t)writer->used;
    writer->counters.bytes += writer->used;
    writer->used = 0;
    return ERR_OK;
}

static int capture_writer_sync(struct capture_writer *writer, struct err *err)
{
    writer->counters.syncs++;
    if (fdatasync(writer->fd) == 0)
        return ERR_OK;
    writer->counters.errors++;
    return err_set(err, ERR_IO, "cannot sync %s: %s", writer->path, strerror(errno));
}

/* Creates the next file whose name is free and puts the header into the buffer. */
static int capture_writer_begin(struct capture_writer *writer, int64_t mono_us, struct err *err)
{
    for (;; writer->number++) {
        if (writer->number > CAPTURE_FILE_SEGMENTS_MAX)
            return err_set(err, ERR_FULL, "%s has %d continuations already", writer->base,
                           CAPTURE_FILE_SEGMENTS_MAX);
        if (!capture_file_segment_path(writer->base, writer->number, writer->path))
            return err_set(err, ERR_INVALID, "%s: the path is too long", writer->base);
        writer->fd = open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (writer->fd >= 0)
            break;
        if (errno != EEXIST)
            return err_set(err, ERR_IO, "cannot create %s: %s", writer->path, strerror(errno));
    }
    writer->counters.files++;
    writer->size = 0;
    writer->begun_us = writer->flushed_us = writer->synced_us = mono_us;
    capture_write_header(&writer->options.header, writer->buffer);
    writer->used = CAPTURE_HEADER_SIZE;
    return capture_writer_write(writer, err);
}

int capture_writer_open(const struct capture_writer_options *options, int64_t mono_us,
                        struct capture_writer **out, struct err *err)
{
    struct capture_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return err_set(err, ERR_MEMORY, "capture writer");
    writer->options = *options;
    writer->fd = -1;
    if (writer->options.bytes_max == 0)
        writer->options.bytes_max = CAPTURE_WRITER_BYTES_DEFAULT;
    if (writer->options.age_us_max == 0)
        writer->options.age_us_max = CAPTURE_WRITER_AGE_US_DEFAULT;
    if (writer->options.sync_us == 0)
        writer->options.sync_us = CAPTURE_WRITER_SYNC_US_DEFAULT;
    writer->buffer = malloc(CAPTURE_WRITER_BUFFER);
    int result = ERR_OK;
    if (writer->buffer == NULL)
        result = err_set(err, ERR_MEMORY, "capture writer");
    else if (!capture_file_segment_path(options->path, 0, writer->base))
        result = err_set(err, ERR_INVALID, "%s: the path is too long", options->path);
    else
        result = capture_writer_begin(writer, mono_us, err);
    if (result != ERR_OK) {
        if (writer->fd >= 0)
            close(writer->fd);
        free(writer->buffer);
        free(writer);
        return result;
    }
    *out = writer;
    return ERR_OK;
}

static int capture_writer_finish(struct capture_writer *writer, struct err *err)
{
    int result = capture_writer_write(writer, err);
    if (result == ERR_OK)
        result = capture_writer_sync(writer, err);
    if (close(writer->fd) != 0 && result == ERR_OK)
        result = err_set(err, ERR_IO, "cannot close %s: %s", writer->path, strerror(errno));
    writer->fd = -1;
    return result;
}

int capture_writer_close(struct capture_writer *writer, struct err *err)
{
    if (writer == NULL)
        return ERR_OK;
    int result = writer->fd >= 0 ? capture_writer_finish(writer, err) : ERR_OK;
    free(writer->buffer);
    free(writer);
    return result;
}

/* Closes this file and begins the next one. */
static int capture_writer_rotate(struct capture_writer *writer, int64_t mono_us, struct err *err)
{
    int result = capture_writer_finish(writer, err);
    writer->number++;
    int begun = capture_writer_begin(writer, mono_us, err);
    return result == ERR_OK ? begun : result;
}

static bool capture_writer_is_done(const struct capture_writer *writer, int64_t mono_us)
{
    return writer->size + (int64_t)writer->used >= writer->options.bytes_max ||
           mono_us - writer->begun_us >= writer->options.age_us_max;
}

int capture_writer_add(struct capture_writer *writer, const struct record *record, int64_t mono_us,
                       struct err *err)
{
    int result = ERR_OK;
    if (writer->fd < 0)
        result = capture_writer_begin(writer, mono_us, err);
    else if (capture_writer_is_done(writer, mono_us))
        result = capture_writer_rotate(writer, mono_us, err);
    if (result != ERR_OK)
        return result;
    if (CAPTURE_WRITER_BUFFER - writer->used < CAPTURE_OVERHEAD + record->payload.size) {
        result = capture_writer_write(writer, err);
        if (result != ERR_OK)
            return result;
    }
    size_t size = capture_write_record(record, writer->buffer + writer->used,
                                       CAPTURE_WRITER_BUFFER - writer->used);
    CHECK(size > 0);
    writer->used += size;
    writer->counters.records++;
    return ERR_OK;
}

int capture_writer_do_work(struct capture_writer *writer, int64_t mono_us, struct err *err)
{
    int result = ERR_OK;
    if (writer->fd < 0)
        return ERR_OK;
    if (writer->used > 0 && mono_us - writer->flushed_us >= CAPTURE_WRITER_FLUSH_US) {
        writer->flushed_us = mono_us;
        result = capture_writer_write(writer, err);
    }
    if (result == ERR_OK && writer->options.sync == CAPTURE_WRITER_SYNC_INTERVAL &&
        mono_us - writer->synced_us >= writer->options.sync_us) {
        writer->synced_us = mono_us;
        result = capture_writer_sync(writer, err);
    }
    return result;
}

const struct capture_writer_counters *capture_writer_counters(const struct capture_writer *writer)
{
    return &writer->counters;
}

const char *capture_writer_path(const struct capture_writer *writer)
{
    return writer->path;
}
