/* A blocking HTTP client for tests: raw bytes out, whatever comes back in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_HTTP_FIXTURE_H
#define BTCAST_TESTS_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* So long a reply is waited for: only one that never comes takes it, however slow the machine. */
#define HTTP_FIXTURE_PATIENCE_S 30

/* A connected socket to 127.0.0.1:port that waits for a reply no longer than that. */
static inline int http_fixture_connect(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = HTTP_FIXTURE_PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void http_fixture_write(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        size -= (size_t)sent;
    }
}

static inline int http_fixture_count(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* Reads until `until` has come `times` times (NULL: to the end), the peer closed or patience is
 * at its end; NUL-terminated. */
static inline size_t http_fixture_read(int fd, char *out, size_t size, const char *until, int times)
{
    size_t length = 0;
    out[0] = '\0';
    while (length + 1 < size && (until == NULL || http_fixture_count(out, until) < times)) {
        ssize_t got = recv(fd, out + length, size - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        out[length] = '\0';
    }
    return length;
}

/* A request on a connection of its own; the whole reply in out; returns its status. */
static inline int http_fixture_ask(int port, const char *request, char *out, size_t size)
{
    int fd = http_fixture_connect(port);
    if (fd < 0)
        return -1;
    http_fixture_write(fd, request);
    http_fixture_read(fd, out, size, NULL, 0);
    close(fd);
    return strncmp(out, "HTTP/1.1 ", 9) == 0 ? atoi(out + 9) : -1;
}

#endif
