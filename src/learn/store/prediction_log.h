/* The agent that keeps the audit log of predictions: follows the published stream from where
 * the store says it got to, loads what is new, and brings the mids that make outcomes known.
 * Each prediction is loaded exactly once: its position is committed with it, and loading twice
 * would change nothing. While the store is away it reads no further than its queue has room
 * for; the stream keeps the rest. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_PREDICTION_LOG_H
#define BTCAST_LEARN_STORE_PREDICTION_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "learn/store/prediction_source.h"
#include "learn/store/row_loader.h"
#include "learn/store/store_port.h"

struct prediction_log_options {
    char symbol[24];
    /* "shadow": what another model says beside the live one; without mids. Else "live". */
    const char *role;
    const struct store_port *store;
    const struct prediction_source *source;
    int64_t poll_us;                    /* between reads when there is nothing new: 500 ms */
    int64_t retry_min_us, retry_max_us; /* 100 ms, 10 s */
    uint64_t seed;
};

struct prediction_log_stats {
    uint64_t read;      /* predictions taken from the stream */
    uint64_t missing;   /* slots that the stream does not have any more, or never had */
    uint64_t malformed; /* entries and mids that were none */
    uint64_t mids;      /* slot mids handed to the store */
    uint64_t refused;   /* rows that the store refused for good */
};

struct prediction_log {
    struct prediction_log_options options;
    struct row_loader predictions, mids;
    enum { PREDICTION_LOG_ASK, PREDICTION_LOG_WAIT, PREDICTION_LOG_FOLLOW } phase;
    int64_t now_us;
    int64_t slot;     /* the last one read, 0: none */
    int64_t mid_slot; /* mids up to here were handed over */
    bool reading, reading_mids;
    int read_limit, read_count; /* of the read under way */
    int64_t ask_us, read_us, mids_us;
    struct log_limit limit;
    struct prediction_log_stats stats;
};

int prediction_log_open(struct prediction_log *log, const struct prediction_log_options *options,
                        struct err *err) MUST_CHECK;
/* After the ports were closed: nothing may be answered afterwards. */
void prediction_log_close(struct prediction_log *log);
/* Drives the ports as well. Returns the work done. */
int prediction_log_do_work(struct prediction_log *log, int64_t mono_us);

#endif
