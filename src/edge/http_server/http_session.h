/* One HTTP connection on the server's thread: request in, handler, reply out; or a client
 * of an event channel. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTP_SERVER_HTTP_SESSION_H
#define BTCAST_EDGE_HTTP_SERVER_HTTP_SESSION_H

#include <pthread.h>

#include "edge/http_server/http_events.h"
#include "edge/http_server/http_server.h"
#include <libwebsockets.h>

/* libwebsockets' storage of a connection; zeroed by it. */
struct http_session {
    char path[HTTP_PATH_MAX];
    char query[HTTP_QUERY_MAX];
    const char *method;
    int route;     /* index, -1: the server's own /live */
    uint8_t *body; /* of the request, while it comes in */
    size_t body_size, body_room;
    uint8_t *reply; /* LWS_PRE bytes of room, then reply_size bytes */
    size_t reply_size, reply_sent;
    bool last;        /* the connection cannot carry another request */
    bool head;        /* HEAD: no body goes out */
    bool channel;     /* a client of an event channel, in the server's list */
    bool greeted;     /* the first comment line went out */
    bool gone;        /* being closed */
    bool comment_due; /* so should one now: the connection was quiet */
    struct http_event_queue events;
    struct lws *wsi;
    struct http_session *next;
};

struct http_server {
    struct http_server_options options;
    bool open_to_others; /* the address is not loopback */
    char address[64];
    char token[160];
    int port;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    pthread_t thread;
    _Atomic bool stopping;
    struct http_session *channels; /* clients of event channels */
    char *scratch;                 /* a handler's reply, HTTP_REPLY_MAX */
    _Atomic uint64_t requests, events_dropped;
    _Atomic int64_t event_clients;
    struct http_ring ring;
};

/* The callback of the one protocol there is. */
int http_session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t len);
/* Hands what was published to the channels' clients. */
void http_session_deliver(struct http_server *server);
/* Reads and drops what clients of channels send, and closes those that left. To be called
 * after each lws_service: libwebsockets does not read a connection whose reply is under way,
 * yet its poll wakes for it, so unread bytes (or the end of the stream) would spin. */
void http_session_drain(struct http_server *server);

#endif
