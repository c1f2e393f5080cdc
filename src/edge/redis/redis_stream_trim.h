/* Keeps the streams short: removes what the slowest registered consumer has read, and caps
 * the length whatever was read (DESIGN.md section 5, Streams). One stream a step, so that
 * the server never pauses for all at once. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_TRIM_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_TRIM_H

#include "base/metrics.h"
#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "hot/stream/stream_key.h"

struct redis_trim_options {
    const char *symbol; /* borrowed */
    enum stream_key_style style;
    int64_t length_max;
    int64_t consumer_expiry_s;
    int64_t interval_us; /* each stream's */
    int64_t settle_ms;   /* a registry younger than this may not know everybody yet */
    bool checkpoint;     /* nothing goes that the symbol's stored checkpoint begins with */
    struct metrics *metrics;
};

struct redis_trim_stats {
    uint64_t trimmed;       /* entries removed behind the slowest consumer */
    uint64_t capped;        /* entries removed by length_max */
    uint64_t capped_unread; /* of these, in runs that crossed a registered consumer */
    uint64_t consumers_expired;
    uint64_t failed; /* runs the server refused */
};

struct redis_trim {
    struct redis_link *link;
    struct redis_trim_options options;
    struct redis_script script;
    unsigned mask; /* 1 << name: streams to keep short; the owner sets it */
    int next;      /* the stream whose turn it is */
    int64_t due_us;
    bool busy;
    struct redis_trim_stats stats;
    struct metric *metric_trimmed, *metric_unread;
};

void redis_trim_init(struct redis_trim *trim, const struct redis_trim_options *options,
                     struct redis_link *link);
void redis_trim_do_work(struct redis_trim *trim, int64_t mono_us);

#endif
