/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/record_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "edge/redis/redis_link.h"
#include "hot/infer/prediction.h"

#define RECORD_SLOTS_BATCH_COUNT 512
#define RECORD_SLOTS_BATCH       "512"
#define RECORD_SLOTS_ID_SIZE     48

struct record_slots {
    struct record_slots_options options;
    struct redis_link *link;
    char key[STATE_KEY_SIZE];
    char after[RECORD_SLOTS_ID_SIZE]; /* the last entry seen */
    bool asking, full;                /* full: the last answer may have left some behind */
    int64_t next_us;
    struct log_limit log;
    int64_t now_us;
};

static bool record_slots_text(const redisReply *reply, struct bytes *text)
{
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    *text = bytes_of(reply->str, reply->len);
    return true;
}

/* The fields of one published prediction. */
static bool record_slots_read(const redisReply *fields, struct prediction *prediction)
{
    *prediction = (struct prediction){0};
    if (fields->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        struct bytes name, value;
        if (!record_slots_text(fields->element[i], &name) ||
            !record_slots_text(fields->element[i + 1], &value) ||
            prediction_set(prediction, name, value) != ERR_OK)
            return false;
    }
    return true;
}

/* A prediction without features has no place: seq 0. */
static bool record_slots_emit(struct record_slots *slots, const struct prediction *prediction)
{
    int64_t slot, epoch, seq;
    uint8_t payload[RECORD_SLOT_SIZE];
    if (!prediction_i64(prediction, PREDICTION_SLOT, &slot) ||
        !prediction_i64(prediction, PREDICTION_INGEST_EPOCH, &epoch) ||
        !prediction_i64(prediction, PREDICTION_SEQ, &seq) || epoch < 0 || seq < 0)
        return false;
    if (seq == 0)
        return true;
    bytes_store_i64(payload, slot);
    struct record record = {.epoch = (uint64_t)epoch,
                            .seq = (uint64_t)seq,
                            .recv_us = clock_slot_us(slot),
                            .kind = RECORD_SLOT,
                            .payload = bytes_of(payload, sizeof(payload))};
    slots->options.record(slots->options.context, &record);
    return true;
}

static void record_slots_entry(struct record_slots *slots, const redisReply *entry)
{
    struct bytes id;
    struct prediction prediction;
    uint64_t skipped = 0;
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        !record_slots_text(entry->element[0], &id) || id.size >= sizeof(slots->after))
        return;
    memcpy(slots->after, id.data, id.size);
    slots->after[id.size] = '\0';
    bool good =
        record_slots_read(entry->element[1], &prediction) && record_slots_emit(slots, &prediction);
    if (!good && log_limit_pass(&slots->log, slots->now_us, &skipped))
        log_warn("prediction_unreadable", "key=%s id=%s", slots->key, slots->after);
}

static void record_slots_answer(void *context, int result, const redisReply *reply)
{
    struct record_slots *slots = context;
    slots->asking = false;
    slots->full = false;
    if (result != ERR_OK || reply->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < reply->elements; i++)
        record_slots_entry(slots, reply->element[i]);
    slots->full = reply->elements == RECORD_SLOTS_BATCH_COUNT;
}

static void record_slots_ask(struct record_slots *slots)
{
    char from[RECORD_SLOTS_ID_SIZE + 1];
    snprintf(from, sizeof(from), "%s%s", slots->after[0] == '\0' ? "-" : "(", slots->after);
    const struct bytes argv[] = {BYTES_LITERAL("XRANGE"), bytes_text(slots->key),
                                 bytes_text(from),        BYTES_LITERAL("+"),
                                 BYTES_LITERAL("COUNT"),  BYTES_LITERAL(RECORD_SLOTS_BATCH)};
    slots->asking = redis_link_send(slots->link, argv, sizeof(argv) / sizeof(argv[0]),
                                    record_slots_answer, slots) == ERR_OK;
}

int record_slots_open(const struct record_slots_options *options, struct loop *loop,
                      struct record_slots **out, struct err *err)
{
    struct redis_link_options link = options->link;
    snprintf(link.name, sizeof(link.name), "recorder-slots");
    struct record_slots *slots = calloc(1, sizeof(*slots));
    if (slots == NULL)
        return err_set(err, ERR_MEMORY, "recorder");
    slots->options = *options;
    slots->log = LOG_LIMIT_DEFAULT;
    state_key(STATE_PREDICTIONS, options->style, options->symbol, slots->key);
    int result = redis_link_open(&link, loop, &slots->link, err);
    if (result == ERR_OK)
        redis_link_bind(slots->link, slots->key);
    if (result != ERR_OK) {
        record_slots_close(slots);
        return result;
    }
    *out = slots;
    return ERR_OK;
}

void record_slots_close(struct record_slots *slots)
{
    if (slots == NULL)
        return;
    if (slots->link != NULL)
        redis_link_close(slots->link);
    free(slots);
}

void record_slots_do_work(struct record_slots *slots, int64_t mono_us)
{
    slots->now_us = mono_us;
    redis_link_do_work(slots->link, mono_us);
    if (slots->asking || (mono_us < slots->next_us && !slots->full))
        return;
    slots->next_us = mono_us + RECORD_SLOTS_POLL_US;
    record_slots_ask(slots);
    redis_link_flush(slots->link);
}

void record_slots_finish(struct record_slots *slots)
{
    const int64_t deadline_us = loop_mono_us() + RECORD_SLOTS_FINISH_US;
    do {
        redis_link_wait(slots->link, deadline_us);
        record_slots_ask(slots);
    } while (slots->asking && redis_link_wait(slots->link, deadline_us) && slots->full);
}
