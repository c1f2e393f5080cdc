/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/http_server/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/http_server/http_session.h"
#include "edge/http_server/lws_log.h"

/* Descriptors of the library's own: listener, wake-up pipe, spare. */
#define HTTP_OWN_FDS     8
#define HTTP_HEADER_MAX  4096
#define HTTP_KEEPALIVE_S 30
#define HTTP_TIMEOUT_S   10

static const struct lws_protocols http_protocols[] = {
    {.name = "http",
     .callback = http_session_callback,
     .per_session_data_size = sizeof(struct http_session)},
    {.name = NULL},
};

static bool http_server_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0;
}

/* Asks the system for the address first: its answer is a clear one, and libwebsockets would
 * wait for an address that does not exist. */
static int http_server_probe(const char *address, int port, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port < 0 || port > 65535 || inet_pton(AF_INET, address, &at.sin_addr) != 1)
        return err_set(err, ERR_INVALID, "%s:%d is no IPv4 address and port", address, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, ERR_IO, "socket: %s", strerror(errno));
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    int result = ERR_OK;
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 1) != 0) {
        if (errno == EADDRINUSE)
            result = err_set(err, ERR_REFUSED, "port %d is in use (on %s)", port, address);
        else
            result =
                err_set(err, ERR_IO, "cannot listen on %s:%d: %s", address, port, strerror(errno));
    }
    close(fd);
    return result;
}

static int http_server_listen(struct http_server *server, struct err *err)
{
    const struct http_server_options *options = &server->options;
    int result = http_server_probe(options->address, options->port, err);
    if (result != ERR_OK)
        return result;
    lws_log_install();
    struct lws_context_creation_info info = {0};
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6 |
                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info.gid = -1;
    info.uid = -1;
    info.user = server;
    info.protocols = http_protocols;
    info.fd_limit_per_thread = HTTP_CONNECTIONS_MAX + HTTP_OWN_FDS;
    info.max_http_header_data = HTTP_HEADER_MAX;
    info.keepalive_timeout = HTTP_KEEPALIVE_S;
    info.timeout_secs = HTTP_TIMEOUT_S;
    server->lws = lws_create_context(&info);
    if (server->lws == NULL)
        return err_set(err, ERR_IO, "cannot start the HTTP server");
    info.port = options->port;
    info.iface = strcmp(options->address, "0.0.0.0") == 0 ? NULL : server->address;
    info.vhost_name = "http";
    server->vhost = lws_create_vhost(server->lws, &info);
    if (server->vhost == NULL || lws_get_vhost_listen_port(server->vhost) <= 0)
        return err_set(err, ERR_REFUSED, "cannot listen on %s:%d (port in use?)", options->address,
                       options->port);
    server->port = lws_get_vhost_listen_port(server->vhost);
    return ERR_OK;
}

static void *http_server_run(void *context)
{
    struct http_server *server = context;
    prctl(PR_SET_NAME, "http");
    while (!atomic_load(&server->stopping)) {
        lws_service(server->lws, 0);
        http_session_drain(server);
    }
    return NULL;
}

/* Signals are the service thread's business. */
static int http_server_start(struct http_server *server, struct err *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&server->thread, NULL, http_server_run, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? ERR_OK : err_set(err, ERR_IO, "HTTP thread: %s", strerror(code));
}

static int http_server_take(struct http_server *server, const struct http_server_options *options,
                            struct err *err)
{
    server->options = *options;
    int size = snprintf(server->address, sizeof(server->address), "%s", options->address);
    if (size < 0 || (size_t)size >= sizeof(server->address))
        return err_set(err, ERR_INVALID, "address %s is too long", options->address);
    size = snprintf(server->token, sizeof(server->token), "%s",
                    options->bearer_token != NULL ? options->bearer_token : "");
    if (size < 0 || (size_t)size >= sizeof(server->token))
        return err_set(err, ERR_INVALID, "the bearer token is too long");
    if (options->route_count > HTTP_ROUTES_MAX)
        return err_set(err, ERR_FULL, "more than %d routes", HTTP_ROUTES_MAX);
    server->options.address = server->address;
    server->open_to_others = !http_server_is_loopback(server->address);
    server->scratch = malloc(HTTP_REPLY_MAX);
    return server->scratch != NULL ? ERR_OK : err_set(err, ERR_MEMORY, "out of memory");
}

static void http_server_free(struct http_server *server)
{
    if (server->lws != NULL)
        lws_context_destroy(server->lws);
    free(server->scratch);
    free(server);
}

int http_server_open(const struct http_server_options *options, struct http_server **out,
                     struct err *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    int result = http_server_take(server, options, err);
    if (result == ERR_OK)
        result = http_server_listen(server, err);
    if (result == ERR_OK)
        result = http_server_start(server, err);
    if (result != ERR_OK) {
        http_server_free(server);
        return result;
    }
    *out = server;
    return ERR_OK;
}

void http_server_close(struct http_server *server)
{
    if (server == NULL)
        return;
    atomic_store(&server->stopping, true);
    lws_cancel_service(server->lws);
    pthread_join(server->thread, NULL);
    http_server_free(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
    return (struct http_server_stats){.requests = atomic_load(&server->requests),
                                      .events_dropped = atomic_load(&server->events_dropped),
                                      .event_clients = atomic_load(&server->event_clients)};
}

void http_server_publish(struct http_server *server, const char *path, struct bytes json)
{
    for (int i = 0; i < server->options.route_count; i++) {
        const struct http_route *route = &server->options.routes[i];
        if (route->fn != NULL || strcmp(route->path, path) != 0)
            continue;
        if (!http_ring_put(&server->ring, i, json))
            break;
        lws_cancel_service(server->lws);
        return;
    }
    atomic_fetch_add(&server->events_dropped, 1);
}
