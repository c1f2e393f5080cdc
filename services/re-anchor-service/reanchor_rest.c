/* SPDX-License-Identifier: Apache-2.0 */
#include "services/re-anchor-service/reanchor_rest.h"

#include <stdio.h>

static void reanchor_rest_on_reply(void *context, const struct https_reply *reply)
{
    struct reanchor_rest *rest = context;
    struct anchor_rest_reply out = {.result = reply->result,
                                    .why = reply->why,
                                    .status = reply->status,
                                    .body = reply->body,
                                    .retry_after_s = reply->retry_after_s,
                                    .used_weight = reply->used_weight};
    rest->done(rest->context, &out);
}

static int reanchor_rest_get(void *self, const struct anchor_rest_query *query, anchor_rest_fn done,
                             void *context)
{
    struct reanchor_rest *rest = self;
    char url[512];
    switch (query->call) {
    case ANCHOR_REST_DEPTH:
        snprintf(url, sizeof(url), "%s/api/v3/depth?symbol=%s&limit=%d", rest->base, query->symbol,
                 query->limit);
        break;
    }
    rest->done = done;
    rest->context = context;
    struct https_request request = {
        .method = "GET", .url = url, .timeout_us = REANCHOR_REST_TIMEOUT_US};
    return https_send(rest->https, &request, reanchor_rest_on_reply, rest);
}

static int reanchor_rest_do_work(void *self, int64_t mono_us)
{
    return https_do_work(((struct reanchor_rest *)self)->https, mono_us);
}

struct anchor_rest_port reanchor_rest_port(struct reanchor_rest *rest)
{
    return (struct anchor_rest_port){
        .self = rest, .get = reanchor_rest_get, .do_work = reanchor_rest_do_work};
}
