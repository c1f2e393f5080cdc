/* How the recorder reaches Redis: as the services do (docs/redis.md).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_RECORD_REDIS_H
#define BTCAST_SERVICES_CLI_RECORD_REDIS_H

#include "edge/redis/redis_link.h"

/* Passwords come from the environment, since command lines are public. user and ca_file may
 * be "". ERR_CONFIG for what is too long. */
int record_redis_link(const char *target, const char *user, const char *ca_file,
                      struct redis_link_options *link, struct err *err) MUST_CHECK;

#endif
