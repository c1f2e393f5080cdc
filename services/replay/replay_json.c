/* SPDX-License-Identifier: Apache-2.0 */
#include "services/replay/replay_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "edge/file/line_reader.h"
#include "hot/ingest/ingest.h"
#include "hot/ingest/tick_schedule.h"
#include "wire/exchange_json.h"

/* The publisher's ring is not read here: the tap hands the records out. */
#define REPLAY_JSON_RING_BYTES    (4u << 20)
#define REPLAY_JSON_DOCUMENT_ROOM 512

struct replay_json {
    const char *symbol;
    replay_record_fn record;
    void *context;
    struct replay_json_counters *counters;
    struct exchange_json *messages;
    struct ingest *ingest;
    struct clock_now now;
    uint8_t *frame;
    char *document;
    size_t document_size;
    struct record last; /* the newest one's place, for an anchor */
};

/* A stream that is never there: nothing of a replay is published. */
static bool replay_json_never(void *self)
{
    (void)self;
    return false;
}

static int replay_json_no_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

static const struct stream_producer replay_json_producer = {.ready = replay_json_never,
                                                            .do_work = replay_json_no_work};

static void replay_json_tap(void *context, const struct record *record)
{
    struct replay_json *replay = context;
    replay->last = *record;
    replay->record(replay->context, record);
}

static int replay_json_start(struct replay_json *replay, int64_t recv_us, struct err *err)
{
    replay->now = (struct clock_now){.wall_us = recv_us, .mono_us = recv_us};
    struct ingest_options options = {.now = replay->now,
                                     .publisher = {.producer = &replay_json_producer,
                                                   .ring_bytes_max = REPLAY_JSON_RING_BYTES,
                                                   .epoch = (uint64_t)(recv_us / 1000)},
                                     .tap = replay_json_tap,
                                     .context = replay};
    snprintf(options.symbol, sizeof(options.symbol), "%s", replay->symbol);
    int result = ingest_open(&options, &replay->ingest, err);
    if (result == ERR_OK)
        ingest_source(replay->ingest, 0, true, replay->now);
    return result;
}

/* Time passes: every tick that is due before the next line gets its record. */
static void replay_json_advance(struct replay_json *replay, int64_t recv_us)
{
    for (;;) {
        int64_t tick_us = tick_schedule_next_us(replay->now.wall_us);
        if (tick_us > recv_us)
            break;
        replay->now = (struct clock_now){.wall_us = tick_us, .mono_us = tick_us};
        ingest_do_work(replay->ingest, replay->now);
    }
    if (recv_us > replay->now.wall_us)
        replay->now = (struct clock_now){.wall_us = recv_us, .mono_us = recv_us};
}

static void replay_json_anchor(struct replay_json *replay, struct bytes depth)
{
    size_t wanted = depth.size + REPLAY_JSON_DOCUMENT_ROOM;
    if (wanted > replay->document_size) {
        char *larger = realloc(replay->document, wanted);
        if (larger == NULL)
            return;
        replay->document = larger;
        replay->document_size = wanted;
    }
    struct text text = text_begin(replay->document, replay->document_size);
    text_add_format(&text,
                    "{\"symbol\":\"%s\",\"token\":\"capture\",\"cause\":\"capture\","
                    "\"requested_us\":%lld,\"received_us\":%lld,\"depth\":",
                    replay->symbol, (long long)replay->now.wall_us, (long long)replay->now.wall_us);
    text_add_bytes(&text, depth.data, depth.size);
    text_add_char(&text, '}');
    struct record anchor = {.epoch = replay->last.epoch,
                            .seq = replay->last.seq,
                            .recv_us = replay->last.recv_us,
                            .kind = RECORD_ANCHOR,
                            .payload = bytes_of(text_end(&text), text.size)};
    replay->record(replay->context, &anchor);
}

static void replay_json_message(struct replay_json *replay, struct bytes json)
{
    struct exchange_json_message message;
    int result = exchange_json_read(replay->messages, json, replay->now.wall_us, replay->frame,
                                    EXCHANGE_JSON_FRAME_MAX, &message, NULL);
    if (result != ERR_OK) {
        replay->counters->malformed++;
        return;
    }
    if (message.kind == EXCHANGE_JSON_DEPTH) {
        replay->counters->snapshots++;
        replay_json_anchor(replay, message.depth);
        return;
    }
    if (message.kind != EXCHANGE_JSON_FRAME) {
        replay->counters->other++;
        return;
    }
    replay->counters->messages++;
    enum sbe_verdict verdict = ingest_frame(
        replay->ingest, 0, bytes_of(replay->frame, message.frame_size), message.flags, replay->now);
    replay->counters->refused += verdict != SBE_OK;
}

static int replay_json_lines(struct replay_json *replay, struct line_reader *reader,
                             struct err *err)
{
    struct bytes line;
    int result;
    while ((result = line_reader_next(reader, &line, err)) == ERR_OK) {
        int64_t recv_us;
        struct bytes json;
        replay->counters->lines++;
        if (exchange_json_line(line, &recv_us, &json) != ERR_OK) {
            replay->counters->malformed++;
            continue;
        }
        if (replay->ingest == NULL && (result = replay_json_start(replay, recv_us, err)) != ERR_OK)
            return result;
        replay_json_advance(replay, recv_us);
        replay_json_message(replay, json);
        ingest_do_work(replay->ingest, replay->now);
    }
    replay->counters->oversize = line_reader_oversize(reader);
    return result == ERR_EMPTY ? ERR_OK : result;
}

int replay_json(const char *path, const char *symbol, replay_record_fn record, void *context,
                struct replay_json_counters *counters, struct err *err)
{
    struct replay_json replay = {
        .symbol = symbol, .record = record, .context = context, .counters = counters};
    struct line_reader *reader = NULL;
    *counters = (struct replay_json_counters){0};
    replay.frame = malloc(EXCHANGE_JSON_FRAME_MAX);
    int result = replay.frame == NULL ? err_set(err, ERR_MEMORY, "replay frame")
                                      : line_reader_open(path, &reader, err);
    if (result == ERR_OK)
        result = exchange_json_open(&replay.messages, err);
    if (result == ERR_OK)
        result = replay_json_lines(&replay, reader, err);
    if (result == ERR_OK && counters->messages == 0)
        result = err_set(err, ERR_MALFORMED, "%s: no market data message in it", path);
    ingest_close(replay.ingest);
    if (replay.messages != NULL)
        exchange_json_close(replay.messages);
    if (reader != NULL)
        line_reader_close(reader);
    free(replay.document);
    free(replay.frame);
    return result;
}
