/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/websocket/ws_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "edge/http_server/lws_log.h"
#include <libwebsockets.h>
#include "edge/redis/redis_resolve.h"
#include "edge/websocket/ws_url.h"

#define WS_CLIENT_KEY_SIZE    128
#define WS_CLIENT_REASON_SIZE 128
#define WS_CLIENT_NO_CODE     1006 /* RFC 6455: closed without a close frame */

enum ws_line_state { WS_LINE_NONE, WS_LINE_RESOLVING, WS_LINE_CONNECTING, WS_LINE_UP };

struct ws_line {
    struct ws_client *client;
    int index;
    enum ws_line_state state;
    struct lws *wsi;
    struct redis_resolve *resolve;
    struct ws_url url;
    char api_key[WS_CLIENT_KEY_SIZE];
    char numeric[INET6_ADDRSTRLEN]; /* the address being tried */
    unsigned tries;                 /* rotates through a name's addresses */
    uint8_t *buffer;                /* WS_CLIENT_MESSAGE_MAX, for fragments */
    size_t used;
    bool skipping, is_text;
    int close_code;
    char reason[WS_CLIENT_REASON_SIZE];
    char controls[WS_CLIENT_CONTROLS_MAX][WS_CLIENT_CONTROL_SIZE];
    int control_count;
    int64_t next_control_us;
};

struct ws_client {
    struct ws_client_options options;
    struct loop *loop;
    struct lws_context *context;
    struct ws_client_counters counters;
    struct ws_line lines[WS_CLIENT_LINES_MAX];
};

/* Ends a line and says so. */
static void ws_line_end(struct ws_line *line, int code, const char *reason)
{
    line->state = WS_LINE_NONE;
    line->wsi = NULL;
    line->control_count = 0;
    line->client->options.closed(line->client->options.context, line->index, code, reason);
}

static void ws_line_deliver(struct ws_line *line, struct bytes message)
{
    struct ws_client *client = line->client;
    client->counters.messages++;
    client->counters.bytes += message.size;
    client->options.message(client->options.context, line->index, line->is_text, message);
}

/* A piece of a message: most are whole and pass uncopied. */
static void ws_line_receive(struct ws_line *line, const void *data, size_t size)
{
    const bool first = lws_is_first_fragment(line->wsi);
    const bool last =
        lws_is_final_fragment(line->wsi) && lws_remaining_packet_payload(line->wsi) == 0;
    if (first) {
        line->used = 0;
        line->skipping = false;
        line->is_text = !lws_frame_is_binary(line->wsi);
        if (last) {
            ws_line_deliver(line, bytes_of(data, size));
            return;
        }
    }
    if (!line->skipping && size > WS_CLIENT_MESSAGE_MAX - line->used) {
        line->skipping = true;
        line->client->counters.oversize++;
    }
    if (line->skipping)
        return;
    memcpy(line->buffer + line->used, data, size);
    line->used += size;
    if (last)
        ws_line_deliver(line, bytes_of(line->buffer, line->used));
}

static void ws_line_note_close(struct ws_line *line, const uint8_t *data, size_t size)
{
    line->close_code = size >= 2 ? data[0] << 8 | data[1] : 1005;
    size_t length = size > 2 ? size - 2 : 0;
    if (length >= sizeof(line->reason))
        length = sizeof(line->reason) - 1;
    memcpy(line->reason, data + (size >= 2 ? 2 : size), length);
    line->reason[length] = '\0';
}

static void ws_line_failed(struct ws_line *line, const char *words)
{
    char reason[WS_CLIENT_REASON_SIZE];
    const unsigned status = line->wsi != NULL ? lws_http_client_http_response(line->wsi) : 0;
    snprintf(reason, sizeof(reason), "%s", words != NULL ? words : "no connection");
    if (status != 0)
        snprintf(reason, sizeof(reason), "HTTP %u: %.80s", status, words != NULL ? words : "");
    ws_line_end(line, 0, reason);
}

/* Writes the first queued control message; the next one has to wait its time. */
static int ws_line_write(struct ws_line *line)
{
    unsigned char buffer[LWS_PRE + WS_CLIENT_CONTROL_SIZE];
    if (line->control_count == 0)
        return 0;
    const size_t size = strlen(line->controls[0]);
    memcpy(buffer + LWS_PRE, line->controls[0], size);
    line->control_count--;
    memmove(line->controls[0], line->controls[1],
            (size_t)line->control_count * WS_CLIENT_CONTROL_SIZE);
    line->next_control_us = loop_mono_us() + WS_CLIENT_CONTROL_GAP_US;
    line->client->counters.controls_sent++;
    return lws_write(line->wsi, buffer + LWS_PRE, size, LWS_WRITE_TEXT) < (int)size ? -1 : 0;
}

static int ws_line_add_key(struct ws_line *line, void *in, size_t room)
{
    unsigned char **at = in;
    if (line->api_key[0] == '\0')
        return 0;
    return lws_add_http_header_by_name(
        line->wsi, (const unsigned char *)"X-MBX-APIKEY:", (const unsigned char *)line->api_key,
        (int)strlen(line->api_key), at, *at + room);
}

static int ws_line_event(struct ws_line *line, enum lws_callback_reasons reason, void *in,
                         size_t size)
{
    struct ws_client *client = line->client;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE:
        ws_line_receive(line, in, size);
        break;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return ws_line_add_key(line, in, size);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        line->state = WS_LINE_UP;
        line->close_code = WS_CLIENT_NO_CODE;
        line->reason[0] = '\0';
        client->options.opened(client->options.context, line->index);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return ws_line_write(line);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        ws_line_note_close(line, in, size);
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        ws_line_failed(line, in);
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
        ws_line_end(line, line->close_code, line->reason);
        break;
    default:
        break;
    }
    return 0;
}

static int ws_client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                              void *in, size_t size)
{
    (void)user;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        struct ws_client *client = lws_context_user(lws_get_context(wsi));
        loop_run_once(client->loop, 0);
        return 0;
    }
    struct ws_line *line = lws_get_opaque_user_data(wsi);
    if (line != NULL && line->wsi == wsi)
        return ws_line_event(line, reason, in, size);
    /* A line that was dropped: whatever still comes ends it. */
    return reason == LWS_CALLBACK_CLIENT_RECEIVE || reason == LWS_CALLBACK_CLIENT_ESTABLISHED ? -1
                                                                                              : 0;
}

static const struct lws_protocols ws_client_protocols[] = {
    {.name = "btcast", .callback = ws_client_callback, .rx_buffer_size = WS_CLIENT_RX_BUFFER},
    {0},
};

static int ws_client_make_context(struct ws_client *client, struct err *err)
{
    const char *ca_file = client->options.ca_file;
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = ws_client_protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
        .gid = -1,
        .uid = -1,
        .pt_serv_buf_size = WS_CLIENT_RX_BUFFER,
        .fd_limit_per_thread = 64,
        .user = client,
    };
    if (ca_file != NULL && ca_file[0] != '\0') {
        if (access(ca_file, R_OK) != 0)
            return err_set(err, ERR_CONFIG, "cannot read the certificates in \"%s\"", ca_file);
        info.client_ssl_ca_filepath = ca_file;
    } else {
        info.options &= ~(uint64_t)LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    }
    client->context = lws_create_context(&info);
    if (client->context == NULL)
        return err_set(err, ERR_IO, "libwebsockets: no client context");
    lws_sock_file_fd_type fd = {.filefd = loop_fd(client->loop)};
    /* lws closes what it adopted: give it a descriptor of its own. */
    fd.filefd = dup(fd.filefd);
    if (fd.filefd < 0 ||
        lws_adopt_descriptor_vhost(lws_get_vhost_by_name(client->context, "default"),
                                   LWS_ADOPT_RAW_FILE_DESC, fd, "btcast", NULL) == NULL)
        return err_set(err, ERR_IO, "libwebsockets: cannot adopt the loop");
    return ERR_OK;
}

int ws_client_open(const struct ws_client_options *options, struct loop *loop,
                   struct ws_client **out, struct err *err)
{
    struct ws_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return err_set(err, ERR_MEMORY, "WebSocket client");
    client->options = *options;
    client->loop = loop;
    int result = ERR_OK;
    for (int i = 0; i < WS_CLIENT_LINES_MAX; i++) {
        client->lines[i].client = client;
        client->lines[i].index = i;
        client->lines[i].buffer = malloc(WS_CLIENT_MESSAGE_MAX);
        if (client->lines[i].buffer == NULL)
            result = err_set(err, ERR_MEMORY, "WebSocket client");
    }
    lws_log_install();
    if (result == ERR_OK)
        result = ws_client_make_context(client, err);
    if (result != ERR_OK) {
        ws_client_close(client);
        return result;
    }
    *out = client;
    return ERR_OK;
}

void ws_client_close(struct ws_client *client)
{
    if (client == NULL)
        return;
    for (int i = 0; i < WS_CLIENT_LINES_MAX; i++)
        ws_client_drop(client, i);
    if (client->context != NULL)
        lws_context_destroy(client->context);
    for (int i = 0; i < WS_CLIENT_LINES_MAX; i++)
        free(client->lines[i].buffer);
    free(client);
}

/* The chosen address as numbers, so that libwebsockets has nothing to look up. */
static bool ws_line_pick(struct ws_line *line, const struct redis_resolved *resolved)
{
    const struct sockaddr_storage *at =
        &resolved->address[line->tries++ % (unsigned)resolved->count];
    const void *raw = at->ss_family == AF_INET6
                          ? (const void *)&((const struct sockaddr_in6 *)at)->sin6_addr
                          : (const void *)&((const struct sockaddr_in *)at)->sin_addr;
    return inet_ntop(at->ss_family, raw, line->numeric, sizeof(line->numeric)) != NULL;
}

static void ws_line_dial(struct ws_line *line, const struct redis_resolved *resolved)
{
    if (!ws_line_pick(line, resolved)) {
        ws_line_end(line, 0, "no usable address");
        return;
    }
    char host[REDIS_DIAL_HOST_SIZE + 16];
    const bool brackets = strchr(line->url.address.host, ':') != NULL;
    snprintf(host, sizeof(host), brackets ? "[%s]:%s" : "%s:%s", line->url.address.host,
             line->url.address.port);
    struct lws_client_connect_info info = {
        .context = line->client->context,
        .address = line->numeric,
        .port = (int)strtol(line->url.address.port, NULL, 10),
        .ssl_connection = line->url.tls ? LCCSCF_USE_SSL : 0,
        .path = line->url.path,
        /* With TLS this is also the name that the certificate has to carry. */
        .host = line->url.tls ? line->url.address.host : host,
        .origin = NULL,
        .ietf_version_or_minus_one = -1,
        .alpn = line->url.tls ? "http/1.1" : NULL,
        .local_protocol_name = "btcast",
        .opaque_user_data = line,
        .pwsi = &line->wsi,
    };
    line->state = WS_LINE_CONNECTING;
    if (lws_client_connect_via_info(&info) == NULL && line->state == WS_LINE_CONNECTING)
        ws_line_end(line, 0, "cannot start a connection");
}

static void ws_line_stop_resolve(struct ws_line *line)
{
    if (line->resolve == NULL)
        return;
    loop_remove(line->client->loop, redis_resolve_fd(line->resolve));
    redis_resolve_close(line->resolve);
    line->resolve = NULL;
}

static void ws_line_resolved(void *context, uint32_t events)
{
    struct ws_line *line = context;
    struct redis_resolved resolved;
    struct err err = {0};
    (void)events;
    int result = redis_resolve_take(line->resolve, &resolved, &err);
    if (result == ERR_AGAIN)
        return;
    ws_line_stop_resolve(line);
    if (result == ERR_OK)
        ws_line_dial(line, &resolved);
    else
        ws_line_end(line, 0, err.text);
}

static void ws_line_look_up(struct ws_line *line)
{
    struct err err = {0};
    line->state = WS_LINE_RESOLVING;
    int result = redis_resolve_start(&line->url.address, &line->resolve, &err);
    if (result == ERR_OK)
        result = loop_set(line->client->loop, redis_resolve_fd(line->resolve), EPOLLIN,
                          ws_line_resolved, line);
    if (result == ERR_OK)
        return;
    if (line->resolve != NULL)
        redis_resolve_close(line->resolve);
    line->resolve = NULL;
    ws_line_end(line, 0, err.text);
}

int ws_client_connect(struct ws_client *client, int index, const char *url, const char *api_key,
                      struct err *err)
{
    PRE(index >= 0 && index < WS_CLIENT_LINES_MAX);
    struct ws_line *line = &client->lines[index];
    PRE(line->state == WS_LINE_NONE);
    int result = ws_url_parse(url, &line->url, err);
    if (result != ERR_OK)
        return result;
    if (snprintf(line->api_key, sizeof(line->api_key), "%s", api_key != NULL ? api_key : "") >=
        (int)sizeof(line->api_key))
        return err_set(err, ERR_CONFIG, "the API key is longer than %zu bytes",
                       sizeof(line->api_key) - 1);
    struct redis_resolved resolved = {0};
    if (redis_resolve_numeric(&line->url.address, &resolved))
        ws_line_dial(line, &resolved);
    else
        ws_line_look_up(line);
    return ERR_OK;
}

void ws_client_drop(struct ws_client *client, int index)
{
    PRE(index >= 0 && index < WS_CLIENT_LINES_MAX);
    struct ws_line *line = &client->lines[index];
    ws_line_stop_resolve(line);
    if (line->wsi != NULL) {
        lws_set_opaque_user_data(line->wsi, NULL);
        lws_set_timeout(line->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    }
    line->wsi = NULL;
    line->state = WS_LINE_NONE;
    line->control_count = 0;
}

int ws_client_send(struct ws_client *client, int index, const char *text)
{
    PRE(index >= 0 && index < WS_CLIENT_LINES_MAX);
    struct ws_line *line = &client->lines[index];
    if (line->state != WS_LINE_UP)
        return ERR_BAD_STATE;
    if (line->control_count == WS_CLIENT_CONTROLS_MAX || strlen(text) >= WS_CLIENT_CONTROL_SIZE) {
        client->counters.controls_refused++;
        return ERR_FULL;
    }
    memcpy(line->controls[line->control_count++], text, strlen(text) + 1);
    return ERR_OK;
}

/* Lets queued control messages go whose time has come; returns the wait until the next. */
static int64_t ws_client_pace(struct ws_client *client, int64_t wait_us)
{
    for (int i = 0; i < WS_CLIENT_LINES_MAX; i++) {
        struct ws_line *line = &client->lines[i];
        if (line->control_count == 0)
            continue;
        const int64_t left_us = line->next_control_us - loop_mono_us();
        if (left_us <= 0)
            lws_callback_on_writable(line->wsi);
        else if (left_us < wait_us)
            wait_us = left_us;
    }
    return wait_us;
}

void ws_client_service(struct ws_client *client, int64_t wait_us)
{
    wait_us = ws_client_pace(client, wait_us);
    /* lws waits in whole milliseconds, the loop's alarm in microseconds; < 0: no waiting
     * (TOOLS.md section 1). */
    if (wait_us <= 0 || loop_alarm(client->loop, loop_mono_us() + wait_us) != ERR_OK)
        lws_service(client->context, -1);
    else
        lws_service(client->context, 0);
}

const struct ws_client_counters *ws_client_counters(const struct ws_client *client)
{
    return &client->counters;
}

int ws_client_check_url(const char *url, struct err *err)
{
    struct ws_url parsed;
    return ws_url_parse(url, &parsed, err);
}
