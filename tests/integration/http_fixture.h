/* A blocking HTTP client for tests: raw bytes out, whatever comes back in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_HTTP_FIXTURE_H
#define BTCAST_TESTS_HTTP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

/* A connected socket to 127.0.0.1:port with a receive timeout of 5 s. */
int http_fixture_connect(int port);
void http_fixture_write(int fd, const void *data, size_t size);
/* Reads until `until` has come `times` times, the peer closed or 5 s passed; NUL-terminated.
 * Returns the bytes read. */
size_t http_fixture_read(int fd, char *out, size_t size, const char *until, int times);
/* Request on a new connection (Connection: close), the whole reply in out; its status. */
int http_fixture_ask(int port, const char *request_line, const char *headers, const char *body,
                     char *out, size_t size);

#endif
