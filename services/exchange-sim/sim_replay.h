/* A recorded capture as a market source: a btcast capture or the JSON capture format
 * (`<ns> <JSON>` lines), plain or gzipped, at its own receive times. It keeps the book that
 * the data gives, so that REST depth can be served once the recorded snapshot has come.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_REPLAY_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_REPLAY_H

#include <stdbool.h>

#include "base/err.h"
#include "services/exchange-sim/sim_sink.h"
#include "services/exchange-sim/sim_source.h"

struct sim_replay;

/* ERR_IO, ERR_MALFORMED (neither format), with the file's name. */
int sim_replay_open(const char *path, const char *symbol, bool loop, const struct sim_sink *sink,
                    struct sim_replay **replay, struct err *err) MUST_CHECK;
void sim_replay_close(struct sim_replay *replay);
struct sim_source sim_replay_source(struct sim_replay *replay);

#endif
