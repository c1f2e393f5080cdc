/* One published prediction as a line for people. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_PREDICTION_LINE_H
#define BTCAST_SERVICES_CLI_PREDICTION_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

/* What is shown of the JSON of GET /prediction. */
struct prediction_line {
    int64_t slot, timestamp_ms, latency_us, age_ms;
    double price, predicted, confidence;
    char source[16], mode[16], model[64];
};

/* False when json is no prediction. */
bool prediction_line_parse(struct bytes json, struct prediction_line *line);
/* "10:00:04  64123.45 -> 64125.10  +0.26 bp  confidence 0.53  171 us  redis, live" */
void prediction_line_write(const struct prediction_line *line, bool colour, struct text *out);

#endif
