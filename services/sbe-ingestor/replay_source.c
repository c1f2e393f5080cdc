/* SPDX-License-Identifier: Apache-2.0 */
#include "services/sbe-ingestor/replay_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/file/capture_file.h"
#include "edge/file/line_reader.h"
#include "wire/exchange_json.h"

struct replay_source {
    replay_frame_fn frame;
    void *context;
    double speed;
    struct capture_file *capture; /* one of these two */
    struct line_reader *lines;
    struct exchange_json *json;
    uint8_t *buffer; /* EXCHANGE_JSON_FRAME_MAX */
    struct replay_counters counters;
    struct bytes next; /* the frame that comes next */
    uint8_t next_flags;
    int64_t next_us;            /* its recorded receive time */
    int64_t first_us, start_us; /* recorded and monotonic time of the first frame */
    bool started, finished;
};

/* The next market data of a capture; false at the end. */
static bool replay_source_next_record(struct replay_source *source)
{
    struct record record;
    while (capture_file_next(source->capture, &record) == ERR_OK) {
        if (record.kind != RECORD_FRAME) {
            source->counters.skipped++;
            continue;
        }
        source->next = record.payload;
        source->next_flags = record.flags;
        source->next_us = record.recv_us;
        return true;
    }
    return false;
}

static bool replay_source_read_line(struct replay_source *source, struct bytes line)
{
    struct exchange_json_message message;
    struct bytes json;
    if (exchange_json_line(line, &source->next_us, &json) != ERR_OK ||
        exchange_json_read(source->json, json, source->next_us, source->buffer,
                           EXCHANGE_JSON_FRAME_MAX, &message, NULL) != ERR_OK) {
        source->counters.malformed++;
        return false;
    }
    if (message.kind != EXCHANGE_JSON_FRAME) {
        source->counters.skipped++;
        return false;
    }
    source->next = bytes_of(source->buffer, message.frame_size);
    source->next_flags = message.flags;
    return true;
}

static bool replay_source_next_line(struct replay_source *source)
{
    struct bytes line;
    struct err err = {0};
    int result;
    while ((result = line_reader_next(source->lines, &line, &err)) == ERR_OK)
        if (replay_source_read_line(source, line))
            return true;
    if (result != ERR_EMPTY)
        log_warn("replay_cut", "reason=\"%s\"", err.text);
    return false;
}

static void replay_source_advance(struct replay_source *source)
{
    source->finished = source->capture != NULL ? !replay_source_next_record(source)
                                               : !replay_source_next_line(source);
}

static int replay_source_open_file(struct replay_source *source, const char *path,
                                   const char *symbol, struct err *err)
{
    if (capture_file_is(path)) {
        int result = capture_file_open(path, &source->capture, err);
        if (result != ERR_OK)
            return result;
        const char *held = capture_file_header(source->capture)->symbol;
        if (strcmp(held, symbol) != 0)
            return err_set(err, ERR_CONFIG, "replay.file: %s holds %s, not %s", path, held, symbol);
        return ERR_OK;
    }
    source->buffer = malloc(EXCHANGE_JSON_FRAME_MAX);
    if (source->buffer == NULL)
        return err_set(err, ERR_MEMORY, "replay");
    int result = exchange_json_open(&source->json, err);
    return result == ERR_OK ? line_reader_open(path, &source->lines, err) : result;
}

int replay_source_open(const char *path, double speed, const char *symbol, replay_frame_fn frame,
                       void *context, struct replay_source **out, struct err *err)
{
    struct replay_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return err_set(err, ERR_MEMORY, "replay");
    source->frame = frame;
    source->context = context;
    source->speed = speed;
    int result = replay_source_open_file(source, path, symbol, err);
    if (result == ERR_OK) {
        replay_source_advance(source);
        if (source->finished)
            result = err_set(err, ERR_MALFORMED,
                             "%s holds no market data (%llu lines or records not understood)", path,
                             (unsigned long long)source->counters.malformed);
    }
    if (result != ERR_OK) {
        replay_source_close(source);
        return result;
    }
    source->first_us = source->next_us;
    *out = source;
    return ERR_OK;
}

void replay_source_close(struct replay_source *source)
{
    if (source == NULL)
        return;
    capture_file_close(source->capture);
    line_reader_close(source->lines);
    if (source->json != NULL)
        exchange_json_close(source->json);
    free(source->buffer);
    free(source);
}

/* Microseconds until the next frame is due; a recorder's clock may have run back. */
static int64_t replay_source_wait_us(const struct replay_source *source, int64_t mono_us)
{
    if (source->speed <= 0)
        return 0;
    const double since = (double)(source->next_us - source->first_us) / source->speed;
    const int64_t wait_us = source->start_us + (int64_t)since - mono_us;
    return wait_us > 0 ? wait_us : 0;
}

int64_t replay_source_do_work(struct replay_source *source, int64_t mono_us)
{
    if (!source->started) {
        source->started = true;
        source->start_us = mono_us;
    }
    for (int i = 0; i < REPLAY_BURST_MAX && !source->finished; i++) {
        const int64_t wait_us = replay_source_wait_us(source, mono_us);
        if (wait_us > 0)
            return wait_us;
        source->counters.frames++;
        source->frame(source->context, source->next, source->next_flags);
        replay_source_advance(source);
    }
    return source->finished ? INT64_MAX : 0;
}

bool replay_source_finished(const struct replay_source *source)
{
    return source->finished;
}

const struct replay_counters *replay_source_counters(const struct replay_source *source)
{
    return &source->counters;
}
