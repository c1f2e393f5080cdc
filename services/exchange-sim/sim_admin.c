/* The control endpoint of the simulated exchange: faults, rate, pause, and what was true
 * in the book at an update id (docs/exchange-sim.md). SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "services/exchange-sim/sim_exchange.h"

#define ADMIN_TRADES_DEFAULT 100
#define ADMIN_SHUTDOWN_US    1000000

static int admin_refuse(struct text *reply, int status, const char *why)
{
    reply->size = 0;
    text_add(reply, "{\"error\":");
    text_add_json_string(reply, why, strlen(why));
    text_add_char(reply, '}');
    return status;
}

static int admin_done(struct text *reply)
{
    text_add(reply, "{\"ok\":true}");
    return 200;
}

static void admin_levels(struct text *reply, const struct sbe_level *levels, int count)
{
    text_add_char(reply, '[');
    for (int i = 0; i < count; i++) {
        text_add(reply, i ? ",[" : "[");
        sim_rest_decimal(reply, levels[i].price);
        text_add_char(reply, ',');
        sim_rest_decimal(reply, levels[i].qty);
        text_add_char(reply, ']');
    }
    text_add_char(reply, ']');
}

static void admin_book_reply(struct text *reply, int64_t id, int64_t since,
                             const struct sim_top *top)
{
    text_add_format(reply, "{\"id\":%lld,\"since\":%lld,\"bids\":", (long long)id,
                    (long long)since);
    admin_levels(reply, top->levels[SIM_BID], top->counts[SIM_BID]);
    text_add(reply, ",\"asks\":");
    admin_levels(reply, top->levels[SIM_ASK], top->counts[SIM_ASK]);
    text_add_char(reply, '}');
}

/* GET /control/book[?id=U] */
static int admin_book(const struct sim_exchange *exchange, const char *query, struct text *reply)
{
    char given[SIM_REST_VALUE_SIZE];
    int64_t last_id = exchange->source.book->last_id;
    int64_t id = last_id;
    if (sim_rest_parameter(query, "id", given))
        id = strtoll(given, NULL, 10);
    if (id > last_id)
        return admin_refuse(reply, 404, "this update id has not happened yet");
    const struct sim_top *top = sim_tape_top(&exchange->feed.tape, id);
    if (!top)
        return admin_refuse(reply, 404, "the book of this update id is not kept any more");
    admin_book_reply(reply, id, top->id, top);
    return 200;
}

/* GET /control/trades?limit=N: the newest trades, oldest first. */
static int admin_trades(const struct sim_exchange *exchange, const char *query, struct text *reply)
{
    char given[SIM_REST_VALUE_SIZE];
    int64_t limit = ADMIN_TRADES_DEFAULT;
    if (sim_rest_parameter(query, "limit", given))
        limit = strtoll(given, NULL, 10);
    limit = limit < 1 ? 1 : limit > SIM_REST_LIST_MAX ? SIM_REST_LIST_MAX : limit;
    const struct sim_tape *tape = &exchange->feed.tape;
    int64_t count = sim_tape_trade_count(tape);
    int64_t first = count > limit ? count - limit : 0;
    text_add_char(reply, '[');
    for (int64_t i = first; i < count; i++) {
        const struct sim_tape_trade *entry = sim_tape_trade(tape, i);
        text_add_format(reply, "%s{\"id\":%lld,\"time_us\":%lld,\"price\":", i > first ? "," : "",
                        (long long)entry->trade.id, (long long)entry->time_us);
        sim_rest_decimal(reply, entry->trade.price);
        text_add(reply, ",\"qty\":");
        sim_rest_decimal(reply, entry->trade.qty);
        text_add_format(reply, ",\"isBuyerMaker\":%s}",
                        entry->trade.is_buyer_maker ? "true" : "false");
    }
    text_add_char(reply, ']');
    return 200;
}

static void admin_clients(const struct sim_exchange *exchange, struct text *reply)
{
    text_add(reply, ",\"clients\":[");
    for (int i = 0; i < exchange->client_count; i++) {
        const struct sim_client *client = exchange->clients[i];
        text_add_format(
            reply,
            "%s{\"json\":%s,\"streams\":%d,\"sent\":%llu,\"queued_bytes\":%llu,"
            "\"quotes_culled\":%llu,\"withheld\":%llu,\"age_ms\":%lld}",
            i ? "," : "", client->options.json ? "true" : "false", client->name_count,
            (unsigned long long)client->sent, (unsigned long long)(client->put - client->taken),
            (unsigned long long)client->quotes_culled, (unsigned long long)client->withheld,
            (long long)((exchange->now.mono_us - client->opened_us) / CLOCK_US_PER_MS));
    }
    text_add_char(reply, ']');
}

/* GET /control/state */
static int admin_state(const struct sim_exchange *exchange, struct text *reply)
{
    const struct sim_feed *feed = &exchange->feed;
    text_add_format(
        reply,
        "{\"symbol\":\"%s\",\"source\":\"%s\",\"rate\":%g,\"paused\":%s,\"started\":%s,"
        "\"ended\":%s,\"book_ready\":%s,\"book_id\":%lld,\"trade_id\":%lld,"
        "\"wall_us\":%lld,",
        feed->options.symbol, exchange->market ? "market" : "replay", exchange->rate,
        exchange->paused ? "true" : "false", exchange->started ? "true" : "false",
        exchange->ended ? "true" : "false", feed->book_ready ? "true" : "false",
        (long long)exchange->source.book->last_id,
        (long long)(sim_tape_trade_count(&feed->tape)
                        ? sim_tape_trade(&feed->tape, sim_tape_trade_count(&feed->tape) - 1)
                              ->trade.id
                        : 0),
        (long long)exchange->now.wall_us);
    text_add(reply, "\"messages\":{");
    for (int i = 0; i < SIM_STREAM_COUNT; i++)
        text_add_format(reply, "%s\"%s\":%llu", i ? "," : "", sim_stream_name((enum sim_stream)i),
                        (unsigned long long)feed->messages[i]);
    text_add(reply, "},\"faults\":");
    sim_faults_tell(&exchange->faults, exchange->now.wall_us, reply);
    admin_clients(exchange, reply);
    text_add_format(
        reply,
        ",\"counters\":{\"clients\":%llu,\"overruns\":%llu,\"slips\":%llu,"
        "\"too_many_messages\":%llu,\"pong_timeouts\":%llu,\"expired\":%llu,"
        "\"refused_key\":%llu}",
        (unsigned long long)exchange->clients_total, (unsigned long long)exchange->overruns,
        (unsigned long long)exchange->slips, (unsigned long long)exchange->rate_closes,
        (unsigned long long)exchange->pong_timeouts, (unsigned long long)exchange->expired,
        (unsigned long long)exchange->refused_key);
    const struct sim_limits *limits = &exchange->limits;
    text_add_format(reply,
                    ",\"limits\":{\"limit\":%lld,\"used\":%lld,\"used_by_others\":%lld,"
                    "\"requests\":%llu,\"refused\":%llu,\"bans\":%llu}}",
                    (long long)limits->limit, (long long)limits->used,
                    (long long)limits->used_by_others, (unsigned long long)limits->requests,
                    (unsigned long long)limits->refused_total, (unsigned long long)limits->bans);
    return 200;
}

static void admin_stall(struct sim_exchange *exchange, enum sim_fault_kind kind)
{
    struct sim_fault fault = sim_faults_done(&exchange->faults, kind, exchange->client_count);
    int64_t until_us =
        fault.until_us ? fault.until_us : exchange->now.wall_us + SIM_STALL_DEFAULT_US;
    for (int i = 0; i < exchange->client_count; i++) {
        if (kind == SIM_FAULT_STALL)
            exchange->clients[i]->stalled_until_us = until_us;
        else
            exchange->clients[i]->half_open_until_us = until_us;
    }
}

static void admin_shutdown(struct sim_exchange *exchange)
{
    struct sim_fault fault =
        sim_faults_done(&exchange->faults, SIM_FAULT_SERVER_SHUTDOWN, exchange->client_count);
    char notice[64], wrapped[128];
    long long ms = (long long)(exchange->now.wall_us / CLOCK_US_PER_MS);
    int size = snprintf(notice, sizeof(notice), "{\"e\":\"serverShutdown\",\"E\":%lld}", ms);
    int wrapped_size =
        snprintf(wrapped, sizeof(wrapped), "{\"stream\":\"!serverShutdown\",\"data\":%s}", notice);
    int64_t after_us = fault.value >= 0 ? fault.value * CLOCK_US_PER_MS : ADMIN_SHUTDOWN_US;
    for (int i = 0; i < exchange->client_count; i++) {
        struct sim_client *client = exchange->clients[i];
        bool wrap = client->options.json && client->options.combined;
        sim_client_send(client, SIM_TEXT,
                        wrap ? bytes_of(wrapped, (size_t)wrapped_size)
                             : bytes_of(notice, (size_t)size));
        client->close_at_us = exchange->now.mono_us + after_us;
    }
}

/* POST /control/faults: message and REST faults wait for their turn, the others act now. */
static int admin_faults(struct sim_exchange *exchange, struct bytes body, struct text *reply,
                        bool *cut)
{
    struct err err = {0};
    enum sim_fault_kind kind;
    int rc = sim_faults_order(&exchange->faults, body, exchange->now.wall_us, &kind, &err);
    if (rc != ERR_OK)
        return admin_refuse(reply, rc == ERR_FULL ? 409 : 400, err.text);
    if (kind == SIM_FAULT_STALL || kind == SIM_FAULT_HALF_OPEN)
        admin_stall(exchange, kind);
    if (kind == SIM_FAULT_SERVER_SHUTDOWN)
        admin_shutdown(exchange);
    if (kind == SIM_FAULT_CUT) {
        sim_faults_done(&exchange->faults, kind, exchange->client_count);
        *cut = true;
    }
    return admin_done(reply);
}

static int admin_rate(struct sim_exchange *exchange, const json_t *order, struct text *reply)
{
    double rate = json_number_value(json_object_get(order, "rate"));
    if (!(rate >= 0.01 && rate <= 5000))
        return admin_refuse(reply, 400, "rate: a number from 0.01 to 5000 is expected");
    sim_exchange_set_rate(exchange, rate);
    return admin_done(reply);
}

static int admin_limits(struct sim_exchange *exchange, const json_t *order, struct text *reply)
{
    const json_t *limit = json_object_get(order, "limit");
    const json_t *others = json_object_get(order, "used_by_others");
    if ((limit && (!json_is_integer(limit) || json_integer_value(limit) < 1)) ||
        (others && (!json_is_integer(others) || json_integer_value(others) < 0)))
        return admin_refuse(reply, 400, "limit and used_by_others: whole numbers are expected");
    if (limit)
        exchange->limits.limit = (int64_t)json_integer_value(limit);
    if (others) {
        exchange->limits.used +=
            (int64_t)json_integer_value(others) - exchange->limits.used_by_others;
        exchange->limits.used_by_others = (int64_t)json_integer_value(others);
    }
    return admin_done(reply);
}

static int admin_post(struct sim_exchange *exchange, const char *path, struct bytes body,
                      struct text *reply)
{
    json_t *order = json_loadb((const char *)body.data, body.size, 0, NULL);
    int status = 404;
    if (strcmp(path, "/control/rate") == 0) {
        status = admin_rate(exchange, order, reply);
    } else if (strcmp(path, "/control/limits") == 0) {
        status = admin_limits(exchange, order, reply);
    } else if (strcmp(path, "/control/pause") == 0) {
        /* {"paused":false} goes on; anything else pauses. */
        sim_exchange_pause(exchange, !json_is_false(json_object_get(order, "paused")));
        status = admin_done(reply);
    }
    json_decref(order);
    return status == 404 ? admin_refuse(reply, 404, "no such control path") : status;
}

struct sim_admin_result sim_admin_answer(struct sim_exchange *exchange, bool post, const char *path,
                                         const char *query, struct bytes body, struct text *reply)
{
    struct sim_admin_result result = {.status = 404};
    if (post && strcmp(path, "/control/faults") == 0)
        result.status = admin_faults(exchange, body, reply, &result.cut);
    else if (post)
        result.status = admin_post(exchange, path, body, reply);
    else if (strcmp(path, "/control/state") == 0)
        result.status = admin_state(exchange, reply);
    else if (strcmp(path, "/control/book") == 0)
        result.status = admin_book(exchange, query, reply);
    else if (strcmp(path, "/control/trades") == 0)
        result.status = admin_trades(exchange, query, reply);
    else
        result.status = admin_refuse(reply, 404, "no such control path");
    return result;
}
