/* Replies on their way out. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTP_SERVER_HTTP_REPLY_H
#define BTCAST_EDGE_HTTP_SERVER_HTTP_REPLY_H

#include "edge/http_server/http_session.h"

/* All return what the libwebsockets callback has to: 0, or -1 to close. */

/* Headers now, body (copied) as the socket takes it. */
int http_reply_send(struct http_session *session, struct lws *wsi, int status, const char *type,
                    struct bytes body);
/* {"error":"…"} and, for 405, what is allowed. */
int http_reply_error(struct http_session *session, struct lws *wsi, int status, const char *why);
/* The socket takes more of the body. */
int http_reply_continue(struct http_session *session, struct lws *wsi);
/* The headers of an event channel, which has no end. */
int http_reply_channel(struct lws *wsi);

#endif
