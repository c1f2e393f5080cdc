/* WebSocket client: several connections in one libwebsockets context, which is the main
 * loop of its service; the service's own struct loop is nested into it. Whole messages
 * out of fragments, close reasons with code and text, names looked up beside the loop, at
 * most one control message per 250 ms and connection (BINANCE.md section 3).
 * libwebsockets answers pings by itself with the payload copied.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_WEBSOCKET_WS_CLIENT_H
#define BTCAST_EDGE_WEBSOCKET_WS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "edge/loop/loop.h"

#define WS_CLIENT_LINES_MAX      4
#define WS_CLIENT_MESSAGE_MAX    (1u << 20) /* longer messages are skipped and counted */
#define WS_CLIENT_RX_BUFFER      65536
#define WS_CLIENT_CONTROL_GAP_US 250000
#define WS_CLIENT_CONTROL_SIZE   1024
#define WS_CLIENT_CONTROLS_MAX   8
#define WS_CLIENT_URL_SIZE       1024

struct ws_client;

struct ws_client_options {
    const char *ca_file; /* NULL or "": the system's certificates */
    void *context;
    void (*opened)(void *context, int line);
    /* One whole message; borrowed for the call. */
    void (*message)(void *context, int line, bool is_text, struct bytes message);
    /* The attempt failed (code 0) or the connection ended: close code (1006: without one) and
     * the words that came with it. */
    void (*closed)(void *context, int line, int code, const char *reason);
};

struct ws_client_counters {
    uint64_t messages, bytes, oversize, controls_sent, controls_refused;
};

int ws_client_open(const struct ws_client_options *options, struct loop *loop,
                   struct ws_client **client, struct err *err) MUST_CHECK;
void ws_client_close(struct ws_client *client);
/* ws://host[:port]/path?query or wss://…; api_key (may be NULL) becomes X-MBX-APIKEY. The
 * outcome comes by opened or closed, also from within the call. ERR_CONFIG: the URL. PRE:
 * the line is not in use. */
int ws_client_connect(struct ws_client *client, int line, const char *url, const char *api_key,
                      struct err *err) MUST_CHECK;
/* Hangs up; nothing more is reported about it. */
void ws_client_drop(struct ws_client *client, int line);
/* Queues a text message. ERR_FULL over WS_CLIENT_CONTROLS_MAX, ERR_BAD_STATE: not connected. */
int ws_client_send(struct ws_client *client, int line, const char *text) MUST_CHECK;
/* One service round: waits at most wait_us for anything in either loop and serves it. */
void ws_client_service(struct ws_client *client, int64_t wait_us);
const struct ws_client_counters *ws_client_counters(const struct ws_client *client);

/* Judges a URL without connecting. */
int ws_client_check_url(const char *url, struct err *err) MUST_CHECK;

#endif
