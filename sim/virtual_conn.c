/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/simulation.h"
#include "sim/virtual_link.h"
#include "sim/virtual_process.h"
#include "sim/virtual_server.h"

struct virtual_answer {
    struct virtual_conn *conn;
    struct model_reply *reply;
};

struct virtual_conn *virtual_conn_open(struct virtual_server *server, struct process *process,
                                       struct redis_link *link)
{
    struct virtual_conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    *conn = (struct virtual_conn){
        .refs = 1, .server = server, .process = process, .link = link, .next = server->conns};
    server->conns = conn;
    return conn;
}

void virtual_conn_drop(struct virtual_conn *conn)
{
    if (--conn->refs > 0)
        return;
    for (struct virtual_conn **at = &conn->server->conns; *at != NULL; at = &(*at)->next)
        if (*at == conn) {
            *at = conn->next;
            break;
        }
    free(conn);
}

void virtual_conn_forget(struct virtual_conn *conn)
{
    conn->refs++;
    for (int i = 0; i < conn->queued_count; i++)
        virtual_request_free(conn->queued[i]);
    conn->queued_count = 0;
    if (conn->blocked != NULL)
        virtual_request_free(conn->blocked);
    conn->blocked = NULL;
    virtual_request_free_list(&conn->behind);
    conn->behind_last = NULL;
    virtual_conn_drop(conn);
}

void virtual_conn_hang_up(struct virtual_conn *conn)
{
    conn->link = NULL;
    virtual_conn_forget(conn);
    virtual_conn_drop(conn);
}

static void virtual_on_reset(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_conn *conn = object;
    (void)process;
    (void)number;
    if (deliver && conn->link != NULL)
        virtual_link_reset(conn->link, conn);
    virtual_conn_drop(conn);
}

void virtual_conn_break(struct virtual_conn *conn, bool all_lost)
{
    struct simulation *simulation = conn->server->simulation;
    if (conn->link == NULL || conn->cut)
        return;
    conn->refs++; /* of the post */
    conn->cut = all_lost || prng_below(&simulation->prng, 2) == 0;
    process_post(conn->process, simulation->queue.now_us + 20, virtual_on_reset, conn, 0);
    conn->refs++;
    virtual_conn_forget(conn);
    virtual_conn_drop(conn);
}

static int64_t virtual_later(int64_t *last_us, int64_t time_us)
{
    if (time_us < *last_us)
        time_us = *last_us;
    *last_us = time_us;
    return time_us;
}

int64_t virtual_passes_us(struct process *process)
{
    int64_t now_us = process->simulation->queue.now_us;
    int64_t from_us = now_us > process->away_until_us ? now_us : process->away_until_us;
    return from_us + process_delay_us(process);
}

static void virtual_on_answer(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_answer *answer = object;
    (void)process;
    (void)number;
    if (deliver && answer->conn->link != NULL)
        virtual_link_answered(answer->conn->link, answer->conn, model_reply_root(answer->reply));
    model_reply_free(answer->reply);
    virtual_conn_drop(answer->conn);
    free(answer);
}

void virtual_answer(struct virtual_conn *conn, struct model_reply *reply)
{
    struct process *process = conn->process;
    if (conn->link == NULL || conn->cut) {
        conn->server->lost_replies++;
        model_reply_free(reply);
        return;
    }
    struct virtual_answer *answer = malloc(sizeof(*answer));
    CHECK(answer != NULL);
    *answer = (struct virtual_answer){conn, reply};
    conn->refs++;
    int64_t at_us = virtual_passes_us(process);
    process_post(process, virtual_later(&conn->in_us, at_us), virtual_on_answer, answer, 0);
}

struct virtual_request *virtual_request_make(struct virtual_conn *conn, const struct bytes *keys,
                                             int key_count, const struct bytes *args, int arg_count)
{
    size_t size = 0;
    int count = key_count + arg_count;
    for (int i = 0; i < key_count; i++)
        size += keys[i].size + 1;
    for (int i = 0; i < arg_count; i++)
        size += args[i].size + 1;
    struct virtual_request *request =
        malloc(sizeof(*request) + (size_t)count * sizeof(struct bytes) + size);
    CHECK(request != NULL);
    *request = (struct virtual_request){.conn = conn, .key_count = key_count, .count = count};
    uint8_t *at = (uint8_t *)(request->words + count);
    for (int i = 0; i < count; i++) {
        struct bytes word = i < key_count ? keys[i] : args[i - key_count];
        if (word.size > 0)
            memcpy(at, word.data, word.size);
        at[word.size] = 0;
        request->words[i] = bytes_of(at, word.size);
        at += word.size + 1;
    }
    conn->refs++;
    return request;
}

static void virtual_on_request(void *context, void *object, uint64_t number)
{
    (void)number;
    virtual_server_take(context, object);
}

void virtual_request_send(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    struct virtual_server *server = conn->server;
    int64_t at_us = virtual_passes_us(conn->process);
    virtual_queue_add(&server->simulation->queue, virtual_later(&conn->out_us, at_us),
                      virtual_on_request, server, request, 0);
}

void virtual_request_free(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    free(request);
    virtual_conn_drop(conn);
}

void virtual_request_free_list(struct virtual_request **list)
{
    while (*list != NULL) {
        struct virtual_request *request = *list;
        *list = request->next;
        virtual_request_free(request);
    }
}
