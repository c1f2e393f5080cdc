/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/prometheus.h"

#include <math.h>
#include <string.h>

/* Edges from one whole octave to the next (base/histogram). */
#define PROMETHEUS_OCTAVE 4

static void prometheus_add_escaped(struct text *out, const char *value, const char *special)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            text_add(out, "\\n");
            continue;
        }
        if (strchr(special, *value) != NULL)
            text_add_char(out, '\\');
        text_add_char(out, *value);
    }
}

void prometheus_add_label(struct text *labels, const char *name, const char *value)
{
    if (labels->size > 0)
        text_add_char(labels, ',');
    text_add(labels, name);
    text_add(labels, "=\"");
    prometheus_add_escaped(labels, value, "\\\"");
    text_add_char(labels, '"');
}

static void prometheus_write_head(struct text *out, const char *name, const char *help,
                                  const char *type)
{
    text_add(out, "# HELP ");
    text_add(out, name);
    text_add_char(out, ' ');
    prometheus_add_escaped(out, help, "\\");
    text_add(out, "\n# TYPE ");
    text_add(out, name);
    text_add_char(out, ' ');
    text_add(out, type);
    text_add_char(out, '\n');
}

/* name + suffix + labels, up to the value. */
static void prometheus_write_name(struct text *out, const struct metric *metric, const char *suffix)
{
    text_add(out, metric->name);
    text_add(out, suffix);
    if (metric->labels[0] != '\0') {
        text_add_char(out, '{');
        text_add(out, metric->labels);
        text_add_char(out, '}');
    }
    text_add_char(out, ' ');
}

static void prometheus_write_f64(struct text *out, double value)
{
    if (isnan(value))
        text_add(out, "NaN");
    else if (isinf(value))
        text_add(out, value > 0 ? "+Inf" : "-Inf");
    else
        text_add_f64(out, value);
}

/* edge_ns < 0: the one above every edge. */
static void prometheus_write_bucket(struct text *out, const struct metric *metric, int64_t edge_ns,
                                    uint64_t cumulative)
{
    text_add(out, metric->name);
    text_add(out, "_bucket{");
    text_add(out, metric->labels);
    text_add(out, metric->labels[0] != '\0' ? ",le=\"" : "le=\"");
    if (edge_ns < 0)
        text_add(out, "+Inf");
    else
        text_add_f64(out, (double)edge_ns / 1e9);
    text_add(out, "\"} ");
    text_add_u64(out, cumulative);
    text_add_char(out, '\n');
}

static void prometheus_write_histogram(struct text *out, const struct metric *metric)
{
    const int64_t *edges = histogram_edges_ns();
    uint64_t counts[HISTOGRAM_EDGES + 1];
    for (int i = 0; i <= HISTOGRAM_EDGES; i++)
        counts[i] = atomic_load_explicit(&metric->histogram.counts[i], memory_order_relaxed);
    uint64_t cumulative = 0;
    int steps = 0;
    for (int i = 0; i < HISTOGRAM_EDGES; i++) {
        cumulative += counts[i];
        bool exact = edges[i] == 30000000 || edges[i] == 100000000;
        bool octave = !exact && steps % PROMETHEUS_OCTAVE == 0;
        steps += !exact;
        /* Beside a hit bucket both edges are wanted: interpolation needs them. */
        if (exact || octave || counts[i] > 0 || counts[i + 1] > 0)
            prometheus_write_bucket(out, metric, edges[i], cumulative);
    }
    cumulative += counts[HISTOGRAM_EDGES];
    prometheus_write_bucket(out, metric, -1, cumulative);
    prometheus_write_name(out, metric, "_sum");
    text_add_decimal(out, atomic_load_explicit(&metric->histogram.sum_ns, memory_order_relaxed),
                     -9);
    text_add_char(out, '\n');
    prometheus_write_name(out, metric, "_count");
    text_add_u64(out, cumulative);
    text_add_char(out, '\n');
}

static void prometheus_write_metric(struct text *out, const struct metric *metric)
{
    if (metric->kind == METRIC_HISTOGRAM) {
        prometheus_write_histogram(out, metric);
        return;
    }
    prometheus_write_name(out, metric, "");
    if (metric->kind == METRIC_COUNTER)
        text_add_u64(out, metric_count(metric));
    else
        prometheus_write_f64(out, metric_value(metric));
    text_add_char(out, '\n');
}

/* Is this the first metric of its name? */
static bool prometheus_is_first(const struct metrics *metrics, int index)
{
    for (int i = 0; i < index; i++)
        if (strcmp(metrics->list[i]->name, metrics->list[index]->name) == 0)
            return false;
    return true;
}

static void prometheus_write_build(const char *service, struct text *out)
{
    char buffer[256];
    struct text labels = text_begin(buffer, sizeof(buffer));
    prometheus_add_label(&labels, "service", service);
    prometheus_add_label(&labels, "version", BTCAST_VERSION);
    prometheus_write_head(out, "btcast_build_info", "The program that runs here; always 1.",
                          "gauge");
    text_add(out, "btcast_build_info{");
    text_add(out, text_end(&labels));
    text_add(out, "} 1\n");
}

void prometheus_write(const struct metrics *metrics, const char *service, struct text *out)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    int count = atomic_load(&metrics->count);
    prometheus_write_build(service, out);
    for (int i = 0; i < count; i++) {
        if (!prometheus_is_first(metrics, i))
            continue;
        const struct metric *first = metrics->list[i];
        prometheus_write_head(out, first->name, first->help, types[first->kind]);
        for (int k = i; k < count; k++)
            if (strcmp(metrics->list[k]->name, first->name) == 0)
                prometheus_write_metric(out, metrics->list[k]);
    }
}
