/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_server.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "sim/simulation.h"
#include "sim/virtual_conn.h"
#include "sim/virtual_process.h"

struct virtual_step virtual_step_of(struct virtual_server *server,
                                    const struct virtual_request *request)
{
    struct virtual_step step = {.process = request->conn->process,
                                .args = request->words + request->key_count,
                                .arg_count = request->count - request->key_count};
    if (request->source != NULL) {
        step.script = model_redis_script_name(server->redis, request->source);
        if (step.script == NULL)
            fprintf(stderr, "a script that sim/model does not know, checksum 0x%08x:\n%s",
                    crc32c(0, request->source, strlen(request->source)), request->source);
        CHECK(step.script != NULL);
    }
    return step;
}

static struct model_reply *virtual_do(struct virtual_server *server,
                                      struct virtual_request *request, int only_key, bool *blocked)
{
    struct simulation *simulation = server->simulation;
    struct virtual_step step = virtual_step_of(server, request);
    struct model_reply *reply;
    server->executed++;
    simulation->step = &step;
    if (request->source != NULL) {
        reply = model_redis_script(server->redis, simulation->queue.now_us, request->source,
                                   request->words, request->key_count, step.args, step.arg_count);
    } else {
        reply = model_redis_command(server->redis, simulation->queue.now_us, request->words,
                                    request->count, only_key, blocked);
    }
    simulation_after_step(simulation, model_reply_root(reply));
    simulation->step = NULL;
    return reply;
}

static bool virtual_is(const struct virtual_request *request, const char *word)
{
    return request->source == NULL && request->words[0].size == strlen(word) &&
           strncasecmp((const char *)request->words[0].data, word, strlen(word)) == 0;
}

/* Copies a reply into another one as its element: only what EXEC returns. */
static redisReply *virtual_copy(struct model_reply *into, const redisReply *from)
{
    if (from->type == REDIS_REPLY_ARRAY) {
        redisReply *list = model_reply_array(into, from->elements);
        for (size_t i = 0; i < from->elements; i++)
            list->element[i] = virtual_copy(into, from->element[i]);
        return list;
    }
    if (from->type == REDIS_REPLY_STRING)
        return model_reply_string(into, bytes_of(from->str, from->len));
    if (from->type == REDIS_REPLY_INTEGER)
        return model_reply_integer(into, from->integer);
    if (from->type == REDIS_REPLY_NIL)
        return model_reply_nil(into);
    return from->type == REDIS_REPLY_ERROR ? model_reply_error(into, from->str)
                                           : model_reply_status(into, from->str);
}

static struct model_reply *virtual_exec(struct virtual_conn *conn)
{
    struct model_reply *all = model_reply_new();
    redisReply *list = model_reply_array(all, (size_t)conn->queued_count);
    for (int i = 0; i < conn->queued_count; i++) {
        bool blocked = false;
        struct model_reply *one = virtual_do(conn->server, conn->queued[i], -1, &blocked);
        list->element[i] = virtual_copy(all, model_reply_root(one));
        model_reply_free(one);
        virtual_request_free(conn->queued[i]);
    }
    conn->queued_count = 0;
    conn->multi = false;
    model_reply_set_root(all, list);
    return all;
}

static struct model_reply *virtual_word(const char *text, bool is_error)
{
    struct model_reply *reply = model_reply_new();
    model_reply_set_root(reply, is_error ? model_reply_error(reply, text)
                                         : model_reply_status(reply, text));
    return reply;
}

static void virtual_serve(struct virtual_request *request);

static void virtual_unblock(struct virtual_conn *conn, struct model_reply *reply)
{
    struct virtual_request *request = conn->blocked, *behind = conn->behind;
    conn->blocked = NULL;
    conn->behind = conn->behind_last = NULL;
    virtual_answer(conn, reply);
    while (behind != NULL) {
        struct virtual_request *next = behind->next;
        behind->next = NULL;
        virtual_serve(behind);
        behind = next;
    }
    virtual_request_free(request);
}

static void virtual_on_block_end(void *context, void *object, uint64_t number)
{
    struct virtual_conn *conn = object;
    (void)context;
    if (!conn->server->simulation->ending && conn->blocked != NULL &&
        conn->block_number == number) {
        struct model_reply *nothing = model_reply_new();
        model_reply_set_root(nothing, model_reply_nil(nothing));
        virtual_unblock(conn, nothing);
    }
    virtual_conn_drop(conn);
}

static void virtual_block(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    struct virtual_server *server = conn->server;
    int at = 1;
    while (strncasecmp((const char *)request->words[at].data, "STREAMS", 7) != 0)
        at++;
    conn->blocked = request;
    conn->blocked_key_count = (request->count - at - 1) / 2;
    for (int i = 0; i < conn->blocked_key_count; i++)
        conn->blocked_keys[i] = model_redis_key(server->redis, request->words[at + 1 + i]);
    conn->refs++;
    virtual_queue_add(&server->simulation->queue,
                      server->simulation->queue.now_us + request->block_us, virtual_on_block_end,
                      NULL, conn, ++conn->block_number);
}

/* Streams have grown: those who wait for them are served. */
static void virtual_wake_blocked(struct virtual_server *server)
{
    uint64_t touched = model_redis_touched(server->redis);
    struct virtual_conn *next;
    for (struct virtual_conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        for (int i = 0; conn->blocked != NULL && i < conn->blocked_key_count; i++) {
            if ((touched >> (conn->blocked_keys[i] & 63) & 1u) == 0)
                continue;
            bool blocked = false;
            struct model_reply *reply =
                virtual_do(server, conn->blocked, conn->blocked_keys[i], &blocked);
            if (blocked) {
                model_reply_free(reply);
                continue;
            }
            conn->refs++;
            virtual_unblock(conn, reply);
            next = conn->next;
            virtual_conn_drop(conn);
        }
    }
}

static void virtual_serve(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    if (conn->blocked != NULL) {
        if (conn->behind_last != NULL)
            conn->behind_last->next = request;
        else
            conn->behind = request;
        conn->behind_last = request;
        return;
    }
    struct model_reply *reply;
    bool blocked = false;
    uint64_t writes = model_redis_writes(conn->server->redis);
    if (virtual_is(request, "MULTI")) {
        conn->multi = true;
        reply = virtual_word("OK", false);
    } else if (virtual_is(request, "EXEC") && conn->aborted) {
        conn->multi = conn->aborted = false;
        reply = virtual_word("EXECABORT Transaction discarded because of previous errors.", true);
    } else if (virtual_is(request, "EXEC")) {
        reply = virtual_exec(conn);
    } else if (conn->multi && model_redis_is_full(conn->server->redis)) {
        /* As the real server: out of memory it queues nothing, not even a read. */
        conn->aborted = true;
        reply = virtual_word("OOM command not allowed when used memory > 'maxmemory'.", true);
    } else if (conn->multi) {
        CHECK(conn->queued_count < VIRTUAL_MULTI_MAX);
        conn->queued[conn->queued_count++] = request;
        virtual_answer(conn, virtual_word("QUEUED", false));
        return;
    } else {
        reply = virtual_do(conn->server, request, -1, &blocked);
    }
    if (blocked && request->block_us > 0 && conn->link != NULL) {
        model_reply_free(reply);
        virtual_block(request);
        return;
    }
    virtual_answer(conn, reply);
    struct virtual_server *server = conn->server;
    virtual_request_free(request);
    if (model_redis_writes(server->redis) != writes)
        virtual_wake_blocked(server);
}

static void virtual_on_resume(void *context, void *object, uint64_t number)
{
    struct virtual_server *server = context;
    (void)object;
    (void)number;
    if (server->simulation->ending || server->simulation->queue.now_us < server->paused_until_us)
        return;
    struct virtual_request *list = server->stalled;
    server->stalled = server->stalled_last = NULL;
    while (list != NULL) {
        struct virtual_request *next = list->next;
        list->next = NULL;
        virtual_serve(list);
        list = next;
    }
}

/* A connection that was closed behind it: the server reads what was sent, or is told of the
 * end first. */
static bool virtual_is_lost(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    struct simulation *simulation = conn->server->simulation;
    if (simulation->ending || conn->server->down || conn->cut)
        return true;
    return conn->link == NULL && prng_below(&simulation->prng, 2) == 0;
}

void virtual_server_take(struct virtual_server *server, struct virtual_request *request)
{
    if (virtual_is_lost(request)) {
        server->lost_requests++;
        virtual_request_free(request);
        return;
    }
    if (server->simulation->queue.now_us < server->paused_until_us) {
        if (server->stalled_last != NULL)
            server->stalled_last->next = request;
        else
            server->stalled = request;
        server->stalled_last = request;
        return;
    }
    virtual_serve(request);
}

void virtual_server_open(struct virtual_server *server, struct simulation *simulation,
                         struct model_redis *redis)
{
    *server = (struct virtual_server){.simulation = simulation, .redis = redis};
}

void virtual_server_close(struct virtual_server *server)
{
    virtual_request_free_list(&server->stalled);
    server->stalled_last = NULL;
    /* A MULTI whose EXEC was lost with its connection. */
    struct virtual_conn *next;
    for (struct virtual_conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        virtual_conn_forget(conn);
    }
    CHECK(server->conns == NULL);
}

void virtual_server_down(struct virtual_server *server)
{
    server->down = true;
    server->paused_until_us = 0;
    virtual_request_free_list(&server->stalled);
    server->stalled_last = NULL;
    struct virtual_conn *next;
    for (struct virtual_conn *conn = server->conns; conn != NULL; conn = next) {
        conn->refs++;
        virtual_conn_break(conn, true);
        next = conn->next;
        virtual_conn_drop(conn);
    }
}

void virtual_server_up(struct virtual_server *server)
{
    server->down = false;
}

void virtual_server_pause(struct virtual_server *server, int64_t until_us)
{
    server->paused_until_us = until_us;
    virtual_queue_add(&server->simulation->queue, until_us, virtual_on_resume, server, NULL, 0);
}

void virtual_server_cut(struct virtual_server *server, struct process *process)
{
    struct virtual_conn *next;
    for (struct virtual_conn *conn = server->conns; conn != NULL; conn = next) {
        conn->refs++;
        if (conn->process == process)
            virtual_conn_break(conn, false);
        next = conn->next;
        virtual_conn_drop(conn);
    }
}
