/* GET for the command line tools: several at once from services on this machine.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_HTTP_GET_H
#define BTCAST_SERVICES_CLI_HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_get {
    int port;
    const char *path;
    bool answered; /* a reply came, whatever its status */
    int status;
    char *body; /* NUL-terminated, owned: http_get_free */
    size_t size;
    char why[128]; /* when none came */
};

/* Runs all side by side and waits for them, each at most timeout_us. */
int http_get_all(struct http_get *gets, int count, int64_t timeout_us, struct err *err) MUST_CHECK;
void http_get_free(struct http_get *gets, int count);

#endif
