/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "edge/redis/redis_link_self.h"

#define REDIS_LINK_CONNECT_TIMEOUT_US 500000
#define REDIS_LINK_REPLY_TIMEOUT_US   1000000
#define REDIS_LINK_BACKOFF_MIN_US     10000
#define REDIS_LINK_BACKOFF_MAX_US     1000000
#define REDIS_LINK_OUT_BYTES_MAX      ((size_t)64 << 20)
#define REDIS_LINK_IN_FLIGHT_MAX      65536
/* Longest sleep of the waiting calls between two looks at timeouts and retries. */
#define REDIS_LINK_WAIT_STEP_US 10000

static void redis_link_event(void *context, uint32_t events);
static bool redis_link_lose(struct redis_link *link);

static void redis_link_defaults(struct redis_link_options *options)
{
    if (options->connect_timeout_us <= 0)
        options->connect_timeout_us = REDIS_LINK_CONNECT_TIMEOUT_US;
    if (options->reply_timeout_us <= 0)
        options->reply_timeout_us = REDIS_LINK_REPLY_TIMEOUT_US;
    if (options->backoff_min_us <= 0)
        options->backoff_min_us = REDIS_LINK_BACKOFF_MIN_US;
    if (options->backoff_max_us < options->backoff_min_us)
        options->backoff_max_us = options->backoff_min_us > REDIS_LINK_BACKOFF_MAX_US
                                      ? options->backoff_min_us
                                      : REDIS_LINK_BACKOFF_MAX_US;
    if (options->out_bytes_max == 0)
        options->out_bytes_max = REDIS_LINK_OUT_BYTES_MAX;
    if (options->in_flight_max <= 0)
        options->in_flight_max = REDIS_LINK_IN_FLIGHT_MAX;
}

/* What only some targets need. */
static int redis_link_open_parts(struct redis_link *link, struct err *err)
{
    const struct redis_link_options *options = &link->options;
    const struct redis_tls_settings tls = {options->tls_ca_file, options->tls_cert_file,
                                           options->tls_key_file};
    int result = ERR_OK;
    if (link->route.target.tls)
        result = redis_tls_context_open(&tls, &link->tls_context, err);
    if (result == ERR_OK && link->route.target.kind == REDIS_TARGET_SENTINEL)
        result = redis_watch_open(options, &link->route.target, link->loop, redis_hop_on_primary,
                                  link, &link->watch, err);
    return result;
}

int redis_link_open(const struct redis_link_options *options, struct loop *loop,
                    struct redis_link **out, struct err *err)
{
    struct redis_target target;
    int result = redis_target_parse(options->target, &target, err);
    if (result != ERR_OK)
        return result;
    struct redis_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return err_set(err, ERR_MEMORY, "redis %s: out of memory", options->target);
    link->options = *options;
    redis_link_defaults(&link->options);
    link->loop = loop;
    link->slot = -1;
    prng_init(&link->prng, options->seed);
    redis_route_init(&link->route, &target);
    redis_hop_begin(link, loop_mono_us());
    redis_dial_init(&link->dial, &link->hop.address);
    result = redis_link_open_parts(link, err);
    if (result != ERR_OK) {
        redis_link_close(link);
        return result;
    }
    if (options->metrics != NULL)
        redis_meter_open(link, options->metrics);
    *out = link;
    return ERR_OK;
}

/* Drops what was not answered; their handlers are not called. */
static void redis_link_drop(struct redis_owed *owed)
{
    while (owed->count > 0)
        redis_eval_free(redis_owed_pop(owed).eval);
    redis_owed_close(owed);
}

void redis_link_close(struct redis_link *link)
{
    if (link == NULL)
        return;
    PRE(link->depth == 0);
    redis_watch_close(link->watch);
    loop_remove(link->loop, redis_dial_fd(&link->dial));
    redis_tls_close(link->tls);
    redis_tls_context_close(link->tls_context);
    redis_dial_close(&link->dial);
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    redis_link_drop(&link->owed);
    redis_link_drop(&link->held);
    redis_buffer_close(&link->out);
    redis_buffer_close(&link->held_out);
    free(link);
}

void redis_link_on_state(struct redis_link *link, redis_state_fn fn, void *context)
{
    PRE(link->listener_count < REDIS_LINK_LISTENERS_MAX);
    link->listeners[link->listener_count].fn = fn;
    link->listeners[link->listener_count++].context = context;
}

void redis_link_on_push(struct redis_link *link, redis_push_fn fn, void *context)
{
    link->push = fn;
    link->push_context = context;
}

bool redis_link_connected(const struct redis_link *link)
{
    return link->state == REDIS_LINK_UP && link->broken == ERR_OK;
}

const struct redis_link_stats *redis_link_stats(const struct redis_link *link)
{
    return &link->stats;
}

const char *redis_link_error(const struct redis_link *link)
{
    return link->error.text;
}

const char *redis_link_server(const struct redis_link *link)
{
    return link->where;
}

int redis_link_owed(const struct redis_link *link)
{
    return link->owed.count + link->held.count;
}

int redis_link_fd(const struct redis_link *link)
{
    return redis_link_connected(link) ? link->dial.fd : -1;
}

void redis_link_break(struct redis_link *link, int code, const char *format, ...)
{
    if (link->broken != ERR_OK)
        return;
    link->broken = code;
    link->error.code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(link->error.text, sizeof(link->error.text), format, args);
    va_end(args);
}

/* Handlers run between enter and leave; a connection that broke meanwhile is lost at the
 * outermost leave, so that no handler sees its link change below it. */
static void redis_link_enter(struct redis_link *link)
{
    link->depth++;
}

static void redis_link_leave(struct redis_link *link)
{
    /* A round goes from hop to hop without waiting for the next cycle. */
    if (--link->depth == 0)
        while (link->broken != ERR_OK)
            if (redis_link_lose(link))
                redis_connect_begin(link, loop_mono_us());
}

static void redis_link_tell(struct redis_link *link, bool connected)
{
    if (link->metrics.connected != NULL)
        metric_set(link->metrics.connected, connected ? 1.0 : 0.0);
    for (int i = 0; i < link->listener_count; i++)
        link->listeners[i].fn(link->listeners[i].context, connected);
}

void redis_link_up(struct redis_link *link)
{
    link->state = REDIS_LINK_UP;
    link->attempts = 0;
    redis_hop_up(link);
    link->stats.connects++;
    redis_link_tell(link, true);
}

static void redis_link_answer_lost(struct redis_owed *owed, int code)
{
    while (owed->count > 0) {
        struct redis_owed_reply reply = redis_owed_pop(owed);
        redis_eval_free(reply.eval);
        if (reply.fn != NULL)
            reply.fn(reply.context, code, NULL);
    }
}

/* The connection is gone: hang up, answer everything owed, tell, and plan the next try; true
 * when that is due at once. */
static bool redis_link_lose(struct redis_link *link)
{
    int64_t mono_us = loop_mono_us();
    int code = link->broken == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_CONNECTION;
    bool was_up = link->state == REDIS_LINK_UP;
    loop_remove(link->loop, redis_dial_fd(&link->dial));
    redis_tls_close(link->tls);
    link->tls = NULL;
    redis_dial_close(&link->dial);
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    link->reader = NULL;
    link->state = REDIS_LINK_DOWN;
    link->loaded_count = 0;
    link->repair_owed = 0;
    redis_buffer_clear(&link->out);
    redis_buffer_clear(&link->held_out);
    if (!link->hop_answered)
        redis_meter_loss(link, was_up, code);
    link->hop_answered = false;
    bool at_once = redis_hop_plan(link, was_up, mono_us);
    redis_hop_lost(link, was_up, mono_us);

    link->depth++;
    redis_link_answer_lost(&link->owed, code);
    redis_link_answer_lost(&link->held, code);
    if (was_up)
        redis_link_tell(link, false);
    link->depth--;
    link->broken = ERR_OK;
    return at_once;
}

int redis_link_watch(struct redis_link *link, uint32_t events)
{
    int result = loop_set(link->loop, redis_dial_fd(&link->dial), events, redis_link_event, link);
    if (result != ERR_OK)
        redis_link_break(link, result, "redis %s: event loop: %s", link->where, err_text(result));
    return result;
}

int redis_link_refuse(struct redis_link *link, int code)
{
    link->stats.refused++;
    if (link->metrics.refused != NULL)
        metric_add(link->metrics.refused, 1);
    return code;
}

struct redis_buffer *redis_link_buffer(struct redis_link *link)
{
    return link->repair_owed > 0 ? &link->held_out : &link->out;
}

int redis_link_reserve(struct redis_link *link, size_t size)
{
    size_t waiting = redis_buffer_waiting(&link->out) + redis_buffer_waiting(&link->held_out);
    if (waiting > 0 && waiting + size > link->options.out_bytes_max)
        return ERR_AGAIN;
    if (redis_link_owed(link) >= link->options.in_flight_max)
        return ERR_AGAIN;
    int result = redis_owed_reserve(link->repair_owed > 0 ? &link->held : &link->owed);
    return result != ERR_OK ? result : redis_buffer_reserve(redis_link_buffer(link), size);
}

void redis_link_push(struct redis_link *link, redis_reply_fn fn, void *context, int64_t block_us,
                     struct redis_eval *eval)
{
    struct redis_owed_reply reply = {fn, context, block_us, eval};
    if (link->owed.count == 0)
        link->progress_us = loop_mono_us();
    redis_owed_push(link->repair_owed > 0 ? &link->held : &link->owed, &reply);
}

int redis_link_send_blocking(struct redis_link *link, const struct bytes *argv, int argc,
                             int64_t block_us, redis_reply_fn fn, void *context)
{
    PRE(argc > 0);
    if (!redis_link_connected(link))
        return redis_link_refuse(link, ERR_CONNECTION);
    int result = redis_link_reserve(link, redis_buffer_command_size(argv, argc));
    if (result != ERR_OK)
        return redis_link_refuse(link, result);
    struct redis_buffer *buffer = redis_link_buffer(link);
    redis_buffer_add_head(buffer, argc);
    for (int i = 0; i < argc; i++)
        redis_buffer_add_argument(buffer, argv[i]);
    redis_link_push(link, fn, context, block_us, NULL);
    link->stats.commands++;
    return ERR_OK;
}

int redis_link_send(struct redis_link *link, const struct bytes *argv, int argc, redis_reply_fn fn,
                    void *context)
{
    return redis_link_send_blocking(link, argv, argc, 0, fn, context);
}

static void redis_link_event(void *context, uint32_t events)
{
    struct redis_link *link = context;
    redis_link_enter(link);
    if (link->state == REDIS_LINK_DIALING) {
        redis_connect_step(link);
    } else if (link->state == REDIS_LINK_SECURING) {
        redis_connect_secure(link);
    } else {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
            redis_traffic_read(link);
    }
    /* What handlers have queued leaves at once. */
    if (link->broken == ERR_OK)
        redis_traffic_write(link);
    redis_link_leave(link);
}

void redis_link_flush(struct redis_link *link)
{
    /* A failure stays marked until do_work: no handler runs inside a caller's flush. */
    if (link->broken == ERR_OK)
        redis_traffic_write(link);
}

static void redis_link_check_reply(struct redis_link *link, int64_t mono_us)
{
    if (link->owed.count == 0 || link->broken != ERR_OK)
        return;
    int64_t limit_us = link->options.reply_timeout_us + redis_owed_first(&link->owed)->block_us;
    if (mono_us - link->progress_us <= limit_us)
        return;
    /* If it was this process that did not run, the answer waits in the socket. */
    int64_t before_us = link->progress_us;
    redis_traffic_read(link);
    if (link->progress_us == before_us)
        redis_link_break(link, ERR_TIMEOUT, "redis %s: no reply for %lld ms", link->where,
                         (long long)(limit_us / CLOCK_US_PER_MS));
}

/* What one cycle does in each state. */
static void redis_link_cycle(struct redis_link *link, int64_t mono_us)
{
    redis_link_enter(link);
    if (link->state == REDIS_LINK_DOWN) {
        if (mono_us >= link->retry_us)
            redis_connect_begin(link, mono_us);
    } else if (link->state != REDIS_LINK_UP &&
               mono_us - link->started_us > redis_hop_patience_us(link)) {
        redis_link_break(link, ERR_TIMEOUT, "redis %s: no connection after %lld ms", link->where,
                         (long long)((mono_us - link->started_us) / CLOCK_US_PER_MS));
    } else {
        redis_traffic_write(link);
        redis_link_check_reply(link, mono_us);
    }
    redis_link_leave(link);
}

int redis_link_do_work(struct redis_link *link, int64_t mono_us)
{
    if (link->watch != NULL)
        redis_watch_do_work(link->watch, mono_us);
    redis_link_cycle(link, mono_us);
    int handled = link->handled;
    link->handled = 0;
    return handled;
}

/* One step of a waiting call; false when the deadline has passed. */
static bool redis_link_wait_step(struct redis_link *link, int64_t deadline_us)
{
    int64_t now_us = loop_mono_us();
    if (now_us >= deadline_us)
        return false;
    if (link->watch != NULL)
        redis_watch_do_work(link->watch, now_us);
    redis_link_cycle(link, now_us);
    int64_t left_us = deadline_us - now_us;
    loop_run_once(link->loop,
                  left_us < REDIS_LINK_WAIT_STEP_US ? left_us : REDIS_LINK_WAIT_STEP_US);
    return true;
}

bool redis_link_wait(struct redis_link *link, int64_t deadline_mono_us)
{
    PRE(link->depth == 0);
    uint64_t losses = link->stats.losses;
    redis_link_flush(link);
    while (redis_link_owed(link) > 0)
        if (!redis_link_wait_step(link, deadline_mono_us))
            return false;
    return link->stats.losses == losses;
}

bool redis_link_wait_connected(struct redis_link *link, int64_t deadline_mono_us)
{
    PRE(link->depth == 0);
    while (!redis_link_connected(link))
        if (!redis_link_wait_step(link, deadline_mono_us))
            return false;
    return true;
}
