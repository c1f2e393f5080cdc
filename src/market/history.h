/* What the ticks saw: one sample a tick in a bounded ring, with running sums as exact
 * integers, so that anything over a span is a difference of two samples.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_HISTORY_H
#define BTCAST_MARKET_HISTORY_H

#include <stdint.h>

#include "market/codec.h"

/* Samples kept: 97 s of ticks. Older spans than the ring holds are unknown. */
#define HISTORY_SAMPLES_MAX 1024
/* Log returns are summed in billionths, clamped to ten per cent a tick. */
#define HISTORY_RETURN_UNIT 1e9
#define HISTORY_RETURN_MAX  1e8
/* Order flow is summed in millionths of the mean depth, clamped to 1000 depths a tick. */
#define HISTORY_FLOW_UNIT 1e6
#define HISTORY_FLOW_MAX  1e9

enum history_span {
    HISTORY_500MS,
    HISTORY_1S,
    HISTORY_5S,
    HISTORY_10S,
    HISTORY_30S,
    HISTORY_SPAN_COUNT,
};

struct history_sample {
    int64_t recv_us;
    double log_mid;
    uint64_t squares;   /* running sum of squared returns; wraps, differences do not care */
    uint64_t flow;      /* running order flow at the touch */
    uint64_t flow_deep; /* … over five levels */
    uint64_t quotes;    /* running count of quote updates */
};

struct history {
    uint64_t head, tail;
    uint64_t cursors[HISTORY_SPAN_COUNT]; /* number of the sample each span looks back to */
    struct history_sample samples[HISTORY_SAMPLES_MAX];
};

/* What happened between the last sample and this one. */
struct history_step {
    int64_t recv_us; /* not before the last sample's */
    double log_mid;
    double flow, flow_deep; /* in mean depths; finite */
    uint64_t quotes;        /* running count */
};

void history_init(struct history *history);
void history_push(struct history *history, const struct history_step *step);
/* The newest sample; NULL when there is none. */
const struct history_sample *history_last(const struct history *history);
/* The newest sample with recv_us <= last sample's - span; NULL: none so old. */
const struct history_sample *history_back(const struct history *history, enum history_span span);
void history_code(struct history *history, struct codec *codec);
#define HISTORY_CODE_SIZE_MAX (8 + (size_t)HISTORY_SAMPLES_MAX * 6 * 8)

#endif
