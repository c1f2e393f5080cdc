/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/http_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/https/https.h"

struct http_get_call {
    struct http_get *get;
    int *left;
};

static void http_get_on_reply(void *context, const struct https_reply *reply)
{
    struct http_get_call *call = context;
    struct http_get *get = call->get;
    (*call->left)--;
    if (reply->result != ERR_OK) {
        snprintf(get->why, sizeof(get->why), "%s", reply->why);
        return;
    }
    get->body = malloc(reply->body.size + 1);
    if (get->body == NULL) {
        snprintf(get->why, sizeof(get->why), "out of memory");
        return;
    }
    if (reply->body.size > 0)
        memcpy(get->body, reply->body.data, reply->body.size);
    get->body[reply->body.size] = '\0';
    get->size = reply->body.size;
    get->status = reply->status;
    get->answered = true;
}

static int http_get_send(struct https *https, struct http_get_call *call, int64_t timeout_us)
{
    char url[160];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", call->get->port, call->get->path);
    struct https_request request = {.method = "GET", .url = url, .timeout_us = timeout_us};
    return https_send(https, &request, http_get_on_reply, call);
}

int http_get_all(struct http_get *gets, int count, int64_t timeout_us, struct err *err)
{
    struct loop *loop = NULL;
    struct https *https = NULL;
    struct https_options options = {0};
    struct http_get_call calls[HTTPS_IN_FLIGHT_MAX];
    PRE(count <= HTTPS_IN_FLIGHT_MAX);
    int result = loop_open(&loop, err);
    if (result != ERR_OK)
        return result;
    result = https_open(&options, loop, &https, err);
    int left = 0;
    for (int i = 0; i < count && result == ERR_OK; i++) {
        calls[i] = (struct http_get_call){&gets[i], &left};
        left++;
        result = http_get_send(https, &calls[i], timeout_us);
    }
    while (result == ERR_OK && left > 0)
        loop_run_once(loop, timeout_us);
    https_close(https);
    loop_close(loop);
    return result;
}

void http_get_free(struct http_get *gets, int count)
{
    for (int i = 0; i < count; i++) {
        free(gets[i].body);
        gets[i].body = NULL;
    }
}
