/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct capture_segment {
    struct bytes data; /* the mapping */
};

/* A control record and its place. */
struct capture_control {
    struct record record;
    size_t order; /* in the file: keeps equal places in order */
};

struct capture_file {
    struct capture_header header;
    struct capture_file_counters counters;
    struct capture_segment *segments;
    struct capture_control *controls;
    size_t control_count, control_capacity, control_next;
    int segment; /* being read */
    size_t at;
    struct record held; /* a data record waiting behind controls */
    bool has_held;
    uint64_t last_epoch, last_seq; /* of the last data record taken */
};

bool capture_file_segment_path(const char *path, int number, char *out)
{
    int size = number == 0 ? snprintf(out, CAPTURE_FILE_PATH_SIZE, "%s", path)
                           : snprintf(out, CAPTURE_FILE_PATH_SIZE, "%s.%04d", path, number);
    return size > 0 && size < CAPTURE_FILE_PATH_SIZE;
}

bool capture_file_is(const char *path)
{
    char magic[sizeof(CAPTURE_MAGIC) - 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, magic, sizeof(magic));
    close(fd);
    return size == (ssize_t)sizeof(magic) && memcmp(magic, CAPTURE_MAGIC, sizeof(magic)) == 0;
}

static int capture_file_map(const char *path, struct bytes *out, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    int result = ERR_OK;
    if (fstat(fd, &status) != 0)
        result = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode) || status.st_size < CAPTURE_HEADER_SIZE)
        result = err_set(err, ERR_MALFORMED, "%s is no capture: no file of at least %d bytes", path,
                         CAPTURE_HEADER_SIZE);
    if (result == ERR_OK) {
        const size_t size = (size_t)status.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            result = err_set(err, ERR_IO, "cannot map %s: %s", path, strerror(errno));
        } else {
            madvise(data, size, MADV_SEQUENTIAL);
            *out = bytes_of(data, size);
        }
    }
    close(fd);
    return result;
}

/* Maps one segment and judges its head. ERR_NOT_FOUND: there is no such file. */
static int capture_file_add(struct capture_file *file, const char *path, struct err *err)
{
    struct bytes data;
    struct capture_header header;
    int result = capture_file_map(path, &data, err);
    if (result != ERR_OK)
        return result;
    const int number = file->counters.segments;
    struct capture_segment *grown =
        realloc(file->segments, ((size_t)number + 1) * sizeof(*file->segments));
    if (grown == NULL) {
        munmap((void *)(uintptr_t)data.data, data.size);
        return err_set(err, ERR_MEMORY, "%s", path);
    }
    file->segments = grown;
    file->segments[number].data = data;
    file->counters.segments++;
    file->counters.bytes += data.size;
    result = capture_read_header(data, &header, err);
    if (result != ERR_OK) {
        return err_wrap(err, result, "%s", path);
    }
    if (number == 0)
        file->header = header;
    else if (strcmp(header.symbol, file->header.symbol) != 0)
        return err_set(err, ERR_SCHEMA, "%s holds %s, the first file %s", path, header.symbol,
                       file->header.symbol);
    return ERR_OK;
}

static int capture_file_keep(struct capture_file *file, const struct record *record,
                             struct err *err)
{
    if (file->control_count == file->control_capacity) {
        if (file->control_count >= CAPTURE_FILE_CONTROLS_MAX)
            return err_set(err, ERR_FULL, "more than %u control records",
                           CAPTURE_FILE_CONTROLS_MAX);
        const size_t capacity = file->control_capacity == 0 ? 64 : 2 * file->control_capacity;
        void *grown = realloc(file->controls, capacity * sizeof(*file->controls));
        if (grown == NULL)
            return err_set(err, ERR_MEMORY, "control records");
        file->controls = grown;
        file->control_capacity = capacity;
    }
    file->controls[file->control_count] = (struct capture_control){*record, file->control_count};
    file->control_count++;
    return ERR_OK;
}

static int capture_control_compare(const void *a, const void *b)
{
    const struct capture_control *left = a, *right = b;
    int order = record_compare(left->record.epoch, left->record.seq, right->record.epoch,
                               right->record.seq);
    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

/* Payload CRCs of data records are left to the reading; controls are kept, so theirs count. */
static int capture_file_peek(struct bytes data, struct record *record, size_t *size)
{
    int result = capture_peek_record(data, record, size);
    if (result == ERR_OK && record_is_control(record))
        result = capture_read_record(data, record, size);
    return result;
}

typedef int (*capture_file_read_fn)(struct bytes data, struct record *record, size_t *size);

/* The next whole record in file order. *corrupt counts what was skipped on the way. */
static int capture_file_step(struct capture_file *file, capture_file_read_fn read,
                             struct record *record, uint64_t *corrupt, uint64_t *cut)
{
    while (file->segment < file->counters.segments) {
        const struct bytes *data = &file->segments[file->segment].data;
        const struct bytes rest = bytes_of(data->data + file->at, data->size - file->at);
        size_t size = 0;
        int result = read(rest, record, &size);
        file->at += size;
        if (result == ERR_OK)
            return ERR_OK;
        if (result == ERR_CORRUPT) {
            (*corrupt)++;
            if (size > 0)
                continue;
        }
        *cut += data->size - file->at;
        file->segment++;
        file->at = CAPTURE_HEADER_SIZE;
    }
    return ERR_EMPTY;
}

/* Drops controls that are there twice (same place, same bytes), after the sort. */
static void capture_file_unique(struct capture_file *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < file->control_count; i++) {
        const struct record *record = &file->controls[i].record;
        const struct record *last = kept > 0 ? &file->controls[kept - 1].record : NULL;
        const bool again =
            last != NULL && last->kind == record->kind &&
            record_compare(last->epoch, last->seq, record->epoch, record->seq) == 0 &&
            last->payload.size == record->payload.size &&
            memcmp(last->payload.data, record->payload.data, record->payload.size) == 0;
        if (!again)
            file->controls[kept++] = file->controls[i];
    }
    file->control_count = kept;
}

static int capture_file_index(struct capture_file *file, struct err *err)
{
    struct record record;
    uint64_t counted_later = 0;
    capture_file_rewind(file);
    while (capture_file_step(file, capture_file_peek, &record, &counted_later,
                             &file->counters.cut_tail_bytes) == ERR_OK) {
        file->counters.records++;
        if (!record_is_control(&record))
            continue;
        file->counters.controls++;
        file->counters.slots += record.kind == RECORD_SLOT;
        int result = capture_file_keep(file, &record, err);
        if (result != ERR_OK)
            return result;
    }
    if (file->control_count > 0)
        qsort(file->controls, file->control_count, sizeof(*file->controls),
              capture_control_compare);
    capture_file_unique(file);
    return ERR_OK;
}

int capture_file_open(const char *path, struct capture_file **out, struct err *err)
{
    char name[CAPTURE_FILE_PATH_SIZE];
    struct capture_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return err_set(err, ERR_MEMORY, "capture file");
    int result = ERR_OK;
    for (int i = 0; i <= CAPTURE_FILE_SEGMENTS_MAX && result == ERR_OK; i++) {
        if (!capture_file_segment_path(path, i, name))
            result = err_set(err, ERR_INVALID, "%s: the path is too long", path);
        else
            result = capture_file_add(file, name, err);
    }
    /* The first name that is missing ends the set. */
    if (result == ERR_NOT_FOUND && file->counters.segments > 0)
        result = ERR_OK;
    if (result == ERR_OK)
        result = capture_file_index(file, err);
    if (result != ERR_OK) {
        capture_file_close(file);
        return result;
    }
    capture_file_rewind(file);
    *out = file;
    return ERR_OK;
}

void capture_file_close(struct capture_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < file->counters.segments; i++)
        munmap((void *)(uintptr_t)file->segments[i].data.data, file->segments[i].data.size);
    free(file->segments);
    free(file->controls);
    free(file);
}

const struct capture_header *capture_file_header(const struct capture_file *file)
{
    return &file->header;
}

const struct capture_file_counters *capture_file_counters(const struct capture_file *file)
{
    return &file->counters;
}

void capture_file_rewind(struct capture_file *file)
{
    file->segment = 0;
    file->at = CAPTURE_HEADER_SIZE;
    file->counters.corrupt = 0;
    file->control_next = 0;
    file->has_held = false;
    file->last_epoch = file->last_seq = 0;
}

/* A data record that goes on in the order; a restarted recorder brings some once more. */
static bool capture_file_is_new(const struct capture_file *file, const struct record *record)
{
    return !record_is_control(record) &&
           record_compare(record->epoch, record->seq, file->last_epoch, file->last_seq) > 0;
}

static bool capture_file_control_due(const struct capture_file *file)
{
    if (file->control_next == file->control_count)
        return false;
    const struct record *control = &file->controls[file->control_next].record;
    return !file->has_held ||
           record_compare(control->epoch, control->seq, file->held.epoch, file->held.seq) < 0;
}

int capture_file_next(struct capture_file *file, struct record *record)
{
    uint64_t ignored = 0;
    /* Controls pass where they belong: in file order they are skipped. */
    while (!file->has_held) {
        if (capture_file_step(file, capture_read_record, &file->held, &file->counters.corrupt,
                              &ignored) != ERR_OK)
            break;
        file->has_held = capture_file_is_new(file, &file->held);
        if (!file->has_held)
            continue;
        file->last_epoch = file->held.epoch;
        file->last_seq = file->held.seq;
    }
    if (capture_file_control_due(file)) {
        *record = file->controls[file->control_next++].record;
        return ERR_OK;
    }
    if (!file->has_held)
        return ERR_EMPTY;
    *record = file->held;
    file->has_held = false;
    return ERR_OK;
}
