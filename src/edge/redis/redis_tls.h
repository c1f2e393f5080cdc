/* TLS on a connected, non-blocking socket: the transport of `rediss://` targets, since this
 * version of hiredis has none. The server's certificate is always verified: chain, and name
 * or address. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_TLS_H
#define BTCAST_EDGE_REDIS_REDIS_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct redis_tls_settings {
    const char *ca_file;   /* "": the system's certificates */
    const char *cert_file; /* our own for servers that want one; "": none */
    const char *key_file;  /* its key; "": in cert_file */
};

struct redis_tls_context;
struct redis_tls;

/* ERR_CONFIG with the file that cannot be used. */
int redis_tls_context_open(const struct redis_tls_settings *settings,
                           struct redis_tls_context **context, struct err *err) MUST_CHECK;
void redis_tls_context_close(struct redis_tls_context *context);
/* Begins on fd, which stays the caller's. host is verified (a name or a number). */
int redis_tls_open(struct redis_tls_context *context, int fd, const char *host,
                   struct redis_tls **tls, struct err *err) MUST_CHECK;
/* NULL is nothing. Says no goodbye: the socket is closed next. */
void redis_tls_close(struct redis_tls *tls);
/* ERR_OK: done. ERR_AGAIN: when *events (EPOLLIN or EPOLLOUT) comes. ERR_CONNECTION with the
 * reason (which certificate, why). */
int redis_tls_handshake(struct redis_tls *tls, uint32_t *events, struct err *err) MUST_CHECK;
/* As send(2) and recv(2): -1 with errno EAGAIN or another, 0 at the end. A write that
 * answered EAGAIN may be repeated with other bytes behind the same beginning. */
ssize_t redis_tls_write(struct redis_tls *tls, const void *data, size_t size);
ssize_t redis_tls_read(struct redis_tls *tls, void *data, size_t size);
/* Bytes that were taken from the socket and are not read yet: no event announces them. */
bool redis_tls_pending(const struct redis_tls *tls);

#endif
