/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/model_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "wire/onnx.h"

const char *model_role_name(enum model_role role)
{
    static const char *const names[MODEL_ROLES] = {"production", "shadow"};
    PRE((int)role >= 0 && role < MODEL_ROLES);
    return names[role];
}

void model_watch_init(struct model_watch *watch, const struct model_port *port,
                      uint64_t feature_schema, enum mlp_kernel kernel,
                      const char *const have[MODEL_ROLES])
{
    *watch =
        (struct model_watch){.port = *port, .feature_schema = feature_schema, .kernel = kernel};
    for (int role = 0; role < MODEL_ROLES; role++) {
        const char *sha = have[role] != NULL ? have[role] : "";
        struct model_watch_role *own = &watch->roles[role];
        snprintf(own->settled, sizeof(own->settled), "%s", sha);
        snprintf(own->wanted, sizeof(own->wanted), "%s", sha);
    }
}

void model_watch_close(struct model_watch *watch)
{
    for (int role = 0; role < MODEL_ROLES; role++) {
        free(watch->roles[role].file);
        model_close(watch->roles[role].ready);
        watch->roles[role] = (struct model_watch_role){0};
    }
}

static void model_watch_pointed(void *context, int result, const char *const sha[MODEL_ROLES])
{
    struct model_watch *watch = context;
    watch->looking = false;
    watch->counters.looks++;
    if (result != ERR_OK) {
        watch->counters.look_failures++;
        return;
    }
    for (int role = 0; role < MODEL_ROLES; role++) {
        struct model_watch_role *own = &watch->roles[role];
        if (strcmp(own->wanted, sha[role]) == 0 || strlen(sha[role]) >= sizeof(own->wanted))
            continue;
        /* A store that has lost its pointers takes no model out of production. */
        if (role == MODEL_PRODUCTION && sha[role][0] == '\0')
            continue;
        memcpy(own->wanted, sha[role], strlen(sha[role]) + 1);
        own->retry_us = 0;
    }
}

static void model_watch_look(struct model_watch *watch)
{
    if (watch->looking || watch->now_us < watch->next_look_us)
        return;
    watch->next_look_us = watch->now_us + MODEL_WATCH_LOOK_US;
    watch->looking = watch->port.pointer(watch->port.self, model_watch_pointed, watch) == ERR_OK;
}

/* This one is dealt with, well or badly. */
static void model_watch_settle(struct model_watch_role *role, const char *sha)
{
    memmove(role->settled, sha, strlen(sha) + 1);
    free(role->file);
    role->file = NULL;
    role->size = 0;
    role->fetched = role->corrupt = false;
}

static void model_watch_refuse(struct model_watch *watch, struct model_watch_role *role,
                               const char *why)
{
    if (role->file != NULL && watch->port.refuse != NULL)
        watch->port.refuse(watch->port.self, role->fetching_sha, bytes_of(role->file, role->size));
    watch->counters.refused++;
    log_warn("model_refused", "role=%s sha=%s reason=\"%s\" kept=last_good",
             model_role_name((enum model_role)(role - watch->roles)), role->fetching_sha, why);
    model_watch_settle(role, role->fetching_sha);
}

static void model_watch_fetched(struct model_watch *watch, struct model_watch_role *role,
                                int result, struct bytes file)
{
    role->fetching = false;
    role->corrupt = result == ERR_CORRUPT;
    if (result == ERR_FULL) {
        model_watch_refuse(watch, role, "too large");
        return;
    }
    bool has_bytes = (result == ERR_OK || role->corrupt) && file.size > 0;
    role->file = has_bytes ? malloc(file.size) : NULL;
    if (role->file == NULL && role->corrupt) {
        model_watch_refuse(watch, role, "it is empty");
        return;
    }
    if (role->file == NULL) {
        watch->counters.fetch_failures++;
        role->retry_us = watch->now_us + MODEL_WATCH_RETRY_US;
        return;
    }
    memcpy(role->file, file.data, file.size);
    role->size = file.size;
    role->fetched = true;
}

static void model_watch_production(void *context, int result, struct bytes file)
{
    struct model_watch *watch = context;
    model_watch_fetched(watch, &watch->roles[MODEL_PRODUCTION], result, file);
}

static void model_watch_shadow(void *context, int result, struct bytes file)
{
    struct model_watch *watch = context;
    model_watch_fetched(watch, &watch->roles[MODEL_SHADOW], result, file);
}

static void model_watch_change(struct model_watch_role *role, struct model *model)
{
    model_close(role->ready); /* nobody took it */
    role->ready = model;
    role->changed = true;
}

/* Parses what was fetched. */
static void model_watch_read(struct model_watch *watch, enum model_role which)
{
    struct model_watch_role *role = &watch->roles[which];
    struct onnx_options options = {.feature_schema = watch->feature_schema,
                                   .kernel = watch->kernel};
    struct bytes file = bytes_of(role->file, role->size);
    struct model *model = NULL;
    struct err err = {0};
    if (role->corrupt) {
        model_watch_refuse(watch, role, "its bytes have another hash");
        return;
    }
    if (onnx_read(file, &options, &model, &err) != ERR_OK) {
        model_watch_refuse(watch, role, err.text);
        return;
    }
    model_set_sha256(model, role->fetching_sha);
    if (watch->port.keep != NULL && which == MODEL_PRODUCTION)
        watch->port.keep(watch->port.self, file);
    watch->counters.loaded++;
    model_watch_settle(role, role->fetching_sha);
    model_watch_change(role, model);
}

static int model_watch_follow(struct model_watch *watch, enum model_role which, bool quiet)
{
    static const model_file_fn fetched[MODEL_ROLES] = {model_watch_production, model_watch_shadow};
    struct model_watch_role *role = &watch->roles[which];
    if (role->fetched && quiet) {
        model_watch_read(watch, which);
        return 1;
    }
    if (role->fetching || role->fetched || strcmp(role->wanted, role->settled) == 0 ||
        watch->now_us < role->retry_us)
        return 0;
    if (role->wanted[0] == '\0') {
        model_watch_settle(role, "");
        model_watch_change(role, NULL);
        return 1;
    }
    memcpy(role->fetching_sha, role->wanted, sizeof(role->wanted));
    role->retry_us = watch->now_us + MODEL_WATCH_RETRY_US;
    role->fetching =
        watch->port.fetch(watch->port.self, role->wanted, fetched[which], watch) == ERR_OK;
    watch->counters.fetches += role->fetching;
    return role->fetching;
}

int model_watch_do_work(struct model_watch *watch, int64_t mono_us, bool quiet)
{
    int work = 0;
    watch->now_us = mono_us;
    model_watch_look(watch);
    for (int role = 0; role < MODEL_ROLES; role++)
        work += model_watch_follow(watch, (enum model_role)role, quiet);
    return work;
}

bool model_watch_take(struct model_watch *watch, enum model_role role, struct model **model)
{
    struct model_watch_role *own = &watch->roles[role];
    if (!own->changed)
        return false;
    *model = own->ready;
    own->ready = NULL;
    own->changed = false;
    return true;
}
