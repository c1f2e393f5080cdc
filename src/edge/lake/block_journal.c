/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/block_journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "wire/capture.h"

/* One record of the largest size, and what comes in one turn of reading. */
#define BLOCK_JOURNAL_BUFFER (CAPTURE_OVERHEAD + RECORD_PAYLOAD_MAX + (256u << 10))

struct journal_file {
    struct archive_block identity;
    uint64_t last_epoch, last_seq; /* of its records */
    uint64_t bytes;                /* written */
};

/* The file that a kind's records go to, and those that are not in it yet. */
struct journal_lane {
    int fd; /* -1: none */
    struct archive_block identity;
    uint8_t *buffer;
    size_t size;
    uint64_t last_epoch, last_seq;
};

struct block_journal {
    char folder[LAKE_FILE_PATH_SIZE / 2], symbol[RECORD_SYMBOL_SIZE];
    struct lake_spool *spool;
    struct journal_file files[BLOCK_JOURNAL_FILES_MAX]; /* sorted when the journal is read */
    int count, reading;                                 /* reading: index of the file at hand */
    uint8_t *map;                                       /* of that file */
    size_t map_size, at;
    uint64_t bytes;
    struct journal_lane lanes[ARCHIVE_KINDS];
    struct block_journal_counters counters;
    struct log_limit log;
    struct metric *metric_bytes, *metric_recovered, *metric_failures, *metric_cut;
};

/* --- names ------------------------------------------------------------------------------ */

static bool block_journal_path(const struct block_journal *journal,
                               const struct archive_block *block, char *out)
{
    return snprintf(out, LAKE_FILE_PATH_SIZE, "%s/%s_%" PRIu64 "-%" PRIu64 "_%" PRId64 ".btc",
                    journal->folder, bronze_key_kind_text(block->kind), block->epoch, block->block,
                    block->minute) < LAKE_FILE_PATH_SIZE;
}

static bool block_journal_parse(const struct block_journal *journal, const char *name,
                                struct archive_block *block)
{
    char kind[16], path[LAKE_FILE_PATH_SIZE];
    *block = (struct archive_block){.kind = ARCHIVE_KINDS};
    if (sscanf(name, "%15[a-z]_%" SCNu64 "-%" SCNu64 "_%" SCNd64 ".btc", kind, &block->epoch,
               &block->block, &block->minute) != 4)
        return false;
    for (int i = 0; i < ARCHIVE_KINDS; i++)
        if (strcmp(kind, bronze_key_kind_text((enum archive_kind)i)) == 0)
            block->kind = (enum archive_kind)i;
    if (block->kind == ARCHIVE_KINDS || !block_journal_path(journal, block, path))
        return false;
    snprintf(block->symbol, sizeof(block->symbol), "%s", journal->symbol);
    return strcmp(strrchr(path, '/') + 1, name) == 0;
}

static int block_journal_find(const struct block_journal *journal,
                              const struct archive_block *block)
{
    for (int i = journal->count - 1; i >= 0; i--)
        if (bronze_key_block_equal(&journal->files[i].identity, block))
            return i;
    return -1;
}

static void block_journal_measure(struct block_journal *journal)
{
    if (journal->spool != NULL)
        lake_spool_set_journal(journal->spool, journal->bytes);
    if (journal->metric_bytes != NULL)
        metric_set(journal->metric_bytes, (double)journal->bytes);
}

static void block_journal_count(struct metric *metric, uint64_t amount)
{
    if (metric != NULL && amount > 0)
        metric_add(metric, amount);
}

/* --- writing ---------------------------------------------------------------------------- */

static int block_journal_fail(struct block_journal *journal, const char *what)
{
    uint64_t skipped = 0;
    const int code = errno;
    journal->counters.failures++;
    block_journal_count(journal->metric_failures, 1);
    if (log_limit_pass(&journal->log, loop_mono_us(), &skipped))
        log_error("journal_not_written", "symbol=%s step=%s skipped=%" PRIu64 " reason=\"%s\"",
                  journal->symbol, what, skipped, strerror(code));
    return ERR_AGAIN;
}

/* All of the buffer at the end of the file, or nothing of it. */
static int block_journal_write(struct block_journal *journal, struct journal_lane *lane)
{
    const int index = lane->size > 0 ? block_journal_find(journal, &lane->identity) : -1;
    if (index < 0)
        return ERR_OK;
    struct journal_file *file = &journal->files[index];
    size_t done = 0;
    while (done < lane->size) {
        ssize_t size =
            pwrite(lane->fd, lane->buffer + done, lane->size - done, (off_t)(file->bytes + done));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0) {
            int result = block_journal_fail(journal, "write");
            (void)!ftruncate(lane->fd, (off_t)file->bytes); /* a half record would end it */
            return result;
        }
        done += (size_t)size;
    }
    file->bytes += lane->size;
    file->last_epoch = lane->last_epoch;
    file->last_seq = lane->last_seq;
    journal->bytes += lane->size;
    lane->size = 0;
    block_journal_measure(journal);
    return ERR_OK;
}

/* A block of another name begins: the one so far is synced. */
static int block_journal_leave(struct block_journal *journal, struct journal_lane *lane)
{
    if (lane->fd < 0)
        return ERR_OK;
    if (block_journal_write(journal, lane) != ERR_OK)
        return ERR_AGAIN;
    if (fdatasync(lane->fd) != 0)
        return block_journal_fail(journal, "sync");
    close(lane->fd);
    lane->fd = -1;
    return ERR_OK;
}

static void block_journal_begin(struct block_journal *journal, struct journal_lane *lane)
{
    struct capture_header header = {.created_us = loop_wall_us()};
    snprintf(header.symbol, sizeof(header.symbol), "%s", journal->symbol);
    capture_write_header(&header, lane->buffer);
    lane->size = CAPTURE_HEADER_SIZE;
}

static int block_journal_turn(struct block_journal *journal, struct journal_lane *lane,
                              const struct archive_block *block)
{
    char path[LAKE_FILE_PATH_SIZE];
    if (block_journal_leave(journal, lane) != ERR_OK)
        return ERR_AGAIN;
    if (lane->buffer == NULL && (lane->buffer = malloc(BLOCK_JOURNAL_BUFFER)) == NULL)
        return ERR_AGAIN;
    int index = block_journal_find(journal, block);
    if ((index < 0 && journal->count == BLOCK_JOURNAL_FILES_MAX) ||
        !block_journal_path(journal, block, path))
        return ERR_AGAIN;
    lane->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (lane->fd < 0)
        return block_journal_fail(journal, "open");
    lane->identity = *block;
    lane->size = 0;
    if (index < 0) {
        journal->files[journal->count++] = (struct journal_file){.identity = *block};
        block_journal_begin(journal, lane);
    }
    return ERR_OK;
}

static int block_journal_append(void *self, const struct archive_block *block,
                                const struct record *record)
{
    struct block_journal *journal = self;
    struct journal_lane *lane = &journal->lanes[block->kind];
    if ((lane->fd < 0 || !bronze_key_block_equal(&lane->identity, block)) &&
        block_journal_turn(journal, lane, block) != ERR_OK)
        return ERR_AGAIN;
    size_t size =
        capture_write_record(record, lane->buffer + lane->size, BLOCK_JOURNAL_BUFFER - lane->size);
    if (size == 0) {
        if (block_journal_write(journal, lane) != ERR_OK)
            return ERR_AGAIN;
        size = capture_write_record(record, lane->buffer, BLOCK_JOURNAL_BUFFER);
    }
    lane->size += size;
    lane->last_epoch = record->epoch;
    lane->last_seq = record->seq;
    journal->counters.records++;
    return ERR_OK;
}

static int block_journal_flush(void *self)
{
    struct block_journal *journal = self;
    int result = ERR_OK;
    for (int i = 0; i < ARCHIVE_KINDS; i++)
        if (block_journal_write(journal, &journal->lanes[i]) != ERR_OK)
            result = ERR_AGAIN;
    return result;
}

/* --- forgetting ------------------------------------------------------------------------- */

static void block_journal_unmap(struct block_journal *journal)
{
    if (journal->map != NULL)
        munmap(journal->map, journal->map_size);
    journal->map = NULL;
}

/* The order of the others stays: they may not be read yet. */
static void block_journal_take_out(struct block_journal *journal, int index)
{
    journal->count--;
    memmove(&journal->files[index], &journal->files[index + 1],
            (size_t)(journal->count - index) * sizeof(journal->files[0]));
}

static void block_journal_remove(struct block_journal *journal, int index)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct journal_file *file = &journal->files[index];
    struct journal_lane *lane = &journal->lanes[file->identity.kind];
    if (lane->fd >= 0 && bronze_key_block_equal(&lane->identity, &file->identity)) {
        close(lane->fd);
        lane->fd = -1;
        lane->size = 0;
    }
    if (block_journal_path(journal, &file->identity, path))
        unlink(path);
    journal->bytes -= file->bytes;
    if (index == journal->reading)
        block_journal_unmap(journal);
    journal->reading -= index < journal->reading;
    block_journal_take_out(journal, index);
    block_journal_measure(journal);
}

static void block_journal_settle(void *self, enum archive_kind kind, uint64_t epoch, uint64_t seq)
{
    struct block_journal *journal = self;
    const struct journal_lane *lane = &journal->lanes[kind];
    for (int i = journal->count - 1; i >= 0; i--) {
        const struct journal_file *file = &journal->files[i];
        const bool waiting = lane->fd >= 0 && lane->size > 0 &&
                             bronze_key_block_equal(&lane->identity, &file->identity);
        if (file->identity.kind == kind && !waiting &&
            record_compare(file->last_epoch, file->last_seq, epoch, seq) <= 0)
            block_journal_remove(journal, i);
    }
}

static void block_journal_forget(void *self, const struct archive_block *block)
{
    struct block_journal *journal = self;
    int index = block_journal_find(journal, block);
    if (index >= 0)
        block_journal_remove(journal, index);
}

/* --- reading ---------------------------------------------------------------------------- */

static int block_journal_compare(const void *a, const void *b)
{
    const struct archive_block *left = &((const struct journal_file *)a)->identity;
    const struct archive_block *right = &((const struct journal_file *)b)->identity;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return bronze_key_block_compare(left, right);
}

static int block_journal_scan(struct block_journal *journal, struct err *err)
{
    DIR *folder = opendir(journal->folder);
    if (folder == NULL)
        return err_set(err, lake_file_code(errno), "cannot read %s: %s", journal->folder,
                       strerror(errno));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct archive_block block;
        struct stat status;
        if (!block_journal_parse(journal, entry->d_name, &block) ||
            fstatat(dirfd(folder), entry->d_name, &status, 0) != 0)
            continue;
        if (journal->count == BLOCK_JOURNAL_FILES_MAX) {
            closedir(folder);
            return err_set(err, ERR_FULL, "%s holds more than %d blocks", journal->folder,
                           BLOCK_JOURNAL_FILES_MAX);
        }
        journal->bytes += (uint64_t)status.st_size;
        journal->files[journal->count++] =
            (struct journal_file){.identity = block, .bytes = (uint64_t)status.st_size};
    }
    closedir(folder);
    qsort(journal->files, (size_t)journal->count, sizeof(journal->files[0]), block_journal_compare);
    return ERR_OK;
}

/* False: a file that holds nothing. */
static bool block_journal_map(struct block_journal *journal, const char *path)
{
    struct capture_header header;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0)
        map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        return false;
    journal->map = map;
    journal->map_size = (size_t)status.st_size;
    journal->at = CAPTURE_HEADER_SIZE;
    if (capture_read_header(bytes_of(map, journal->map_size), &header, NULL) == ERR_OK &&
        strcmp(header.symbol, journal->symbol) == 0)
        return true;
    block_journal_unmap(journal);
    return false;
}

/* The end of a file's good part is its end from now on. */
static void block_journal_cut(struct block_journal *journal, const char *path, uint64_t good)
{
    struct journal_file *file = &journal->files[journal->reading];
    const uint64_t cut = file->bytes - good;
    block_journal_unmap(journal);
    if (cut == 0)
        return;
    log_warn("journal_cut", "file=\"%s\" bytes=%" PRIu64, path, cut);
    journal->counters.cut_bytes += cut;
    block_journal_count(journal->metric_cut, cut);
    (void)!truncate(path, (off_t)good);
    journal->bytes -= cut;
    file->bytes = good;
    block_journal_measure(journal);
}

static int block_journal_next(void *self, enum archive_kind *kind, struct record *record)
{
    struct block_journal *journal = self;
    char path[LAKE_FILE_PATH_SIZE];
    while (journal->reading < journal->count) {
        struct journal_file *file = &journal->files[journal->reading];
        size_t size = 0;
        (void)!block_journal_path(journal, &file->identity, path); /* it was read from there */
        if (journal->map == NULL && !block_journal_map(journal, path)) {
            block_journal_cut(journal, path, 0);
            unlink(path);
            block_journal_take_out(journal, journal->reading);
            continue;
        }
        if (capture_read_record(
                bytes_of(journal->map + journal->at, journal->map_size - journal->at), record,
                &size) == ERR_OK) {
            journal->at += size;
            file->last_epoch = record->epoch;
            file->last_seq = record->seq;
            *kind = file->identity.kind;
            journal->counters.recovered++;
            block_journal_count(journal->metric_recovered, 1);
            return ERR_OK;
        }
        block_journal_cut(journal, path, journal->at);
        journal->reading++;
    }
    return ERR_EMPTY;
}

/* --- open and close --------------------------------------------------------------------- */

static void block_journal_metrics(struct block_journal *journal, struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    journal->metric_bytes = metrics_gauge(metrics, "data_connector_journal_bytes", NULL,
                                          "Bytes of records whose block has no object yet.");
    journal->metric_recovered =
        metrics_counter(metrics, "data_connector_journal_recovered_total", NULL,
                        "Records that a restart found in the journal.");
    journal->metric_failures = metrics_counter(metrics, "data_connector_journal_failures_total",
                                               NULL, "Writes that the journal's disk refused.");
    journal->metric_cut = metrics_counter(metrics, "data_connector_journal_cut_bytes_total", NULL,
                                          "Bytes cut off damaged ends of journal files.");
}

int block_journal_open(const struct block_journal_options *options, struct block_journal **out,
                       struct err *err)
{
    struct block_journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL)
        return err_set(err, ERR_MEMORY, "journal");
    journal->spool = options->spool;
    journal->log = LOG_LIMIT_DEFAULT;
    for (int i = 0; i < ARCHIVE_KINDS; i++)
        journal->lanes[i].fd = -1;
    snprintf(journal->symbol, sizeof(journal->symbol), "%s", options->symbol);
    block_journal_metrics(journal, options->metrics);
    int result = ERR_OK;
    if (snprintf(journal->folder, sizeof(journal->folder), "%s", options->folder) >=
        (int)sizeof(journal->folder))
        result = err_set(err, ERR_CONFIG, "%.80s…: the path is too long", options->folder);
    if (result == ERR_OK)
        result = lake_file_make_folders(journal->folder, false, err);
    if (result == ERR_OK)
        result = block_journal_scan(journal, err);
    if (result != ERR_OK) {
        block_journal_close(journal);
        return result;
    }
    block_journal_measure(journal);
    *out = journal;
    return ERR_OK;
}

void block_journal_close(struct block_journal *journal)
{
    if (journal == NULL)
        return;
    (void)!block_journal_flush(journal); /* counted and logged */
    block_journal_unmap(journal);
    for (int i = 0; i < ARCHIVE_KINDS; i++) {
        if (journal->lanes[i].fd >= 0)
            close(journal->lanes[i].fd);
        free(journal->lanes[i].buffer);
    }
    free(journal);
}

struct archive_journal_port block_journal_port(struct block_journal *journal)
{
    return (struct archive_journal_port){.self = journal,
                                         .append = block_journal_append,
                                         .flush = block_journal_flush,
                                         .settle = block_journal_settle,
                                         .forget = block_journal_forget,
                                         .next = block_journal_next};
}

const struct block_journal_counters *block_journal_counters(const struct block_journal *journal)
{
    return &journal->counters;
}

uint64_t block_journal_bytes(const struct block_journal *journal)
{
    return journal->bytes;
}
