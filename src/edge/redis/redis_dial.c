/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "edge/redis/redis_resolve.h"

static int redis_dial_copy(char *out, size_t capacity, const char *from, size_t size)
{
    if (size == 0 || size >= capacity)
        return ERR_CONFIG;
    memcpy(out, from, size);
    out[size] = '\0';
    return ERR_OK;
}

static int redis_dial_parse_port(const char *text, char *port)
{
    if (text[strspn(text, "0123456789")] != '\0' ||
        redis_dial_copy(port, sizeof(((struct redis_address *)0)->port), text, strlen(text)))
        return ERR_CONFIG;
    long value = strtol(text, NULL, 10);
    return value >= 1 && value <= 65535 ? ERR_OK : ERR_CONFIG;
}

static int redis_dial_parse_tcp(const char *target, struct redis_address *address)
{
    const char *colon = strrchr(target, ':');
    if (colon == NULL || redis_dial_parse_port(colon + 1, address->port) != ERR_OK)
        return ERR_CONFIG;
    size_t size = (size_t)(colon - target);
    if (size >= 2 && target[0] == '[' && target[size - 1] == ']')
        return redis_dial_copy(address->host, sizeof(address->host), target + 1, size - 2);
    if (memchr(target, ':', size) != NULL) /* an IPv6 address without brackets */
        return ERR_CONFIG;
    return redis_dial_copy(address->host, sizeof(address->host), target, size);
}

int redis_dial_parse(const char *target, struct redis_address *address, struct err *err)
{
    memset(address, 0, sizeof(*address));
    address->is_unix = strncmp(target, "unix:", 5) == 0;
    int result = address->is_unix ? redis_dial_copy(address->host, sizeof(address->host),
                                                    target + 5, strlen(target + 5))
                                  : redis_dial_parse_tcp(target, address);
    if (result != ERR_OK)
        return err_set(err, ERR_CONFIG,
                       "redis target \"%s\": expected unix:/path (at most %d bytes) or host:port",
                       target, REDIS_DIAL_HOST_SIZE - 1);
    return ERR_OK;
}

void redis_dial_init(struct redis_dial *dial, const struct redis_address *address)
{
    *dial = (struct redis_dial){.address = *address, .fd = -1};
}

static int redis_dial_connect(struct redis_dial *dial, const struct sockaddr *address,
                              socklen_t size, struct err *err)
{
    const char *name = dial->address.host;
    dial->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        return err_set(err, ERR_IO, "%s: socket: %s", name, strerror(errno));
    int one = 1;
    if (address->sa_family != AF_UNIX)
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* EAGAIN: a unix socket whose listen queue is full, a failure like any other. */
    if (connect(dial->fd, address, size) == 0 || errno == EINPROGRESS)
        return ERR_OK;
    int code = errno;
    redis_dial_close(dial);
    return err_set(err, ERR_CONNECTION, "%s: %s", name, strerror(code));
}

static int redis_dial_connect_unix(struct redis_dial *dial, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof(address.sun_path) >= REDIS_DIAL_HOST_SIZE, "a path that was parsed fits");
    memcpy(address.sun_path, dial->address.host, REDIS_DIAL_HOST_SIZE);
    return redis_dial_connect(dial, (const struct sockaddr *)&address, sizeof(address), err);
}

static int redis_dial_connect_tcp(struct redis_dial *dial, const struct redis_resolved *resolved,
                                  struct err *err)
{
    unsigned index = dial->tries++ % (unsigned)resolved->count;
    return redis_dial_connect(dial, (const struct sockaddr *)&resolved->address[index],
                              resolved->size[index], err);
}

int redis_dial_begin(struct redis_dial *dial, struct err *err)
{
    if (dial->address.is_unix)
        return redis_dial_connect_unix(dial, err);
    struct redis_resolved resolved;
    if (redis_resolve_numeric(&dial->address, &resolved))
        return redis_dial_connect_tcp(dial, &resolved, err);
    return redis_resolve_start(&dial->address, &dial->resolve, err);
}

static int redis_dial_step_resolve(struct redis_dial *dial, struct err *err)
{
    struct redis_resolved resolved;
    int result = redis_resolve_take(dial->resolve, &resolved, err);
    if (result == ERR_AGAIN)
        return result;
    redis_resolve_close(dial->resolve);
    dial->resolve = NULL;
    if (result == ERR_OK)
        result = redis_dial_connect_tcp(dial, &resolved, err);
    return result == ERR_OK ? ERR_AGAIN : result;
}

int redis_dial_step(struct redis_dial *dial, struct err *err)
{
    if (dial->resolve != NULL)
        return redis_dial_step_resolve(dial, err);
    int code = 0;
    socklen_t size = sizeof(code);
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        code = errno;
    if (code != 0)
        return err_set(err, ERR_CONNECTION, "%s: %s", dial->address.host, strerror(code));
    return ERR_OK;
}

int redis_dial_fd(const struct redis_dial *dial)
{
    return dial->resolve != NULL ? redis_resolve_fd(dial->resolve) : dial->fd;
}

uint32_t redis_dial_events(const struct redis_dial *dial)
{
    return dial->resolve != NULL ? EPOLLIN : EPOLLOUT;
}

void redis_dial_close(struct redis_dial *dial)
{
    redis_resolve_close(dial->resolve);
    dial->resolve = NULL;
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}
