/* How a service asks the exchange over REST: the same settings everywhere (docs/rest.md), and
 * the silence that all who ask keep together. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REST_SETTINGS_H
#define BTCAST_SERVICES_REST_SETTINGS_H

#include <stddef.h>

#include "base/config.h"
#include "edge/https/https_rest.h"
#include "edge/redis/redis_silence.h"
#include "services/redis_settings.h"

struct rest_settings {
    char url[192];
    char ca_file[192];
};

#define REST_SETTINGS_TEXT(options_t, at, name, start, words)                                      \
    {                                                                                              \
        .path = (at), .type = CONFIG_TEXT, .offset = offsetof(options_t, rest.name),               \
        .size = sizeof(((options_t *)0)->rest.name), .initial = (start), .help = (words)           \
    }

/* The fields of a schema whose options struct `options_t` has a member
 * `struct rest_settings rest`. */
#define REST_SETTINGS_FIELDS(options_t)                                                            \
    REST_SETTINGS_TEXT(options_t, "rest_url", url, "http://127.0.0.1:8089",                        \
                       "the exchange's REST address, without /api"),                               \
        REST_SETTINGS_TEXT(options_t, "tls.ca_file", ca_file, "",                                  \
                           "certificates to trust instead of the system's")

/* ERR_CONFIG unless the address is one. */
int rest_settings_check(const struct rest_settings *settings, struct err *err) MUST_CHECK;
/* The client for calls that take at most timeout_us; the settings are borrowed. Whoever called
 * closes rest->https. ERR_CONFIG when ca_file cannot be read. */
int rest_settings_open(const struct rest_settings *settings, struct loop *loop, int64_t timeout_us,
                       struct https_rest *rest, struct err *err) MUST_CHECK;
/* The shared silence over a link: with hash tags it is the symbol's own (redis_silence.h). */
void rest_settings_silence(const struct redis_settings *redis, struct redis_link *link,
                           const char *symbol, struct redis_silence *silence);

#endif
