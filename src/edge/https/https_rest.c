/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/https/https_rest.h"

#include <stdio.h>

static void https_rest_on_reply(void *context, const struct https_reply *reply)
{
    struct https_rest_call *call = context;
    rest_done_fn done = call->done;
    struct rest_reply out = {.result = reply->result,
                             .why = reply->why,
                             .status = reply->status,
                             .body = reply->body,
                             .retry_after_s = reply->retry_after_s,
                             .used_weight = reply->used_weight,
                             .duration_us = reply->duration_us};
    call->done = NULL;
    done(call->context, &out);
}

static int https_rest_get(void *self, const char *symbol, const struct rest_query *query,
                          rest_done_fn done, void *context)
{
    struct https_rest *rest = self;
    struct https_rest_call *call = NULL;
    char path[256], url[512];
    for (int i = 0; i < HTTPS_REST_CALLS_MAX && call == NULL; i++)
        if (rest->calls[i].done == NULL)
            call = &rest->calls[i];
    if (call == NULL)
        return ERR_AGAIN;
    rest_query_path(query, symbol, path, sizeof(path));
    snprintf(url, sizeof(url), "%s%s", rest->base, path);
    struct https_request request = {.method = "GET", .url = url, .timeout_us = rest->timeout_us};
    *call = (struct https_rest_call){.done = done, .context = context};
    int result = https_send(rest->https, &request, https_rest_on_reply, call);
    if (result != ERR_OK)
        call->done = NULL;
    return result;
}

static int https_rest_do_work(void *self, int64_t mono_us)
{
    return https_do_work(((struct https_rest *)self)->https, mono_us);
}

struct rest_port https_rest_port(struct https_rest *rest)
{
    return (struct rest_port){.self = rest, .get = https_rest_get, .do_work = https_rest_do_work};
}
