/* A WebSocket URL taken apart. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_WEBSOCKET_WS_URL_H
#define BTCAST_EDGE_WEBSOCKET_WS_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "edge/redis/redis_dial.h"

#define WS_URL_PATH_SIZE 1024

struct ws_url {
    bool tls;
    struct redis_address address; /* host and port */
    char path[WS_URL_PATH_SIZE];  /* from '/' on, with the query */
};

/* "ws://host:port/path?query", "wss://host/…" (ports 80 and 443 unless said), IPv6 in
 * brackets. ERR_CONFIG with the reason. */
int ws_url_parse(const char *text, struct ws_url *url, struct err *err) MUST_CHECK;

#endif
