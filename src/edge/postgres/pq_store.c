/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_store.h"

#include <stdlib.h>

#include "base/check.h"

struct pq_store_call {
    bool used;
    struct pq_store *store;
    bool wants_text; /* the reply is a text, not a count */
    store_done_fn done;
    void *context;
};

struct pq_store {
    struct pq_link *link;
    struct store_port port;
    struct pq_store_call calls[PQ_LINK_JOBS_MAX];
};

static struct pq_store_call *pq_store_take_call(struct pq_store *store, store_done_fn done,
                                                void *context)
{
    for (int i = 0; i < PQ_LINK_JOBS_MAX; i++) {
        struct pq_store_call *call = &store->calls[i];
        if (call->used)
            continue;
        *call =
            (struct pq_store_call){.used = true, .store = store, .done = done, .context = context};
        return call;
    }
    return NULL;
}

static void pq_store_on_reply(void *context, const struct pq_link_reply *reply)
{
    struct pq_store_call *call = context;
    struct pq_store_call answered = *call;
    const struct pq_api *api = pq_link_api(call->store->link);
    const char *value = reply->rows != NULL && api->PQntuples(reply->rows) > 0
                            ? api->PQgetvalue(reply->rows, 0, 0)
                            : "";
    struct store_reply out = {.result = reply->result,
                              .text = answered.wants_text && reply->result == ERR_OK ? value
                                                                                     : reply->text,
                              .changed = answered.wants_text ? 0 : strtoull(value, NULL, 10)};
    call->used = false;
    answered.done(answered.context, &out);
}

static int pq_store_start(struct pq_store_call *call, const struct pq_step *steps, int count,
                          int keep)
{
    int result = pq_link_run(call->store->link, steps, count, keep, pq_store_on_reply, call);
    call->used = result == ERR_OK;
    return result;
}

static int pq_store_load(void *self, const struct store_load *load, struct bytes rows,
                         const struct store_position *position, store_done_fn done, void *context)
{
    struct pq_store *store = self;
    struct pq_step steps[PQ_LINK_STEPS_MAX] = {0};
    const char *params[2];
    int count = 0, keep;
    struct pq_store_call *call = pq_store_take_call(store, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    steps[count++].sql = load->staging;
    steps[count++] = (struct pq_step){.sql = load->copy, .is_copy = true, .copy = rows};
    if (load->prepare != NULL)
        steps[count++].sql = load->prepare;
    keep = count;
    steps[count++].sql = load->merge;
    if (load->finish != NULL)
        steps[count++].sql = load->finish;
    if (position != NULL) {
        params[0] = position->loader;
        params[1] = position->position;
        steps[count++] = (struct pq_step){
            .name = "position",
            .sql = "INSERT INTO load_position (loader, position) VALUES ($1, $2) ON CONFLICT "
                   "(loader) DO UPDATE SET position = EXCLUDED.position, updated_at = now()",
            .params = params,
            .param_count = 2};
    }
    return pq_store_start(call, steps, count, keep);
}

static int pq_store_position(void *self, const char *loader, store_done_fn done, void *context)
{
    struct pq_store_call *call = pq_store_take_call(self, done, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->wants_text = true;
    struct pq_step step = {.sql = "SELECT position FROM load_position WHERE loader = $1",
                           .params = &loader,
                           .param_count = 1};
    return pq_store_start(call, &step, 1, 0);
}

static int pq_store_do_work(void *self, int64_t mono_us)
{
    return pq_link_do_work(((struct pq_store *)self)->link, mono_us);
}

int pq_store_open(const struct pq_link_options *options, struct loop *loop, struct pq_store **out,
                  struct err *err)
{
    struct pq_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    int result = pq_link_open(options, loop, &store->link, err);
    if (result != ERR_OK) {
        free(store);
        return result;
    }
    store->port = (struct store_port){.self = store,
                                      .load = pq_store_load,
                                      .position = pq_store_position,
                                      .do_work = pq_store_do_work};
    *out = store;
    return ERR_OK;
}

void pq_store_close(struct pq_store *store)
{
    if (store == NULL)
        return;
    pq_link_close(store->link);
    free(store);
}

const struct store_port *pq_store_port(struct pq_store *store)
{
    return &store->port;
}

struct pq_link *pq_store_link(struct pq_store *store)
{
    return store->link;
}
