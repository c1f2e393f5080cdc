/* How a service reaches Redis: the same five settings everywhere.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REDIS_SETTINGS_H
#define BTCAST_SERVICES_REDIS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "edge/redis/redis_link.h"

struct redis_settings {
    char target[128];
    char username[64];
    char password[128];
    int key_style; /* enum state_key_style, enum stream_key_style */
    bool require;
};

extern const char *const redis_settings_key_styles[];

/* The fields of a schema whose options struct `options_t` has a member
 * `struct redis_settings redis`. */
#define REDIS_SETTINGS_FIELDS(options_t)                                                           \
    {.path = "redis.target",                                                                       \
     .type = CONFIG_TEXT,                                                                          \
     .offset = offsetof(options_t, redis.target),                                                  \
     .size = sizeof(((options_t *)0)->redis.target),                                               \
     .initial = "127.0.0.1:6379",                                                                  \
     .help = "unix:/path/redis.sock or host:port"},                                                \
        {.path = "redis.username",                                                                 \
         .type = CONFIG_TEXT,                                                                      \
         .offset = offsetof(options_t, redis.username),                                            \
         .size = sizeof(((options_t *)0)->redis.username),                                         \
         .initial = "",                                                                            \
         .help = "user for AUTH; empty: the default user"},                                        \
        {.path = "redis.password",                                                                 \
         .type = CONFIG_SECRET,                                                                    \
         .offset = offsetof(options_t, redis.password),                                            \
         .size = sizeof(((options_t *)0)->redis.password),                                         \
         .secret_env = "BTCAST_REDIS_PASSWORD",                                                    \
         .initial = "",                                                                            \
         .help = "password for AUTH; empty: none"},                                                \
        {.path = "redis.key_style",                                                                \
         .type = CONFIG_CHOICE,                                                                    \
         .offset = offsetof(options_t, redis.key_style),                                           \
         .choices = redis_settings_key_styles,                                                     \
         .initial = "plain",                                                                       \
         .help = "plain (single server) or hashtag (cluster: keys with {symbol})"},                \
    {                                                                                              \
        .path = "require_redis", .type = CONFIG_BOOL,                                              \
        .offset = offsetof(options_t, redis.require), .initial = "false",                          \
        .help = "leave with status 1 when Redis does not answer at start"                          \
    }

struct redis_link_options redis_settings_link(const struct redis_settings *settings);
/* If the connection is required, waits for it a moment: ERR_CONNECTION without one. If not,
 * ERR_OK at once: the service starts and degrades. */
int redis_settings_wait(const struct redis_settings *settings, struct redis_link *link,
                        struct loop *loop, struct err *err) MUST_CHECK;

#endif
