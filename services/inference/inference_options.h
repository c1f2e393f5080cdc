/* Configuration of the inference service. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_OPTIONS_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_OPTIONS_H

#include "services/redis_settings.h"
#include "services/service.h"

enum inference_priority { INFERENCE_PRIORITY_AUTO, INFERENCE_PRIORITY_NORMAL };

struct inference_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    char model_path[512]; /* "": the built-in baseline */
    int kernel;           /* enum mlp_kernel */
    char view_path[512];  /* "": view-SYMBOL.bin in the data folder */
    int64_t replica;
    int priority; /* enum inference_priority */
    int64_t journal_slots;
    int64_t spin_us;
};

extern const struct config_schema inference_schema;

#endif
