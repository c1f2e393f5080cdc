/* Values out of a /metrics page. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_METRICS_TEXT_H
#define BTCAST_SERVICES_CLI_METRICS_TEXT_H

#include <stdbool.h>

/* The value of the first sample called name, with or without labels. False if none. */
bool metrics_text_value(const char *page, const char *name, double *value);
/* The q quantile (0..1) of the histogram called name, by interpolation in its bucket. False
 * if there is none or it is empty. */
bool metrics_text_quantile(const char *page, const char *name, double q, double *value);

#endif
