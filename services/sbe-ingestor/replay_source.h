/* A recorded file as a source of frames, at its own pace: a btcast capture, or the JSON
 * capture format (`<receive time, ns> <JSON>` a line, plain or gzip). Only market data is
 * replayed: ticks, order and receive times are made anew, for now.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SBE_INGESTOR_REPLAY_SOURCE_H
#define BTCAST_SERVICES_SBE_INGESTOR_REPLAY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* Frames given in one call, so that other work is not kept waiting. */
#define REPLAY_BURST_MAX 1000

struct replay_counters {
    uint64_t frames, skipped, malformed;
};

typedef void (*replay_frame_fn)(void *context, struct bytes frame, uint8_t flags);

struct replay_source;

/* speed: times faster than recorded, 0: as fast as possible. symbol: of the frames wanted,
 * for the message when the file holds another. */
int replay_source_open(const char *path, double speed, const char *symbol, replay_frame_fn frame,
                       void *context, struct replay_source **source, struct err *err) MUST_CHECK;
void replay_source_close(struct replay_source *source);
/* Gives the frames that are due. Returns microseconds until the next one, 0: there is more
 * now, INT64_MAX at the end. */
int64_t replay_source_do_work(struct replay_source *source, int64_t mono_us);
bool replay_source_finished(const struct replay_source *source);
const struct replay_counters *replay_source_counters(const struct replay_source *source);

#endif
