/* JSON captures (`<receive time, ns> <JSON>` lines, plain or gzip) -> records in world order:
 * each message becomes the SBE frame the exchange would have sent, goes through the ingestor's
 * own agent on a virtual clock and comes out stamped, ticks included. A REST depth line becomes
 * an anchor. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REPLAY_REPLAY_JSON_H
#define BTCAST_SERVICES_REPLAY_REPLAY_JSON_H

#include <stdint.h>

#include "base/err.h"
#include "market/record.h"

struct replay_json_counters {
    uint64_t lines, messages, snapshots, other, malformed, oversize, refused;
};

typedef void (*replay_record_fn)(void *context, const struct record *record);

/* Reads the whole file; record is called for each record. ERR_IO, ERR_CORRUPT (damaged gzip),
 * ERR_MALFORMED when no line holds a message of the symbol. */
int replay_json(const char *path, const char *symbol, replay_record_fn record, void *context,
                struct replay_json_counters *counters, struct err *err) MUST_CHECK;

#endif
