/* The screen of `btcast watch`, from what the services answered.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_WATCH_VIEW_H
#define BTCAST_SERVICES_CLI_WATCH_VIEW_H

#include "base/text.h"
#include "services/cli/roster.h"

/* Borrowed; NULL where a service did not answer. */
struct watch_answers {
    const char *prediction;           /* JSON of inference /prediction */
    const char *metrics;              /* inference /metrics */
    const char *health[ROSTER_COUNT]; /* JSON of /health, as in roster[] */
};

/* Plain ANSI, one screen, from the top left corner. Services that need not be there are left
 * out when they are not. */
void watch_view_write(const struct watch_answers *answers, int64_t wall_us, bool colour,
                      struct text *out);

#endif
