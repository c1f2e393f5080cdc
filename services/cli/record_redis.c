/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/record_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void record_redis_secret(char *out, size_t size, const char *name)
{
    const char *value = getenv(name);
    snprintf(out, size, "%s", value != NULL ? value : "");
}

int record_redis_link(const char *target, const char *user, const char *ca_file,
                      struct redis_link_options *link, struct err *err)
{
    *link = (struct redis_link_options){.seed = (uint64_t)loop_mono_ns()};
    if (strlen(target) >= sizeof(link->target))
        return err_set(err, ERR_CONFIG, "--redis: \"%s\" is too long", target);
    if (strlen(user) >= sizeof(link->username) || strlen(ca_file) >= sizeof(link->tls_ca_file))
        return err_set(err, ERR_CONFIG, "--redis-user or --tls-ca-file is too long");
    snprintf(link->target, sizeof(link->target), "%s", target);
    snprintf(link->username, sizeof(link->username), "%s", user);
    snprintf(link->tls_ca_file, sizeof(link->tls_ca_file), "%s", ca_file);
    record_redis_secret(link->password, sizeof(link->password), "BTCAST_REDIS_PASSWORD");
    record_redis_secret(link->sentinel_password, sizeof(link->sentinel_password),
                        "BTCAST_REDIS_SENTINEL_PASSWORD");
    return ERR_OK;
}
