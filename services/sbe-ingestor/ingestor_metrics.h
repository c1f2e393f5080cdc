/* The sbe-ingestor's metrics: its agents count in plain integers on their own thread; a few
 * times a second the differences go into the metrics (CONTRACTS.md section 9; docs/ingest.md
 * lists them). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SBE_INGESTOR_INGESTOR_METRICS_H
#define BTCAST_SERVICES_SBE_INGESTOR_INGESTOR_METRICS_H

#include "base/metrics.h"
#include "edge/file/spool_file.h"
#include "services/sbe-ingestor/collector.h"

#define INGESTOR_METRICS_COUNTERS_MAX 96
#define INGESTOR_METRICS_PERIOD_US    200000

/* A counter and the integer it follows. */
struct ingestor_counter {
    struct metric *metric;
    const uint64_t *source;
    uint64_t last;
};

struct ingestor_metrics {
    struct ingestor_counter counters[INGESTOR_METRICS_COUNTERS_MAX];
    int count;
    struct metric *connected, *lines_live, *throughput, *seq, *epoch, *pending, *ring_bytes,
        *spool_bytes, *last_age, *stream_ready, *clock_steps;
    struct metric *decode, *publish; /* histograms */
    uint64_t last_messages;
    int64_t last_us;
};

/* decode and publish exist from here on. */
void ingestor_metrics_open(struct ingestor_metrics *self, struct metrics *metrics);
/* Follows the agents' counters; call once they are open. */
void ingestor_metrics_follow(struct ingestor_metrics *self, struct metrics *metrics,
                             const struct ingest *ingest, const struct collector *collector);
/* Brings the metrics up to date. spool may be NULL. */
void ingestor_metrics_update(struct ingestor_metrics *self, const struct ingest *ingest,
                             const struct collector *collector, const struct spool_file *spool,
                             int64_t mono_us);

#endif
