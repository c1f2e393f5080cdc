/* SPDX-License-Identifier: Apache-2.0 */
#include "services/re-anchor-service/reanchor_options.h"

#include <stddef.h>

static const char *const key_styles[] = {"plain", "hashtag", NULL};

#define AT(member)   offsetof(struct reanchor_service_options, member)
#define ROOM(member) sizeof(((struct reanchor_service_options *)0)->member)

static const struct config_field reanchor_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = ROOM(symbol),
     .initial = "BTCUSDT",
     .help = "symbol to re-anchor, upper case"},
    {.path = "redis.target",
     .type = CONFIG_TEXT,
     .offset = AT(redis_target),
     .size = ROOM(redis_target),
     .initial = "127.0.0.1:6379",
     .help = "unix:/path or host:port of the hot state"},
    {.path = "redis.username",
     .type = CONFIG_TEXT,
     .offset = AT(redis_username),
     .size = ROOM(redis_username),
     .initial = "",
     .help = "user for AUTH; empty: the default user"},
    {.path = "redis.password",
     .type = CONFIG_SECRET,
     .offset = AT(redis_password),
     .size = ROOM(redis_password),
     .secret_env = "BTCAST_REDIS_PASSWORD",
     .initial = "",
     .help = "password for AUTH"},
    {.path = "redis.key_style",
     .type = CONFIG_CHOICE,
     .offset = AT(key_style),
     .choices = key_styles,
     .initial = "plain",
     .help = "plain (single server) or hashtag (cluster)"},
    {.path = "require_redis",
     .type = CONFIG_BOOL,
     .offset = AT(require_redis),
     .initial = "false",
     .help = "refuse to start when Redis cannot be reached"},
    {.path = "rest_url",
     .type = CONFIG_TEXT,
     .offset = AT(rest_url),
     .size = ROOM(rest_url),
     .initial = "http://127.0.0.1:8089",
     .help = "the exchange's REST address, without /api"},
    {.path = "tls.ca_file",
     .type = CONFIG_TEXT,
     .offset = AT(ca_file),
     .size = ROOM(ca_file),
     .initial = "",
     .help = "certificates to trust instead of the system's"},
};

const struct config_schema reanchor_schema = {
    .service = "re-anchor-service",
    .fields = reanchor_fields,
    .count = sizeof(reanchor_fields) / sizeof(reanchor_fields[0]),
    .options_size = sizeof(struct reanchor_service_options),
};
