/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "edge/loop/loop.h"
#include "edge/redis/redis_link.h"
#include "sim/simulation.h"
#include "sim/virtual_process.h"

#define VIRTUAL_CONNECT_TIMEOUT_US 500000
#define VIRTUAL_REPLY_TIMEOUT_US   1000000
#define VIRTUAL_BACKOFF_MIN_US     10000
#define VIRTUAL_BACKOFF_MAX_US     1000000
#define VIRTUAL_MULTI_MAX          16
#define VIRTUAL_STREAMS_MAX        8

struct virtual_request {
    struct virtual_conn *conn;
    const char *source; /* of a script; NULL: a command */
    int64_t block_us;
    int key_count, count; /* keys first, then arguments */
    struct virtual_request *next;
    struct bytes words[];
};

/* The server's end of a connection; outlives the link while anything of it is under way. */
struct virtual_conn {
    int refs;
    struct virtual_server *server;
    struct process *process;
    uint64_t life;
    struct redis_link *link; /* NULL: hung up */
    bool cut;                /* what is still under way is lost */
    int64_t out_us, in_us;   /* arrival of the last message, each way: order is kept */
    bool multi, aborted;     /* a command was not taken into it */
    struct virtual_request *queued[VIRTUAL_MULTI_MAX];
    int queued_count;
    struct virtual_request *blocked; /* an XREAD that waits */
    int blocked_keys[VIRTUAL_STREAMS_MAX], blocked_key_count;
    uint64_t block_number;
    struct virtual_request *behind, *behind_last; /* came after it */
    struct virtual_conn *next;                    /* among all */
};

enum virtual_state { VIRTUAL_DOWN, VIRTUAL_DIALING, VIRTUAL_UP };

struct virtual_owed {
    redis_reply_fn fn;
    void *context;
    int64_t block_us;
};

struct redis_link {
    struct redis_link_options options;
    struct process *process;
    struct virtual_conn *conn;
    enum virtual_state state;
    struct virtual_owed *owed; /* ring */
    int owed_first, owed_count, owed_room;
    int64_t progress_us, started_us, retry_us;
    unsigned attempts;
    struct prng prng;
    int depth, broken, handled;
    struct {
        redis_state_fn fn;
        void *context;
    } listeners[REDIS_LINK_LISTENERS_MAX];
    int listener_count;
    struct redis_link_stats stats;
    struct redis_link *next; /* of the same process */
};

struct loop {
    struct process *process;
    struct redis_link *links;
};

/* --- clocks and loop ------------------------------------------------------------------ */

struct loop *virtual_loop_open(struct process *process)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    CHECK(loop != NULL);
    loop->process = process;
    return loop;
}

void virtual_loop_close(struct loop *loop)
{
    CHECK(loop->links == NULL);
    free(loop);
}

struct clock_now loop_now(void)
{
    CHECK(process_current() != NULL);
    return process_now(process_current());
}

int64_t loop_wall_us(void)
{
    return loop_now().wall_us;
}

int64_t loop_mono_us(void)
{
    return loop_now().mono_us;
}

int64_t loop_mono_ns(void)
{
    return loop_now().mono_us * 1000;
}

/* --- the server's end ------------------------------------------------------------------ */

static void virtual_conn_drop(struct virtual_conn *conn)
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

static void virtual_request_free(struct virtual_request *request)
{
    struct virtual_conn *conn = request->conn;
    free(request);
    virtual_conn_drop(conn);
}

static void virtual_request_free_list(struct virtual_request **list)
{
    while (*list != NULL) {
        struct virtual_request *request = *list;
        *list = request->next;
        virtual_request_free(request);
    }
}

/* The server forgets what it has of a connection that is over. */
static void virtual_conn_forget(struct virtual_conn *conn)
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

static int64_t virtual_later(int64_t *last_us, int64_t time_us)
{
    if (time_us < *last_us)
        time_us = *last_us;
    *last_us = time_us;
    return time_us;
}

/* When a message sent now is there. What a partition holds up is sent again by TCP until it
 * is over, or until somebody hangs up. */
static int64_t virtual_passes_us(struct process *process)
{
    int64_t now_us = process->simulation->queue.now_us;
    int64_t from_us = now_us > process->away_until_us ? now_us : process->away_until_us;
    return from_us + process_delay_us(process);
}

struct virtual_answer {
    struct virtual_conn *conn;
    struct model_reply *reply;
};

static void virtual_link_answered(struct redis_link *link, const redisReply *reply);

static void virtual_on_answer(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_answer *answer = object;
    struct redis_link *link = answer->conn->link;
    (void)process;
    (void)number;
    if (deliver && link != NULL && link->conn == answer->conn)
        virtual_link_answered(link, model_reply_root(answer->reply));
    model_reply_free(answer->reply);
    virtual_conn_drop(answer->conn);
    free(answer);
}

static void virtual_answer(struct virtual_conn *conn, struct model_reply *reply)
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

static struct virtual_step virtual_step_of(struct virtual_server *server,
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

static void virtual_on_request(void *context, void *object, uint64_t number)
{
    struct virtual_server *server = context;
    struct virtual_request *request = object;
    (void)number;
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

static void virtual_on_reset(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_conn *conn = object;
    (void)process;
    (void)number;
    if (deliver && conn->link != NULL && conn->link->conn == conn)
        conn->link->broken = ERR_CONNECTION;
    virtual_conn_drop(conn);
}

/* Both ends learn of it; what is under way is lost, or half of it: what had been sent to the
 * server may have arrived. */
static void virtual_conn_break(struct virtual_conn *conn, bool all_lost)
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

/* --- the link, as edge/redis/redis_link.h promises it ----------------------------------- */

static struct virtual_server *virtual_server_of(const struct redis_link *link)
{
    return &link->process->simulation->server;
}

int redis_link_open(const struct redis_link_options *options, struct loop *loop,
                    struct redis_link **out, struct err *err)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return err_set(err, ERR_MEMORY, "virtual link");
    link->options = *options;
    link->process = loop->process;
    prng_init(&link->prng, prng_u64(&loop->process->simulation->prng));
    struct redis_link **at = &loop->links;
    while (*at != NULL)
        at = &(*at)->next;
    *at = link;
    *out = link;
    return ERR_OK;
}

static void virtual_link_hang_up(struct redis_link *link)
{
    struct virtual_conn *conn = link->conn;
    if (conn == NULL)
        return;
    link->conn = NULL;
    conn->link = NULL;
    virtual_conn_forget(conn);
    virtual_conn_drop(conn);
}

void redis_link_close(struct redis_link *link)
{
    if (link == NULL)
        return;
    virtual_link_hang_up(link);
    for (struct redis_link **at = &link->process->loop->links; *at != NULL; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            break;
        }
    free(link->owed);
    free(link);
}

void redis_link_on_state(struct redis_link *link, redis_state_fn fn, void *context)
{
    CHECK(link->listener_count < REDIS_LINK_LISTENERS_MAX);
    link->listeners[link->listener_count].fn = fn;
    link->listeners[link->listener_count++].context = context;
}

/* One server, and whoever is the primary is the right one. */
void redis_link_bind(struct redis_link *link, const char *key)
{
    (void)link;
    (void)key;
}

void redis_link_distrust(struct redis_link *link, const char *reply)
{
    (void)reply;
    link->broken = ERR_CONNECTION;
}

bool redis_link_connected(const struct redis_link *link)
{
    return link->state == VIRTUAL_UP && link->broken == ERR_OK;
}

const struct redis_link_stats *redis_link_stats(const struct redis_link *link)
{
    return &link->stats;
}

int redis_link_owed(const struct redis_link *link)
{
    return link->owed_count;
}

static void virtual_owe(struct redis_link *link, redis_reply_fn fn, void *context, int64_t block_us)
{
    if (link->owed_count == link->owed_room) {
        int room = link->owed_room == 0 ? 16 : 2 * link->owed_room;
        struct virtual_owed *grown = malloc((size_t)room * sizeof(*grown));
        CHECK(grown != NULL);
        for (int i = 0; i < link->owed_count; i++)
            grown[i] = link->owed[(link->owed_first + i) % link->owed_room];
        free(link->owed);
        link->owed = grown;
        link->owed_first = 0;
        link->owed_room = room;
    }
    if (link->owed_count == 0)
        link->progress_us = loop_mono_us();
    link->owed[(link->owed_first + link->owed_count++) % link->owed_room] =
        (struct virtual_owed){fn, context, block_us};
}

static struct virtual_owed virtual_owed_pop(struct redis_link *link)
{
    struct virtual_owed owed = link->owed[link->owed_first];
    link->owed_first = (link->owed_first + 1) % link->owed_room;
    link->owed_count--;
    return owed;
}

static struct virtual_request *virtual_request_make(struct virtual_conn *conn,
                                                    const struct bytes *keys, int key_count,
                                                    const struct bytes *args, int arg_count)
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

static void virtual_send(struct redis_link *link, struct virtual_request *request)
{
    struct virtual_conn *conn = link->conn;
    struct simulation *simulation = link->process->simulation;
    link->stats.commands++;
    struct virtual_step step = virtual_step_of(conn->server, request);
    simulation_sent(simulation, &step);
    int64_t at_us = virtual_passes_us(link->process);
    virtual_queue_add(&simulation->queue, virtual_later(&conn->out_us, at_us), virtual_on_request,
                      conn->server, request, 0);
}

int redis_link_send_blocking(struct redis_link *link, const struct bytes *argv, int argc,
                             int64_t block_us, redis_reply_fn fn, void *context)
{
    if (!redis_link_connected(link)) {
        link->stats.refused++;
        return ERR_CONNECTION;
    }
    virtual_owe(link, fn, context, block_us);
    struct virtual_request *request = virtual_request_make(link->conn, NULL, 0, argv, argc);
    request->block_us = block_us;
    virtual_send(link, request);
    return ERR_OK;
}

int redis_link_send(struct redis_link *link, const struct bytes *argv, int argc, redis_reply_fn fn,
                    void *context)
{
    return redis_link_send_blocking(link, argv, argc, 0, fn, context);
}

int redis_link_eval(struct redis_link *link, struct redis_script *script, const struct bytes *keys,
                    int key_count, const struct bytes *args, int arg_count, redis_reply_fn fn,
                    void *context)
{
    if (!redis_link_connected(link)) {
        link->stats.refused++;
        return ERR_CONNECTION;
    }
    virtual_owe(link, fn, context, 0);
    struct virtual_request *request =
        virtual_request_make(link->conn, keys, key_count, args, arg_count);
    request->source = script->source;
    virtual_send(link, request);
    return ERR_OK;
}

void redis_link_flush(struct redis_link *link)
{
    (void)link; /* everything leaves as it is queued */
}

static void virtual_link_answered(struct redis_link *link, const redisReply *reply)
{
    if (link->broken != ERR_OK || link->owed_count == 0)
        return;
    struct virtual_owed owed = virtual_owed_pop(link);
    link->progress_us = loop_mono_us();
    link->stats.replies++;
    link->handled++;
    link->depth++;
    if (owed.fn != NULL)
        owed.fn(owed.context, ERR_OK, reply);
    link->depth--;
}

static void virtual_link_tell(struct redis_link *link, bool connected)
{
    for (int i = 0; i < link->listener_count; i++)
        link->listeners[i].fn(link->listeners[i].context, connected);
}

static void virtual_link_lose(struct redis_link *link)
{
    int code = link->broken == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_CONNECTION;
    bool was_up = link->state == VIRTUAL_UP;
    virtual_link_hang_up(link);
    link->state = VIRTUAL_DOWN;
    link->stats.losses += was_up;
    link->stats.failures += !was_up;
    int64_t span_us = VIRTUAL_BACKOFF_MIN_US << (link->attempts < 7 ? link->attempts : 7);
    if (span_us > VIRTUAL_BACKOFF_MAX_US)
        span_us = VIRTUAL_BACKOFF_MAX_US;
    link->attempts++;
    link->retry_us = loop_mono_us() + (int64_t)prng_below(&link->prng, (uint64_t)span_us + 1);
    link->depth++;
    while (link->owed_count > 0) {
        struct virtual_owed owed = virtual_owed_pop(link);
        if (owed.fn != NULL)
            owed.fn(owed.context, code, NULL);
    }
    if (was_up)
        virtual_link_tell(link, false);
    link->depth--;
    link->broken = ERR_OK;
}

static void virtual_on_connected(struct process *process, void *object, uint64_t number,
                                 bool deliver)
{
    struct virtual_conn *conn = object;
    struct redis_link *link = conn->link;
    (void)process;
    if (deliver && link != NULL && link->conn == conn && link->state == VIRTUAL_DIALING) {
        if (number == 0 || conn->cut) {
            link->broken = ERR_CONNECTION;
        } else {
            link->state = VIRTUAL_UP;
            link->attempts = 0;
            link->stats.connects++;
            virtual_link_tell(link, true);
        }
    }
    virtual_conn_drop(conn);
}

static void virtual_link_dial(struct redis_link *link, int64_t mono_us)
{
    struct virtual_server *server = virtual_server_of(link);
    struct process *process = link->process;
    struct simulation *simulation = process->simulation;
    struct virtual_conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    *conn = (struct virtual_conn){.refs = 1,
                                  .server = server,
                                  .process = process,
                                  .life = process->life,
                                  .link = link,
                                  .next = server->conns};
    server->conns = conn;
    link->conn = conn;
    link->state = VIRTUAL_DIALING;
    link->started_us = mono_us;
    if (simulation->queue.now_us < server->paused_until_us && !server->down)
        return;
    conn->refs++;
    process_post(process, virtual_passes_us(process) + process_delay_us(process),
                 virtual_on_connected, conn, !server->down);
}

static void virtual_link_cycle(struct redis_link *link, int64_t mono_us)
{
    if (link->state == VIRTUAL_DOWN && mono_us >= link->retry_us)
        virtual_link_dial(link, mono_us);
    else if (link->state == VIRTUAL_DIALING &&
             mono_us - link->started_us > VIRTUAL_CONNECT_TIMEOUT_US)
        link->broken = ERR_TIMEOUT;
    else if (link->state == VIRTUAL_UP && link->owed_count > 0 && link->broken == ERR_OK &&
             mono_us - link->progress_us >
                 VIRTUAL_REPLY_TIMEOUT_US + link->owed[link->owed_first].block_us)
        link->broken = ERR_TIMEOUT;
}

int redis_link_do_work(struct redis_link *link, int64_t mono_us)
{
    if (link->broken == ERR_OK)
        virtual_link_cycle(link, mono_us);
    if (link->broken != ERR_OK && link->depth == 0)
        virtual_link_lose(link);
    int handled = link->handled;
    link->handled = 0;
    return handled;
}
