/* The metrics of one process: counters, gauges and latency histograms, registered
 * at start, updated by their owner with relaxed atomics, read by the HTTP thread.
 * Names come from CONTRACTS.md section 9 (docs/metrics.md lists them all); the
 * text format is made by wire/prometheus. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_METRICS_H
#define BTCAST_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/histogram.h"

#define METRICS_MAX         256
#define METRICS_LABELS_SIZE 96

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    enum metric_kind kind;
    const char *name;                 /* static; counters end in _total */
    const char *help;                 /* static; one sentence */
    char labels[METRICS_LABELS_SIZE]; /* `stream="trade",status="ok"` or empty */
    _Atomic uint64_t count;           /* METRIC_COUNTER */
    _Atomic double value;             /* METRIC_GAUGE */
    struct histogram histogram;       /* METRIC_HISTOGRAM */
};

struct metrics {
    struct metric *list[METRICS_MAX];
    _Atomic int count;
};

/* Registers and returns a metric that lives until metrics_close; the same name and
 * labels give the same metric. labels may be NULL. More than METRICS_MAX is a
 * broken invariant. Call at start only, from one thread. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels,
                             const char *help);
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
                                 const char *help);
void metrics_close(struct metrics *metrics);

static inline void metric_add(struct metric *metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&metric->count, amount, memory_order_relaxed);
}

/* A counter of a total that is kept elsewhere: adds what that has grown by since *told. */
static inline void metric_follow(struct metric *metric, uint64_t total, uint64_t *told)
{
    if (total > *told)
        metric_add(metric, total - *told);
    *told = total;
}

static inline uint64_t metric_count(const struct metric *metric)
{
    return atomic_load_explicit(&metric->count, memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, double value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline double metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static inline void metric_observe_ns(struct metric *metric, int64_t value_ns)
{
    histogram_add(&metric->histogram, value_ns);
}

#endif
