/* Options of the trainer. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_OPTIONS_H
#define BTCAST_SERVICES_TRAINER_OPTIONS_H

#include "services/service.h"
#include "services/store_settings.h"

struct trainer_options {
    struct service_common common;
    char symbol[24];
    char lake[192]; /* "": the folder `lake` below data_dir; may be s3://bucket/prefix */
    char database[STORE_SETTINGS_SIZE]; /* "": models are not registered */
    char model_name[32];
    int64_t every_h, hours; /* 0: on request only; how far back */
    int64_t delay_s;        /* before the first training after a start */
    int64_t first_simulated_h, first_seed;
    int64_t trials, epochs, folds, threads, seed, nice;
};

extern const struct config_schema trainer_schema;

#endif
