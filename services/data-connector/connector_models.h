/* The model registry's hand in the data-connector (its part model-reg): the service's loop makes
 * Redis say what the registry in SQL says (connector_registry): the artifact's bytes under their
 * hash, then the pointers. SQL or the lake away: what stands in Redis stays.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_MODELS_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_MODELS_H

#include <stdbool.h>

#include "base/metrics.h"
#include "base/text.h"
#include "edge/redis/redis_model.h"
#include "learn/lake/object_port.h"
#include "services/redis_settings.h"

/* Bytes are asserted again this often in any case, before their time to live ends. */
#define CONNECTOR_MODELS_REPEAT_US (3600 * CLOCK_US_PER_S)

struct connector_models_options {
    const char *database; /* "": none, then this part does nothing */
    const char *symbol, *name;
    const char *folder; /* for artifacts on their way */
    bool promote;       /* candidates that are better are promoted */
    const struct redis_settings *redis;
    struct object_port objects;
};

struct connector_models; /* opaque */

/* Texts are borrowed. */
int connector_models_open(const struct connector_models_options *options, struct loop *loop,
                          struct metrics *metrics, struct connector_models **models,
                          struct err *err) MUST_CHECK;
/* The objects port is open still: a call under way is waited for by its close. */
void connector_models_close(struct connector_models *models);
int connector_models_do_work(struct connector_models *models, int64_t mono_us);

/* For the HTTP thread. */
struct connector_models_status {
    bool wanted, connected;
    char production[64], shadow[64], words[320], last_move[256];
};
void connector_models_status(struct connector_models *models,
                             struct connector_models_status *status);
void connector_models_health(const struct connector_models_status *status, struct text *out);

#endif
