/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/lake_sync.h"

#include <stdio.h>
#include <string.h>

#define LAKE_SYNC_STEP_US 1000

struct lake_sync_wait {
    bool done;
    int result;
    char text[200];
    void (*key)(void *context, const char *key);
    void *context;
};

int lake_sync_open(struct lake_sync *sync, const char *where, struct err *err)
{
    memset(sync, 0, sizeof(*sync));
    int result = loop_open(&sync->loop, err);
    if (result != ERR_OK)
        return result;
    result = connector_lake_open(&sync->lake, where, sync->loop, err);
    if (result == ERR_OK)
        sync->objects = connector_lake_port(&sync->lake);
    else
        loop_close(sync->loop);
    return result;
}

void lake_sync_close(struct lake_sync *sync)
{
    connector_lake_close(&sync->lake);
    loop_close(sync->loop);
}

static int lake_sync_wait(struct lake_sync *sync, struct lake_sync_wait *wait, int started,
                          const char *what, struct err *err)
{
    const int64_t end_us = loop_mono_us() + LAKE_SYNC_TIMEOUT_US;
    if (started != ERR_OK)
        return err_set(err, started, "%s: the lake does not take it", what);
    while (!wait->done && loop_mono_us() < end_us) {
        sync->objects.do_work(sync->objects.self, loop_mono_us());
        loop_run_once(sync->loop, LAKE_SYNC_STEP_US);
    }
    if (!wait->done)
        return err_set(err, ERR_TIMEOUT, "%s: the lake does not answer", what);
    return wait->result == ERR_OK ? ERR_OK : err_set(err, wait->result, "%s: %s", what, wait->text);
}

static void lake_sync_on_done(void *context, const struct object_reply *reply)
{
    struct lake_sync_wait *wait = context;
    wait->done = true;
    wait->result = reply->result;
    snprintf(wait->text, sizeof(wait->text), "%s", reply->text != NULL ? reply->text : "");
}

int lake_sync_put(struct lake_sync *sync, const char *key, const char *path, struct err *err)
{
    struct lake_sync_wait wait = {0};
    int started = sync->objects.put(sync->objects.self, key, path, lake_sync_on_done, &wait);
    return lake_sync_wait(sync, &wait, started, key, err);
}

int lake_sync_drop(struct lake_sync *sync, const char *key, struct err *err)
{
    struct lake_sync_wait wait = {0};
    int started = sync->objects.drop(sync->objects.self, key, lake_sync_on_done, &wait);
    return lake_sync_wait(sync, &wait, started, key, err);
}

static void lake_sync_on_entry(void *context, int result, const struct object_entry *entry)
{
    struct lake_sync_wait *wait = context;
    if (entry != NULL) {
        wait->key(wait->context, entry->key);
        return;
    }
    wait->done = true;
    wait->result = result;
    snprintf(wait->text, sizeof(wait->text), "%s", err_text(result));
}

int lake_sync_list(struct lake_sync *sync, const char *prefix,
                   void (*key)(void *context, const char *key), void *context, struct err *err)
{
    struct lake_sync_wait wait = {.key = key, .context = context};
    int started = sync->objects.list(sync->objects.self, prefix, "", lake_sync_on_entry, &wait);
    return lake_sync_wait(sync, &wait, started, prefix, err);
}
