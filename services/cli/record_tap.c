/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/record_tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/redis/redis_stream.h"
#include "market/merge.h"
#include "services/cli/record_slots.h"
#include "wire/envelope.h"

#define RECORD_TAP_ARENA   (64u * 1024 * 1024)
#define RECORD_TAP_RECORDS 262144
/* All streams of the symbol. */
#define RECORD_TAP_MASK ((1u << STREAM_COUNT) - 1)

struct record_tap {
    struct record_tap_options options;
    struct redis_consumer *consumer;
    struct record_slots *slots;
    struct stream_consumer port;
    struct merge *merge;
    struct merge_clock wait;
    struct stream_position positions[STREAM_COUNT];
    int64_t now_us, committed_us;
    bool following;
    uint64_t malformed;
    struct log_limit log;
};

static void record_tap_emit(void *context, const struct record *record)
{
    struct record_tap *tap = context;
    /* A hole of this consumer's own is not the world's: the aggregator declares those. */
    if (!record_is_control(record))
        tap->options.record(tap->options.context, record);
}

static void record_tap_envelope(struct record_tap *tap, enum stream_name stream, struct bytes data)
{
    struct envelope_reader reader;
    struct record record;
    struct err err = {0};
    if (envelope_open(&reader, data, &err) != ERR_OK) {
        uint64_t skipped = 0;
        tap->malformed++;
        if (log_limit_pass(&tap->log, tap->now_us, &skipped))
            log_warn("envelope_refused", "stream=%s reason=\"%s\"", stream_name_text(stream),
                     err.text);
        return;
    }
    while (envelope_next(&reader, &record) == ERR_OK) {
        if (record_is_control(&record))
            tap->options.record(tap->options.context, &record);
        else
            merge_push(tap->merge, (int)stream, &record, tap->wait.now_us);
    }
}

static void record_tap_on_record(void *context, const struct stream_record *record,
                                 const char *position)
{
    struct record_tap *tap = context;
    tap->now_us = loop_mono_us();
    record_tap_envelope(tap, record->stream, record->data);
    snprintf(tap->positions[record->stream].text, sizeof(tap->positions[0].text), "%s", position);
}

static int record_tap_open_consumer(struct record_tap *tap, struct loop *loop, struct err *err)
{
    struct redis_consumer_options options = {
        .link = tap->options.link,
        .style = tap->options.style,
        .name = RECORD_TAP_CONSUMER,
        .record = record_tap_on_record,
        .context = tap,
    };
    snprintf(options.link.name, sizeof(options.link.name), "%s", RECORD_TAP_CONSUMER);
    snprintf(options.symbol, sizeof(options.symbol), "%s", tap->options.symbol);
    int result = redis_consumer_open(&options, loop, &tap->consumer, err);
    if (result == ERR_OK)
        tap->port = redis_consumer_port(tap->consumer);
    return result;
}

int record_tap_open(const struct record_tap_options *options, struct loop *loop,
                    struct record_tap **out, struct err *err)
{
    struct merge_options merge = {.hold_us = MERGE_HOLD_US_REDIS,
                                  .arena_bytes_max = RECORD_TAP_ARENA,
                                  .records_max = RECORD_TAP_RECORDS,
                                  .patience_us = MERGE_PATIENCE_US,
                                  .lanes = STREAM_CONTROL};
    struct record_tap *tap = calloc(1, sizeof(*tap));
    if (tap == NULL)
        return err_set(err, ERR_MEMORY, "recorder");
    tap->options = *options;
    tap->log = LOG_LIMIT_DEFAULT;
    struct record_slots_options slots = {
        .link = options->link,
        .symbol = options->symbol,
        .style = options->style == STREAM_KEYS_HASHTAG ? STATE_KEYS_HASHTAG : STATE_KEYS_PLAIN,
        .record = options->record,
        .context = options->context};
    int result = merge_open(&merge, record_tap_emit, tap, &tap->merge, err);
    if (result == ERR_OK)
        result = record_tap_open_consumer(tap, loop, err);
    if (result == ERR_OK)
        result = record_slots_open(&slots, loop, &tap->slots, err);
    if (result != ERR_OK) {
        record_tap_close(tap);
        return result;
    }
    *out = tap;
    return ERR_OK;
}

void record_tap_close(struct record_tap *tap)
{
    if (tap == NULL)
        return;
    record_slots_close(tap->slots);
    if (tap->consumer != NULL)
        redis_consumer_close(tap->consumer);
    if (tap->merge != NULL)
        merge_close(tap->merge);
    free(tap);
}

int64_t record_tap_do_work(struct record_tap *tap, int64_t mono_us)
{
    tap->now_us = mono_us;
    tap->port.do_work(tap->port.self, mono_us);
    record_slots_do_work(tap->slots, mono_us);
    if (!tap->following)
        tap->following =
            tap->port.follow(tap->port.self, RECORD_TAP_MASK, tap->positions) == ERR_OK;
    if (tap->following && mono_us - tap->committed_us >= RECORD_TAP_COMMIT_US) {
        tap->committed_us = mono_us;
        /* A commit that fails now is made good by the next one. */
        int ignored = tap->port.commit(tap->port.self, tap->positions);
        (void)ignored;
    }
    const bool drained = tap->port.drained(tap->port.self);
    merge_clock_pass(&tap->wait, mono_us, drained);
    if (!drained)
        return RECORD_TAP_WAIT_US;
    const int64_t due_us = merge_expire(tap->merge, tap->wait.now_us);
    if (due_us < 0)
        return RECORD_TAP_WAIT_US;
    return due_us < MERGE_STEP_US_MAX ? due_us : MERGE_STEP_US_MAX;
}

void record_tap_finish(struct record_tap *tap)
{
    merge_expire(tap->merge, tap->wait.now_us + MERGE_PATIENCE_US);
    record_slots_finish(tap->slots);
}
