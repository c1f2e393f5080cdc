/* Options of the re-anchor service. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REANCHOR_OPTIONS_H
#define BTCAST_SERVICES_REANCHOR_OPTIONS_H

#include "services/redis_settings.h"
#include "services/rest_settings.h"
#include "services/service.h"

struct reanchor_service_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    struct rest_settings rest;
};

extern const struct config_schema reanchor_schema;

#endif
