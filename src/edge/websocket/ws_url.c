/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/websocket/ws_url.h"

#include <stdlib.h>
#include <string.h>

static bool ws_url_copy(char *out, size_t size, const char *from, size_t length)
{
    if (length == 0 || length >= size)
        return false;
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

static bool ws_url_port(const char *text, size_t length, struct redis_address *address)
{
    if (!ws_url_copy(address->port, sizeof(address->port), text, length) ||
        strspn(address->port, "0123456789") != length)
        return false;
    long port = strtol(address->port, NULL, 10);
    return port > 0 && port <= 65535;
}

/* host, host:port, [ipv6], [ipv6]:port up to end. */
static bool ws_url_authority(const char *at, const char *end, struct redis_address *address)
{
    const char *host = at, *host_end;
    if (*at == '[') {
        host = at + 1;
        host_end = memchr(at, ']', (size_t)(end - at));
        if (host_end == NULL)
            return false;
        at = host_end + 1;
    } else {
        host_end = memchr(at, ':', (size_t)(end - at));
        if (host_end == NULL)
            host_end = end;
        at = host_end;
    }
    if (!ws_url_copy(address->host, sizeof(address->host), host, (size_t)(host_end - host)))
        return false;
    if (at == end)
        return true;
    return *at == ':' && ws_url_port(at + 1, (size_t)(end - at - 1), address);
}

int ws_url_parse(const char *text, struct ws_url *url, struct err *err)
{
    *url = (struct ws_url){0};
    const char *at;
    if (strncmp(text, "ws://", 5) == 0) {
        at = text + 5;
        memcpy(url->address.port, "80", 3);
    } else if (strncmp(text, "wss://", 6) == 0) {
        url->tls = true;
        at = text + 6;
        memcpy(url->address.port, "443", 4);
    } else {
        return err_set(err, ERR_CONFIG, "\"%s\": expected ws://… or wss://…", text);
    }
    const char *end = at + strcspn(at, "/?");
    if (!ws_url_authority(at, end, &url->address))
        return err_set(err, ERR_CONFIG, "\"%s\": expected host or host:port", text);
    const char *path = *end == '/' ? end : "/";
    if (*end == '?' || !ws_url_copy(url->path, sizeof(url->path), path, strlen(path)))
        return err_set(err, ERR_CONFIG, "\"%s\": expected a path of at most %d bytes", text,
                       WS_URL_PATH_SIZE - 1);
    if (strpbrk(url->path, " \t\r\n\"") != NULL)
        return err_set(err, ERR_CONFIG, "\"%s\": blanks and quotes have to be encoded", text);
    return ERR_OK;
}
