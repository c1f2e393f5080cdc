/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/sse_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

void sse_client_open(struct sse_client *client, struct loop *loop, const char *path,
                     const int *ports, int port_count, sse_event_fn fn, void *context)
{
    PRE(port_count > 0 && port_count <= SSE_CLIENT_PORTS_MAX);
    memset(client, 0, sizeof(*client));
    client->loop = loop;
    client->path = path;
    client->port_count = port_count;
    memcpy(client->ports, ports, (size_t)port_count * sizeof(*ports));
    client->fn = fn;
    client->context = context;
    client->fd = -1;
}

static void sse_client_lose(struct sse_client *client)
{
    if (client->fd < 0)
        return;
    loop_remove(client->loop, client->fd);
    close(client->fd);
    client->fd = -1;
    client->connected = false;
    client->size = 0;
    client->too_long = false;
    client->port_index = (client->port_index + 1) % client->port_count;
}

/* Response headers and comments are lines like others; only data lines count. */
static void sse_client_line(struct sse_client *client)
{
    static const char data[] = "data: ";
    size_t size = client->size;
    if (size > 0 && client->line[size - 1] == '\r')
        size--;
    if (!client->too_long && size >= sizeof(data) - 1 &&
        memcmp(client->line, data, sizeof(data) - 1) == 0)
        client->fn(client->context,
                   bytes_of(client->line + sizeof(data) - 1, size - (sizeof(data) - 1)));
    client->size = 0;
    client->too_long = false;
}

static void sse_client_take(struct sse_client *client, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n')
            sse_client_line(client);
        else if (client->size < sizeof(client->line))
            client->line[client->size++] = data[i];
        else
            client->too_long = true;
    }
}

static void sse_client_on_socket(void *context, uint32_t events);

/* The request is smaller than any socket buffer: it goes whole or the connection is bad. */
static void sse_client_ask(struct sse_client *client)
{
    char request[256];
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
                        client->path);
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size ||
        loop_set(client->loop, client->fd, EPOLLIN, sse_client_on_socket, client) != ERR_OK) {
        sse_client_lose(client);
        return;
    }
    client->connected = true;
}

static void sse_client_on_socket(void *context, uint32_t events)
{
    struct sse_client *client = context;
    char data[4096];
    if (!client->connected) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0)
            sse_client_lose(client);
        else
            sse_client_ask(client);
        return;
    }
    ssize_t got = recv(client->fd, data, sizeof(data), 0);
    if (got > 0)
        sse_client_take(client, data, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        sse_client_lose(client);
}

static void sse_client_connect(struct sse_client *client)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_port = htons((uint16_t)client->ports[client->port_index]);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return;
    if ((connect(client->fd, (struct sockaddr *)&at, sizeof(at)) != 0 && errno != EINPROGRESS) ||
        loop_set(client->loop, client->fd, EPOLLOUT, sse_client_on_socket, client) != ERR_OK)
        sse_client_lose(client);
}

int64_t sse_client_do_work(struct sse_client *client, int64_t mono_us)
{
    if (client->fd >= 0)
        return -1;
    if (mono_us >= client->retry_us) {
        client->retry_us = mono_us + SSE_CLIENT_RETRY_US;
        sse_client_connect(client);
    }
    return client->fd >= 0 ? -1 : client->retry_us - mono_us;
}

void sse_client_close(struct sse_client *client)
{
    sse_client_lose(client);
}
