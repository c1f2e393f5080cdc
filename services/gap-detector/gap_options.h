/* Options of the gap detector. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_GAP_OPTIONS_H
#define BTCAST_SERVICES_GAP_OPTIONS_H

#include "services/redis_settings.h"
#include "services/rest_settings.h"
#include "services/service.h"

struct gap_service_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    struct rest_settings rest;
    bool once;
    int64_t silence_ms, price_jump_bp, skew_ms, trade_hole_min;
    int64_t hint_hold_s, cooldown_s, overdue_s;
};

extern const struct config_schema gap_schema;

#endif
