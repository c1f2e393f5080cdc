/* Options of the aggregator service. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_AGGREGATOR_OPTIONS_H
#define BTCAST_SERVICES_AGGREGATOR_OPTIONS_H

#include "services/redis_settings.h"
#include "services/service.h"

struct aggregator_service_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    char consumer[48];
    int64_t lease_ttl_ms;
    int64_t lease_renew_ms;
    int64_t hold_ms;
    int64_t flush_delay_us;
    int64_t checkpoint_ms;
};

extern const struct config_schema aggregator_schema;

#endif
