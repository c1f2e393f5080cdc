/* One service's health as a line for people.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_HEALTH_LINE_H
#define BTCAST_SERVICES_CLI_HEALTH_LINE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

/* "  aggregator         healthy    redis_cluster:healthy feature_pipeline:healthy", without a
 * line end. health: the object of /health (borrowed), NULL when there was no answer; of one
 * without components its `reason` is shown. */
void health_line_write(const char *name, const json_t *health, bool colour, struct text *out);
/* A status with its colour: green, yellow for degraded, red for the rest. */
void health_line_status(const char *status, bool colour, struct text *out);

#endif
