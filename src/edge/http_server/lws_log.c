/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/http_server/lws_log.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include <libwebsockets.h>

#define LWS_LOG_SIZE 512

static void lws_log_emit(int level, const char *line)
{
    char buffer[LWS_LOG_SIZE];
    struct text text = text_begin(buffer, sizeof(buffer));
    text_add_json_string(&text, line, strcspn(line, "\r\n"));
    if (level == LLL_ERR)
        log_warn("libwebsockets", "message=%s", text_end(&text));
    else
        log_debug("libwebsockets", "message=%s", text_end(&text));
}

void lws_log_install(void)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log_emit);
}
