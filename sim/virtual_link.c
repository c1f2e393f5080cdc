/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_link.h"

#include <stdlib.h>

#include "base/check.h"
#include "edge/loop/loop.h"
#include "edge/redis/redis_link.h"
#include "sim/simulation.h"
#include "sim/virtual_conn.h"
#include "sim/virtual_process.h"
#include "sim/virtual_server.h"

#define VIRTUAL_CONNECT_TIMEOUT_US 500000
#define VIRTUAL_REPLY_TIMEOUT_US   1000000
#define VIRTUAL_BACKOFF_MIN_US     10000
#define VIRTUAL_BACKOFF_MAX_US     1000000

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
    if (link->conn != NULL)
        virtual_conn_hang_up(link->conn);
    link->conn = NULL;
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

static void virtual_send(struct redis_link *link, struct virtual_request *request)
{
    link->stats.commands++;
    struct virtual_step step = virtual_step_of(link->conn->server, request);
    simulation_sent(link->process->simulation, &step);
    virtual_request_send(request);
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

void virtual_link_answered(struct redis_link *link, const struct virtual_conn *conn,
                           const redisReply *reply)
{
    if (link->conn != conn || link->broken != ERR_OK || link->owed_count == 0)
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

void virtual_link_reset(struct redis_link *link, const struct virtual_conn *conn)
{
    if (link->conn == conn)
        link->broken = ERR_CONNECTION;
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
    struct virtual_conn *conn = virtual_conn_open(server, process, link);
    link->conn = conn;
    link->state = VIRTUAL_DIALING;
    link->started_us = mono_us;
    if (process->simulation->queue.now_us < server->paused_until_us && !server->down)
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
