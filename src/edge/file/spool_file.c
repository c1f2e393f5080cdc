/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/spool_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"

/* An entry: magic u32, size u32, stream u32, crc u32 (of the rest and the data), epoch u64,
 * last_seq u64, data. */
#define SPOOL_ENTRY_MAGIC 0x6c6f6f70u
#define SPOOL_ENTRY_HEAD  32
enum spool_entry_offset {
    SPOOL_AT_SIZE = 4,
    SPOOL_AT_STREAM = 8,
    SPOOL_AT_CRC = 12,
    SPOOL_AT_EPOCH = 16,
    SPOOL_AT_LAST_SEQ = 24,
};
#define SPOOL_PATH_SIZE 512

struct spool_segment {
    uint64_t number;
    int64_t size;
    uint64_t entries;
};

struct spool_file {
    struct spool_port port;
    char folder[SPOOL_PATH_SIZE - 32];
    int64_t bytes_max, bytes;
    uint64_t count; /* entries not removed */
    uint64_t newest_epoch;
    struct spool_segment segments[SPOOL_FILE_SEGMENTS_MAX]; /* oldest first; writes go last */
    int segment_count;
    int read_fd, write_fd; /* of the first and the last segment; -1: not open */
    int64_t read_at;
    uint64_t read_entries; /* removed from the first segment */
    int64_t peeked_size;   /* of the oldest entry with its head; 0: not known */
    uint8_t *buffer;       /* SPOOL_ENTRY_HEAD + SPOOL_FILE_ENTRY_MAX */
};

static void spool_file_path(const struct spool_file *spool, uint64_t number, char *out)
{
    snprintf(out, SPOOL_PATH_SIZE, "%s/spool-%012llu", spool->folder, (unsigned long long)number);
}

static uint32_t spool_file_crc(const uint8_t *head, const uint8_t *data, size_t size)
{
    uint32_t crc = crc32c(0, head, SPOOL_AT_CRC);
    crc = crc32c(crc, head + SPOOL_AT_EPOCH, SPOOL_ENTRY_HEAD - SPOOL_AT_EPOCH);
    return crc32c(crc, data, size);
}

/* Reads the entry at an offset into the buffer; its whole size, or 0: none or damaged. */
static int64_t spool_file_load(struct spool_file *spool, int fd, int64_t at)
{
    uint8_t *head = spool->buffer, *data = head + SPOOL_ENTRY_HEAD;
    if (pread(fd, head, SPOOL_ENTRY_HEAD, at) != SPOOL_ENTRY_HEAD ||
        bytes_load_u32(head) != SPOOL_ENTRY_MAGIC)
        return 0;
    const uint32_t size = bytes_load_u32(head + SPOOL_AT_SIZE);
    if (size == 0 || size > SPOOL_FILE_ENTRY_MAX ||
        bytes_load_u32(head + SPOOL_AT_STREAM) >= STREAM_COUNT ||
        pread(fd, data, size, at + SPOOL_ENTRY_HEAD) != (ssize_t)size ||
        bytes_load_u32(head + SPOOL_AT_CRC) != spool_file_crc(head, data, size))
        return 0;
    return SPOOL_ENTRY_HEAD + (int64_t)size;
}

static void spool_file_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Forgets the oldest segment; returns the entries in it that were not removed yet. */
static uint64_t spool_file_drop_first(struct spool_file *spool)
{
    char path[SPOOL_PATH_SIZE];
    CHECK(spool->segment_count > 0);
    const struct spool_segment first = spool->segments[0];
    const uint64_t left = first.entries - spool->read_entries;
    spool_file_close_fd(&spool->read_fd);
    if (spool->segment_count == 1)
        spool_file_close_fd(&spool->write_fd);
    spool_file_path(spool, first.number, path);
    unlink(path);
    spool->segment_count--;
    memmove(spool->segments, spool->segments + 1,
            (size_t)spool->segment_count * sizeof(spool->segments[0]));
    spool->bytes -= first.size;
    spool->count -= left;
    spool->read_at = 0;
    spool->read_entries = 0;
    spool->peeked_size = 0;
    return left;
}

static int spool_file_begin(struct spool_file *spool)
{
    char path[SPOOL_PATH_SIZE];
    const uint64_t number =
        spool->segment_count == 0 ? 1 : spool->segments[spool->segment_count - 1].number + 1;
    spool_file_close_fd(&spool->write_fd);
    spool_file_path(spool, number, path);
    spool->write_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (spool->write_fd < 0)
        return ERR_IO;
    spool->segments[spool->segment_count++] = (struct spool_segment){.number = number};
    return ERR_OK;
}

/* Writes head and data behind the last entry, or leaves the file as it was. */
static int spool_file_write(struct spool_file *spool, const uint8_t *head, struct bytes data)
{
    struct spool_segment *segment = &spool->segments[spool->segment_count - 1];
    const bool ok =
        pwrite(spool->write_fd, head, SPOOL_ENTRY_HEAD, segment->size) == SPOOL_ENTRY_HEAD &&
        pwrite(spool->write_fd, data.data, data.size, segment->size + SPOOL_ENTRY_HEAD) ==
            (ssize_t)data.size;
    if (!ok) {
        int ignored = ftruncate(spool->write_fd, segment->size);
        (void)ignored; /* what is left behind the end is overwritten or cut at open */
        return ERR_IO;
    }
    segment->size += SPOOL_ENTRY_HEAD + (int64_t)data.size;
    segment->entries++;
    spool->bytes += SPOOL_ENTRY_HEAD + (int64_t)data.size;
    spool->count++;
    return ERR_OK;
}

static int spool_file_append(void *self, const struct stream_record *record, uint64_t *dropped)
{
    struct spool_file *spool = self;
    uint8_t head[SPOOL_ENTRY_HEAD];
    if (record->data.size == 0 || record->data.size > SPOOL_FILE_ENTRY_MAX)
        return ERR_INVALID;
    while (spool->segment_count > 0 &&
           (spool->bytes + (int64_t)record->data.size + SPOOL_ENTRY_HEAD > spool->bytes_max ||
            spool->segment_count == SPOOL_FILE_SEGMENTS_MAX))
        *dropped += spool_file_drop_first(spool);
    if (spool->write_fd < 0 ||
        spool->segments[spool->segment_count - 1].size >= SPOOL_FILE_SEGMENT_BYTES)
        if (spool_file_begin(spool) != ERR_OK)
            return ERR_IO;
    bytes_store_u32(head, SPOOL_ENTRY_MAGIC);
    bytes_store_u32(head + SPOOL_AT_SIZE, (uint32_t)record->data.size);
    bytes_store_u32(head + SPOOL_AT_STREAM, (uint32_t)record->stream);
    bytes_store_u64(head + SPOOL_AT_EPOCH, record->epoch);
    bytes_store_u64(head + SPOOL_AT_LAST_SEQ, record->last_seq);
    bytes_store_u32(head + SPOOL_AT_CRC,
                    spool_file_crc(head, record->data.data, record->data.size));
    return spool_file_write(spool, head, record->data);
}

static bool spool_file_open_first(struct spool_file *spool)
{
    char path[SPOOL_PATH_SIZE];
    if (spool->read_fd >= 0)
        return true;
    spool_file_path(spool, spool->segments[0].number, path);
    spool->read_fd = open(path, O_RDONLY | O_CLOEXEC);
    return spool->read_fd >= 0;
}

static int spool_file_read(void *self, struct stream_record *record, uint64_t *dropped)
{
    struct spool_file *spool = self;
    while (spool->segment_count > 0 && spool->count > 0) {
        const struct spool_segment *first = &spool->segments[0];
        if (spool->read_entries < first->entries && spool_file_open_first(spool)) {
            spool->peeked_size = spool_file_load(spool, spool->read_fd, spool->read_at);
            if (spool->peeked_size > 0) {
                *record = (struct stream_record){
                    (enum stream_name)bytes_load_u32(spool->buffer + SPOOL_AT_STREAM),
                    bytes_load_u64(spool->buffer + SPOOL_AT_EPOCH),
                    bytes_load_u64(spool->buffer + SPOOL_AT_LAST_SEQ),
                    bytes_of(spool->buffer + SPOOL_ENTRY_HEAD,
                             (size_t)spool->peeked_size - SPOOL_ENTRY_HEAD)};
                return ERR_OK;
            }
        }
        /* Read to its end, or damaged: nothing behind the damage can be found. */
        *dropped += spool_file_drop_first(spool);
    }
    return ERR_EMPTY;
}

static void spool_file_remove(void *self, uint64_t count)
{
    struct spool_file *spool = self;
    struct stream_record record;
    uint64_t dropped = 0;
    for (; count > 0; count--) {
        if (spool->peeked_size == 0 && spool_file_read(spool, &record, &dropped) != ERR_OK)
            return;
        spool->read_at += spool->peeked_size;
        spool->peeked_size = 0;
        spool->read_entries++;
        spool->count--;
        if (spool->read_entries == spool->segments[0].entries)
            spool_file_drop_first(spool);
    }
}

static uint64_t spool_file_count(const void *self)
{
    return ((const struct spool_file *)self)->count;
}

static int spool_file_by_number(const void *a, const void *b)
{
    const struct spool_segment *left = a, *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Counts the whole entries of a segment found at open and cuts off what follows them. */
static void spool_file_recover(struct spool_file *spool, struct spool_segment *segment)
{
    char path[SPOOL_PATH_SIZE];
    spool_file_path(spool, segment->number, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    for (int64_t size; (size = spool_file_load(spool, fd, segment->size)) > 0;) {
        uint64_t epoch = bytes_load_u64(spool->buffer + SPOOL_AT_EPOCH);
        spool->newest_epoch = epoch > spool->newest_epoch ? epoch : spool->newest_epoch;
        segment->size += size;
        segment->entries++;
    }
    int ignored = ftruncate(fd, segment->size);
    (void)ignored;
    close(fd);
    spool->bytes += segment->size;
    spool->count += segment->entries;
}

static int spool_file_scan(struct spool_file *spool, struct err *err)
{
    DIR *folder = opendir(spool->folder);
    if (folder == NULL)
        return err_set(err, ERR_IO, "spool %s: %s", spool->folder, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL && spool->segment_count < SPOOL_FILE_SEGMENTS_MAX) {
        unsigned long long number;
        char rest;
        if (sscanf(entry->d_name, "spool-%12llu%c", &number, &rest) == 1)
            spool->segments[spool->segment_count++] = (struct spool_segment){.number = number};
    }
    closedir(folder);
    qsort(spool->segments, (size_t)spool->segment_count, sizeof(spool->segments[0]),
          spool_file_by_number);
    for (int i = 0; i < spool->segment_count; i++)
        spool_file_recover(spool, &spool->segments[i]);
    return ERR_OK;
}

int spool_file_open(const char *folder, int64_t bytes_max, struct spool_file **out, struct err *err)
{
    PRE(bytes_max >= SPOOL_FILE_BYTES_MIN);
    struct spool_file *spool = calloc(1, sizeof(*spool));
    if (spool == NULL)
        return err_set(err, ERR_MEMORY, "spool");
    spool->port = (struct spool_port){spool, spool_file_append, spool_file_read, spool_file_remove,
                                      spool_file_count};
    spool->bytes_max = bytes_max;
    spool->read_fd = spool->write_fd = -1;
    spool->buffer = malloc(SPOOL_ENTRY_HEAD + SPOOL_FILE_ENTRY_MAX);
    int result = ERR_OK;
    if (spool->buffer == NULL)
        result = err_set(err, ERR_MEMORY, "spool");
    else if (snprintf(spool->folder, sizeof(spool->folder), "%s", folder) >=
             (int)sizeof(spool->folder))
        result = err_set(err, ERR_INVALID, "spool %s: the path is too long", folder);
    else if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        result = err_set(err, ERR_IO, "spool %s: %s", folder, strerror(errno));
    else
        result = spool_file_scan(spool, err);
    if (result != ERR_OK) {
        spool_file_close(spool);
        return result;
    }
    *out = spool;
    return ERR_OK;
}

void spool_file_close(struct spool_file *spool)
{
    if (spool == NULL)
        return;
    spool_file_close_fd(&spool->read_fd);
    spool_file_close_fd(&spool->write_fd);
    free(spool->buffer);
    free(spool);
}

const struct spool_port *spool_file_port(const struct spool_file *spool)
{
    return &spool->port;
}

uint64_t spool_file_newest_epoch(const struct spool_file *spool)
{
    return spool->newest_epoch;
}

int64_t spool_file_bytes(const struct spool_file *spool)
{
    return spool->bytes;
}
