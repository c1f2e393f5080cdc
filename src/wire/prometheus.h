/* The metrics of a process as Prometheus text, format 0.0.4: HELP and TYPE once a name,
 * histograms cumulative with the base unit second. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_PROMETHEUS_H
#define BTCAST_WIRE_PROMETHEUS_H

#include "base/metrics.h"
#include "base/text.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* A buffer this large holds METRICS_MAX metrics of which a quarter are histograms. */
#define PROMETHEUS_TEXT_MAX (2u << 20)

/* Writes every metric and `btcast_build_info{service=…,version=…} 1`. May run on another
 * thread than the metrics' owners. out->truncated: the buffer was too small.
 *
 * Of a histogram's edges the whole octaves, 0.03, 0.1 and +Inf are always there, the ones
 * between only beside a bucket that was hit: quantiles lose nothing, pages stay short. */
void prometheus_write(const struct metrics *metrics, const char *service, struct text *out);

/* `name="value"` with the value escaped, for building a metric's labels; puts a comma in
 * front unless the text is empty. */
void prometheus_add_label(struct text *labels, const char *name, const char *value);

#endif
