/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct metric *metrics_register(struct metrics *metrics, enum metric_kind kind,
                                       const char *name, const char *labels, const char *help)
{
    if (labels == NULL)
        labels = "";
    int count = atomic_load(&metrics->count);
    for (int i = 0; i < count; i++) {
        struct metric *metric = metrics->list[i];
        if (strcmp(metric->name, name) == 0 && strcmp(metric->labels, labels) == 0)
            return metric;
    }
    CHECK(count < METRICS_MAX);
    struct metric *metric = calloc(1, sizeof(*metric));
    CHECK(metric != NULL);
    metric->kind = kind;
    metric->name = name;
    metric->help = help;
    int size = snprintf(metric->labels, sizeof(metric->labels), "%s", labels);
    CHECK(size >= 0 && (size_t)size < sizeof(metric->labels));
    metrics->list[count] = metric;
    atomic_store(&metrics->count, count + 1);
    return metric;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help)
{
    return metrics_register(metrics, METRIC_COUNTER, name, labels, help);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels,
                             const char *help)
{
    return metrics_register(metrics, METRIC_GAUGE, name, labels, help);
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
                                 const char *help)
{
    return metrics_register(metrics, METRIC_HISTOGRAM, name, labels, help);
}

void metrics_close(struct metrics *metrics)
{
    int count = atomic_exchange(&metrics->count, 0);
    for (int i = 0; i < count; i++) {
        free(metrics->list[i]);
        metrics->list[i] = NULL;
    }
}
