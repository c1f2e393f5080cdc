/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/agent_rest.h"

#include <string.h>

#include "sim/simulation.h"

static void agent_rest_on_reply(void *context, const struct exchange_reply *reply)
{
    struct agent_rest_call *call = context;
    struct rest_reply out = {.result = reply->result,
                             .why = "injected",
                             .status = reply->status,
                             .body = reply->body,
                             .retry_after_s = reply->retry_after_s,
                             .used_weight = reply->used_weight,
                             .duration_us =
                                 process_now(call->rest->process).mono_us - call->sent_us};
    call->busy = false;
    call->done(call->context, &out);
}

static int agent_rest_get(void *self, const char *symbol, const struct rest_query *query,
                          rest_done_fn done, void *context)
{
    struct agent_rest *rest = self;
    struct agent_rest_call *call = NULL;
    char path[320], *mark;
    for (int i = 0; i < AGENT_REST_CALLS; i++)
        if (!rest->calls[i].busy)
            call = &rest->calls[i];
    if (call == NULL)
        return ERR_AGAIN;
    rest_query_path(query, symbol, path, sizeof(path));
    mark = strchr(path, '?');
    if (mark != NULL)
        *mark++ = '\0';
    *call = (struct agent_rest_call){.rest = rest,
                                     .done = done,
                                     .context = context,
                                     .sent_us = process_now(rest->process).mono_us,
                                     .busy = true};
    return virtual_exchange_get(&rest->process->simulation->exchange, rest->process, path,
                                mark == NULL ? "" : mark, rest->timeout_us, agent_rest_on_reply,
                                call);
}

static int agent_rest_do_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

struct rest_port agent_rest_port(struct agent_rest *rest, struct process *process,
                                 int64_t timeout_us)
{
    *rest = (struct agent_rest){.process = process, .timeout_us = timeout_us};
    return (struct rest_port){.self = rest, .get = agent_rest_get, .do_work = agent_rest_do_work};
}
