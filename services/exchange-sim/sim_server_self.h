/* What the server's files share: the server, a connection, and their callbacks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_SERVER_SELF_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_SERVER_SELF_H

#include <libwebsockets.h>
#include "services/exchange-sim/sim_server.h"

#define SIM_PATH_SIZE  256
#define SIM_QUERY_SIZE 8192
#define SIM_BODY_MAX   65536

struct sim_server {
    struct sim_exchange *exchange;
    struct service *service;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    int timer_fd;
    bool tls;
    struct sim_session *sessions[SIM_CLIENTS_MAX]; /* of WebSockets */
    int session_count;
    char *scratch; /* SIM_REST_REPLY_MAX: one reply being made */
};

/* One connection. Zeroed by libwebsockets. */
struct sim_session {
    struct lws *wsi;
    /* WebSocket */
    struct sim_client client;
    bool is_client, asked; /* asked: a writable callback is on its way */
    bool reset;            /* to be cut without a closing handshake */
    uint8_t *text;         /* a control request in pieces */
    size_t text_size;
    /* HTTP */
    char path[SIM_PATH_SIZE];
    char query[SIM_QUERY_SIZE];
    bool post, microseconds, partial;
    char *body;
    size_t body_size;
    int status;
    int refusal;                        /* status a control request is refused with; 0: allowed */
    int64_t retry_after_s, used_weight; /* -1: no such header */
    const char *content_type;
    uint8_t *reply; /* LWS_PRE in front */
    size_t reply_size, reply_sent;
};

static inline struct sim_server *sim_server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* Callbacks: what libwebsockets wants back (0, or -1 to close). */
int sim_socket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t len);
int sim_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                      size_t len);
/* Cuts the TCP connection with a reset. */
void sim_session_reset_tcp(struct sim_session *session);
/* Query string with its parts joined by '&'. */
void sim_session_query(struct lws *wsi, char *out, size_t size);

#endif
