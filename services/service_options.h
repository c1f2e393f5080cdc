/* The command line and settings that every service understands: the common fields in front
 * of its own, its flags, its help text. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SERVICE_OPTIONS_H
#define BTCAST_SERVICES_SERVICE_OPTIONS_H

#include <stdio.h>

#include "base/config.h"
#include "base/err.h"

struct service_flags {
    const char *config;                          /* --config FILE, NULL: none */
    const char *overrides[CONFIG_OVERRIDES_MAX]; /* --set, and what --data, --log-level mean */
    int override_count;
    int port_offset;
    bool help;
    char data[300];
    char log_level[32];
};

/* The common fields and those of own, as one schema that service_options_free releases.
 * default_port is http.port's default. */
int service_options_schema(const struct config_schema *own, int default_port,
                           struct config_schema *out, struct err *err) MUST_CHECK;
void service_options_free(struct config_schema *schema);

/* ERR_CONFIG for an unknown flag (with the nearest one), a missing or wrong value, a word
 * that is no flag. Both `--flag value` and `--flag=value` are taken. */
int service_options_parse(int argc, char **argv, struct service_flags *flags,
                          struct err *err) MUST_CHECK;

/* Flags and settings with types, defaults and help lines. */
void service_options_help(const char *name, const char *summary, const struct config_schema *own,
                          int default_port, FILE *out);

/* One flag of several commands: when argv[*at] is `name` or `name=value`, sets *value and
 * moves *at to the last word used; true. A missing value is ERR_CONFIG in *result. */
bool service_options_flag(int argc, char **argv, int *at, const char *name, const char **value,
                          int *result, struct err *err);
/* A whole decimal number in minimum..maximum, else ERR_CONFIG naming the flag. */
int service_options_number(const char *flag, const char *text, int64_t minimum, int64_t maximum,
                           int64_t *out, struct err *err) MUST_CHECK;
/* ERR_CONFIG unless it is a symbol (wire/sbe). */
int service_options_symbol(const char *symbol, struct err *err);
/* ERR_CONFIG "unknown option …; did you mean …?" out of a NULL-terminated list. */
int service_options_unknown(const char *word, const char *const *known, struct err *err);

#endif
