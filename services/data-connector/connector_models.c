/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/file/sha256_hex.h"
#include "edge/file/whole_file.h"
#include "model/baseline.h"
#include "services/data-connector/connector_registry.h"

/* An artifact that could not be had is tried again after this. */
#define CONNECTOR_MODELS_RETRY_US (30 * CLOCK_US_PER_S)

/* One role on its way into Redis. */
struct connector_models_role {
    struct connector_models *models;
    enum model_role role;
    char sha[PQ_JUDGE_SHA_SIZE]; /* of the bytes below */
    uint8_t *bytes;
    size_t size;
    bool getting, asking, present; /* from the lake; Redis; its bytes are in Redis */
    char getting_sha[PQ_JUDGE_SHA_SIZE];
    int64_t retry_us, put_us;
};

struct connector_models {
    struct connector_models_options options;
    struct connector_registry *registry;
    struct redis_link *link;
    struct redis_model *redis;
    struct connector_models_role roles[MODEL_ROLES];
    struct connector_registry_word now; /* the loop's copy */
    bool pointing;
    int64_t next_us, now_us;
    struct metric *promoted, *rolled_back, *outcomes, *connected, *refused;
};

/* --- the loop: bytes --------------------------------------------------------------------- */

static void connector_models_refuse(struct connector_models_role *role, const char *sha,
                                    const char *why)
{
    metric_add(role->models->refused, 1);
    role->retry_us = role->models->now_us + CONNECTOR_MODELS_RETRY_US;
    log_warn("artifact_refused", "role=%s sha=%.12s reason=\"%s\"", model_role_name(role->role),
             sha, why);
}

/* Takes the bytes over when they are those of the hash. */
static void connector_models_keep(struct connector_models_role *role, const char *sha,
                                  uint8_t *bytes, size_t size)
{
    char found[SHA256_HEX_SIZE];
    sha256_hex(bytes_of(bytes, size), found);
    if (strcmp(found, sha) != 0) {
        free(bytes);
        connector_models_refuse(role, sha, "the file has another hash");
        return;
    }
    free(role->bytes);
    role->bytes = bytes;
    role->size = size;
    role->present = false;
    snprintf(role->sha, sizeof(role->sha), "%s", sha);
}

static void connector_models_read(struct connector_models_role *role, const char *sha,
                                  const char *path)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct err err = {0};
    if (whole_file_read(path, MODEL_WATCH_BYTES_MAX, &bytes, &size, &err) == ERR_OK)
        connector_models_keep(role, sha, bytes, size);
    else
        connector_models_refuse(role, sha, err.text);
}

static void connector_models_path(const struct connector_models_role *role, char *out)
{
    snprintf(out, WHOLE_FILE_PATH_SIZE, "%s/artifact-%s.onnx", role->models->options.folder,
             model_role_name(role->role));
}

static void connector_models_on_object(void *context, const struct object_reply *reply)
{
    struct connector_models_role *role = context;
    char path[WHOLE_FILE_PATH_SIZE];
    role->getting = false;
    connector_models_path(role, path);
    if (reply->result != ERR_OK) {
        connector_models_refuse(role, role->getting_sha, reply->text);
        return;
    }
    connector_models_read(role, role->getting_sha, path);
    unlink(path);
}

static void connector_models_fetch(struct connector_models_role *role, const char *sha,
                                   const char *where)
{
    const struct object_port *objects = &role->models->options.objects;
    char path[WHOLE_FILE_PATH_SIZE];
    if (role->models->now_us < role->retry_us || role->getting)
        return;
    if (strcmp(where, PQ_JUDGE_BUILT_IN) == 0) {
        struct bytes file = baseline_file();
        uint8_t *copy = malloc(file.size);
        if (copy != NULL) {
            memcpy(copy, file.data, file.size);
            connector_models_keep(role, sha, copy, file.size);
        }
    } else if (where[0] == '/') {
        connector_models_read(role, sha, where);
    } else {
        connector_models_path(role, path);
        memmove(role->getting_sha, sha, strlen(sha) + 1); /* PQ_JUDGE_SHA_SIZE, both */
        int result = objects->get(objects->self, where, path, connector_models_on_object, role);
        role->getting = result == ERR_OK;
        if (result != ERR_OK && result != ERR_AGAIN)
            connector_models_refuse(role, sha, "its path is no name of an object");
    }
}

/* --- the loop: Redis --------------------------------------------------------------------- */

static void connector_models_on_put(void *context, int result, const redisReply *reply)
{
    struct connector_models_role *role = context;
    role->asking = false;
    role->present = result == ERR_OK && reply->type != REDIS_REPLY_ERROR;
    role->put_us = role->present ? role->models->now_us : role->put_us;
}

static void connector_models_put(struct connector_models_role *role)
{
    char sha[MODEL_SHA256_SIZE];
    role->asking = redis_model_put(role->models->redis, bytes_of(role->bytes, role->size), sha,
                                   connector_models_on_put, role) == ERR_OK;
}

/* Another Redis than yesterday's, or one that was emptied, does not have them. */
static void connector_models_on_look(void *context, int result, struct bytes file)
{
    (void)file;
    struct connector_models_role *role = context;
    role->asking = false;
    role->present = result == ERR_OK;
    if (result == ERR_NOT_FOUND || result == ERR_CORRUPT || result == ERR_FULL)
        connector_models_put(role);
}

static void connector_models_assert(struct connector_models_role *role)
{
    if (role->asking || role->bytes == NULL)
        return;
    bool old = role->models->now_us - role->put_us > CONNECTOR_MODELS_REPEAT_US;
    if (role->put_us == 0 || old)
        connector_models_put(role);
    else
        role->asking = redis_model_fetch(role->models->redis, role->sha, connector_models_on_look,
                                         role) == ERR_OK;
}

/* A pointer moves when the bytes behind it are there. */
static void connector_models_on_pointer(void *context, int result, const char *const *sha)
{
    struct connector_models *models = context;
    models->pointing = false;
    for (int i = 0; result == ERR_OK && i < MODEL_ROLES; i++) {
        const struct connector_models_role *role = &models->roles[i];
        bool there = models->now.roles[i].there;
        const char *wanted = there ? models->now.roles[i].sha : "";
        bool ready = there ? role->present && strcmp(role->sha, wanted) == 0 : i == MODEL_SHADOW;
        if (!ready || strcmp(sha[i], wanted) == 0)
            continue;
        log_info("model_pointed", "role=%s version=%s sha=%.12s",
                 model_role_name((enum model_role)i), there ? models->now.roles[i].version : "none",
                 wanted);
        (void)redis_model_point(models->redis, (enum model_role)i, wanted, NULL, NULL);
    }
}

/* again: what is there already is looked at once more. */
static void connector_models_look(struct connector_models *models, bool again)
{
    for (int i = 0; i < MODEL_ROLES; i++) {
        struct connector_models_role *role = &models->roles[i];
        if (!models->now.roles[i].there)
            continue;
        if (strcmp(role->sha, models->now.roles[i].sha) != 0)
            connector_models_fetch(role, models->now.roles[i].sha, models->now.roles[i].path);
        if (strcmp(role->sha, models->now.roles[i].sha) == 0 && (again || !role->present))
            connector_models_assert(role);
    }
    if (!models->pointing)
        models->pointing =
            redis_model_pointer(models->redis, connector_models_on_pointer, models) == ERR_OK;
}

static void connector_models_count(struct connector_models *models,
                                   const struct connector_registry_word *word)
{
    metric_add(models->promoted, word->promoted - models->now.promoted);
    metric_add(models->rolled_back, word->rolled_back - models->now.rolled_back);
    metric_set(models->outcomes, (double)word->outcomes);
    metric_set(models->connected, word->connected);
}

int connector_models_do_work(struct connector_models *models, int64_t mono_us)
{
    if (models == NULL)
        return 0;
    struct connector_registry_word word;
    models->now_us = mono_us;
    redis_link_do_work(models->link, mono_us);
    connector_registry_read(models->registry, &word);
    bool news = word.rounds != models->now.rounds;
    if (news)
        connector_models_count(models, &word);
    models->now = word;
    if (!word.known || (!news && mono_us < models->next_us))
        return 0;
    models->next_us = mono_us + CLOCK_US_PER_S;
    connector_models_look(models, news);
    return 1;
}

/* --- status ------------------------------------------------------------------------------ */

void connector_models_status(struct connector_models *models,
                             struct connector_models_status *status)
{
    *status = (struct connector_models_status){.wanted = models != NULL};
    if (models == NULL)
        return;
    const struct connector_registry_word *now = &models->now;
    status->connected = now->connected;
    snprintf(status->production, sizeof(status->production), "%.63s",
             now->roles[MODEL_PRODUCTION].there ? now->roles[MODEL_PRODUCTION].version : "");
    snprintf(status->shadow, sizeof(status->shadow), "%.63s",
             now->roles[MODEL_SHADOW].there ? now->roles[MODEL_SHADOW].version : "");
    snprintf(status->words, sizeof(status->words), "%s", now->words);
    snprintf(status->last_move, sizeof(status->last_move), "%s", now->last_move);
}

void connector_models_health(const struct connector_models_status *status, struct text *out)
{
    text_add_format(out, "\"models\":{\"status\":\"%s\",\"production\":",
                    !status->wanted     ? "off"
                    : status->connected ? "healthy"
                                        : "degraded");
    text_add_json_string(out, status->production, strlen(status->production));
    text_add(out, ",\"shadow\":");
    text_add_json_string(out, status->shadow, strlen(status->shadow));
    text_add(out, ",\"judgement\":");
    text_add_json_string(out, status->words, strlen(status->words));
    text_add(out, ",\"last_move\":");
    text_add_json_string(out, status->last_move, strlen(status->last_move));
    text_add_char(out, '}');
}

/* --- wiring ------------------------------------------------------------------------------ */

static void connector_models_metrics(struct connector_models *models, struct metrics *metrics)
{
    models->promoted = metrics_counter(metrics, "model_registry_moves_total", "move=\"promote\"",
                                       "Models moved by the registry itself.");
    models->rolled_back =
        metrics_counter(metrics, "model_registry_moves_total", "move=\"rollback\"", NULL);
    models->outcomes =
        metrics_gauge(metrics, "model_registry_outcomes", NULL,
                      "Outcomes that the serving model and the one beside it share.");
    models->connected =
        metrics_gauge(metrics, "model_registry_connected", NULL, "1 while the registry answers.");
    models->refused = metrics_counter(metrics, "model_registry_artifacts_refused_total", NULL,
                                      "Artifacts that could not be had or have another hash.");
}

int connector_models_open(const struct connector_models_options *options, struct loop *loop,
                          struct metrics *metrics, struct connector_models **out, struct err *err)
{
    *out = NULL;
    if (options->database[0] == '\0')
        return ERR_OK;
    struct connector_models *models = calloc(1, sizeof(*models));
    if (models == NULL)
        return err_set(err, ERR_MEMORY, "registry");
    *out = models;
    models->options = *options;
    for (int i = 0; i < MODEL_ROLES; i++)
        models->roles[i] =
            (struct connector_models_role){.models = models, .role = (enum model_role)i};
    connector_models_metrics(models, metrics);
    struct redis_link_options link = redis_settings_named(options->redis, "registry", metrics);
    int result = redis_link_open(&link, loop, &models->link, err);
    if (result == ERR_OK)
        result = redis_model_open(models->link, (enum state_key_style)options->redis->key_style,
                                  options->symbol, &models->redis, err);
    if (result != ERR_OK)
        return result;
    struct connector_registry_options registry = {.database = options->database,
                                                  .symbol = options->symbol,
                                                  .name = options->name,
                                                  .promote = options->promote};
    return connector_registry_open(&registry, loop, &models->registry, err);
}

void connector_models_close(struct connector_models *models)
{
    if (models == NULL)
        return;
    if (models->registry != NULL)
        connector_registry_close(models->registry);
    if (models->link != NULL)
        redis_link_close(models->link);
    if (models->redis != NULL)
        redis_model_close(models->redis);
    for (int i = 0; i < MODEL_ROLES; i++)
        free(models->roles[i].bytes);
    free(models);
}
