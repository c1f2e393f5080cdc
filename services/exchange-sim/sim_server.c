/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/http_server/lws_log.h"
#include "services/exchange-sim/sim_server_self.h"

#define SERVER_FDS         1024
#define SERVER_HEADER_MAX  (SIM_QUERY_SIZE * 4)
#define SERVER_READ_BUFFER 65536
#define SERVER_TIMEOUT_S   20
#define SERVER_WAKE_US     50000

static int server_timer_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                                 void *in, size_t len)
{
    uint64_t expirations;
    (void)user;
    (void)in;
    (void)len;
    if (reason == LWS_CALLBACK_RAW_RX_FILE &&
        read(sim_server_of(wsi)->timer_fd, &expirations, sizeof(expirations)) < 0 &&
        errno != EAGAIN)
        log_error("timer_failed", "reason=\"%s\"", strerror(errno));
    return 0;
}

static int server_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                           size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return sim_socket_callback(wsi, reason, user, in, len);
    default:
        return sim_http_callback(wsi, reason, user, in, len);
    }
}

static const struct lws_protocols server_protocols[] = {
    {.name = "exchange",
     .callback = server_callback,
     .per_session_data_size = sizeof(struct sim_session),
     .rx_buffer_size = SIM_CONTROL_MAX},
    {.name = "timer", .callback = server_timer_callback},
    {.name = NULL},
};

/* libwebsockets tells of a taken port only in its log: asked beforehand. */
static int server_port_free(const char *address, int port, struct err *err)
{
    struct sockaddr_in wanted = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &wanted.sin_addr) != 1)
        return err_set(err, ERR_CONFIG, "http.address: \"%s\" is no IPv4 address", address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, ERR_IO, "socket: %s", strerror(errno));
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int rc = bind(fd, (const struct sockaddr *)&wanted, sizeof(wanted));
    int code = errno;
    close(fd);
    if (rc == 0)
        return ERR_OK;
    if (code == EADDRINUSE)
        return err_set(err, ERR_IO, "port %d is in use", port);
    return err_set(err, ERR_IO, "port %d on %s: %s", port, address, strerror(code));
}

static int server_listen(struct sim_server *server, struct err *err)
{
    const struct sim_options *options = server->exchange->options;
    struct lws_context_creation_info info = {0};
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6;
    info.gid = -1;
    info.uid = -1;
    info.user = server;
    info.protocols = server_protocols;
    info.fd_limit_per_thread = SERVER_FDS;
    info.max_http_header_data = SERVER_HEADER_MAX;
    info.pt_serv_buf_size = SERVER_READ_BUFFER;
    info.timeout_secs = SERVER_TIMEOUT_S;
    if (server->tls)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    server->lws = lws_create_context(&info);
    if (!server->lws)
        return err_set(err, ERR_MEMORY, "libwebsockets context");
    info.port = (int)options->common.port;
    info.iface = options->common.address;
    info.vhost_name = "exchange";
    info.alpn = "http/1.1";
    if (server->tls) {
        info.ssl_cert_filepath = options->tls_cert;
        info.ssl_private_key_filepath = options->tls_key;
    }
    server->vhost = lws_create_vhost(server->lws, &info);
    if (!server->vhost)
        return err_set(err, ERR_IO, "cannot listen on %s port %d%s", options->common.address,
                       info.port, server->tls ? " (is the certificate readable?)" : "");
    return ERR_OK;
}

static int server_timer(struct sim_server *server, struct err *err)
{
    server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (server->timer_fd < 0)
        return err_set(err, ERR_IO, "timerfd: %s", strerror(errno));
    lws_sock_file_fd_type fd = {.filefd = server->timer_fd};
    if (!lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "timer", NULL))
        return err_set(err, ERR_IO, "libwebsockets does not take the timer");
    return ERR_OK;
}

int sim_server_open(struct sim_exchange *exchange, struct service *service, struct sim_server **out,
                    struct err *err)
{
    struct sim_server *server = calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, ERR_MEMORY, "simulated server");
    server->exchange = exchange;
    server->service = service;
    server->timer_fd = -1;
    server->tls = exchange->options->tls_cert[0] != '\0';
    server->scratch = malloc(SIM_REST_REPLY_MAX);
    lws_log_install();
    const struct service_common *common = &exchange->options->common;
    int rc = server->scratch ? server_port_free(common->address, (int)common->port, err)
                             : err_set(err, ERR_MEMORY, "simulated server");
    if (rc == ERR_OK)
        rc = server_listen(server, err);
    if (rc == ERR_OK)
        rc = server_timer(server, err);
    if (rc != ERR_OK) {
        sim_server_close(server);
        return rc;
    }
    *out = server;
    return ERR_OK;
}

void sim_server_close(struct sim_server *server)
{
    if (!server)
        return;
    if (server->lws)
        lws_context_destroy(server->lws);
    free(server->scratch);
    free(server);
}

int sim_server_port(const struct sim_server *server)
{
    return lws_get_vhost_listen_port(server->vhost);
}

/* Clients with something to write, or to be closed, get their turn. */
static void server_ask(struct sim_server *server)
{
    int64_t wall_us = server->exchange->now.wall_us;
    for (int i = 0; i < server->session_count; i++) {
        struct sim_session *session = server->sessions[i];
        struct sim_client *client = &session->client;
        if (session->asked || wall_us < client->half_open_until_us)
            continue;
        if (client->half_open_until_us != 0) /* its time is over: gone without a word */
            sim_session_reset_tcp(session);
        else if (client->put != client->taken || client->close_code != 0) {
            session->asked = true;
            lws_callback_on_writable(session->wsi);
        }
    }
}

static void server_arm(const struct sim_server *server, int64_t wait_us)
{
    wait_us = wait_us < 1 ? 1 : wait_us > SERVER_WAKE_US ? SERVER_WAKE_US : wait_us;
    struct itimerspec when = {.it_value = {.tv_nsec = wait_us * 1000}};
    if (timerfd_settime(server->timer_fd, 0, &when, NULL) != 0)
        log_error("timer_failed", "reason=\"%s\"", strerror(errno));
}

void sim_server_run_once(struct sim_server *server)
{
    int64_t wait_us = sim_exchange_do_work(server->exchange, loop_now());
    server_ask(server);
    server_arm(server, wait_us);
    lws_service(server->lws, 0);
}
