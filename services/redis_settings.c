/* SPDX-License-Identifier: Apache-2.0 */
#include "services/redis_settings.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define REDIS_SETTINGS_WAIT_US 3000000

const char *const redis_settings_key_styles[] = {"plain", "hashtag", NULL};

struct redis_link_options redis_settings_link(const struct redis_settings *settings)
{
    struct redis_link_options link = {.seed = (uint64_t)loop_mono_ns()};
    snprintf(link.target, sizeof(link.target), "%s", settings->target);
    snprintf(link.username, sizeof(link.username), "%s", settings->username);
    snprintf(link.password, sizeof(link.password), "%s", settings->password);
    memcpy(link.sentinel_username, settings->sentinel_username, sizeof(link.sentinel_username));
    memcpy(link.sentinel_password, settings->sentinel_password, sizeof(link.sentinel_password));
    memcpy(link.tls_ca_file, settings->tls_ca_file, sizeof(link.tls_ca_file));
    memcpy(link.tls_cert_file, settings->tls_cert_file, sizeof(link.tls_cert_file));
    memcpy(link.tls_key_file, settings->tls_key_file, sizeof(link.tls_key_file));
    return link;
}

struct redis_link_options redis_settings_named(const struct redis_settings *settings,
                                               const char *name, struct metrics *metrics)
{
    struct redis_link_options link = redis_settings_link(settings);
    snprintf(link.name, sizeof(link.name), "%s", name);
    link.metrics = metrics;
    return link;
}

int redis_settings_wait(const struct redis_settings *settings, struct redis_link *link,
                        struct loop *loop, struct err *err)
{
    int64_t deadline_us = loop_mono_us() + REDIS_SETTINGS_WAIT_US;
    while (settings->require && !redis_link_connected(link) && loop_mono_us() < deadline_us) {
        redis_link_do_work(link, loop_mono_us());
        loop_run_once(loop, 1000);
    }
    if (redis_link_connected(link) || !settings->require)
        return ERR_OK;
    return err_set(err, ERR_CONNECTION, "redis.target: %s cannot be reached (require_redis is set)",
                   settings->target);
}

static void redis_settings_on_state(void *context, bool connected)
{
    const struct redis_settings *settings = context;
    log_line(connected ? LOG_INFO : LOG_WARN, connected ? "redis_connected" : "redis_lost",
             "target=%s", settings->target);
}

int redis_settings_open(struct redis_settings *settings, const char *name, struct metrics *metrics,
                        struct loop *loop, struct redis_link **link, struct err *err)
{
    struct redis_link_options options = redis_settings_named(settings, name, metrics);
    int result = redis_link_open(&options, loop, link, err);
    if (result != ERR_OK)
        return result;
    redis_link_on_state(*link, redis_settings_on_state, settings);
    return redis_settings_wait(settings, *link, loop, err);
}
