/* HTTP of the simulated exchange: REST, the control endpoint, the probes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "services/exchange-sim/sim_server_self.h"

#define HTTP_HEADERS_SIZE 1024
#define HTTP_TOKEN_SIZE   256
#define HTTP_PART         65536u

static void http_clear(struct sim_session *session)
{
    free(session->body);
    free(session->reply);
    memset(session, 0, sizeof(*session));
    session->retry_after_s = session->used_weight = -1;
}

static int http_header(struct lws *wsi, const char *name, int64_t value, uint8_t **at, uint8_t *end)
{
    char text[24];
    struct text number = text_begin(text, sizeof(text));
    text_add_i64(&number, value);
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (unsigned char *)text,
                                       (int)number.size, at, end);
}

/* The headers now; the body as the socket takes it. */
static int http_send(struct sim_session *session, struct lws *wsi)
{
    uint8_t buffer[LWS_PRE + HTTP_HEADERS_SIZE];
    uint8_t *start = buffer + LWS_PRE;
    uint8_t *at = start;
    uint8_t *end = buffer + sizeof(buffer);
    if (lws_add_http_common_headers(wsi, (unsigned)session->status, session->content_type,
                                    session->reply_size, &at, end) != 0)
        return -1;
    if (session->used_weight >= 0 &&
        http_header(wsi, "x-mbx-used-weight-1m:", session->used_weight, &at, end) != 0)
        return -1;
    if (session->retry_after_s >= 0 &&
        http_header(wsi, "retry-after:", session->retry_after_s, &at, end) != 0)
        return -1;
    if (lws_finalize_write_http_header(wsi, start, &at, end) != 0)
        return -1;
    lws_callback_on_writable(wsi);
    return 0;
}

static int http_writable(struct sim_session *session, struct lws *wsi)
{
    if (!session->reply)
        return 0;
    size_t left = session->reply_size - session->reply_sent;
    size_t part = left < HTTP_PART ? left : HTTP_PART;
    if (session->partial && session->reply_sent + part >= session->reply_size)
        part = left / 2;
    bool last = session->reply_sent + part == session->reply_size;
    if (part > 0 && lws_write(wsi, session->reply + LWS_PRE + session->reply_sent, part,
                              last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)part)
        return -1;
    session->reply_sent += part;
    if (session->partial && !last)
        return -1;
    if (!last) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    free(session->reply);
    session->reply = NULL;
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int http_take(struct sim_session *session, const struct text *text, int status,
                     const char *type)
{
    if (text->truncated)
        return -1;
    session->status = status;
    session->content_type = type;
    session->reply = malloc(LWS_PRE + text->size + 1);
    if (!session->reply)
        return -1;
    memcpy(session->reply + LWS_PRE, text->at, text->size);
    session->reply_size = text->size;
    session->reply_sent = 0;
    return 0;
}

static bool http_starts(const char *path, const char *prefix)
{
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static void http_metric(struct text *text, const char *name, const char *kind, const char *help,
                        uint64_t value)
{
    text_add_format(text, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name,
                    (unsigned long long)value);
}

static void http_metrics(const struct sim_server *server, struct text *text)
{
    const struct sim_exchange *exchange = server->exchange;
    text_add(text, "# HELP sim_messages_total Messages published by stream.\n"
                   "# TYPE sim_messages_total counter\n");
    for (int i = 0; i < SIM_STREAM_COUNT; i++)
        text_add_format(text, "sim_messages_total{stream=\"%s\"} %llu\n",
                        sim_stream_name((enum sim_stream)i),
                        (unsigned long long)exchange->feed.messages[i]);
    http_metric(text, "sim_clients", "gauge", "WebSocket clients connected.",
                (uint64_t)exchange->client_count);
    http_metric(text, "sim_clients_total", "counter", "WebSocket clients ever.",
                exchange->clients_total);
    http_metric(text, "sim_overruns_total", "counter", "Clients closed because too slow.",
                exchange->overruns);
    http_metric(text, "sim_slips_total", "counter", "Times the market's clock was moved.",
                exchange->slips);
    http_metric(text, "sim_rest_requests_total", "counter", "REST requests.",
                exchange->limits.requests);
    http_metric(text, "sim_rest_refused_total", "counter", "REST requests answered 429 or 418.",
                exchange->limits.refused_total);
}

/* /live, /health, /ready, /metrics as every service has them. */
static int http_probe(const struct sim_server *server, const char *path, struct text *text,
                      const char **type)
{
    const struct sim_exchange *exchange = server->exchange;
    if (strcmp(path, "/metrics") == 0) {
        *type = "text/plain; version=0.0.4; charset=utf-8";
        http_metrics(server, text);
    } else if (strcmp(path, "/live") == 0) {
        text_add(text, "{\"alive\":true}");
    } else if (strcmp(path, "/ready") == 0) {
        text_add_format(text, "{\"ready\":true,\"status\":\"ready\",\"timestamp\":%lld}",
                        (long long)(exchange->now.wall_us / CLOCK_US_PER_MS));
    } else {
        text_add_format(text,
                        "{\"status\":\"healthy\",\"service\":\"exchange-sim\",\"version\":\"%s\","
                        "\"timestamp\":%lld,\"uptime_seconds\":%lld,\"components\":{\"market\":{"
                        "\"rate\":%g,\"paused\":%s,\"book_id\":%lld},\"clients\":{\"count\":%d}}}",
                        BTCAST_VERSION, (long long)(exchange->now.wall_us / CLOCK_US_PER_MS),
                        (long long)((exchange->now.wall_us - server->service->started_wall_us) /
                                    CLOCK_US_PER_S),
                        exchange->rate, exchange->paused ? "true" : "false",
                        (long long)exchange->source.book->last_id, exchange->client_count);
    }
    return 200;
}

static bool http_is_probe(const char *path)
{
    return strcmp(path, "/live") == 0 || strcmp(path, "/ready") == 0 ||
           strcmp(path, "/health") == 0 || strcmp(path, "/metrics") == 0;
}

/* 429 and 418 as the exchange words them. */
static int http_limited(struct sim_session *session, const struct sim_verdict *verdict,
                        struct text *text)
{
    session->retry_after_s = verdict->retry_after_s;
    if (verdict->status == 418)
        return sim_rest_error(text, 418, -1003,
                              "Way too much request weight used; IP banned until %lld. Please use "
                              "WebSocket Streams for live updates to avoid bans.",
                              (long long)(verdict->banned_until_us / CLOCK_US_PER_MS));
    return sim_rest_error(text, verdict->status, -1003,
                          "Too much request weight used; please use WebSocket Streams for live "
                          "updates to avoid polling the API.");
}

static int http_injected(struct sim_session *session, const struct sim_fault *fault,
                         struct text *text)
{
    int status = (int)fault->value;
    if (status == 429 || status == 418) {
        struct sim_verdict verdict = {.status = status, .retry_after_s = fault->extra};
        return http_limited(session, &verdict, text);
    }
    return sim_rest_error(text, status, -1000, "An unknown error occurred (injected).");
}

static int http_rest(struct sim_server *server, struct sim_session *session, struct text *text)
{
    struct sim_exchange *exchange = server->exchange;
    int64_t wall_us = exchange->now.wall_us;
    struct sim_request request = {.path = session->path,
                                  .query = session->query,
                                  .wall_us = loop_wall_us(),
                                  .microseconds = session->microseconds,
                                  .weight_limit = exchange->limits.limit};
    struct sim_verdict verdict =
        sim_limits_charge(&exchange->limits, request.wall_us, sim_rest_weight(&request));
    session->used_weight = verdict.used;
    if (verdict.status != 200)
        return http_limited(session, &verdict, text);
    const struct sim_fault *status =
        sim_faults_take(&exchange->faults, SIM_FAULT_HTTP_STATUS, wall_us);
    if (status)
        return http_injected(session, status, text);
    if (strcmp(session->path, "/api/v3/depth") == 0) {
        const struct sim_fault *stale =
            sim_faults_take(&exchange->faults, SIM_FAULT_STALE_SNAPSHOT, wall_us);
        request.stale_ids = stale ? stale->value : 0;
    }
    session->partial = sim_faults_take(&exchange->faults, SIM_FAULT_HTTP_PARTIAL, wall_us) != NULL;
    return sim_rest_answer(&exchange->feed, &request, text);
}

static void http_cut_all(struct sim_server *server)
{
    for (int i = 0; i < server->session_count; i++)
        sim_session_reset_tcp(server->sessions[i]);
}

static bool http_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "localhost") == 0;
}

static bool http_same(const char *a, const char *b)
{
    size_t size = strlen(a);
    unsigned char difference = size != strlen(b);
    for (size_t i = 0; i < size && !difference; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return !difference;
}

/* Off loopback a control request that changes something wants the bearer token (DESIGN.md
 * section 1); on loopback a page of another site, open in a browser here, may not post. */
static int http_control_judge(const struct sim_server *server, struct lws *wsi)
{
    static const char scheme[] = "Bearer ";
    char given[HTTP_TOKEN_SIZE] = "";
    const struct service_common *common = &server->exchange->options->common;
    if (http_is_loopback(common->address))
        return lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0 ? HTTP_STATUS_FORBIDDEN : 0;
    if (common->bearer_token[0] == '\0')
        return HTTP_STATUS_FORBIDDEN;
    if (lws_hdr_copy(wsi, given, sizeof(given), WSI_TOKEN_HTTP_AUTHORIZATION) <= 0 ||
        strncmp(given, scheme, sizeof(scheme) - 1) != 0 ||
        !http_same(given + sizeof(scheme) - 1, common->bearer_token))
        return HTTP_STATUS_UNAUTHORIZED;
    return 0;
}

static int http_answer(struct sim_session *session, struct lws *wsi)
{
    struct sim_server *server = sim_server_of(wsi);
    struct text text = text_begin(server->scratch, SIM_REST_REPLY_MAX);
    const char *type = "application/json;charset=UTF-8";
    int status;
    server->exchange->now = loop_now();
    if (session->refusal != 0) {
        status = session->refusal;
        text_add(&text, "{\"error\":\"a bearer token (BTCAST_TOKEN) is needed, and no page of "
                        "another site may post\"}");
    } else if (http_is_probe(session->path)) {
        status = http_probe(server, session->path, &text, &type);
    } else if (http_starts(session->path, "/control/")) {
        struct sim_admin_result result =
            sim_admin_answer(server->exchange, session->post, session->path, session->query,
                             bytes_of(session->body, session->body_size), &text);
        status = result.status;
        if (result.cut)
            http_cut_all(server);
    } else {
        status = http_rest(server, session, &text);
    }
    if (http_take(session, &text, status, type) != 0)
        return -1;
    const struct sim_fault *slow =
        http_starts(session->path, "/api/")
            ? sim_faults_take(&server->exchange->faults, SIM_FAULT_HTTP_SLOW, loop_wall_us())
            : NULL;
    if (!slow || slow->value <= 0)
        return http_send(session, wsi);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    lws_set_timer_usecs(wsi, slow->value * CLOCK_US_PER_MS);
    return 0;
}

static int http_begin(struct sim_session *session, struct lws *wsi, const char *path)
{
    struct sim_server *server = sim_server_of(wsi);
    char unit[32] = "";
    http_clear(session);
    session->wsi = wsi;
    if (!http_starts(path, "/control/") && !http_is_probe(path) &&
        sim_faults_take(&server->exchange->faults, SIM_FAULT_REFUSE, loop_wall_us()))
        return -1;
    size_t size = strlen(path);
    if (size >= sizeof(session->path))
        return -1;
    memcpy(session->path, path, size + 1);
    sim_session_query(wsi, session->query, sizeof(session->query));
    session->post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;
    if (lws_hdr_custom_copy(wsi, unit, sizeof(unit), "x-mbx-time-unit:", 16) > 0)
        session->microseconds = strcasecmp(unit, "MICROSECOND") == 0;
    if (session->post && http_starts(path, "/control/"))
        session->refusal = http_control_judge(server, wsi);
    bool body = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
    return session->post && body ? 0 : http_answer(session, wsi);
}

static int http_body(struct sim_session *session, const void *in, size_t len)
{
    if (!session->body)
        session->body = malloc(SIM_BODY_MAX);
    if (!session->body || len > SIM_BODY_MAX - session->body_size)
        return -1;
    memcpy(session->body + session->body_size, in, len);
    session->body_size += len;
    return 0;
}

int sim_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                      size_t len)
{
    struct sim_session *session = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return http_begin(session, wsi, in);
    case LWS_CALLBACK_HTTP_BODY:
        return http_body(session, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return http_answer(session, wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return http_writable(session, wsi);
    case LWS_CALLBACK_TIMER:
        return session && session->reply && !session->is_client ? http_send(session, wsi) : 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (session && !session->is_client)
            http_clear(session);
        return 0;
    default:
        return 0;
    }
}
