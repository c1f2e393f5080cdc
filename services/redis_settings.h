/* How a service reaches Redis: the same settings everywhere (docs/redis.md).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REDIS_SETTINGS_H
#define BTCAST_SERVICES_REDIS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "edge/redis/redis_link.h"

struct redis_settings {
    char target[REDIS_TARGET_SIZE];
    char username[64];
    char password[128];
    char sentinel_username[64];
    char sentinel_password[128];
    char tls_ca_file[256], tls_cert_file[256], tls_key_file[256];
    int key_style; /* enum state_key_style, enum stream_key_style */
    bool require;
};

extern const char *const redis_settings_key_styles[];

#define REDIS_SETTINGS_TEXT(options_t, name, start, words)                                         \
    {                                                                                              \
        .path = "redis." #name, .type = CONFIG_TEXT, .offset = offsetof(options_t, redis.name),    \
        .size = sizeof(((options_t *)0)->redis.name), .initial = (start), .help = (words)          \
    }
#define REDIS_SETTINGS_SECRET(options_t, name, env, words)                                         \
    {                                                                                              \
        .path = "redis." #name, .type = CONFIG_SECRET, .offset = offsetof(options_t, redis.name),  \
        .size = sizeof(((options_t *)0)->redis.name), .secret_env = (env), .initial = "",          \
        .help = (words)                                                                            \
    }

/* The fields of a schema whose options struct `options_t` has a member
 * `struct redis_settings redis`. */
#define REDIS_SETTINGS_FIELDS(options_t)                                                           \
    REDIS_SETTINGS_TEXT(options_t, target, "127.0.0.1:6379",                                       \
                        "unix:/path, host:port, rediss://host:port, "                              \
                        "sentinel:host:port,.../name or cluster:host:port,..."),                   \
        REDIS_SETTINGS_TEXT(options_t, username, "",                                               \
                            "user for AUTH (ACL); empty: the default user"),                       \
        REDIS_SETTINGS_SECRET(options_t, password, "BTCAST_REDIS_PASSWORD",                        \
                              "password for AUTH; empty: none"),                                   \
        REDIS_SETTINGS_TEXT(options_t, sentinel_username, "", "user for AUTH with sentinels"),     \
        REDIS_SETTINGS_SECRET(options_t, sentinel_password, "BTCAST_REDIS_SENTINEL_PASSWORD",      \
                              "password for AUTH with sentinels; empty: none"),                    \
        REDIS_SETTINGS_TEXT(options_t, tls_ca_file, "",                                            \
                            "CA certificates for TLS targets; empty: the system's"),               \
        REDIS_SETTINGS_TEXT(options_t, tls_cert_file, "",                                          \
                            "our certificate for servers that want one; empty: none"),             \
        REDIS_SETTINGS_TEXT(options_t, tls_key_file, "", "its key; empty: in tls_cert_file"),      \
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
/* The same with a name (CLIENT SETNAME, the metrics' label, log lines) and metrics
 * (redis_link_*): each link of a process under a name of its own. */
struct redis_link_options redis_settings_named(const struct redis_settings *settings,
                                               const char *name, struct metrics *metrics);
/* Opens the link of that name and says in the log when it comes and goes; settings are borrowed
 * for as long as the link lives. If the connection is required, waits for it (redis_settings_wait).
 * A link that was opened is the caller's, also when the wait fails. */
int redis_settings_open(struct redis_settings *settings, const char *name, struct metrics *metrics,
                        struct loop *loop, struct redis_link **link, struct err *err) MUST_CHECK;
/* If the connection is required, waits for it a moment: ERR_CONNECTION without one. If not,
 * ERR_OK at once: the service starts and degrades. */
int redis_settings_wait(const struct redis_settings *settings, struct redis_link *link,
                        struct loop *loop, struct err *err) MUST_CHECK;

#endif
