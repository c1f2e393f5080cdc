/* The HTTP side of a service: its own thread with its own libwebsockets context, so that
 * a slow client or a scrape never touches the hot thread. Handlers run on that thread and
 * read atomics or what the service has published through a board.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTP_SERVER_HTTP_SERVER_H
#define BTCAST_EDGE_HTTP_SERVER_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

#define HTTP_ROUTES_MAX        24
#define HTTP_BODY_MAX          (256u * 1024u)
#define HTTP_REPLY_MAX         (4u * 1024u * 1024u)
#define HTTP_CONNECTIONS_MAX   256
#define HTTP_EVENTS_QUEUED_MAX 64    /* per client; the oldest goes first, counted */
#define HTTP_EVENT_MAX         4096u /* bytes of one published event */
#define HTTP_PATH_MAX          256u
#define HTTP_QUERY_MAX         1024u

struct http_server;

struct http_request {
    const char *method; /* "GET", "POST" */
    const char *path;
    const char *query; /* without '?', "" if none */
    struct bytes body;
};

struct http_reply {
    int status;               /* 200 unless set */
    const char *content_type; /* "application/json" unless set */
    struct text body;         /* HTTP_REPLY_MAX of room */
};

typedef void (*http_fn)(void *context, const struct http_request *request,
                        struct http_reply *reply);

struct http_route {
    const char *method, *path;
    http_fn fn;   /* NULL: a server-sent-events channel fed by http_server_publish */
    bool changes; /* changes something: off loopback it wants the bearer token */
};

struct http_server_options {
    const char *address; /* "127.0.0.1" unless configured */
    int port;
    const char *bearer_token; /* may be NULL */
    const struct http_route *routes;
    int route_count;
    void *context; /* given to every handler */
};

/* ERR_REFUSED for a taken port ("port 8085 is in use"). Answers GET /live itself. Routes
 * and context are borrowed until http_server_close. Port 0: any free one. */
int http_server_open(const struct http_server_options *options, struct http_server **server,
                     struct err *err) MUST_CHECK;
void http_server_close(struct http_server *server);
/* The port it listens on. */
int http_server_port(const struct http_server *server);

/* Counts since open; any thread. */
struct http_server_stats {
    uint64_t requests;       /* answered */
    uint64_t events_dropped; /* published events that some client, or all, did not get */
    int64_t event_clients;   /* connected now */
};
struct http_server_stats http_server_stats(const struct http_server *server);
/* From the service thread: hands one event to every client of the channel `path`. Never
 * blocks: a bounded queue, dropping (and counting) when the HTTP thread is behind, when json
 * is larger than HTTP_EVENT_MAX or when no route has the channel. */
void http_server_publish(struct http_server *server, const char *path, struct bytes json);
/* The value of a query parameter into out (decoded); false if absent. */
bool http_query(const struct http_request *request, const char *name, char *out, size_t size);

/* A latest-value board: one writer (service thread), one reader (HTTP thread); a read gets
 * one whole value, the last one written. Neither ever waits: three buffers change hands. */
struct http_board;
int http_board_open(size_t capacity, struct http_board **board) MUST_CHECK;
void http_board_close(struct http_board *board);
void http_board_write(struct http_board *board, struct bytes value);
/* Copies into out, returns its size (0: nothing yet). */
size_t http_board_read(struct http_board *board, void *out, size_t capacity);

#endif
