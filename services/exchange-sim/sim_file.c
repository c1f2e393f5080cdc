/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/log.h"
#include "base/text.h"
#include "wire/capture.h"
#include "wire/exchange_json.h"

/* Room for the longest record or line twice. */
#define FILE_BUFFER (4u * (RECORD_PAYLOAD_MAX + CAPTURE_OVERHEAD))

struct sim_file {
    gzFile gz;
    char path[512];
    char symbol[RECORD_SYMBOL_SIZE];
    bool json;
    uint8_t *buffer;
    size_t at, size; /* unread: [at, size) */
    bool drained;
    struct exchange_json *parser;
    uint8_t *frame; /* made from JSON */
    uint64_t skipped;
};

static int file_fill(struct sim_file *file, struct err *err)
{
    memmove(file->buffer, file->buffer + file->at, file->size - file->at);
    file->size -= file->at;
    file->at = 0;
    while (file->size < FILE_BUFFER && !file->drained) {
        int got = gzread(file->gz, file->buffer + file->size, (unsigned)(FILE_BUFFER - file->size));
        if (got < 0) {
            int code;
            return err_set(err, ERR_IO, "%s: %s", file->path, gzerror(file->gz, &code));
        }
        file->drained = got == 0;
        file->size += (size_t)got;
    }
    return ERR_OK;
}

static struct bytes file_unread(const struct sim_file *file)
{
    return bytes_of(file->buffer + file->at, file->size - file->at);
}

static int file_begin(struct sim_file *file, struct err *err)
{
    struct capture_header header;
    int rc = file_fill(file, err);
    if (rc != ERR_OK)
        return rc;
    struct bytes start = file_unread(file);
    size_t magic = strlen(CAPTURE_MAGIC);
    file->json = start.size < magic || memcmp(start.data, CAPTURE_MAGIC, magic) != 0;
    if (file->json)
        return start.size > 0 && start.data[0] >= '0' && start.data[0] <= '9'
                   ? ERR_OK
                   : err_set(err, ERR_MALFORMED, "%s is neither a btcast nor a JSON capture",
                             file->path);
    rc = capture_read_header(start, &header, err);
    if (rc != ERR_OK)
        return err_wrap(err, rc, "%s", file->path);
    if (strcmp(header.symbol, file->symbol) != 0)
        return err_set(err, ERR_MALFORMED, "%s is a capture of %s, not %s", file->path,
                       header.symbol, file->symbol);
    file->at += CAPTURE_HEADER_SIZE;
    return ERR_OK;
}

int sim_file_open(const char *path, const char *symbol, struct sim_file **out, struct err *err)
{
    struct sim_file *file = calloc(1, sizeof(*file));
    if (!file)
        return err_set(err, ERR_MEMORY, "%s", path);
    (void)snprintf(file->path, sizeof(file->path), "%s", path);
    (void)snprintf(file->symbol, sizeof(file->symbol), "%s", symbol);
    file->buffer = malloc(FILE_BUFFER);
    file->frame = malloc(RECORD_PAYLOAD_MAX);
    file->gz = gzopen(path, "rb");
    int rc = ERR_OK;
    if (!file->buffer || !file->frame)
        rc = err_set(err, ERR_MEMORY, "%s", path);
    else if (!file->gz)
        rc = err_set(err, ERR_IO, "cannot read %s", path);
    if (rc == ERR_OK)
        rc = exchange_json_open(&file->parser, err);
    if (rc == ERR_OK)
        rc = file_begin(file, err);
    if (rc != ERR_OK) {
        sim_file_close(file);
        return rc;
    }
    *out = file;
    return ERR_OK;
}

void sim_file_close(struct sim_file *file)
{
    if (!file)
        return;
    if (file->gz)
        (void)gzclose(file->gz);
    if (file->parser)
        exchange_json_close(file->parser);
    free(file->buffer);
    free(file->frame);
    free(file);
}

void sim_file_rewind(struct sim_file *file)
{
    (void)gzrewind(file->gz);
    file->at = file->size = 0;
    file->drained = false;
    struct err err;
    if (file_begin(file, &err) != ERR_OK)
        file->drained = true;
}

static int file_capture_next(struct sim_file *file, struct record *record, struct err *err)
{
    size_t size;
    int rc = capture_read_record(file_unread(file), record, &size);
    if (rc == ERR_EMPTY && !file->drained) {
        rc = file_fill(file, err);
        if (rc != ERR_OK)
            return rc;
        rc = capture_read_record(file_unread(file), record, &size);
    }
    if (rc == ERR_CORRUPT)
        return err_set(err, rc, "%s: a record's checksum is wrong", file->path);
    if (rc == ERR_OK)
        file->at += size;
    return rc;
}

/* The next line without its end; ERR_EMPTY at the end of the file. */
static int file_line(struct sim_file *file, struct bytes *line, struct err *err)
{
    for (int tries = 0; tries < 2; tries++) {
        struct bytes unread = file_unread(file);
        const uint8_t *end = unread.size ? memchr(unread.data, '\n', unread.size) : NULL;
        if (end || (file->drained && unread.size > 0)) {
            *line = bytes_of(unread.data, end ? (size_t)(end - unread.data) : unread.size);
            file->at += line->size + (end != NULL);
            return ERR_OK;
        }
        if (file->drained)
            return ERR_EMPTY;
        int rc = file_fill(file, err);
        if (rc != ERR_OK)
            return rc;
    }
    return err_set(err, ERR_MALFORMED, "%s: a line is longer than %u bytes", file->path,
                   FILE_BUFFER);
}

/* The document that stands for a recorded REST depth reply. */
static bool file_anchor(struct sim_file *file, struct bytes depth, int64_t recv_us,
                        struct record *record)
{
    struct text text = text_begin((char *)file->frame, RECORD_PAYLOAD_MAX);
    text_add_format(&text,
                    "{\"symbol\":\"%s\",\"token\":\"replay\",\"cause\":\"start\","
                    "\"requested_us\":%lld,\"received_us\":%lld,\"depth\":",
                    file->symbol, (long long)recv_us, (long long)recv_us);
    text_add_bytes(&text, depth.data, depth.size);
    text_add_char(&text, '}');
    *record = (struct record){
        .recv_us = recv_us, .kind = RECORD_ANCHOR, .payload = bytes_of(file->frame, text.size)};
    return !text.truncated;
}

static bool file_message(struct sim_file *file, struct bytes line, struct record *record)
{
    struct exchange_json_message message;
    struct bytes json;
    int64_t recv_us;
    if (exchange_json_line(line, &recv_us, &json) != ERR_OK ||
        exchange_json_read(file->parser, json, recv_us, file->frame, RECORD_PAYLOAD_MAX, &message,
                           NULL) != ERR_OK)
        return false;
    if (message.kind == EXCHANGE_JSON_DEPTH)
        return file_anchor(file, message.depth, recv_us, record);
    if (message.kind != EXCHANGE_JSON_FRAME)
        return false;
    *record = (struct record){.recv_us = recv_us,
                              .kind = RECORD_FRAME,
                              .flags = message.flags,
                              .payload = bytes_of(file->frame, message.frame_size)};
    return true;
}

static int file_json_next(struct sim_file *file, struct record *record, struct err *err)
{
    for (;;) {
        struct bytes line;
        int rc = file_line(file, &line, err);
        if (rc != ERR_OK || file_message(file, line, record))
            return rc;
        if (file->skipped++ == 0)
            log_warn("replay_skipped", "file=\"%s\" reason=\"a line is no message\"", file->path);
    }
}

int sim_file_next(struct sim_file *file, struct sim_file_record *record, struct err *err)
{
    return file->json ? file_json_next(file, &record->record, err)
                      : file_capture_next(file, &record->record, err);
}
