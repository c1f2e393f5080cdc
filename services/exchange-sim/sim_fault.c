/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_fault.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "wire/sbe.h"

/* Bytes a longer root block gets: a field that a newer schema appended. */
#define FAULT_LONGER_BY        8
#define FAULT_UNKNOWN_TEMPLATE 10999
#define FAULT_WRONG_SCHEMA     3
#define FAULT_COUNT_MAX        1000000000

struct fault_kind {
    const char *name;
    enum sim_fault_class class;
};

static const struct fault_kind fault_kinds[SIM_FAULT_COUNT] = {
#define X(constant, name, class) {name, class},
    SIM_FAULT_TABLE(X)
#undef X
};

int sim_faults_open(struct sim_faults *faults, struct err *err)
{
    memset(faults, 0, sizeof(*faults));
    faults->held_stream = -1;
    faults->scratch = malloc(SIM_MESSAGE_MAX + FAULT_LONGER_BY);
    faults->held = malloc(SIM_MESSAGE_MAX);
    if (faults->scratch && faults->held)
        return ERR_OK;
    sim_faults_close(faults);
    return err_set(err, ERR_MEMORY, "simulated faults");
}

void sim_faults_close(struct sim_faults *faults)
{
    free(faults->scratch);
    free(faults->held);
    faults->scratch = faults->held = NULL;
}

static int fault_kind_parse(const char *name)
{
    for (int i = 0; name && i < SIM_FAULT_COUNT; i++)
        if (strcmp(name, fault_kinds[i].name) == 0)
            return i;
    return -1;
}

static int fault_stream_parse(const char *name)
{
    for (int i = 0; i < SIM_STREAM_COUNT; i++)
        if (strcmp(name, sim_stream_name((enum sim_stream)i)) == 0)
            return i;
    return -1;
}

static bool fault_applies(enum sim_fault_kind kind, enum sim_stream stream)
{
    enum sim_fault_class class = fault_kinds[kind].class;
    return class == SIM_FAULT_OF_MESSAGE ||
           (class == SIM_FAULT_OF_SBE && stream < SIM_STREAM_SBE_COUNT);
}

static int64_t fault_number(const json_t *order, const char *key, int64_t initial)
{
    const json_t *value = json_object_get(order, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : initial;
}

static void fault_clear(struct sim_faults *faults)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        faults->kinds[i].count = 0;
}

static bool fault_is_due(const struct sim_fault *fault, int64_t wall_us)
{
    return fault->left > 0 || wall_us < fault->until_us;
}

/* Room for one more behind those that are still due; NULL when there is none. */
static struct sim_fault *fault_room(struct sim_fault_orders *orders, int64_t wall_us)
{
    int kept = 0;
    for (int i = 0; i < orders->count; i++)
        if (fault_is_due(&orders->list[i], wall_us))
            orders->list[kept++] = orders->list[i];
    orders->count = kept;
    return kept < SIM_FAULT_ORDERS_MAX ? &orders->list[kept] : NULL;
}

static int fault_set(struct sim_faults *faults, const json_t *order, enum sim_fault_kind kind,
                     int64_t wall_us, struct err *err)
{
    struct sim_fault *fault = fault_room(&faults->kinds[kind], wall_us);
    const char *stream = json_string_value(json_object_get(order, "stream"));
    int64_t count = fault_number(order, "count", 1);
    int64_t ms = fault_number(order, "ms", -1);
    if (count < 0 || count > FAULT_COUNT_MAX || ms < -1 || ms > FAULT_COUNT_MAX)
        return err_set(err, ERR_MALFORMED, "count and ms must be 0 to %d", FAULT_COUNT_MAX);
    if (fault == NULL)
        return err_set(err, ERR_FULL, "%d orders of %s wait already", SIM_FAULT_ORDERS_MAX,
                       fault_kinds[kind].name);
    fault->stream = stream ? fault_stream_parse(stream) : -1;
    if (stream && (fault->stream < 0 || !fault_applies(kind, (enum sim_stream)fault->stream)))
        return err_set(err, ERR_MALFORMED, "%s does not apply to stream \"%.40s\"",
                       fault_kinds[kind].name, stream);
    bool lasting = kind == SIM_FAULT_REFUSE || kind == SIM_FAULT_REFUSE_STREAMS ||
                   kind == SIM_FAULT_TLS_FAIL || kind == SIM_FAULT_STALL ||
                   kind == SIM_FAULT_HALF_OPEN;
    fault->until_us = lasting && ms >= 0 ? wall_us + ms * CLOCK_US_PER_MS : 0;
    fault->left = fault->until_us ? 0 : count;
    fault->value = ms;
    if (kind == SIM_FAULT_HTTP_STATUS)
        fault->value = fault_number(order, "status", 500);
    if (kind == SIM_FAULT_STALE_SNAPSHOT)
        fault->value = fault_number(order, "ids", 1000);
    fault->extra = fault_number(order, "retry_after", 1);
    faults->kinds[kind].count++;
    return ERR_OK;
}

int sim_faults_order(struct sim_faults *faults, struct bytes json, int64_t wall_us,
                     enum sim_fault_kind *kind, struct err *err)
{
    json_error_t where;
    json_t *order = json_loadb((const char *)json.data, json.size, 0, &where);
    if (!json_is_object(order)) {
        json_decref(order);
        return err_set(err, ERR_MALFORMED, "not a JSON object: %s", where.text);
    }
    const char *name = json_string_value(json_object_get(order, "fault"));
    int found = fault_kind_parse(name);
    int rc = ERR_OK;
    *kind = SIM_FAULT_COUNT;
    if (name && strcmp(name, "clear") == 0)
        fault_clear(faults);
    else if (found < 0)
        rc = err_set(err, ERR_MALFORMED, "no such fault: \"%.40s\"", name ? name : "");
    else
        rc = fault_set(faults, order, *kind = (enum sim_fault_kind)found, wall_us, err);
    json_decref(order);
    return rc;
}

/* stream -1: of something else than a message. */
static struct sim_fault *fault_find(struct sim_faults *faults, enum sim_fault_kind kind, int stream,
                                    int64_t wall_us)
{
    struct sim_fault_orders *orders = &faults->kinds[kind];
    for (int i = 0; i < orders->count; i++) {
        struct sim_fault *fault = &orders->list[i];
        if (fault_is_due(fault, wall_us) && (fault->stream < 0 || fault->stream == stream))
            return fault;
    }
    return NULL;
}

static void fault_hit(struct sim_faults *faults, enum sim_fault_kind kind, struct sim_fault *fault)
{
    faults->kinds[kind].hits++;
    if (fault->left > 0)
        fault->left--;
}

const struct sim_fault *sim_faults_take(struct sim_faults *faults, enum sim_fault_kind kind,
                                        int64_t wall_us)
{
    struct sim_fault *fault = fault_find(faults, kind, -1, wall_us);
    if (fault != NULL)
        fault_hit(faults, kind, fault);
    return fault;
}

struct sim_fault sim_faults_done(struct sim_faults *faults, enum sim_fault_kind kind, int hits)
{
    struct sim_fault_orders *orders = &faults->kinds[kind];
    PRE(orders->count > 0);
    orders->hits += (uint64_t)hits;
    return orders->list[--orders->count];
}

static void fault_store_count(uint8_t *frame, size_t size)
{
    uint16_t block = bytes_load_u16(frame);
    bool trades = bytes_load_u16(frame + 2) == SBE_TRADES;
    size_t at = SBE_HEADER_SIZE + (size_t)block + 2;
    if (bytes_load_u16(frame + 2) == SBE_BEST_BID_ASK)
        bytes_store_u16(frame, UINT16_MAX); /* no group there: an absurd block instead */
    else if (at + 4 <= size && trades)
        bytes_store_u32(frame + at, 0x7fffffff);
    else if (at + 2 <= size)
        bytes_store_u16(frame + at, UINT16_MAX);
}

static size_t fault_longer(uint8_t *frame, size_t size)
{
    uint16_t block = bytes_load_u16(frame);
    size_t end = SBE_HEADER_SIZE + (size_t)block;
    memmove(frame + end + FAULT_LONGER_BY, frame + end, size - end);
    memset(frame + end, 0xa5, FAULT_LONGER_BY);
    bytes_store_u16(frame, (uint16_t)(block + FAULT_LONGER_BY));
    return size + FAULT_LONGER_BY;
}

static void fault_foreign(uint8_t *frame, size_t size)
{
    /* The symbol is last: "BTCUSDT" becomes "XTCUSDT". */
    for (size_t back = 1; back < SBE_SYMBOL_MAX && back < size; back++) {
        if (frame[size - back - 1] == back) {
            frame[size - back] = frame[size - back] == 'X' ? 'Y' : 'X';
            return;
        }
    }
}

/* Spoils a copy of the message in faults->scratch; returns its size. */
static size_t fault_spoil(struct sim_faults *faults, enum sim_fault_kind kind, struct bytes message)
{
    uint8_t *frame = faults->scratch;
    memcpy(frame, message.data, message.size);
    switch (kind) {
    case SIM_FAULT_TRUNCATE:
        return message.size * 2 / 3;
    case SIM_FAULT_LONGER_BLOCK:
        return fault_longer(frame, message.size);
    case SIM_FAULT_UNKNOWN_TEMPLATE:
        bytes_store_u16(frame + 2, FAULT_UNKNOWN_TEMPLATE);
        break;
    case SIM_FAULT_WRONG_SCHEMA:
        bytes_store_u16(frame + 4, FAULT_WRONG_SCHEMA);
        break;
    case SIM_FAULT_ABSURD_COUNT:
        fault_store_count(frame, message.size);
        break;
    case SIM_FAULT_NULL_SENTINEL:
        bytes_store_i64(frame + SBE_HEADER_SIZE, INT64_MIN);
        break;
    default:
        fault_foreign(frame, message.size);
    }
    return message.size;
}

/* The order that the message falls to, NULL for none. */
static struct sim_fault *fault_of(struct sim_faults *faults, enum sim_stream stream,
                                  int64_t wall_us, enum sim_fault_kind *kind)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        struct sim_fault *fault = NULL;
        if (fault_applies((enum sim_fault_kind)i, stream))
            fault = fault_find(faults, (enum sim_fault_kind)i, (int)stream, wall_us);
        if (fault != NULL) {
            *kind = (enum sim_fault_kind)i;
            return fault;
        }
    }
    return NULL;
}

static void fault_release(struct sim_faults *faults, sim_publish_fn publish, void *context)
{
    enum sim_stream stream = (enum sim_stream)faults->held_stream;
    faults->held_stream = -1;
    publish(context, stream, bytes_of(faults->held, faults->held_size));
}

static void fault_hold(struct sim_faults *faults, enum sim_stream stream, struct bytes message)
{
    memcpy(faults->held, message.data, message.size);
    faults->held_size = message.size;
    faults->held_stream = (int)stream;
}

static void fault_apply(struct sim_faults *faults, enum sim_fault_kind kind, enum sim_stream stream,
                        struct bytes message, sim_publish_fn publish, void *context)
{
    if (kind == SIM_FAULT_DUPLICATE) {
        publish(context, stream, message);
        publish(context, stream, message);
    } else if (kind == SIM_FAULT_REORDER) {
        fault_hold(faults, stream, message);
    } else if (kind != SIM_FAULT_DROP) {
        size_t size = fault_spoil(faults, kind, message);
        publish(context, stream, bytes_of(faults->scratch, size));
    }
}

void sim_faults_pass(struct sim_faults *faults, enum sim_stream stream, struct bytes message,
                     int64_t wall_us, sim_publish_fn publish, void *context)
{
    bool overtakes = faults->held_stream == (int)stream;
    enum sim_fault_kind kind = SIM_FAULT_COUNT;
    struct sim_fault *fault = overtakes ? NULL : fault_of(faults, stream, wall_us, &kind);
    /* Of those to be overtaken one waits at a time. */
    if (fault == NULL || (kind == SIM_FAULT_REORDER && faults->held_stream >= 0)) {
        publish(context, stream, message);
    } else {
        fault_hit(faults, kind, fault);
        fault_apply(faults, kind, stream, message, publish, context);
    }
    if (overtakes)
        fault_release(faults, publish, context);
}

void sim_faults_tell(const struct sim_faults *faults, int64_t wall_us, struct text *text)
{
    text_add_char(text, '{');
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_orders *orders = &faults->kinds[i];
        int64_t left = 0, left_ms = 0;
        for (int k = 0; k < orders->count; k++) {
            int64_t ms = (orders->list[k].until_us - wall_us) / CLOCK_US_PER_MS;
            left += orders->list[k].left;
            left_ms = ms > left_ms ? ms : left_ms;
        }
        text_add_format(text, "%s\"%s\":{\"left\":%lld,\"left_ms\":%lld,\"hits\":%llu}",
                        i ? "," : "", fault_kinds[i].name, (long long)left, (long long)left_ms,
                        (unsigned long long)orders->hits);
    }
    text_add_char(text, '}');
}
