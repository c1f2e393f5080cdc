/* An exchange with REST calls, limits and faults, an archive and a disk, in memory and on
 * the test's own clock. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_POLL_SCENE_H
#define BTCAST_TESTS_POLL_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "learn/lake/archive_port.h"
#include "recover/poll/progress.h"
#include "recover/poll/rest_desk.h"

#define SCENE_US      INT64_C(1000000)
#define SCENE_START   (INT64_C(29000000) * 60 * SCENE_US + 7 * SCENE_US)
#define SCENE_CALLS   16
#define SCENE_OBJECTS 4096
#define SCENE_BODY    (256 * 1024)

struct scene_call {
    bool used;
    struct rest_query query;
    rest_done_fn done;
    void *context;
    int64_t due_us; /* monotonic */
};

struct scene_object {
    enum archive_rest type;
    int64_t minute, first_id;
    char reason[32];
    int64_t ids[1000]; /* aggregates, trades or open times in it */
    int count;
};

struct scene_put {
    bool used;
    struct archive_rest_reply reply; /* body: a copy */
    archive_done_fn done;
    void *context;
    int64_t due_us;
};

struct poll_scene {
    struct clock_now now;
    struct prng prng;
    struct metrics metrics;
    /* the exchange: one aggregate each `step_us`, of two raw trades, since `begin_us` */
    int64_t begin_us, step_us, skew_us;
    int64_t first_kept; /* aggregates and trades before it are gone */
    bool no_historical; /* historicalTrades is not served */
    bool one_reply_cut; /* the next list reply lacks an element in the middle */
    int64_t limit, others, used, window;
    int64_t banned_until_us, refused;
    uint64_t requests, throttled, bans;
    int fault_percent;
    struct scene_call calls[SCENE_CALLS];
    /* the archive */
    struct scene_object *objects;
    int object_count;
    struct scene_put puts[SCENE_CALLS];
    int archive_fault_percent;
    bool silent; /* no reply and no answer comes */
    /* the disk */
    char disk[2][PROGRESS_TEXT_MAX]; /* by agent */
    size_t disk_size[2];
    bool disk_full;
    struct scene_disk {
        struct poll_scene *scene;
        int index;
    } disks[2];
};

/* --- the exchange ----------------------------------------------------------------------- */

static int64_t scene_exchange_us(const struct poll_scene *scene)
{
    return scene->now.wall_us + scene->skew_us;
}

/* Newest aggregate at a time of the exchange. */
static int64_t scene_newest(const struct poll_scene *scene, int64_t at_us)
{
    return at_us < scene->begin_us ? 0 : (at_us - scene->begin_us) / scene->step_us;
}

static int64_t scene_ms(const struct poll_scene *scene, int64_t aggregate)
{
    return (scene->begin_us + aggregate * scene->step_us) / 1000;
}

static void scene_aggregates(struct poll_scene *scene, const struct rest_query *query,
                             struct text *body)
{
    int64_t id = query->from_id, newest = scene_newest(scene, scene_exchange_us(scene));
    if (id < 0)
        id = query->start_us < 0 ? newest - query->limit + 1
                                 : scene_newest(scene, query->start_us - 1) + 1;
    id = id > scene->first_kept ? id : scene->first_kept;
    bool cut = scene->one_reply_cut && newest >= id + 2;
    scene->one_reply_cut = scene->one_reply_cut && !cut;
    text_add_char(body, '[');
    for (int i = 0; i < query->limit && id <= newest; i++, id++) {
        if (cut && i == 1)
            continue;
        text_add_format(body,
                        "%s{\"a\":%lld,\"p\":\"100.01\",\"q\":\"0.5\",\"f\":%lld,\"l\":%lld,"
                        "\"T\":%lld,\"m\":true,\"M\":true}",
                        i > 0 ? "," : "", (long long)id, (long long)(2 * id - 1),
                        (long long)(2 * id), (long long)scene_ms(scene, id));
    }
    text_add_char(body, ']');
}

static void scene_trades(struct poll_scene *scene, const struct rest_query *query,
                         struct text *body)
{
    int64_t id = query->from_id > scene->first_kept ? query->from_id : scene->first_kept;
    int64_t newest = 2 * scene_newest(scene, scene_exchange_us(scene));
    text_add_char(body, '[');
    for (int i = 0; i < query->limit && id <= newest; i++, id++)
        text_add_format(body,
                        "%s{\"id\":%lld,\"price\":\"100.01\",\"qty\":\"0.25\",\"quoteQty\":\"1\","
                        "\"time\":%lld,\"isBuyerMaker\":true,\"isBestMatch\":true}",
                        i > 0 ? "," : "", (long long)id, (long long)scene_ms(scene, (id + 1) / 2));
    text_add_char(body, ']');
}

/* The last one is still open unless the query ends before it. */
static void scene_klines(struct poll_scene *scene, const struct rest_query *query,
                         struct text *body)
{
    int64_t minute = 60 * SCENE_US, end = scene_exchange_us(scene);
    int64_t open = (query->start_us + minute - 1) / minute * minute;
    bool some = false;
    end = query->end_us >= 0 && query->end_us < end ? query->end_us : end;
    text_add_char(body, '[');
    for (int i = 0; i < query->limit && open <= end; i++, open += minute, some = true)
        text_add_format(body,
                        "%s[%lld,\"1.0\",\"2.0\",\"0.5\",\"1.5\",\"9.0\",%lld,\"9.0\",3,\"1.0\","
                        "\"1.0\",\"0\"]",
                        some ? "," : "", (long long)(open / 1000),
                        (long long)((open + minute) / 1000 - 1));
    text_add_char(body, ']');
}

static void scene_answer(struct poll_scene *scene, const struct rest_query *query,
                         struct text *body)
{
    switch (query->endpoint) {
    case REST_ENDPOINT_DEPTH:
        text_add_format(body,
                        "{\"lastUpdateId\":%lld,\"bids\":[[\"100.00\",\"1.5\"],[\"99.99\",\"2\"]],"
                        "\"asks\":[[\"100.02\",\"0.1\"],[\"100.03\",\"4\"]]}",
                        (long long)(scene_exchange_us(scene) / 1000));
        break;
    case REST_ENDPOINT_AGG_TRADES:
        scene_aggregates(scene, query, body);
        break;
    case REST_ENDPOINT_KLINES:
        scene_klines(scene, query, body);
        break;
    case REST_ENDPOINT_TRADES:
        scene_trades(scene, query, body);
        break;
    case REST_ENDPOINT_TIME:
        text_add_format(body, "{\"serverTime\":%lld}",
                        (long long)(scene_exchange_us(scene) / 1000));
        break;
    default:
        text_add_format(body,
                        "{\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":"
                        "\"MINUTE\",\"intervalNum\":1,\"limit\":%lld}],\"symbols\":[{\"symbol\":"
                        "\"BTCUSDT\",\"status\":\"TRADING\",\"filters\":[]}]}",
                        (long long)scene->limit);
        break;
    }
}

static int scene_get(void *self, const char *symbol, const struct rest_query *query,
                     rest_done_fn done, void *context)
{
    struct poll_scene *scene = self;
    assert_string_equal(symbol, "BTCUSDT");
    for (int i = 0; i < SCENE_CALLS; i++)
        if (!scene->calls[i].used) {
            int64_t wait_us = 20000 + (int64_t)prng_below(&scene->prng, 200000);
            scene->calls[i] = (struct scene_call){.used = true,
                                                  .query = *query,
                                                  .done = done,
                                                  .context = context,
                                                  .due_us = scene->now.mono_us + wait_us};
            return ERR_OK;
        }
    return ERR_AGAIN;
}

/* The exchange's limits (BINANCE.md section 8), as services/exchange-sim keeps them. */
static int scene_charge(struct poll_scene *scene, int64_t weight, int64_t *retry_after_s)
{
    int64_t at = scene_exchange_us(scene), window = at / (60 * SCENE_US);
    if (window != scene->window) {
        scene->window = window;
        scene->used = scene->others;
        scene->refused = 0;
    }
    scene->requests++;
    if (at >= scene->banned_until_us && scene->used + weight <= scene->limit) {
        scene->used += weight;
        return 200;
    }
    if (at >= scene->banned_until_us && ++scene->refused > 10) {
        scene->banned_until_us = at + 120 * SCENE_US;
        scene->bans++;
    }
    scene->throttled++;
    bool banned = at < scene->banned_until_us;
    int64_t until = banned ? scene->banned_until_us : (window + 1) * 60 * SCENE_US;
    *retry_after_s = (until - at + SCENE_US - 1) / SCENE_US;
    return banned ? 418 : 429;
}

static void scene_reply(struct poll_scene *scene, struct scene_call *call)
{
    static char buffer[SCENE_BODY];
    struct text body = text_begin(buffer, sizeof(buffer));
    struct rest_reply reply = {.status = 200, .retry_after_s = -1, .duration_us = 50000};
    int fault = prng_below(&scene->prng, 100) < (uint64_t)scene->fault_percent
                    ? (int)prng_below(&scene->prng, 5)
                    : -1;
    call->used = false;
    reply.status = scene_charge(scene, rest_query_weight(&call->query), &reply.retry_after_s);
    reply.used_weight = scene->used;
    if (reply.status == 200)
        scene_answer(scene, &call->query, &body);
    else if (reply.status == 418)
        text_add_format(&body, "{\"code\":-1003,\"msg\":\"IP banned until %lld.\"}",
                        (long long)(scene->banned_until_us / 1000));
    assert_false(body.truncated);
    reply.body = bytes_of(buffer, body.size);
    if (reply.status == 200 && fault == 0)
        reply = (struct rest_reply){.result = ERR_CONNECTION, .retry_after_s = -1};
    else if (reply.status == 200 && fault == 1)
        reply.status = 503;
    else if (reply.status == 200 && fault == 2)
        reply.body.size /= 2;
    else if (reply.status == 200 && fault == 3)
        reply.status = 429, reply.retry_after_s = 3;
    else if (reply.status == 200 && fault == 4)
        reply.result = ERR_TIMEOUT;
    if (reply.result != ERR_OK)
        reply.used_weight = -1;
    if (reply.status == 200 && call->query.endpoint == REST_ENDPOINT_TRADES && scene->no_historical)
        reply.status = 404;
    call->done(call->context, &reply);
}

static int scene_nothing(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

static inline struct rest_port poll_scene_rest(struct poll_scene *scene)
{
    return (struct rest_port){.self = scene, .get = scene_get, .do_work = scene_nothing};
}

/* --- the archive ------------------------------------------------------------------------ */

static int scene_put(void *self, const struct archive_rest_reply *reply, archive_done_fn done,
                     void *context)
{
    struct poll_scene *scene = self;
    if (prng_below(&scene->prng, 100) < (uint64_t)scene->archive_fault_percent)
        return ERR_AGAIN;
    for (int i = 0; i < SCENE_CALLS; i++) {
        struct scene_put *put = &scene->puts[i];
        if (put->used)
            continue;
        uint8_t *copy = malloc(reply->body.size + 1);
        memcpy(copy, reply->body.data, reply->body.size);
        *put = (struct scene_put){.used = true, .reply = *reply, .done = done, .context = context};
        put->reply.body = bytes_of(copy, reply->body.size);
        put->due_us = scene->now.mono_us + (int64_t)prng_below(&scene->prng, 300000);
        return ERR_OK;
    }
    return ERR_AGAIN;
}

static struct scene_object *scene_object(struct poll_scene *scene,
                                         const struct archive_rest_reply *reply)
{
    int64_t minute = reply->received_us / (60 * SCENE_US);
    for (int i = 0; i < scene->object_count; i++) {
        struct scene_object *object = &scene->objects[i];
        if (object->type == reply->type && object->minute == minute &&
            object->first_id == reply->first_id)
            return object;
    }
    assert_true(scene->object_count < SCENE_OBJECTS);
    return &scene->objects[scene->object_count++];
}

/* The ids behind a mark that stands before each of them. */
static void scene_ids(struct bytes body, const char *mark, struct scene_object *object)
{
    char *text = malloc(body.size + 1);
    memcpy(text, body.data, body.size);
    text[body.size] = '\0';
    object->count = 0;
    for (const char *at = text; (at = strstr(at, mark)) != NULL; at += strlen(mark)) {
        assert_true(object->count < 1000);
        object->ids[object->count++] = strtoll(at + strlen(mark), NULL, 10);
    }
    free(text);
}

static void scene_store(struct poll_scene *scene, struct scene_put *put)
{
    static const char *const marks[ARCHIVE_RESTS] = {"\"lastUpdateId\":", "{\"a\":", "[1",
                                                     "{\"id\":"};
    struct archive_reply answer = {.result = ERR_OK, .text = ""};
    put->used = false;
    if (prng_below(&scene->prng, 100) < (uint64_t)scene->archive_fault_percent) {
        answer.result = ERR_IO;
    } else {
        struct scene_object *object = scene_object(scene, &put->reply);
        object->type = put->reply.type;
        object->minute = put->reply.received_us / (60 * SCENE_US);
        object->first_id = put->reply.first_id;
        snprintf(object->reason, sizeof(object->reason), "%s", put->reply.reason);
        scene_ids(put->reply.body, marks[put->reply.type], object);
        if (put->reply.type != ARCHIVE_REST_DEPTH && put->reply.type != ARCHIVE_REST_KLINES)
            assert_int_equal(object->ids[0], object->first_id);
    }
    free((void *)(uintptr_t)put->reply.body.data);
    put->done(put->context, &answer);
}

static inline struct archive_port poll_scene_archive(struct poll_scene *scene)
{
    return (struct archive_port){.self = scene, .rest = scene_put, .do_work = scene_nothing};
}

/* --- the disk --------------------------------------------------------------------------- */

static int scene_load(void *self, char *out, size_t capacity, size_t *size)
{
    struct scene_disk *disk = self;
    *size = disk->scene->disk_size[disk->index];
    if (*size == 0)
        return ERR_NOT_FOUND;
    assert_true(*size <= capacity);
    memcpy(out, disk->scene->disk[disk->index], *size);
    return ERR_OK;
}

static int scene_save(void *self, struct bytes text)
{
    struct scene_disk *disk = self;
    if (disk->scene->disk_full)
        return ERR_IO;
    assert_true(text.size <= PROGRESS_TEXT_MAX);
    memcpy(disk->scene->disk[disk->index], text.data, text.size);
    disk->scene->disk_size[disk->index] = text.size;
    return ERR_OK;
}

static inline struct progress_port poll_scene_progress(struct poll_scene *scene, int index)
{
    return (struct progress_port){
        .self = &scene->disks[index], .load = scene_load, .save = scene_save};
}

/* --- the whole -------------------------------------------------------------------------- */

static inline void poll_scene_open(struct poll_scene *scene, uint64_t seed)
{
    *scene = (struct poll_scene){.now = {.wall_us = SCENE_START, .mono_us = 1000000000},
                                 .begin_us = SCENE_START - 3600 * SCENE_US,
                                 .step_us = 100000,
                                 .first_kept = 1,
                                 .limit = 6000};
    for (int i = 0; i < 2; i++)
        scene->disks[i] = (struct scene_disk){scene, i};
    prng_init(&scene->prng, seed);
    scene->objects = calloc(SCENE_OBJECTS, sizeof(*scene->objects));
}

/* What was under way is forgotten: the process died. */
static inline void poll_scene_crash(struct poll_scene *scene)
{
    for (int i = 0; i < SCENE_CALLS; i++) {
        scene->calls[i].used = false;
        if (scene->puts[i].used)
            free((void *)(uintptr_t)scene->puts[i].reply.body.data);
        scene->puts[i].used = false;
    }
}

static inline void poll_scene_close(struct poll_scene *scene)
{
    poll_scene_crash(scene);
    free(scene->objects);
    metrics_close(&scene->metrics);
}

/* Time passes; what is due is answered. */
static inline void poll_scene_advance(struct poll_scene *scene, int64_t us)
{
    scene->now.wall_us += us;
    scene->now.mono_us += us;
    for (int i = 0; i < SCENE_CALLS && !scene->silent; i++) {
        if (scene->calls[i].used && scene->now.mono_us >= scene->calls[i].due_us)
            scene_reply(scene, &scene->calls[i]);
        if (scene->puts[i].used && scene->now.mono_us >= scene->puts[i].due_us)
            scene_store(scene, &scene->puts[i]);
    }
}

/* Times that an id lies in objects of the type. */
static inline int poll_scene_copies(const struct poll_scene *scene, enum archive_rest type,
                                    int64_t id)
{
    int copies = 0;
    for (int i = 0; i < scene->object_count; i++)
        for (int k = 0; scene->objects[i].type == type && k < scene->objects[i].count; k++)
            copies += scene->objects[i].ids[k] == id;
    return copies;
}

#endif
