/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/http_server/http_reply.h"

#include <stdlib.h>
#include <string.h>

/* Room for the headers, and how much of a body one write takes. */
#define HTTP_HEADERS_MAX 512
#define HTTP_CHUNK       (16u * 1024u)

static int http_reply_add(struct lws *wsi, const char *name, const char *value, uint8_t **at,
                          uint8_t *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at, end);
}

static int http_reply_done(struct http_session *session, struct lws *wsi)
{
    free(session->reply);
    session->reply = NULL;
    if (session->last)
        return -1; /* what was written is still flushed */
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int http_reply_headers(struct lws *wsi, int status, const char *type, size_t size, bool last)
{
    uint8_t buffer[LWS_PRE + HTTP_HEADERS_MAX];
    uint8_t *start = buffer + LWS_PRE;
    uint8_t *at = start;
    uint8_t *end = buffer + sizeof(buffer);
    if (lws_add_http_common_headers(wsi, (unsigned)status, type, size, &at, end) != 0 ||
        http_reply_add(wsi, "cache-control:", "no-store", &at, end) != 0)
        return -1;
    if (last && http_reply_add(wsi, "connection:", "close", &at, end) != 0)
        return -1;
    if (status == 401 && http_reply_add(wsi, "www-authenticate:", "Bearer", &at, end) != 0)
        return -1;
    return lws_finalize_write_http_header(wsi, start, &at, end) != 0 ? -1 : 0;
}

int http_reply_send(struct http_session *session, struct lws *wsi, int status, const char *type,
                    struct bytes body)
{
    if (http_reply_headers(wsi, status, type, body.size, session->last) != 0)
        return -1;
    if (session->head || body.size == 0)
        return http_reply_done(session, wsi);
    session->reply = malloc(LWS_PRE + body.size);
    if (session->reply == NULL)
        return -1;
    memcpy(session->reply + LWS_PRE, body.data, body.size);
    session->reply_size = body.size;
    session->reply_sent = 0;
    lws_callback_on_writable(wsi);
    return 0;
}

int http_reply_error(struct http_session *session, struct lws *wsi, int status, const char *why)
{
    char buffer[256];
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add(&text, "{\"error\":");
    text_add_json_string(&text, why, strlen(why));
    text_add(&text, "}\n");
    return http_reply_send(session, wsi, status, "application/json", bytes_of(buffer, text.size));
}

int http_reply_continue(struct http_session *session, struct lws *wsi)
{
    size_t left = session->reply_size - session->reply_sent;
    size_t part = left < HTTP_CHUNK ? left : HTTP_CHUNK;
    enum lws_write_protocol how = part == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP;
    /* What a frame header would overwrite in front of the part has already gone. */
    int sent = lws_write(wsi, session->reply + LWS_PRE + session->reply_sent, part, how);
    if (sent < (int)part)
        return -1;
    session->reply_sent += part;
    if (session->reply_sent == session->reply_size)
        return http_reply_done(session, wsi);
    lws_callback_on_writable(wsi);
    return 0;
}

int http_reply_channel(struct lws *wsi)
{
    if (http_reply_headers(wsi, HTTP_STATUS_OK, "text/event-stream", LWS_ILLEGAL_HTTP_CONTENT_LEN,
                           false) != 0)
        return -1;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    lws_callback_on_writable(wsi);
    return 0;
}
