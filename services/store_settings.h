/* Where the SQL store is: the same setting everywhere (docs/store.md).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_STORE_SETTINGS_H
#define BTCAST_SERVICES_STORE_SETTINGS_H

#include <stddef.h>

#include "base/config.h"

#define STORE_SETTINGS_SIZE 1024

/* The field of a schema whose options struct `options_t` has a member
 * `char database[STORE_SETTINGS_SIZE]`, "" for none; `without` says what that means. */
#define STORE_SETTINGS_FIELD(options_t, without)                                                   \
    {                                                                                              \
        .path = "database_url", .type = CONFIG_SECRET, .offset = offsetof(options_t, database),    \
        .size = STORE_SETTINGS_SIZE, .secret_env = "DATABASE_URL", .initial = "",                  \
        .help = "address of the SQL store; empty: " without                                        \
    }

#endif
