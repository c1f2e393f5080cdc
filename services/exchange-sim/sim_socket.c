/* WebSocket connections of the simulated exchange. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "services/exchange-sim/sim_server_self.h"

/* Bytes of ready-made frames in one write. */
#define SOCKET_WRITE_MAX   (64u * 1024u)
#define SOCKET_JSON_PREFIX "/json"
#define SOCKET_KEY_SIZE    128

void sim_session_query(struct lws *wsi, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0;; i++) {
        if (at + 1 >= size)
            return;
        int got = lws_hdr_copy_fragment(wsi, out + at + (i > 0), (int)(size - at - 1),
                                        WSI_TOKEN_HTTP_URI_ARGS, i);
        if (got < 0)
            break;
        if (i > 0)
            out[at++] = '&';
        at += (size_t)got;
    }
    out[at] = '\0';
}

void sim_session_reset_tcp(struct sim_session *session)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(lws_get_socket_fd(session->wsi), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    session->reset = true;
    lws_set_timeout(session->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static bool socket_refused(struct sim_server *server)
{
    struct sim_faults *faults = &server->exchange->faults;
    return sim_faults_take(faults, SIM_FAULT_REFUSE, loop_wall_us()) != NULL ||
           sim_faults_take(faults, SIM_FAULT_REFUSE_STREAMS, loop_wall_us()) != NULL;
}

/* SBE streams want the key; JSON streams are public. Returns the refusal's status or 0. */
static int socket_key(const struct sim_server *server, struct lws *wsi, const char **why)
{
    char key[SOCKET_KEY_SIZE] = "";
    const struct sim_options *options = server->exchange->options;
    if (!options->require_key)
        return 0;
    *why = "No X-MBX-APIKEY header";
    if (lws_hdr_custom_length(wsi, "x-mbx-apikey:", 13) <= 0)
        return HTTP_STATUS_BAD_REQUEST;
    *why = "Invalid API-key";
    if (lws_hdr_custom_copy(wsi, key, sizeof(key), "x-mbx-apikey:", 13) <= 0)
        return HTTP_STATUS_UNAUTHORIZED;
    return options->api_key[0] && strcmp(key, options->api_key) != 0 ? HTTP_STATUS_UNAUTHORIZED : 0;
}

static bool socket_json(const char *path)
{
    size_t size = strlen(SOCKET_JSON_PREFIX);
    return strncmp(path, SOCKET_JSON_PREFIX, size) == 0 && path[size] == '/';
}

/* May this upgrade go on? */
static int socket_filter(struct lws *wsi)
{
    struct sim_server *server = sim_server_of(wsi);
    char path[SIM_PATH_SIZE] = "";
    const char *why = NULL;
    if (socket_refused(server))
        return -1;
    (void)lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    bool json = socket_json(path);
    const char *rest = path + (json ? strlen(SOCKET_JSON_PREFIX) : 0);
    int status = 0;
    if (strncmp(rest, "/ws/", 4) != 0 && strcmp(rest, "/ws") != 0 && strcmp(rest, "/stream") != 0)
        status = HTTP_STATUS_NOT_FOUND;
    else if (!json)
        status = socket_key(server, wsi, &why);
    if (status == 0)
        return 0;
    server->exchange->refused_key += why != NULL;
    char page[256];
    struct text text = text_begin(page, sizeof(page));
    text_add_format(&text, "%s", why ? why : "no such path");
    (void)lws_return_http_status(wsi, (unsigned)status, text_end(&text));
    return -1;
}

static int socket_subscribe(struct sim_session *session, struct lws *wsi, const char *rest)
{
    if (strncmp(rest, "/ws/", 4) == 0 && rest[4])
        return sim_client_subscribe_path(&session->client, rest + 4);
    sim_session_query(wsi, session->query, sizeof(session->query));
    const char *names = strstr(session->query, "streams=");
    if (!names)
        return ERR_OK; /* to be subscribed by request */
    names += strlen("streams=");
    ((char *)names)[strcspn(names, "&")] = '\0';
    return sim_client_subscribe_path(&session->client, names);
}

static int socket_open(struct sim_session *session, struct lws *wsi)
{
    struct sim_server *server = sim_server_of(wsi);
    struct sim_exchange *exchange = server->exchange;
    char path[SIM_PATH_SIZE] = "";
    memset(session, 0, sizeof(*session));
    session->wsi = wsi;
    (void)lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    bool json = socket_json(path);
    const char *rest = path + (json ? strlen(SOCKET_JSON_PREFIX) : 0);
    struct sim_client_options options = {.json = json,
                                         .combined = strcmp(rest, "/stream") == 0,
                                         .queue_bytes = (size_t)exchange->options->queue_bytes,
                                         .symbol = exchange->feed.options.symbol};
    struct err err = {0};
    if (sim_client_open(&session->client, &options, loop_mono_us(), &err) != ERR_OK)
        return -1;
    if (socket_subscribe(session, wsi, rest) != ERR_OK ||
        sim_exchange_add(exchange, &session->client) != ERR_OK) {
        sim_client_close(&session->client);
        lws_close_reason(wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION, (unsigned char *)"streams", 7);
        return -1;
    }
    session->is_client = true;
    server->sessions[server->session_count++] = session;
    log_info("client_connected", "json=%d streams=%d", json, session->client.name_count);
    return 0;
}

static void socket_closed(struct sim_session *session, struct lws *wsi)
{
    struct sim_server *server = sim_server_of(wsi);
    free(session->text);
    session->text = NULL;
    if (!session->is_client)
        return;
    session->is_client = false;
    sim_exchange_remove(server->exchange, &session->client);
    for (int i = 0; i < server->session_count; i++) {
        if (server->sessions[i] == session) {
            server->sessions[i] = server->sessions[--server->session_count];
            break;
        }
    }
    log_info("client_gone", "sent=%llu code=%d reason=\"%s\"",
             (unsigned long long)session->client.sent, session->client.close_code,
             session->client.close_reason);
    sim_client_close(&session->client);
}

static int socket_close_now(struct sim_session *session, struct lws *wsi)
{
    struct sim_client *client = &session->client;
    lws_close_reason(wsi, (enum lws_close_status)client->close_code,
                     (unsigned char *)client->close_reason, strlen(client->close_reason));
    return -1;
}

static int socket_writable(struct sim_session *session, struct lws *wsi)
{
    struct sim_client *client = &session->client;
    session->asked = false;
    if (!session->is_client || loop_wall_us() < client->half_open_until_us)
        return 0;
    struct bytes ready = sim_client_peek(client, SOCKET_WRITE_MAX);
    if (ready.size == 0 || client->overrun)
        return client->close_code ? socket_close_now(session, wsi) : 0;
    /* Frames are ready-made: raw bytes go out untouched. The queue is ours to write into,
     * and no header is put in front of raw bytes. */
    int sent = lws_write(wsi, (unsigned char *)(uintptr_t)ready.data, ready.size, LWS_WRITE_RAW);
    if (sent < 0)
        return -1;
    sim_client_took(client, ready.size);
    if (client->put != client->taken || client->close_code) {
        session->asked = true;
        lws_callback_on_writable(wsi);
    }
    return 0;
}

static bool socket_counted(struct sim_session *session, struct lws *wsi)
{
    struct sim_exchange *exchange = sim_server_of(wsi)->exchange;
    if (sim_client_allowed(&session->client, loop_mono_us()))
        return true;
    exchange->rate_closes++;
    sim_client_ask_close(&session->client, 1008, "Too many requests");
    return false;
}

static int socket_receive(struct sim_session *session, struct lws *wsi, const void *in, size_t len)
{
    if (!session->is_client)
        return 0;
    if (!session->text)
        session->text = malloc(SIM_CONTROL_MAX);
    if (!session->text || len > SIM_CONTROL_MAX - session->text_size) {
        sim_client_ask_close(&session->client, 1009, "message too long");
        return socket_close_now(session, wsi);
    }
    memcpy(session->text + session->text_size, in, len);
    session->text_size += len;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return 0;
    struct bytes request = bytes_of(session->text, session->text_size);
    session->text_size = 0;
    if (socket_counted(session, wsi))
        sim_client_request(&session->client, request);
    session->asked = true;
    lws_callback_on_writable(wsi);
    return 0;
}

static int socket_pong(struct sim_session *session, struct lws *wsi)
{
    if (!session->is_client || !socket_counted(session, wsi))
        return 0;
    session->client.pong_us = loop_mono_us();
    return 0;
}

/* A connection that is to fail in its TLS handshake is closed before it. */
static int socket_accept(struct lws *wsi)
{
    struct sim_server *server = sim_server_of(wsi);
    return server->tls &&
           sim_faults_take(&server->exchange->faults, SIM_FAULT_TLS_FAIL, loop_wall_us()) != NULL;
}

int sim_socket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t len)
{
    struct sim_session *session = user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return socket_accept(wsi);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return socket_filter(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return socket_open(session, wsi);
    case LWS_CALLBACK_CLOSED:
        socket_closed(session, wsi);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return socket_receive(session, wsi, in, len);
    case LWS_CALLBACK_RECEIVE_PONG:
        return socket_pong(session, wsi);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return socket_writable(session, wsi);
    default:
        return 0;
    }
}
