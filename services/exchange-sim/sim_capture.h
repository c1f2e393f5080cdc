/* Hours of simulated market as a btcast capture, at full speed and without sockets, stamped
 * as the ingestor stamps what it receives (DESIGN.md section 4): epoch, gapless seq,
 * non-decreasing receive times with a small latency, ticks at their phases, and an anchor
 * with a REST depth document at the start. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_CAPTURE_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_CAPTURE_H

#include <stdint.h>

#include "base/err.h"
#include "market/record.h"
#include "services/exchange-sim/sim_options.h"

struct sim_capture_result {
    uint64_t records, frames, ticks, bytes, slots;
};

/* Writes options->capture_out (over what was there) and, when named, the oracle's CSV. A
 * failure leaves no half file behind. */
int sim_capture_write(const struct sim_options *options, struct sim_capture_result *result,
                      struct err *err) MUST_CHECK;

/* The same hours, each record handed out instead of written: for a training that needs no file.
 * The oracle's CSV is written when it is named. What record returns other than ERR_OK ends it
 * with that result. */
typedef int (*sim_capture_fn)(void *context, const struct record *record, struct err *err);
int sim_capture_records(const struct sim_options *options, sim_capture_fn record, void *context,
                        struct sim_capture_result *result, struct err *err) MUST_CHECK;

#endif
