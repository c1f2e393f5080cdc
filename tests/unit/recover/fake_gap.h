/* A store and an exchange in memory for tests of the gap detector.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_FAKE_GAP_H
#define BTCAST_TESTS_FAKE_GAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover/gap/gap_detector.h"
#include "recover/gap/gap_json.h"

#define FAKE_GAP_ENTRIES_MAX 4096

struct fake_gap_entry {
    struct text text;
    struct state_pair pairs[GAP_EVENT_PAIRS_MAX];
    int count;
    char bytes[GAP_EVENT_BYTES], symbol[24], cause[GAP_CAUSE_SIZE], id[32];
};

/* Keeps the rules of recover/gap/gap_port.h; that the real store keeps them too is what
 * tests/integration/test_redis_gap.c shows. */
struct fake_gap {
    bool ready, held;
    struct fake_gap_entry *entries[FAKE_GAP_ENTRIES_MAX];
    int count;
    char shown[GAP_SHOWN_COUNT][48], swapped[64], override[GAP_JSON_SIZE], memory[GAP_JSON_SIZE];
    char verdict[GAP_JSON_SIZE], ask[GAP_JSON_SIZE];
    int sayings, asks, asks_late, audits;
    char audit_what[32];
    /* under way */
    gap_look_fn look_done;
    void *look_context;
    char after[GAP_ID_SIZE];
    struct {
        gap_done_fn done;
        void *context;
    } dones[4];
    int done_count;
};

static inline void fake_gap_show(struct fake_gap *store, enum gap_shown field, int64_t value)
{
    snprintf(store->shown[field], sizeof(store->shown[field]), "%lld", (long long)value);
}

static inline void fake_gap_add_pairs(struct fake_gap *store, const struct state_pair *pairs,
                                      int count)
{
    struct fake_gap_entry *entry = calloc(1, sizeof(*entry));
    if (store->count == FAKE_GAP_ENTRIES_MAX)
        abort();
    size_t at = 0;
    for (int i = 0; i < count && entry->count < GAP_EVENT_PAIRS_MAX; i++) {
        if (at + pairs[i].value.size > sizeof(entry->bytes))
            abort();
        if (pairs[i].value.size > 0)
            memcpy(entry->bytes + at, pairs[i].value.data, pairs[i].value.size);
        entry->pairs[entry->count++] =
            (struct state_pair){pairs[i].field, bytes_of(entry->bytes + at, pairs[i].value.size)};
        at += pairs[i].value.size;
    }
    snprintf(entry->id, sizeof(entry->id), "%d-0", store->count + 1);
    store->entries[store->count++] = entry;
}

static inline void fake_gap_add(struct fake_gap *store, const struct gap_event *event)
{
    char bytes[GAP_EVENT_BYTES];
    struct state_pair pairs[GAP_EVENT_PAIRS_MAX];
    struct text text = text_begin(bytes, sizeof(bytes));
    int count = gap_event_write(event, "BTCUSDT", &text, pairs);
    fake_gap_add_pairs(store, pairs, count);
}

static inline void fake_gap_free(struct fake_gap *store)
{
    for (int i = 0; i < store->count; i++)
        free(store->entries[i]);
    store->count = 0;
}

static inline bool fake_gap_ready(void *self)
{
    return ((struct fake_gap *)self)->ready;
}

static inline int fake_gap_look(void *self, const char *after, gap_look_fn done, void *context)
{
    struct fake_gap *store = self;
    store->look_done = done;
    store->look_context = context;
    snprintf(store->after, sizeof(store->after), "%s", after);
    return ERR_OK;
}

static inline int fake_gap_later(struct fake_gap *store, gap_done_fn done, void *context)
{
    if (store->done_count == 4)
        return ERR_AGAIN;
    store->dones[store->done_count].done = done;
    store->dones[store->done_count++].context = context;
    return ERR_OK;
}

static inline void fake_gap_copy(char *out, size_t size, struct bytes from)
{
    snprintf(out, size, "%.*s", (int)from.size, (const char *)from.data);
}

static inline int fake_gap_say(void *self, const struct gap_saying *saying, gap_done_fn done,
                               void *context)
{
    struct fake_gap *store = self;
    char swapped[64];
    store->sayings++;
    fake_gap_copy(store->verdict, sizeof(store->verdict), saying->verdict);
    fake_gap_copy(swapped, sizeof(swapped), saying->swapped);
    if (saying->ask.size > 0 && strcmp(swapped, store->swapped) == 0) {
        store->asks++;
        fake_gap_copy(store->ask, sizeof(store->ask), saying->ask);
    } else if (saying->ask.size > 0) {
        store->asks_late++;
    }
    if (saying->memory.size > 0)
        fake_gap_copy(store->memory, sizeof(store->memory), saying->memory);
    return fake_gap_later(store, done, context);
}

static inline int fake_gap_audit(void *self, const struct state_pair *pairs, int count,
                                 gap_done_fn done, void *context)
{
    struct fake_gap *store = self;
    store->audits++;
    for (int i = 0; i < count; i++)
        if (pairs[i].field.size == 4 && memcmp(pairs[i].field.data, "what", 4) == 0)
            fake_gap_copy(store->audit_what, sizeof(store->audit_what), pairs[i].value);
    return fake_gap_later(store, done, context);
}

static inline void fake_gap_answer_look(struct fake_gap *store)
{
    static struct gap_entry entries[GAP_ENTRIES_MAX];
    struct gap_look look = {.entries = entries,
                            .swapped = bytes_text(store->swapped),
                            .override = bytes_text(store->override),
                            .memory = bytes_text(store->memory)};
    gap_look_fn done = store->look_done;
    int first = atoi(store->after);
    for (int i = 0; i < GAP_SHOWN_COUNT; i++)
        look.shown[i] = bytes_text(store->shown[i]);
    if (store->after[0] == 0 && store->count > 0)
        look.newest = bytes_text(store->entries[store->count - 1]->id);
    for (int i = first; store->after[0] != 0 && i < store->count && look.count < GAP_ENTRIES_MAX;
         i++)
        entries[look.count++] = (struct gap_entry){.id = bytes_text(store->entries[i]->id),
                                                   .count = store->entries[i]->count,
                                                   .pairs = store->entries[i]->pairs};
    store->look_done = NULL;
    done(store->look_context, &look);
}

static inline int fake_gap_work(void *self, int64_t mono_us)
{
    struct fake_gap *store = self;
    int count = store->done_count;
    (void)mono_us;
    if (store->held)
        return 0;
    store->done_count = 0;
    for (int i = 0; i < count; i++)
        store->dones[i].done(store->dones[i].context, ERR_OK);
    if (store->look_done != NULL)
        fake_gap_answer_look(store);
    return count;
}

static inline struct gap_port fake_gap_port(struct fake_gap *store)
{
    return (struct gap_port){.self = store,
                             .ready = fake_gap_ready,
                             .look = fake_gap_look,
                             .say = fake_gap_say,
                             .audit = fake_gap_audit,
                             .do_work = fake_gap_work};
}

/* One answer for each call, made by the test; status 0: nothing comes back. */
struct fake_rest {
    void (*answer)(void *context, const struct rest_query *query, int *status, char *body,
                   size_t size);
    void *context;
    int calls;
    struct {
        rest_done_fn done;
        void *context;
        int status;
        char *body;
    } waiting[8];
    int count;
};

#define FAKE_REST_BODY_SIZE ((size_t)512 * 1024)

static inline int fake_rest_get(void *self, const char *symbol, const struct rest_query *query,
                                rest_done_fn done, void *context)
{
    struct fake_rest *rest = self;
    (void)symbol;
    if (rest->count == 8)
        return ERR_AGAIN;
    char *body = calloc(1, FAKE_REST_BODY_SIZE);
    int status = 200;
    rest->calls++;
    rest->answer(rest->context, query, &status, body, FAKE_REST_BODY_SIZE);
    rest->waiting[rest->count].done = done;
    rest->waiting[rest->count].context = context;
    rest->waiting[rest->count].status = status;
    rest->waiting[rest->count++].body = body;
    return ERR_OK;
}

static inline int fake_rest_work(void *self, int64_t mono_us)
{
    struct fake_rest *rest = self;
    int count = rest->count;
    (void)mono_us;
    rest->count = 0;
    for (int i = 0; i < count; i++) {
        bool came = rest->waiting[i].status != 0;
        struct rest_reply reply = {.result = came ? ERR_OK : ERR_TIMEOUT,
                                   .why = "no answer",
                                   .status = rest->waiting[i].status,
                                   .body = bytes_text(rest->waiting[i].body),
                                   .retry_after_s = -1,
                                   .used_weight = -1};
        rest->waiting[i].done(rest->waiting[i].context, &reply);
        free(rest->waiting[i].body);
    }
    return count;
}

static inline struct rest_port fake_rest_port(struct fake_rest *rest)
{
    return (struct rest_port){.self = rest, .get = fake_rest_get, .do_work = fake_rest_work};
}

#endif
