/* The models of the inference service while it runs: the one in use, the shadow, and the
 * registry's moves followed between slots, over a Redis link of its own. The last good
 * file in production is kept in the data folder. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_MODELS_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_MODELS_H

#include "edge/redis/redis_model.h"
#include "hot/infer/model_watch.h"
#include "services/inference/inference_options.h"

/* No file is read with a slot nearer than this. */
#define INFERENCE_MODELS_QUIET_US 100000

struct inference_models {
    const struct inference_options *options;
    struct redis_link *link;
    struct redis_model *redis;
    struct model_watch watch;
    struct model *model, *shadow; /* in use */
    struct metric *loaded, *refused, *fetch_failures, *shadows;
    struct model_watch_counters told;
    char folder[384];
};

/* Loads the model to begin with: model.path, else the last good one kept, else the built-in
 * baseline. ERR_IO, ERR_SCHEMA … for model.path only. */
int inference_models_open(struct inference_models *models, const struct inference_options *options,
                          struct loop *loop, struct metrics *metrics, struct err *err) MUST_CHECK;
void inference_models_close(struct inference_models *models);
/* Moves to what the registry says; *model and *shadow change between slots only. Returns
 * whether a model changed. */
bool inference_models_do_work(struct inference_models *models, struct infer *infer,
                              int64_t mono_us);
/* infer_observer.shadow's work. */
void inference_models_shadow(struct inference_models *models, const struct infer_shadow *shadow);

#endif
