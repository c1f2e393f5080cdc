/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_models.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/file/sha256_hex.h"
#include "edge/file/whole_file.h"
#include "market/feature.h"
#include "services/inference/inference_model.h"
#include "services/service_folder.h"

/* Refused files that are kept in <data>/models/quarantine; more are only counted. */
#define INFERENCE_MODELS_ASIDE_MAX 16

static void inference_models_path(const struct inference_models *models,
                                  char out[WHOLE_FILE_PATH_SIZE])
{
    snprintf(out, WHOLE_FILE_PATH_SIZE, "%s/%s-production-%lld.onnx", models->folder,
             models->options->symbol, (long long)models->options->replica);
}

static void inference_models_keep(void *self, struct bytes file)
{
    const struct inference_models *models = self;
    char path[WHOLE_FILE_PATH_SIZE];
    struct err err = {0};
    inference_models_path(models, path);
    if (whole_file_replace(path, file, &err) != ERR_OK)
        log_warn("model_not_kept", "reason=\"%s\"", err.text);
}

/* How many files lie in the folder. */
static int inference_models_count(const char *folder)
{
    int count = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void inference_models_refuse(void *self, const char *sha, struct bytes file)
{
    const struct inference_models *models = self;
    char folder[WHOLE_FILE_PATH_SIZE - 80], path[WHOLE_FILE_PATH_SIZE];
    struct err err = {0};
    snprintf(folder, sizeof(folder), "%.400s/quarantine", models->folder);
    int result = service_folder_make(folder, &err);
    if (result != ERR_OK || inference_models_count(folder) >= INFERENCE_MODELS_ASIDE_MAX)
        return;
    snprintf(path, sizeof(path), "%s/%.64s.onnx", folder, sha);
    if (whole_file_replace(path, file, &err) != ERR_OK)
        log_warn("model_not_put_aside", "reason=\"%s\"", err.text);
}

static int inference_models_pointer(void *self, model_pointer_fn done, void *context)
{
    return redis_model_pointer(((struct inference_models *)self)->redis, done, context);
}

static int inference_models_fetch(void *self, const char *sha, model_file_fn done, void *context)
{
    return redis_model_fetch(((struct inference_models *)self)->redis, sha, done, context);
}

/* The production model of an earlier life; NULL when there is none that will do. */
static struct model *inference_models_kept(const struct inference_models *models)
{
    char path[WHOLE_FILE_PATH_SIZE];
    struct model *model = NULL;
    struct err err = {0};
    inference_models_path(models, path);
    int result = inference_model_load(path, (enum mlp_kernel)models->options->kernel, &model, &err);
    if (result != ERR_OK && result != ERR_NOT_FOUND)
        log_warn("kept_model_refused", "reason=\"%s\"", err.text);
    return result == ERR_OK ? model : NULL;
}

static int inference_models_first(struct inference_models *models, struct err *err)
{
    const struct inference_options *options = models->options;
    if (options->model_path[0] == '\0')
        models->model = inference_models_kept(models);
    if (models->model != NULL)
        return ERR_OK;
    return inference_model_load(options->model_path, (enum mlp_kernel)options->kernel,
                                &models->model, err);
}

static void inference_models_metrics(struct inference_models *models, struct metrics *metrics)
{
    models->loaded = metrics_counter(metrics, "inference_models_loaded_total", NULL,
                                     "Models taken over from the registry while running.");
    models->refused =
        metrics_counter(metrics, "inference_models_refused_total", NULL,
                        "Artifacts that were corrupt, too large or of another feature schema.");
    models->fetch_failures = metrics_counter(metrics, "inference_model_fetch_failures_total", NULL,
                                             "Artifacts that could not be fetched; retried.");
    models->shadows = metrics_counter(metrics, "inference_shadow_predictions_total", NULL,
                                      "Slots that the shadow model predicted beside the live one.");
}

static int inference_models_connect(struct inference_models *models, struct loop *loop,
                                    struct metrics *metrics, struct err *err)
{
    struct redis_link_options link =
        redis_settings_named(&models->options->redis, "models", metrics);
    int result = redis_link_open(&link, loop, &models->link, err);
    if (result != ERR_OK)
        return result;
    return redis_model_open(models->link, (enum state_key_style)models->options->redis.key_style,
                            models->options->symbol, &models->redis, err);
}

int inference_models_open(struct inference_models *models, const struct inference_options *options,
                          struct loop *loop, struct metrics *metrics, struct err *err)
{
    *models = (struct inference_models){.options = options};
    snprintf(models->folder, sizeof(models->folder), "%s/models", options->common.data_dir);
    inference_models_metrics(models, metrics);
    int result = service_folder_make(models->folder, err);
    if (result == ERR_OK)
        result = inference_models_first(models, err);
    if (result == ERR_OK)
        result = inference_models_connect(models, loop, metrics, err);
    if (result != ERR_OK)
        return result;
    struct model_port port = {.self = models,
                              .pointer = inference_models_pointer,
                              .fetch = inference_models_fetch,
                              .keep = inference_models_keep,
                              .refuse = inference_models_refuse};
    const char *have[MODEL_ROLES] = {model_sha256(models->model), NULL};
    model_watch_init(&models->watch, &port, feature_schema_hash(), (enum mlp_kernel)options->kernel,
                     have);
    return ERR_OK;
}

void inference_models_close(struct inference_models *models)
{
    if (models->link != NULL)
        redis_link_close(models->link);
    if (models->redis != NULL)
        redis_model_close(models->redis);
    model_watch_close(&models->watch);
    model_close(models->model);
    model_close(models->shadow);
}

static void inference_models_tell(struct inference_models *models)
{
    const struct model_watch_counters *now = &models->watch.counters;
    metric_add(models->loaded, now->loaded - models->told.loaded);
    metric_add(models->refused, now->refused - models->told.refused);
    metric_add(models->fetch_failures, now->fetch_failures - models->told.fetch_failures);
    models->told = *now;
}

/* Between slots: the new model serves from the next slot on, the old one goes. */
static bool inference_models_move(struct inference_models *models, struct infer *infer,
                                  enum model_role role)
{
    struct model **in_use = role == MODEL_PRODUCTION ? &models->model : &models->shadow;
    struct model *old = *in_use;
    if (!model_watch_take(&models->watch, role, in_use))
        return false;
    int result = role == MODEL_PRODUCTION ? infer_set_model(infer, *in_use)
                                          : infer_set_shadow(infer, *in_use);
    (void)result; /* the phase is idle: asked before */
    log_info("model", "role=%s version=%s sha=%s", model_role_name(role),
             *in_use == NULL ? "none" : model_version(*in_use),
             *in_use == NULL ? "" : model_sha256(*in_use));
    model_close(old);
    return true;
}

bool inference_models_do_work(struct inference_models *models, struct infer *infer, int64_t mono_us)
{
    bool quiet =
        infer->phase == INFER_IDLE && infer_wait_us(infer, mono_us) > INFERENCE_MODELS_QUIET_US;
    redis_link_do_work(models->link, mono_us);
    model_watch_do_work(&models->watch, mono_us, quiet);
    redis_link_flush(models->link); /* not only when the loop comes round again */
    inference_models_tell(models);
    if (!quiet)
        return false;
    bool moved = inference_models_move(models, infer, MODEL_PRODUCTION);
    return inference_models_move(models, infer, MODEL_SHADOW) || moved;
}

void inference_models_shadow(struct inference_models *models, const struct infer_shadow *shadow)
{
    metric_add(models->shadows, redis_model_shadow(models->redis, shadow) == ERR_OK);
}
