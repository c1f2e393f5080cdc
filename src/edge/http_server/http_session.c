/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/http_server/http_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/http_server/http_reply.h"

/* A quiet event channel says so this often, which also finds clients that are gone. */
#define HTTP_COMMENT_EVERY_US  (15 * LWS_US_PER_SEC)
#define HTTP_AUTHORIZATION_MAX 256

static struct http_server *http_session_server(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

static void http_session_leave(struct http_server *server, struct http_session *session)
{
    for (struct http_session **at = &server->channels; *at != NULL; at = &(*at)->next) {
        if (*at == session) {
            *at = session->next;
            atomic_fetch_sub(&server->event_clients, 1);
            return;
        }
    }
}

/* Everything of the last request goes; the connection may carry another. */
static void http_session_reset(struct http_server *server, struct http_session *session)
{
    if (session->channel)
        http_session_leave(server, session);
    http_event_queue_clear(&session->events);
    free(session->body);
    free(session->reply);
    memset(session, 0, sizeof(*session));
}

/* Lengths that differ tell something, contents do not. */
static bool http_session_equal(const char *a, const char *b)
{
    size_t length = strlen(a);
    if (length != strlen(b))
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static bool http_session_has_token(const struct http_server *server, struct lws *wsi)
{
    char header[HTTP_AUTHORIZATION_MAX];
    static const char scheme[] = "Bearer ";
    if (lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION) <= 0)
        return false;
    return strncmp(header, scheme, sizeof(scheme) - 1) == 0 &&
           http_session_equal(header + sizeof(scheme) - 1, server->token);
}

/* A page of another site, opened in a browser on this machine, can post to loopback
 * addresses: its Origin gives it away. */
static bool http_session_is_foreign(struct lws *wsi)
{
    char origin[HTTP_AUTHORIZATION_MAX];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) == 0)
        return false;
    if (lws_hdr_copy(wsi, origin, sizeof(origin), WSI_TOKEN_ORIGIN) <= 0)
        return true;
    static const char *const ours[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        size_t length = strlen(ours[i]);
        if (strncmp(origin, ours[i], length) == 0 &&
            (origin[length] == '\0' || origin[length] == ':'))
            return false;
    }
    return true;
}

/* 0 when the request may change something, else the status that refuses it. */
static int http_session_judge(const struct http_server *server, struct lws *wsi, const char **why)
{
    if (!server->open_to_others) {
        *why = "requests from pages of other sites are refused";
        return http_session_is_foreign(wsi) ? HTTP_STATUS_FORBIDDEN : 0;
    }
    if (server->token[0] == '\0') {
        *why = "off loopback this needs a bearer token, and none is configured (BTCAST_TOKEN)";
        return HTTP_STATUS_FORBIDDEN;
    }
    *why = "a bearer token is needed";
    return http_session_has_token(server, wsi) ? 0 : HTTP_STATUS_UNAUTHORIZED;
}

/* The request is whole: the handler answers. */
static int http_session_answer(struct http_server *server, struct http_session *session,
                               struct lws *wsi)
{
    atomic_fetch_add(&server->requests, 1);
    if (session->route < 0)
        return http_reply_send(session, wsi, HTTP_STATUS_OK, "application/json",
                               BYTES_LITERAL("{\"alive\":true}\n"));
    const struct http_route *route = &server->options.routes[session->route];
    struct http_request request = {.method = session->method,
                                   .path = session->path,
                                   .query = session->query,
                                   .body = bytes_of(session->body, session->body_size)};
    struct http_reply reply = {.status = HTTP_STATUS_OK,
                               .content_type = "application/json",
                               .body = text_begin(server->scratch, HTTP_REPLY_MAX)};
    route->fn(server->options.context, &request, &reply);
    free(session->body);
    session->body = NULL;
    session->body_size = 0;
    if (reply.body.truncated)
        return http_reply_error(session, wsi, HTTP_STATUS_INTERNAL_SERVER_ERROR,
                                "the reply is larger than this server sends");
    return http_reply_send(session, wsi, reply.status, reply.content_type,
                           bytes_of(reply.body.at, reply.body.size));
}

static int http_session_join(struct http_server *server, struct http_session *session,
                             struct lws *wsi)
{
    atomic_fetch_add(&server->requests, 1);
    if (session->head)
        return http_reply_send(session, wsi, HTTP_STATUS_OK, "text/event-stream", bytes_of("", 0));
    session->wsi = wsi;
    session->channel = true;
    session->next = server->channels;
    server->channels = session;
    atomic_fetch_add(&server->event_clients, 1);
    lws_set_timer_usecs(wsi, HTTP_COMMENT_EVERY_US);
    return http_reply_channel(wsi);
}

/* The route of path and method: its index, -1 for /live, else the status of the refusal. */
static int http_session_find(const struct http_server *server, const struct http_session *session,
                             int *status)
{
    *status = HTTP_STATUS_NOT_FOUND;
    if (strcmp(session->path, "/live") == 0) {
        *status = strcmp(session->method, "GET") == 0 ? 0 : HTTP_STATUS_METHOD_NOT_ALLOWED;
        return -1;
    }
    for (int i = 0; i < server->options.route_count; i++) {
        const struct http_route *route = &server->options.routes[i];
        if (strcmp(route->path, session->path) != 0)
            continue;
        if (strcmp(route->method, session->method) == 0) {
            *status = 0;
            return i;
        }
        *status = HTTP_STATUS_METHOD_NOT_ALLOWED;
    }
    return -1;
}

/* libwebsockets hands out the parts of a query decoded; what would then be ambiguous is
 * encoded again, and http_query decodes. */
static int http_session_read_query(struct http_session *session, struct lws *wsi)
{
    struct text query = text_begin(session->query, sizeof(session->query));
    char part[HTTP_QUERY_MAX];
    for (int i = 0; !query.truncated; i++) {
        int size = lws_hdr_copy_fragment(wsi, part, sizeof(part), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (size < 0 && lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) == 0)
            break;
        if (size < 0)
            return HTTP_STATUS_REQ_URI_TOO_LONG;
        if (i > 0)
            text_add_char(&query, '&');
        for (int j = 0; j < size; j++) {
            if (part[j] == '%' || part[j] == '&')
                text_add_format(&query, "%%%02x", (unsigned char)part[j]);
            else
                text_add_char(&query, part[j]);
        }
    }
    text_end(&query);
    return query.truncated ? HTTP_STATUS_REQ_URI_TOO_LONG : 0;
}

/* Method, path and query out of the headers; 0, or the status that refuses them. */
static int http_session_read_head(struct http_session *session, struct lws *wsi, const char *path)
{
    char *uri;
    int uri_size;
    int method = lws_http_get_uri_and_method(wsi, &uri, &uri_size);
    if (method != LWSHUMETH_GET && method != LWSHUMETH_POST && method != LWSHUMETH_HEAD)
        return HTTP_STATUS_METHOD_NOT_ALLOWED;
    session->method = method == LWSHUMETH_POST ? "POST" : "GET";
    session->head = method == LWSHUMETH_HEAD;
    int size = snprintf(session->path, sizeof(session->path), "%s", path);
    if (size < 0 || (size_t)size >= sizeof(session->path))
        return HTTP_STATUS_NOT_FOUND;
    return http_session_read_query(session, wsi);
}

/* The body's announced size: 0 none; -1: chunked, or not a size. */
static int64_t http_session_body_size(struct lws *wsi)
{
    char text[24];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return -1;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return 0;
    if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return -1;
    char *end;
    long long size = strtoll(text, &end, 10);
    return *end == '\0' && size >= 0 ? size : -1;
}

static bool http_session_lacks_size(const struct http_session *session, struct lws *wsi)
{
    return strcmp(session->method, "POST") == 0 &&
           lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0;
}

static int http_session_begin(struct http_server *server, struct http_session *session,
                              struct lws *wsi, const char *path)
{
    http_session_reset(server, session);
    session->method = "GET";
    int64_t body_size = http_session_body_size(wsi);
    int status = http_session_read_head(session, wsi, path);
    if (status == 0)
        session->route = http_session_find(server, session, &status);
    const char *why = status == HTTP_STATUS_METHOD_NOT_ALLOWED ? "method not allowed"
                      : status == HTTP_STATUS_REQ_URI_TOO_LONG ? "the query is too long"
                                                               : "no such path";
    if (status == 0 && session->route >= 0 && server->options.routes[session->route].changes)
        status = http_session_judge(server, wsi, &why);
    if (status == 0 && body_size < 0) {
        status = HTTP_STATUS_LENGTH_REQUIRED;
        why = "a body needs a Content-Length";
    }
    if (status == 0 && body_size > (int64_t)HTTP_BODY_MAX) {
        status = HTTP_STATUS_REQ_ENTITY_TOO_LARGE;
        why = "the body is too large";
    }
    /* What remains of a refused request would be taken for the next one; and behind a POST
     * without Content-Length libwebsockets waits for a body. */
    session->last = (status != 0 && body_size != 0) || http_session_lacks_size(session, wsi);
    if (status != 0)
        return http_reply_error(session, wsi, status, why);
    if (session->route >= 0 && server->options.routes[session->route].fn == NULL)
        return http_session_join(server, session, wsi);
    if (body_size == 0)
        return http_session_answer(server, session, wsi);
    session->body = malloc((size_t)body_size);
    session->body_room = (size_t)body_size;
    return session->body != NULL ? 0 : -1;
}

static int http_session_body(struct http_session *session, const void *data, size_t size)
{
    if (session->body == NULL)
        return 0; /* the request was refused; what still comes is dropped */
    if (size > session->body_room - session->body_size)
        return -1;
    memcpy(session->body + session->body_size, data, size);
    session->body_size += size;
    return 0;
}

static int http_session_write_event(struct http_session *session, struct lws *wsi)
{
    uint8_t comment[LWS_PRE + 3];
    struct http_event *event = session->greeted ? http_event_queue_take(&session->events) : NULL;
    int sent = 0;
    if (event != NULL) {
        sent = lws_write(wsi, event->data, event->size, LWS_WRITE_HTTP);
        http_event_release(event);
        lws_set_timer_usecs(wsi, HTTP_COMMENT_EVERY_US);
    } else if (!session->greeted || session->comment_due) {
        memcpy(comment + LWS_PRE, ":\n\n", 3);
        sent = lws_write(wsi, comment + LWS_PRE, 3, LWS_WRITE_HTTP);
        session->greeted = true;
        session->comment_due = false;
    }
    if (sent < 0)
        return -1;
    if (session->events.count > 0)
        lws_callback_on_writable(wsi);
    return 0;
}

void http_session_deliver(struct http_server *server)
{
    int route;
    struct bytes json;
    while (http_ring_peek(&server->ring, &route, &json)) {
        struct http_event *event = http_event_create(json);
        http_ring_pop(&server->ring);
        if (event == NULL) {
            atomic_fetch_add(&server->events_dropped, 1);
            continue;
        }
        for (struct http_session *at = server->channels; at != NULL; at = at->next) {
            if (at->route != route)
                continue;
            if (http_event_queue_put(&at->events, event))
                atomic_fetch_add(&server->events_dropped, 1);
            lws_callback_on_writable(at->wsi);
        }
        http_event_release(event);
    }
}

void http_session_drain(struct http_server *server)
{
    char dropped[512];
    for (struct http_session *at = server->channels; at != NULL; at = at->next) {
        if (at->gone)
            continue;
        ssize_t got = recv(lws_get_socket_fd(at->wsi), dropped, sizeof(dropped), MSG_DONTWAIT);
        if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
            continue;
        at->gone = true;
        lws_set_timeout(at->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    }
}

static int http_session_writable(struct http_session *session, struct lws *wsi)
{
    if (session->channel)
        return http_session_write_event(session, wsi);
    return session->reply != NULL ? http_reply_continue(session, wsi) : 0;
}

int http_session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t len)
{
    struct http_session *session = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return http_session_begin(http_session_server(wsi), session, wsi, in);
    case LWS_CALLBACK_HTTP_BODY:
        return http_session_body(session, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return session->body != NULL ? http_session_answer(http_session_server(wsi), session, wsi)
                                     : 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return http_session_writable(session, wsi);
    case LWS_CALLBACK_TIMER:
        if (session != NULL && session->channel) {
            session->comment_due = true;
            lws_set_timer_usecs(wsi, HTTP_COMMENT_EVERY_US);
            lws_callback_on_writable(wsi);
        }
        return 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (session != NULL)
            http_session_reset(http_session_server(wsi), session);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        http_session_deliver(http_session_server(wsi));
        return 0;
    default:
        /* Upgrades, form parsing, files: nothing of that is offered. */
        return 0;
    }
}
