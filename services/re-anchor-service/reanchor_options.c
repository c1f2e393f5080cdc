/* SPDX-License-Identifier: Apache-2.0 */
#include "services/re-anchor-service/reanchor_options.h"

#include <stddef.h>

#define AT(member)   offsetof(struct reanchor_service_options, member)
#define ROOM(member) sizeof(((struct reanchor_service_options *)0)->member)

static const struct config_field reanchor_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = ROOM(symbol),
     .initial = "BTCUSDT",
     .help = "symbol to re-anchor, upper case"},
    REDIS_SETTINGS_FIELDS(struct reanchor_service_options),
    REST_SETTINGS_FIELDS(struct reanchor_service_options),
};

const struct config_schema reanchor_schema = {
    .service = "re-anchor-service",
    .fields = reanchor_fields,
    .count = sizeof(reanchor_fields) / sizeof(reanchor_fields[0]),
    .options_size = sizeof(struct reanchor_service_options),
};
