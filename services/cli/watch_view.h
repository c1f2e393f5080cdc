/* The screen of `btcast watch`, from what the services answered.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_WATCH_VIEW_H
#define BTCAST_SERVICES_CLI_WATCH_VIEW_H

#include "base/text.h"

/* Borrowed; NULL where a service did not answer. */
struct watch_answers {
    const char *prediction; /* JSON of inference /prediction */
    const char *metrics;    /* inference /metrics */
    const char *health[4];  /* JSON of /health of the services below */
};

enum watch_service { WATCH_INGESTOR, WATCH_AGGREGATOR, WATCH_ANCHOR, WATCH_INFERENCE };

/* Plain ANSI, one screen, from the top left corner. */
void watch_view_write(const struct watch_answers *answers, int64_t wall_us, bool colour,
                      struct text *out);

#endif
