/* One configuration value: text to the typed member a field describes, and what to say
 * when it does not fit. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CONFIG_VALUE_H
#define BTCAST_BASE_CONFIG_VALUE_H

#include "base/config.h"
#include "base/config_yaml.h"
#include "base/text.h"

/* Stores value in options as field says. False: nothing stored, and why got
 * "expected …, found …" (never the text of a secret). */
bool config_value_set(const struct config_field *field, enum config_kind kind, struct bytes value,
                      void *options, struct text *why);
/* "an integer 1..65535", "one of sim, binance", … */
void config_value_expected(const struct config_field *field, struct text *out);

#endif
