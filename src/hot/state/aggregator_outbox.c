/* Control records on their way into their stream: adopted anchors and declared holes,
 * in order, each sent until it is acknowledged, and once more when the stream was away soon
 * after that: readers and the stream itself know it by its place.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "hot/state/aggregator_parts.h"
#include "wire/envelope.h"

#define AGGREGATOR_OUTBOX_SLOT (RECORD_PAYLOAD_MAX + 256u)

int aggregator_outbox_open(struct aggregator *aggregator, struct err *err)
{
    struct aggregator_outbox *outbox = &aggregator->outbox;
    outbox->arena = malloc((size_t)AGGREGATOR_OUTBOX_MAX * AGGREGATOR_OUTBOX_SLOT);
    if (outbox->arena == NULL)
        return err_set(err, ERR_MEMORY, "aggregator: no room for control records");
    for (uint32_t i = 0; i < AGGREGATOR_OUTBOX_MAX; i++)
        outbox->entries[i].bytes = outbox->arena + (size_t)i * AGGREGATOR_OUTBOX_SLOT;
    return ERR_OK;
}

void aggregator_outbox_close(struct aggregator *aggregator)
{
    free(aggregator->outbox.arena);
}

static void aggregator_outbox_drop(struct aggregator *aggregator)
{
    struct aggregator_outbox *outbox = &aggregator->outbox;
    outbox->kept = ++outbox->head;
    outbox->ticket = 0;
    outbox->dropped++;
    metric_add(aggregator->metrics.controls_dropped, 1);
    log_warn("control_record_dropped", "symbol=%s", aggregator->options.symbol);
}

void aggregator_outbox_add(struct aggregator *aggregator, const struct record *record)
{
    struct aggregator_outbox *outbox = &aggregator->outbox;
    struct envelope_writer writer;
    if (outbox->tail - outbox->head == AGGREGATOR_OUTBOX_MAX)
        aggregator_outbox_drop(aggregator);
    if (outbox->tail - outbox->kept == AGGREGATOR_OUTBOX_MAX)
        outbox->kept++;
    uint32_t slot = outbox->tail % AGGREGATOR_OUTBOX_MAX;
    uint8_t *bytes = outbox->entries[slot].bytes;
    envelope_begin(&writer, bytes, AGGREGATOR_OUTBOX_SLOT, aggregator->options.symbol,
                   record->epoch);
    if (envelope_add(&writer, record) != ERR_OK) {
        log_error("control_record_refused", "symbol=%s bytes=%zu", aggregator->options.symbol,
                  record->payload.size);
        return;
    }
    outbox->entries[slot].size = envelope_finish(&writer).size;
    outbox->entries[slot].epoch = record->epoch;
    outbox->entries[slot].seq = record->seq;
    outbox->tail++;
}

void aggregator_on_put(void *self, uint64_t ticket, const enum stream_outcome *outcome, int count)
{
    struct aggregator *aggregator = self;
    struct aggregator_outbox *outbox = &aggregator->outbox;
    if (ticket != outbox->ticket || count != 1 || outbox->head == outbox->tail)
        return;
    outbox->ticket = 0;
    if (outcome[0] == STREAM_WRITTEN || outcome[0] == STREAM_DUPLICATE)
        outbox->entries[outbox->head++ % AGGREGATOR_OUTBOX_MAX].written_us =
            aggregator->now.mono_us;
    else if (outcome[0] == STREAM_FENCED)
        aggregator_outbox_drop(aggregator);
    else
        outbox->retry_us = aggregator->now.mono_us + AGGREGATOR_RETRY_US;
}

void aggregator_outbox_forget(struct aggregator *aggregator)
{
    aggregator->outbox.kept = aggregator->outbox.head;
}

/* The stream is back: what was written shortly before it went may be lost. */
static void aggregator_outbox_go_back(struct aggregator *aggregator)
{
    struct aggregator_outbox *outbox = &aggregator->outbox;
    int64_t since_us = aggregator->now.mono_us - AGGREGATOR_OUTBOX_KEEP_US;
    while (outbox->kept != outbox->head &&
           outbox->entries[outbox->kept % AGGREGATOR_OUTBOX_MAX].written_us < since_us)
        outbox->kept++;
    outbox->head = outbox->kept;
    outbox->ticket = 0;
}

int aggregator_outbox_do_work(struct aggregator *aggregator)
{
    struct aggregator_outbox *outbox = &aggregator->outbox;
    struct stream_producer *control = &aggregator->options.control;
    bool ready = control->ready(control->self);
    if (ready && !outbox->was_ready)
        aggregator_outbox_go_back(aggregator);
    outbox->was_ready = ready;
    if (outbox->head == outbox->tail || outbox->ticket != 0 ||
        aggregator->now.mono_us < outbox->retry_us || !ready)
        return 0;
    uint32_t slot = outbox->head % AGGREGATOR_OUTBOX_MAX;
    struct stream_record record = {
        .stream = STREAM_CONTROL,
        .epoch = outbox->entries[slot].epoch,
        .last_seq = outbox->entries[slot].seq,
        .data = bytes_of(outbox->entries[slot].bytes, outbox->entries[slot].size)};
    int64_t ticket = control->put(control->self, &record, 1);
    if (ticket <= 0) {
        outbox->retry_us = aggregator->now.mono_us + AGGREGATOR_RETRY_US;
        return 0;
    }
    outbox->ticket = (uint64_t)ticket;
    return 1;
}
